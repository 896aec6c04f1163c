from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from tests.support.places import ROOT
from tests.support.stand_ins import BrightnessNetwork, tiny_model
from tests.support.tensors import flat
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.models.keras_network import KerasNetwork, keras_model


@pytest.fixture(scope="module")
def network() -> KerasNetwork:
    """Answers with the grey of a picture's first pixel, and with its double."""

    def model(batch: Any, training: bool) -> Any:
        assert not training
        return batch[:, 0, 0, :] * np.array([[1.0, 2.0]], np.float32)

    return KerasNetwork(model)


def test_each_tensor_has_its_outputs(network: KerasNetwork) -> None:
    answers = network.answers(flat(0.25, 0.5, 1.0))
    assert answers.dtype == np.float64
    np.testing.assert_array_equal(answers, [[0.25, 0.5], [0.5, 1.0], [1.0, 2.0]])


def test_no_tensors_have_no_outputs(network: KerasNetwork) -> None:
    assert network.answers(flat()).shape == (0, 2)


def test_network_of_the_article_takes_no_tensors_too() -> None:
    from xray_classifier.training.architecture import build_article_cnn

    assert KerasNetwork(build_article_cnn()).answers(flat()).shape == (0, 1)


def test_logits_are_what_the_sigmoid_squashed() -> None:
    """Where the sigmoid of a float is 1 its logit still tells one picture from another."""
    model = tiny_model()
    model.set_weights([np.array([[80.0]]), np.array([-4.0])])
    network = KerasNetwork(model)
    np.testing.assert_allclose(network.logits(flat(0.5, 0.75)), [36, 56], rtol=1e-6)
    np.testing.assert_array_equal(network.answers(flat(0.5, 0.75)), [[1], [1]])


def test_network_without_a_sigmoid_has_no_logits(network: KerasNetwork) -> None:
    with pytest.raises(ModelUnavailableError, match="does not end in a sigmoid"):
        network.logits(flat(0.5))


@pytest.mark.parametrize(("side", "size"), [(1, 16), (2, 8), (3, 3), (6, 1)])
def test_batch_is_as_large_as_its_largest_feature_map_allows(side: int, size: int) -> None:
    """Maps of 1, 4, 9 and 36 MB for an image, of which 32 MB are to be had; 16 images at most."""
    import tensorflow as tf

    def model(batch: Any, training: bool) -> Any:
        assert not training
        wide = tf.image.resize(batch, (512 * side, 512 * side))
        return tf.reduce_mean(wide, axis=(1, 2))

    assert KerasNetwork(model).batch_size == size


def test_runtime_is_named_with_its_versions(network: KerasNetwork) -> None:
    import keras
    import tensorflow as tf

    assert network.runtime == f"Keras {keras.__version__}, TensorFlow {tf.__version__}"


def test_only_a_network_run_by_keras_has_a_keras_model() -> None:
    model = tiny_model()
    assert keras_model(KerasNetwork(model)) is model
    with pytest.raises(TypeError, match="this one is run by NumPy"):
        keras_model(BrightnessNetwork())


def run(program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)


def test_tensorflow_says_nothing_and_what_others_say_is_passed_on() -> None:
    """Also if several threads start it together."""
    program = """
import os, threading, time
from xray_classifier.models.keras_network import import_keras
error = os.fstat(2).st_ino
before = threading.Timer(0.1, os.write, (2, b"heard meanwhile\\n"))
before.start()
threads = [threading.Thread(target=import_keras) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in [before, *threads]]
keras, tf = import_keras()
assert tf.constant(1.0) + 1 == 2.0
assert os.fstat(2).st_ino == error
os.write(2, b"heard after it\\n")
"""
    done = run(program)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines() == ["heard meanwhile", "heard after it"]


def test_missing_keras_is_said_in_a_sentence() -> None:
    program = """
import sys
sys.modules["keras"] = None
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.models.loading import load_classifier
try:
    load_classifier("article", runtime="keras")
except ModelUnavailableError as error:
    print(error)
"""
    done = run(program)
    assert done.stdout.startswith("This model needs Keras and TensorFlow to run, and keras is not")
    assert done.stderr == ""
