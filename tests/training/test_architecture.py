from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from xray_classifier.training.architecture import build_article_cnn, build_default_model

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


# The default model

DEFAULT_PARAMETERS = 3_350_705
EDGE = 10  # of 250 pixels


@pytest.fixture(scope="module")
def on_pooled() -> Any:
    """The default model for images of 250 pixels, with random weights through which images pass."""
    draw = np.random.default_rng(5)
    model = build_default_model(250)
    weights = []
    for variable in model.weights:
        height_width_in = (
            variable.shape[:2] if "depthwise" in variable.path else variable.shape[:-1]
        )
        spread = np.sqrt(2 / np.prod(height_width_in)) if variable.shape[1:] else 0.1
        weights.append(draw.normal(0, spread, variable.shape))
    model.set_weights(weights)
    return model


@pytest.fixture(scope="module")
def on_whole(on_pooled: Any) -> Any:
    """The same for images of 500 pixels."""
    model = build_default_model()
    model.set_weights(on_pooled.get_weights())
    return model


@pytest.fixture(scope="module")
def images() -> Any:
    """Four images of 500 pixels a side, each with its own noise and brightness."""
    noise = np.random.default_rng(1).random((4, 500, 500, 1), np.float32)
    return noise * np.array([0.2, 0.5, 0.8, 1], np.float32)[:, None, None, None]


def answers(model: Any, batch: Any) -> Any:
    return keras.ops.convert_to_numpy(model(batch, training=False))


def test_default_model_takes_images_whole_or_pooled(on_pooled: Any, on_whole: Any) -> None:
    assert on_pooled.input_shape == (None, 250, 250, 1)
    assert on_whole.input_shape == (None, 500, 500, 1)
    assert on_pooled.output_shape == on_whole.output_shape == (None, 1)
    assert on_whole.get_layer("features").output.shape == (None, 1280)
    assert not on_whole.compiled


def test_default_model_has_its_number_of_parameters(on_pooled: Any, on_whole: Any) -> None:
    assert on_pooled.count_params() == on_whole.count_params() == DEFAULT_PARAMETERS
    assert not on_whole.non_trainable_weights


def test_weights_come_in_the_same_order_for_both_sides(on_pooled: Any, on_whole: Any) -> None:
    orders = [
        [("/".join(weights.path.split("/")[-2:]), weights.shape) for weights in model.weights]
        for model in (on_pooled, on_whole)
    ]
    assert orders[0] == orders[1]
    assert len(orders[0]) == len(set(orders[0])) > 90


def logits(model: Any, batch: Any) -> Any:
    probabilities = answers(model, batch).astype(np.float64)
    return np.log(probabilities / (1 - probabilities))


def test_whole_image_gets_the_mean_logit_of_the_pooled_one_and_its_mirror_image(
    on_pooled: Any, on_whole: Any, images: Any
) -> None:
    pooled = images.reshape(4, 250, 2, 250, 2, 1).mean(axis=(2, 4))
    sides = logits(on_pooled, pooled), logits(on_pooled, pooled[:, :, ::-1])
    found = logits(on_whole, images)
    assert found.std() > 0.01  # answers that differ from image to image
    assert abs(sides[0] - sides[1]).max() > 1e-4
    np.testing.assert_allclose(found, np.mean(sides, axis=0), rtol=0, atol=1e-4)


def test_a_mirror_image_gets_the_same_answer(on_whole: Any, images: Any) -> None:
    mirrored = answers(on_whole, images[:, :, ::-1])
    np.testing.assert_allclose(mirrored, answers(on_whole, images), rtol=0, atol=1e-5)


def test_the_network_sees_200_pixels_of_what_is_left(on_pooled: Any) -> None:
    (resizing,) = (layer for layer in on_pooled.layers if type(layer).__name__ == "Resizing")
    assert resizing.input.shape == (None, 230, 230, 1)
    assert resizing.output.shape == (None, 200, 200, 1)


@pytest.mark.parametrize("side", ["top", "bottom", "left", "right", "all"])
def test_the_outer_10_of_250_pixels_change_nothing(
    side: str, on_pooled: Any, on_whole: Any, images: Any
) -> None:
    for model, edge in ((on_pooled, EDGE), (on_whole, 2 * EDGE)):
        batch = images[:, : model.input_shape[1], : model.input_shape[1]]
        other = batch.copy()
        edges = {
            "top": np.s_[:, :edge],
            "bottom": np.s_[:, -edge:],
            "left": np.s_[:, :, :edge],
            "right": np.s_[:, :, -edge:],
        }
        for part in edges.values() if side == "all" else [edges[side]]:
            other[part] = 1 - other[part]
        np.testing.assert_array_equal(answers(model, other), answers(model, batch))


@pytest.mark.parametrize("line", [EDGE, 250 - EDGE - 1])
def test_the_lines_next_to_the_edge_do_count(line: int, on_pooled: Any, images: Any) -> None:
    batch = images[:, :250, :250]
    for part in (np.s_[:, line], np.s_[:, :, line]):
        other = batch.copy()
        other[part] = 1 - other[part]
        assert np.all(answers(on_pooled, other) != answers(on_pooled, batch))


def test_pixels_are_scaled_as_imagenet_was(on_pooled: Any) -> None:
    (rescaling,) = (layer for layer in on_pooled.layers if type(layer).__name__ == "Rescaling")
    tensor = np.array([[0.0, 127 / 255, 1.0]], np.float32)
    np.testing.assert_allclose(rescaling(tensor), [[-127 / 128, 0, 1]], atol=1e-6)
