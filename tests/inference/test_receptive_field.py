from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from xray_classifier.errors import ModelUnavailableError
from xray_classifier.inference.receptive_field import Axis, axes_of, coarsest_maps_of, logit_of

SIDE = 64


def conv(size: int = 3, step: int = 1, padding: str = "valid", **options: Any) -> Any:
    return layers.Conv2D(
        2, size, step, padding, kernel_initializer="ones", use_bias=False, **options
    )


def depthwise(size: int = 3, step: int = 2) -> Any:
    return layers.DepthwiseConv2D(
        size, step, "same", depthwise_initializer="ones", use_bias=False, depth_multiplier=1
    )


def nested() -> Any:
    inputs = keras.Input((40, 40, 1))
    return keras.Model(inputs, conv(5, 2)(conv()(inputs)))


class Residual(layers.Layer):
    """A block whose branches meet."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = conv(3, 1, "same")

    def call(self, x: Any) -> Any:
        return x + self.inner(x)


class Dilated(layers.Layer):
    """A dilated convolution as one operation; Keras makes three of it on a CPU."""

    def call(self, x: Any) -> Any:
        return tf.nn.conv2d(x, tf.ones((3, 3, 1, 1)), 1, "VALID", dilations=3)


def sequential(*body: Any) -> Any:
    head = [layers.Flatten(), layers.Dense(1, activation="sigmoid")]
    return keras.Sequential([keras.Input((SIDE, SIDE, 1)), *body, *head])


def trace(model: Any, function: Any) -> Any:
    """Trace a model, and let a function see its answer and its input as graph tensors."""
    seen = []

    def look(batch: Any) -> Any:
        answer = model(batch, training=False)
        seen.append(function(answer, batch))
        return seen[0]

    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)]
    return tf.function(look, input_signature=signature, autograph=False), seen


STACKS = {
    "valid": lambda: [conv(), conv(5)],
    "same": lambda: [conv(3, 1, "same")],
    "strided": lambda: [conv(3, 2, "same"), conv(4, 2, "same"), conv(5, 3)],
    "dilated": lambda: [Dilated(), conv()],
    "depthwise": lambda: [conv(), depthwise(), depthwise(5)],
    "pooled": lambda: [conv(), layers.AveragePooling2D(2), conv(), layers.AveragePooling2D(3, 2)],
    "cropped": lambda: [layers.Cropping2D(((7, 2), (0, 9))), conv()],
    "padded": lambda: [layers.ZeroPadding2D(((3, 1), (0, 4))), conv(5, 2)],
    "resized": lambda: [layers.Resizing(40, 24), conv(3, 2)],
    "rescaled": lambda: [layers.Rescaling(2.0, 0.1), conv(7, 4), layers.ReLU()],
    "nested": lambda: [layers.Resizing(40, 40), nested()],
    "residual": lambda: [conv(3, 2), Residual(), conv()],
    "normalised": lambda: [conv(3, 2), layers.BatchNormalization(), layers.Activation("relu6")],
}


@pytest.mark.parametrize("name", STACKS)
def test_cells_lie_where_the_gradient_says_that_they_look(name: str) -> None:
    """With equal weights everywhere, a cell's gradient is centred on what the cell sees."""

    def look(answer: Any, batch: Any) -> Any:
        (feature_map,) = coarsest_maps_of(logit_of(answer), 1)
        axes.extend(axes_of(feature_map))
        return tf.gradients(feature_map[0, 2, 3, 0], batch)[0]

    axes: list[Axis] = []
    function, _ = trace(sequential(*STACKS[name]()), look)
    gradient = function(np.full((1, SIDE, SIDE, 1), 0.5, np.float32)).numpy()[0, ..., 0]

    places = np.arange(SIDE)
    for axis, cell, other in ((axes[0], 2, 1), (axes[1], 3, 0)):
        profile = gradient.sum(axis=other)
        assert (profile * places).sum() / profile.sum() == pytest.approx(
            axis.start + cell * axis.step, abs=1e-3
        )


def test_axis_counts_its_cells_and_knows_the_pixels_between_them() -> None:
    def look(answer: Any, batch: Any) -> Any:
        found.extend(axes_of(coarsest_maps_of(logit_of(answer), 1)[0]))
        return answer

    found: list[Axis] = []
    trace(sequential(conv(3, 2)), look)[0].get_concrete_function()
    assert found == [Axis(31, 1, 2), Axis(31, 1, 2)]
    assert found[0].span == slice(1, 62)


def test_span_stays_in_the_picture() -> None:
    assert Axis(3, -4.5, 10).span == slice(0, 16)


def test_maps_are_the_coarsest_of_each_size_and_come_after_a_convolution() -> None:
    def look(answer: Any, batch: Any) -> Any:
        maps = coarsest_maps_of(logit_of(answer), 9)
        found.extend((m.op.type, m.shape[1]) for m in maps)
        return answer

    found: list[tuple[str, int]] = []
    model = sequential(
        layers.AveragePooling2D(2), conv(3, 1, "same"), layers.ReLU(), layers.MaxPooling2D()
    )
    trace(model, look)[0].get_concrete_function()
    assert found == [("MaxPool", 16), ("Relu", 32)]


def test_logit_is_found_before_an_activation_layer_and_behind_a_reshape() -> None:
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 1)),
            layers.Flatten(),
            layers.Dense(1, kernel_initializer="zeros", bias_initializer="ones"),
            layers.Activation("sigmoid"),
            layers.Reshape((1,)),
        ]
    )
    function, _ = trace(model, lambda answer, batch: logit_of(answer))
    assert function(np.zeros((1, SIDE, SIDE, 1), np.float32)).numpy() == 1


def test_network_without_a_sigmoid_is_refused() -> None:
    model = keras.Sequential([keras.Input((SIDE, SIDE, 1)), conv(), layers.ReLU()])
    function, _ = trace(model, lambda answer, batch: logit_of(answer))
    with pytest.raises(ModelUnavailableError, match="it ends in Relu, not in a sigmoid"):
        function.get_concrete_function()


@pytest.mark.parametrize("body", [[], [layers.AveragePooling2D(2)]])
def test_network_without_a_convolution_is_refused(body: list[Any]) -> None:
    function, _ = trace(
        sequential(*body), lambda answer, batch: coarsest_maps_of(logit_of(answer), 1)
    )
    with pytest.raises(ModelUnavailableError, match="it has no convolution"):
        function.get_concrete_function()


def test_operation_that_moves_cells_in_an_unknown_way_is_refused() -> None:
    model = sequential(conv(), layers.Lambda(lambda x: tf.tile(x, (1, 2, 2, 1))), conv())
    function, _ = trace(model, lambda answer, _: axes_of(coarsest_maps_of(logit_of(answer), 1)[0]))
    with pytest.raises(ModelUnavailableError, match="lie is unknown after Tile"):
        function.get_concrete_function()
