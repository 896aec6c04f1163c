from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from xray_classifier.training.architecture import (
    accuracy,
    average_networks,
    build_article_cnn,
    build_lite_network,
    default_loss,
    enlarging_in_front,
    taught_loss,
)
from xray_classifier.training.efficientnet_lite import FIXED_BLOCKS, settle
from xray_classifier.training.imagenet_weights import fold

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


# The default model's networks

DEFAULT_PARAMETERS = 3_351_986
EDGE = 11  # of 250 pixels


@pytest.fixture(scope="module")
def on_pooled() -> Any:
    """The soft network as it is trained, with random weights through which images pass."""
    draw = np.random.default_rng(5)
    model = build_lite_network(250, soft=True)
    model.set_weights([drawn(variable, draw) for variable in model.weights])
    return model


def drawn(variable: Any, draw: np.random.Generator) -> Any:
    """Weights of one variable, by its name."""
    match variable.path.split("/")[-1]:
        case "kernel":
            depthwise = "depthwise" in variable.path
            inputs = variable.shape[:2] if depthwise else variable.shape[:-1]
            return draw.normal(0, np.sqrt(2 / np.prod(inputs)), variable.shape)
        case "gamma" | "moving_variance":
            return draw.uniform(0.7, 1.4, variable.shape)
    return draw.normal(0, 0.1, variable.shape)


@pytest.fixture(scope="module")
def on_whole(on_pooled: Any) -> Any:
    """The same as it is shipped, for images of 500 pixels."""
    model = build_lite_network(soft=True)
    fold(on_pooled, model)
    return model


@pytest.fixture(scope="module")
def images() -> Any:
    """Four images of 500 pixels a side, each with its own noise and brightness."""
    noise = np.random.default_rng(1).random((4, 500, 500, 1), np.float32)
    return noise * np.array([0.2, 0.5, 0.8, 1], np.float32)[:, None, None, None]


def answers(model: Any, batch: Any) -> Any:
    return keras.ops.convert_to_numpy(model(batch, training=False))


def test_network_takes_images_whole_or_pooled(on_pooled: Any, on_whole: Any) -> None:
    assert on_pooled.input_shape == (None, 250, 250, 1)
    assert on_whole.input_shape == (None, 500, 500, 1)
    assert on_pooled.output_shape == on_whole.output_shape == (None, 2)
    assert on_whole.get_layer("features").output.shape == (None, 1280)
    assert not on_whole.compiled


def test_what_ships_has_its_number_of_parameters_and_no_batch_norms(on_whole: Any) -> None:
    assert on_whole.count_params() == DEFAULT_PARAMETERS
    assert not on_whole.non_trainable_weights


def test_stem_and_first_blocks_stay_as_they_are_while_training(on_pooled: Any) -> None:
    fixed = [layer.name for layer in on_pooled.layers if layer.weights and not layer.trainable]
    first = tuple(f"block{number}_" for number in range(FIXED_BLOCKS))
    assert fixed[0] == "stem"
    assert all(name.startswith(first) for name in fixed[1:])
    assert len(fixed) == 1 + 3 * FIXED_BLOCKS - 1  # a block of three layers, the first of two
    learning = [layer.name for layer in on_pooled.layers if layer.trainable_weights]
    assert not any(name.startswith(("stem", *first)) for name in learning)
    assert {f"block{FIXED_BLOCKS}_expand_bn", "head", "head_bn", "probabilities"} <= set(learning)


def test_whole_image_gets_the_answers_of_the_pooled_one(
    on_pooled: Any, on_whole: Any, images: Any
) -> None:
    pooled = images.reshape(4, 250, 2, 250, 2, 1).mean(axis=(2, 4))
    found = answers(on_whole, images)
    assert found.std(axis=0).min() > 0.001  # answers that differ from image to image
    np.testing.assert_allclose(found, answers(on_pooled, pooled), rtol=0, atol=1e-5)


def test_the_picture_is_blurred_by_a_kernel_of_five_pixels(on_pooled: Any) -> None:
    (cropping,) = (layer for layer in on_pooled.layers if type(layer).__name__ == "Cropping2D")
    point = np.zeros((1, 250, 250, 1), np.float32)
    point[0, 125, 125] = 1
    seen = keras.Model(on_pooled.input, cropping.output)(point)[0, :, :, 0]
    kernel = np.array([1, 2, 3, 2, 1]) / 9
    around = slice(125 - 13 - 2, 125 - 13 + 3)  # of the 13 pixels at each edge that are left out
    np.testing.assert_allclose(seen[around, around], np.outer(kernel, kernel), atol=1e-6)
    assert float(keras.ops.sum(seen)) == pytest.approx(1, abs=1e-5)


def test_sharp_network_differs_in_what_it_sees_alone(on_pooled: Any, images: Any) -> None:
    sharp = build_lite_network(250, soft=False)
    (cropping,) = (layer for layer in sharp.layers if type(layer).__name__ == "Cropping2D")
    batch = images[:, :250, :250]
    seen = keras.Model(sharp.input, cropping.output)(batch)
    np.testing.assert_array_equal(seen, batch[:, 13:-13, 13:-13])
    assert [w.shape for w in sharp.get_weights()] == [w.shape for w in on_pooled.get_weights()]
    assert (sharp.name, on_pooled.name) == ("sharp", "soft")


def test_the_network_sees_imagenets_size_and_nothing_is_resized(on_pooled: Any) -> None:
    (cropping,) = (layer for layer in on_pooled.layers if type(layer).__name__ == "Cropping2D")
    assert cropping.output.shape == (None, 224, 224, 1)
    assert "Resizing" not in {type(layer).__name__ for layer in on_pooled.layers}


@pytest.mark.parametrize("side", ["top", "bottom", "left", "right", "all"])
def test_the_outer_11_of_250_pixels_change_nothing(
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


# Several networks as one


def test_average_gives_the_weighted_mean_of_the_logits(on_whole: Any, images: Any) -> None:
    draw = np.random.default_rng(6)
    sharp = build_lite_network(soft=False)
    sharp.set_weights([drawn(variable, draw) for variable in sharp.weights])
    model = average_networks({"sharp": sharp, "soft": on_whole}, (0.25, 0.75), "both")
    one, other = (logits(answers(each, images)) for each in (sharp, on_whole))
    assert np.abs(one - other).min() > 1e-3
    np.testing.assert_allclose(
        logits(answers(model, images)), 0.25 * one + 0.75 * other, rtol=0, atol=1e-4
    )
    assert (model.name, model.input_shape, model.output_shape) == (
        "both",
        (None, 500, 500, 1),
        (None, 2),
    )
    assert [layer.name for layer in model.layers[1:3]] == ["sharp", "soft"]
    assert model.count_params() == 2 * DEFAULT_PARAMETERS - 2  # two biases are one


def logits(probabilities: Any) -> Any:
    return np.log(probabilities / (1 - probabilities))


# Batch norms, when training is over


@pytest.fixture
def normed() -> Any:
    """A batch norm that has seen other images, and a layer behind it."""
    norm = keras.layers.BatchNormalization(momentum=0.99)
    outputs = keras.layers.Dense(1)(keras.layers.Flatten()(norm(inputs := keras.Input((1, 1, 2)))))
    model = keras.Model(inputs, outputs)
    norm.set_weights([np.full(2, value) for value in (1.5, 0.5, 9, 9)])
    return model


def test_settled_batch_norms_have_the_mean_statistics_of_the_batches(normed: Any) -> None:
    first = np.array([[1, 10], [3, 10]], np.float32).reshape(2, 1, 1, 2)  # variances 1, 0
    second = np.array([[5, 0], [5, 4]], np.float32).reshape(2, 1, 1, 2)  # variances 0, 4
    kernel = normed.layers[-1].get_weights()
    settle(normed, iter([first, second]))
    gamma, beta, mean, variance = normed.layers[1].get_weights()
    np.testing.assert_allclose(mean, [(2 + 5) / 2, (10 + 2) / 2])
    np.testing.assert_allclose(variance, [1 / 2, 4 / 2])
    np.testing.assert_array_equal([gamma, beta], [[1.5, 1.5], [0.5, 0.5]])
    for weights, before in zip(normed.layers[-1].get_weights(), kernel, strict=True):
        np.testing.assert_array_equal(weights, before)


def test_batch_norms_that_were_not_trained_stay_as_they_were(normed: Any) -> None:
    normed.layers[1].trainable = False
    settle(normed, [np.ones((2, 1, 1, 2), np.float32)])
    np.testing.assert_array_equal(normed.layers[1].moving_mean, [9, 9])


def test_without_batches_statistics_stay_as_training_left_them(normed: Any) -> None:
    settle(normed, [])
    np.testing.assert_array_equal(normed.layers[1].moving_variance, [9, 9])


def test_loss_is_that_of_the_label_and_of_the_etiology_where_it_is_known() -> None:
    wanted = np.array([[1, 1], [1, 0], [0, -1]], np.float32)
    answered = np.array([[0.9, 0.8], [0.6, 0.3], [0.2, 0.7]], np.float32)

    def loss(target: float, probability: float) -> float:
        smooth = target * 0.96 + 0.02  # label smoothing of .04
        return -float(smooth * np.log(probability) + (1 - smooth) * np.log(1 - probability))

    expected = [
        loss(1, 0.9) + 0.6 * loss(1, 0.8),
        loss(1, 0.6) + 0.6 * loss(0, 0.3),
        loss(0, 0.2),
    ]
    np.testing.assert_allclose(default_loss(wanted, answered), expected, rtol=1e-5)


def test_taught_loss_is_against_the_mean_of_label_and_teacher() -> None:
    wanted = np.array([[1], [0], [0]], np.float32)
    answered = np.array([[0.9, 0.6], [0.2, 0.0], [0.2, 1.0]], np.float32)
    targets = np.array([(0.98 + 0.6) / 2, 0.02 / 2, (0.02 + 1) / 2])  # label smoothing of .04
    student = answered[:, 0]
    expected = -(targets * np.log(student) + (1 - targets) * np.log(1 - student))
    np.testing.assert_allclose(taught_loss(wanted, answered), expected, rtol=1e-5)


def test_teacher_learns_nothing_from_its_student() -> None:
    answers = tf.Variable([[0.9, 0.6]])
    with tf.GradientTape() as tape:
        loss = taught_loss(tf.constant([[1.0]]), answers)
    ((by_student, by_teacher),) = tape.gradient(loss, answers).numpy()
    assert by_student != 0
    assert by_teacher == 0


def brightest(pool: int) -> keras.Model:
    """Answer with the brightest mean over so many pixels a side, and with one less that."""
    inputs = keras.Input((500, 500, 1))
    most = layers.GlobalMaxPooling2D()(layers.AveragePooling2D(pool)(inputs))
    return keras.Model(inputs, layers.Concatenate()([most, 1 - most]))


def test_student_sees_images_enlarged_smoothly_and_the_teacher_as_they_were() -> None:
    image = np.zeros((1, 250, 250, 1), np.float32)
    image[0, 100, 100] = 0.8
    student = keras.Sequential([keras.Input((500, 500, 1)), layers.GlobalMaxPooling2D()])
    answers = enlarging_in_front(student, brightest(2))(image, training=False)
    np.testing.assert_allclose(answers, [[0.75 * 0.75 * 0.8, 0.8]], rtol=1e-6)


def test_teacher_is_left_as_it_is() -> None:
    student, teacher = build_article_cnn(), build_lite_network(soft=True)
    model = enlarging_in_front(student, teacher)
    assert len(model.trainable_variables) == len(student.variables)
    assert teacher.trainable_variables == []


def test_accuracy_is_that_of_the_label() -> None:
    wanted = np.array([[1, 1], [1, 0], [0, -1]], np.float32)
    answered = np.array([[0.9, 0.1], [0.4, 0.3], [0.2, 0.7]], np.float32)
    assert np.asarray(accuracy(wanted, answered)).ravel().tolist() == [1, 0, 1]
