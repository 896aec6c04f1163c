"""The steps that are shown are those of the article's network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.pictures import gradient
from tests.support.stand_ins import BrightnessNetwork
from tests.support.tensors import flat
from xray_classifier.imaging.preprocessing import Tensor, preprocess
from xray_classifier.inputs.decoding import decode
from xray_classifier.learn.steps import ARTICLE, Steps, take_steps
from xray_classifier.models.loading import DEFAULT_MODEL, KERAS, load_classifier

NETWORK = load_classifier(ARTICLE).network


def steps_of(tensor: Tensor) -> Steps:
    steps = take_steps(NETWORK, tensor)
    assert steps is not None
    return steps


@pytest.fixture(scope="module")
def steps() -> Steps:
    return steps_of(preprocess(gradient()))


def test_shapes_are_the_articles(steps: Steps) -> None:
    assert [block.maps.shape for block in steps.blocks] == [
        (32, 249, 249),
        (32, 123, 123),
        (32, 60, 60),
        (64, 29, 29),
        (64, 13, 13),
    ]
    channels = [block.kernels.shape for block in steps.blocks]
    assert channels == [(32, 1, 3, 3), *[(32, 32, 3, 3)] * 2, (64, 32, 3, 3), (64, 64, 3, 3)]
    assert steps.vector.shape == (10816,)
    assert [len(values) for values in steps.dense] == [128, 64]


def test_parameters_are_the_articles(steps: Steps) -> None:
    assert [block.parameters for block in steps.blocks] == [320, 9248, 9248, 18496, 36928]
    assert steps.dense_parameters == (1384576, 8256, 65)
    assert steps.parameters == 1467137


def test_receptive_fields_are_those_worked_out_by_hand(steps: Steps) -> None:
    assert [block.receptive_field for block in steps.blocks] == [4, 10, 22, 46, 94]
    assert [block.step for block in steps.blocks] == [2, 4, 8, 16, 32]


def test_a_pixel_changes_the_maps_within_its_receptive_field_only() -> None:
    tensor = flat(0.3)[0]
    changed = tensor.copy()
    changed[200, 300] = 1
    for before, after in zip(steps_of(tensor).blocks, steps_of(changed).blocks, strict=True):
        _, rows, columns = np.nonzero(before.maps != after.maps)
        for cells, place in ((rows, 200), (columns, 300)):
            assert len(cells)
            first, last = cells.min() * before.step, cells.max() * before.step
            assert first + before.receptive_field > place
            assert last <= place


def test_vector_is_the_last_maps_place_after_place(steps: Steps) -> None:
    np.testing.assert_array_equal(steps.vector, steps.blocks[-1].maps.transpose(1, 2, 0).ravel())


def test_probability_and_logit_are_those_of_the_verdict(steps: Steps) -> None:
    batch = preprocess(gradient())[np.newaxis]
    assert steps.probability == pytest.approx(float(NETWORK.answers(batch)[0, 0]), abs=1e-7)
    assert steps.logit == pytest.approx(float(NETWORK.logits(batch)[0]), abs=1e-6)
    assert steps.probability == pytest.approx(1 / (1 + np.exp(-steps.logit)), abs=1e-6)


def assert_same_as_keras(tensor: Tensor) -> None:
    from xray_classifier.models.keras_network import keras_model

    model = keras_model(load_classifier(ARTICLE, runtime=KERAS).network)
    steps, values, outputs = steps_of(tensor), tensor[np.newaxis], []
    for layer in model.layers:
        values = layer(values)
        outputs.append((type(layer).__name__, np.asarray(values)[0]))
    maps = [found.transpose(2, 0, 1) for name, found in outputs if name == "MaxPooling2D"]
    for block, wanted in zip(steps.blocks, maps, strict=True):
        np.testing.assert_allclose(block.maps, wanted, atol=1e-4)
    dense = [found for name, found in outputs if name == "Dense"]
    for found, wanted in zip(steps.dense, dense[:-1], strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-4)
    np.testing.assert_allclose(steps.probability, dense[-1][0], atol=1e-5)
    weights = [layer.get_weights()[0] for layer in model.layers if "Conv2D" in type(layer).__name__]
    for block, kernels in zip(steps.blocks, weights, strict=True):
        np.testing.assert_array_equal(block.kernels, kernels.transpose(3, 2, 0, 1))


def test_steps_are_those_of_keras() -> None:
    assert_same_as_keras(preprocess(gradient()))


@pytest.mark.data
def test_steps_of_a_radiograph_are_those_of_keras(original: Path) -> None:
    assert_same_as_keras(preprocess(decode(original.read_bytes()).image))


@pytest.mark.parametrize(
    "network",
    [BrightnessNetwork(), load_classifier(DEFAULT_MODEL).network],
    ids=["other", "default"],
)
def test_other_networks_stay_closed(network: BrightnessNetwork) -> None:
    assert take_steps(network, flat(0.5)[0]) is None
