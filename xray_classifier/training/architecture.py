"""The networks, untrained: the article's CNN, and the default model on ImageNet features.

And what they are trained by: a teacher beside them, an optimizer, targets and losses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import keras
import numpy as np
from keras import layers

from xray_classifier.data.datasets import Sample
from xray_classifier.data.patients import etiology_from_name
from xray_classifier.imaging.preprocessing import SIDE
from xray_classifier.training.efficientnet_lite import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    apply_folded,
    apply_trainable,
)

Measure = TypeVar("Measure", bound=Callable[[Any, Any], Any])

SMOOTHING = 0.04
NOISE = 0.02
"""Standard deviation, of grey levels from 0 to 1."""
ETIOLOGY_WEIGHT = 0.6
UNKNOWN = -1.0
"""In place of an etiology that the file's name does not tell."""

ARTICLE_NETWORK = "article"
DEFAULT_POOL = 2  # 500 to 250 pixels, by averaging: antialiased and quick
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
        name=ARTICLE_NETWORK,
    )
    adam = keras.optimizers.Adam(learning_rate)
    model.compile(adam, loss="binary_crossentropy", metrics=["accuracy"])
    return model


def enlarging_in_front(network: keras.Model, teacher: keras.Model | None = None) -> keras.Model:
    """Put an enlarging in front, so that half the side is augmented, in a quarter of the time.

    The network sees the images enlarged smoothly, and with noise, which teaches it to look past
    detail that only full-resolution radiographs have; the teacher sees each pixel as four, so that
    it finds the images as they were when it averages them again.

    Args:
        network: what learns; takes (n, 500, 500, 1), gives (n, 1).
        teacher: takes the same, and stays as it is.

    Returns:
        A model from (n, 250, 250, 1) in [0, 1] to the network's answers, shape (n, 1); with a
        teacher to (n, 2), the second ones being the teacher's first ones.
    """
    inputs = keras.Input((SIDE // DEFAULT_POOL, SIDE // DEFAULT_POOL, 1))
    enlarged = layers.UpSampling2D(DEFAULT_POOL, interpolation="bilinear")(inputs)
    answers = network(layers.GaussianNoise(NOISE)(enlarged))
    if teacher is not None:
        teacher.trainable = False
        taught = teacher(layers.UpSampling2D(DEFAULT_POOL)(inputs))
        answers = layers.Concatenate()([answers, taught[:, :1]])
    return keras.Model(inputs, answers, name="enlarging_in_front")


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


def averaging_optimizer(steps: int, epochs: int, rate: float) -> keras.optimizers.Optimizer:
    """Make AdamW that averages the weights: one epoch up to `rate`, a cosine down to 1 % of it."""
    schedule = keras.optimizers.schedules.CosineDecay(
        rate / 50, (epochs - 1) * steps, alpha=0.01, warmup_target=rate, warmup_steps=steps
    )
    return keras.optimizers.AdamW(
        schedule, weight_decay=0.02, clipnorm=1.0, use_ema=True, ema_momentum=0.99
    )


def average_weights(trained: keras.Model) -> None:
    """Put the averages that the optimizer kept in the place of the weights."""
    trained.optimizer.finalize_variable_values(trained.trainable_variables)


def _storable(function: Measure) -> Measure:
    """Let checkpoints name a function."""
    return cast(Measure, keras.saving.register_keras_serializable("xray_classifier")(function))


def default_targets(sample: Sample) -> tuple[float, float]:
    """Give the label, and 1 for a bacterial, 0 for a viral pneumonia, -1 where neither is known."""
    etiology = etiology_from_name(sample.path.name)
    return float(sample.label), {"bacteria": 1.0, "virus": 0.0}.get(etiology, UNKNOWN)


@_storable
def default_loss(wanted: Any, answered: Any) -> Any:
    """Compute the cross-entropy of the label, and of the etiology where it is known, each image's.

    Args:
        wanted: rows of `default_targets`.
        answered: probabilities of both, shape (n, 2).
    """
    known = keras.ops.cast(wanted[:, 1] != UNKNOWN, "float32")
    smoothed = _smoothed(keras.ops.abs(wanted))
    losses = keras.losses.binary_crossentropy(smoothed[..., None], answered[..., None])
    return losses[:, 0] + ETIOLOGY_WEIGHT * known * losses[:, 1]


@_storable
def taught_loss(wanted: Any, answered: Any) -> Any:
    """Compute the cross-entropy of each image's student against the mean of label and teacher.

    The teacher says of a changed image what is left to see on it, where the label cannot (Hinton
    et al. 2015, arXiv:1503.02531; Beyer et al. 2022, arXiv:2106.05237).

    Args:
        wanted: labels, shape (n, 1).
        answered: probabilities by student and teacher, shape (n, 2).
    """
    student, teacher = answered[:, :1], keras.ops.stop_gradient(answered[:, 1:])
    return keras.losses.binary_crossentropy((_smoothed(wanted) + teacher) / 2, student)


def _smoothed(wanted: Any) -> Any:
    return wanted * (1 - SMOOTHING) + SMOOTHING / 2


@_storable
def accuracy(wanted: Any, answered: Any) -> Any:
    """Tell for each image whether the label is answered rightly."""
    return keras.metrics.binary_accuracy(wanted[:, :1], answered[:, :1])
