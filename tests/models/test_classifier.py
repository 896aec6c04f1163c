from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import numpy as np
import pytest

from tests.support.tensors import flat
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.keras_network import KerasNetwork
from xray_classifier.models.spec import ModelSpec


def sigmoid(values: Any) -> Any:
    return 1 / (1 + np.exp(-np.asarray(values, np.float64)))


def answering(value: float) -> Classifier:
    """A classifier whose model gives `value` for whatever it is shown."""

    def model(batch: Any, training: bool) -> Any:
        assert not training
        return batch[:, 0, 0, :] * 0 + value

    return Classifier(KerasNetwork(model), ModelSpec("odd", "Odd", "odd.keras"))


@pytest.mark.parametrize("values", [(0.5,), (0.0, 0.25, 1.0, 0.75, 0.25)])
def test_the_probabilities_are_those_worked_out_by_hand(
    tiny_classifier: Classifier, values: tuple[float, ...]
) -> None:
    answer = tiny_classifier.probabilities(flat(*values))

    assert answer.shape == (len(values),)
    assert answer.dtype == np.float64
    np.testing.assert_allclose(answer, sigmoid(8 * np.array(values) - 4), atol=1e-5)


def test_an_image_is_judged_alike_alone_and_in_a_batch(tiny_classifier: Classifier) -> None:
    batch = np.random.default_rng(0).random((3, 500, 500, 1), np.float32)

    together = tiny_classifier.probabilities(batch)

    alone = [tiny_classifier.probabilities(batch[i : i + 1])[0] for i in range(3)]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_an_empty_batch_has_no_probabilities(tiny_classifier: Classifier) -> None:
    assert tiny_classifier.probabilities(flat()).shape == (0,)


@pytest.mark.parametrize(
    ("batch", "received"),
    [
        (np.zeros((500, 500, 1), np.float32), r"float32 of shape \(500, 500, 1\)"),
        (np.zeros((1, 500, 500), np.float32), r"float32 of shape \(1, 500, 500\)"),
        (np.zeros((1, 500, 500, 3), np.float32), r"float32 of shape \(1, 500, 500, 3\)"),
        (np.zeros((1, 224, 224, 1), np.float32), r"float32 of shape \(1, 224, 224, 1\)"),
        (np.zeros((1, 500, 500, 1), np.float64), r"float64 of shape \(1, 500, 500, 1\)"),
        (np.zeros((1, 500, 500, 1), np.uint8), r"uint8 of shape \(1, 500, 500, 1\)"),
    ],
)
def test_another_shape_or_type_is_refused(
    tiny_classifier: Classifier, batch: Any, received: str
) -> None:
    with pytest.raises(ValueError, match=f"is wanted; received {received}"):
        tiny_classifier.probabilities(batch)


@pytest.mark.parametrize(
    ("values", "received"),
    [
        ((0.0, 255.0), r"\[0\.0, 255\.0\]"),
        ((-0.5, 1.0), r"\[-0\.5, 1\.0\]"),
        ((0.5, float("nan")), r"\[nan, nan\]"),
    ],
)
def test_tensors_that_were_not_scaled_are_refused(
    tiny_classifier: Classifier, values: tuple[float, ...], received: str
) -> None:
    with pytest.raises(ValueError, match=f"received {received}. Scale the image"):
        tiny_classifier.probabilities(flat(*values))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.01, 1.01])
def test_a_model_that_gives_no_probability_never_becomes_a_classifier(value: float) -> None:
    with pytest.raises(ModelUnavailableError, match=r"Model odd answered .*is no probability"):
        answering(value)


def test_one_bad_answer_among_good_ones_is_refused() -> None:
    def model(batch: Any, training: bool) -> Any:
        import tensorflow as tf

        brightness = batch[:, 0, 0, :]
        return tf.where(brightness > 0.5, brightness / 0.0 * 0.0, brightness)

    classifier = Classifier(KerasNetwork(model), ModelSpec("odd", "Odd", "odd.keras"))
    assert classifier.probabilities(flat(0.25)) == [0.25]

    with pytest.raises(ModelUnavailableError, match=r"\[0\.25 +nan\], which is no probability"):
        classifier.probabilities(flat(0.25, 0.75))


def test_many_threads_get_the_answers_that_one_would(tiny_classifier: Classifier) -> None:
    batches = np.random.default_rng(1).random((8, 1, 500, 500, 1), np.float32)
    batches *= np.linspace(0.1, 1, 8, dtype=np.float32).reshape(-1, 1, 1, 1, 1)
    alone = [tiny_classifier.probabilities(batch)[0] for batch in batches]
    together = Barrier(4)

    def judge_all(_thread: int) -> list[float]:
        together.wait(timeout=30)
        return [tiny_classifier.probabilities(batch)[0] for _ in range(3) for batch in batches]

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(judge_all, range(4)))

    assert answers == [alone * 3] * 4
    assert len(set(alone)) == 8
