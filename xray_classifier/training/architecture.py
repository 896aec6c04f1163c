"""The networks, untrained: the article's CNN, and the default model on ImageNet features.

And the loss of the latter, which has two answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import keras
import numpy as np
from keras import layers

from xray_classifier.imaging.preprocessing import SIDE
from xray_classifier.training.efficientnet_lite import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    apply_folded,
    apply_trainable,
)

Measure = TypeVar("Measure", bound=Callable[[Any, Any], Any])

SMOOTHING = 0.04
ETIOLOGY_WEIGHT = 0.6
UNKNOWN = -1.0
"""In place of an etiology that the file's name does not tell."""

FILTERS = (32, 32, 32, 64, 64)
DENSE_UNITS = (128, 64)


def build_article_cnn(learning_rate: float = 0.001) -> keras.Model:
    """Build the article's CNN: 1,467,137 parameters, compiled with Adam and cross-entropy.

    Five blocks of a 3x3 convolution (ReLU, no padding) and a 2x2 maximum pooling, then dense
    layers of 128, 64 and 1 units. Takes (n, 500, 500, 1) in [0, 1], gives (n, 1): the
    probability of pneumonia.
    """
    blocks = [
        layer
        for filters in FILTERS
        for layer in (layers.Conv2D(filters, 3, activation="relu"), layers.MaxPooling2D())
    ]
    dense = [layers.Dense(units, activation="relu") for units in DENSE_UNITS]
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 1)),
            *blocks,
            layers.Flatten(),
            *dense,
            layers.Dense(1, activation="sigmoid"),
        ],
        name="article",
    )
    adam = keras.optimizers.Adam(learning_rate)
    model.compile(adam, loss="binary_crossentropy", metrics=["accuracy"])
    return model


DEFAULT_POOL = 2  # 500 to 250 pixels, by averaging: antialiased and quick
DEFAULT_BLUR = 3  # pixels of 250, twice: finer detail tells machines and copies apart
DEFAULT_SIDE = 224  # that of ImageNet's pictures
FEATURES = "features"
ANSWERS = 2
"""Of the default model's networks: pneumonia, and bacterial if it is one."""


def build_lite_network(side: int = SIDE, *, soft: bool) -> keras.Model:
    """Build a network of the default model: EfficientNet-Lite0 on the picture without its edge.

    The outer 5 % are cut off, where machines burn in text. What is left are 224 x 224 pixels,
    ImageNet's size: nothing is resized.

    Args:
        side: 500 for what is shipped, which pools by itself and whose batch norms are folded into
            the convolutions; 250 for training, on images that were pooled beforehand, where only
            the first blocks are folded, and fixed.
        soft: blur the picture first, by two averages over neighbouring pixels.

    Returns:
        A model from (n, side, side, 1) in [0, 1] to (n, 2): the probability of pneumonia, and
        that of a bacterial one if it is a pneumonia.
    """
    inputs = keras.Input((side, side, 1))
    x = layers.AveragePooling2D(DEFAULT_POOL)(inputs) if side == SIDE else inputs
    for _ in range(2 if soft else 0):
        x = layers.AveragePooling2D(DEFAULT_BLUR, strides=1)(x)
    x = layers.Cropping2D((x.shape[1] - DEFAULT_SIDE) // 2)(x)
    x = layers.Rescaling(255 / IMAGENET_STD, -IMAGENET_MEAN / IMAGENET_STD)(x)
    x = apply_folded(x) if side == SIDE else apply_trainable(x)
    x = layers.GlobalAveragePooling2D(name=FEATURES)(x)
    x = layers.Dropout(0.2)(x)
    outputs = layers.Dense(ANSWERS, activation="sigmoid", name="probabilities")(x)
    model = keras.Model(inputs, outputs, name="soft" if soft else "sharp")
    if side != SIDE:
        for layer in model.layers:
            layer.trainable = layer is model.layers[-1] or not getattr(layer, "use_bias", False)
    return model


def average_networks(
    networks: Mapping[str, keras.Model], weights: Sequence[float], name: str
) -> keras.Model:
    """Make one network whose logits are the weighted mean of those of several.

    Their last layers are linear before the sigmoid: side by side, on all features, they are one.

    Args:
        networks: as `build_lite_network` gives them for whole images, trained, by name.
        weights: of each network.
        name: of the model.
    """
    inputs = keras.Input((SIDE, SIDE, 1))
    features, kernels, bias = [], [], np.zeros(ANSWERS, np.float32)
    for (each, network), weight in zip(networks.items(), weights, strict=True):
        below = keras.Model(network.inputs, network.get_layer(FEATURES).output, name=each)
        features.append(below(inputs))
        kernel, its_bias = network.layers[-1].get_weights()
        kernels.append(weight * kernel)
        bias += weight * its_bias
    last = layers.Dense(ANSWERS, activation="sigmoid", name="probabilities")
    model = keras.Model(inputs, last(layers.Concatenate()(features)), name=name)
    last.set_weights([np.concatenate(kernels), bias])
    return model


def _storable(function: Measure) -> Measure:
    """Let checkpoints name a function."""
    return cast(Measure, keras.saving.register_keras_serializable("xray_classifier")(function))


@_storable
def default_loss(wanted: Any, answered: Any) -> Any:
    """Compute the cross-entropy of the label, and of the etiology where it is known, each image's.

    Args:
        wanted: rows of `recipes.default_targets`.
        answered: probabilities of both, shape (n, 2).
    """
    known = keras.ops.cast(wanted[:, 1] != UNKNOWN, "float32")
    smoothed = keras.ops.abs(wanted) * (1 - SMOOTHING) + SMOOTHING / 2
    losses = keras.losses.binary_crossentropy(smoothed[..., None], answered[..., None])
    return losses[:, 0] + ETIOLOGY_WEIGHT * known * losses[:, 1]


@_storable
def accuracy(wanted: Any, answered: Any) -> Any:
    """Tell for each image whether the label is answered rightly."""
    return keras.metrics.binary_accuracy(wanted[:, :1], answered[:, :1])
