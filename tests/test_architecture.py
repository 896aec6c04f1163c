from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from xray_classifier.architecture import build_article_cnn

# Layer, output shape without the batch, number of parameters.
LAYERS = [
    ("Conv2D", (498, 498, 32), 32 * (9 * 1 + 1)),
    ("MaxPooling2D", (249, 249, 32), 0),
    ("Conv2D", (247, 247, 32), 32 * (9 * 32 + 1)),
    ("MaxPooling2D", (123, 123, 32), 0),
    ("Conv2D", (121, 121, 32), 32 * (9 * 32 + 1)),
    ("MaxPooling2D", (60, 60, 32), 0),
    ("Conv2D", (58, 58, 64), 64 * (9 * 32 + 1)),
    ("MaxPooling2D", (29, 29, 64), 0),
    ("Conv2D", (27, 27, 64), 64 * (9 * 64 + 1)),
    ("MaxPooling2D", (13, 13, 64), 0),
    ("Flatten", (10816,), 0),
    ("Dense", (128,), 128 * (10816 + 1)),
    ("Dense", (64,), 64 * (128 + 1)),
    ("Dense", (1,), 64 + 1),
]


@pytest.fixture(scope="module")
def model() -> Any:
    return build_article_cnn()


def test_number_of_parameters_is_the_articles(model: Any) -> None:
    assert model.count_params() == 1_467_137
    assert sum(parameters for *_, parameters in LAYERS) == 1_467_137
    assert not model.non_trainable_weights


def test_layers_are_the_articles(model: Any) -> None:
    built = [
        (type(layer).__name__, layer.output.shape[1:], layer.count_params())
        for layer in model.layers
    ]
    assert built == LAYERS


def test_image_comes_in_and_one_probability_goes_out(model: Any) -> None:
    assert model.input_shape == (None, 500, 500, 1)
    assert model.output_shape == (None, 1)


def test_hidden_layers_are_rectified_and_the_last_is_a_sigmoid(model: Any) -> None:
    activations = [
        layer.activation.__name__ for layer in model.layers if hasattr(layer, "activation")
    ]
    assert activations == ["relu"] * 7 + ["sigmoid"]


def test_convolutions_are_3_by_3_without_padding(model: Any) -> None:
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    for layer in convolutions:
        assert (layer.kernel_size, layer.strides) == ((3, 3), (1, 1))
        assert (layer.padding, layer.use_bias) == ("valid", True)


def test_poolings_are_2_by_2_without_padding(model: Any) -> None:
    poolings = [layer for layer in model.layers if isinstance(layer, keras.layers.MaxPooling2D)]
    for layer in poolings:
        assert (layer.pool_size, layer.strides, layer.padding) == ((2, 2), (2, 2), "valid")


def test_model_is_compiled_with_adam_and_cross_entropy(model: Any) -> None:
    assert type(model.optimizer) is keras.optimizers.Adam
    assert float(model.optimizer.learning_rate) == pytest.approx(0.001)
    assert model.loss == "binary_crossentropy"


def test_learning_rate_can_be_chosen() -> None:
    assert float(build_article_cnn(0.01).optimizer.learning_rate) == pytest.approx(0.01)


def test_weights_follow_from_the_seed(model: Any) -> None:
    def seeded(seed: int) -> list[Any]:
        keras.utils.set_random_seed(seed)
        return build_article_cnn().get_weights()

    first, again, other = seeded(7), seeded(7), seeded(8)
    for weights, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(weights, same)
    assert np.any(first[0] != other[0])
