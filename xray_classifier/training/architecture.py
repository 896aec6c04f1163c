"""The networks, untrained: the article's CNN, and the default model on ImageNet features."""

from __future__ import annotations

import keras
from keras import layers

from xray_classifier.imaging.preprocessing import SIDE
from xray_classifier.training.efficientnet_lite import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    apply_folded,
    apply_trainable,
)

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
DEFAULT_CROP = 11  # of the 246 pixels left at each edge: where machines burn in text
ANSWERS = 2
"""Of the default model: pneumonia, and bacterial if it is one."""


def build_default_model(side: int = SIDE) -> keras.Model:
    """Build the default model: EfficientNet-Lite0 on the picture without its outer edge.

    Two averages over neighbouring pixels blur the picture. What edge and blur leave are 224 x 224
    pixels, ImageNet's size: nothing is resized.

    Args:
        side: 500 for what is shipped, which pools by itself and whose batch norms are folded into
            the convolutions; 250 for training, on images that were pooled beforehand, where only
            the first blocks are folded, and fixed.

    Returns:
        A model from (n, side, side, 1) in [0, 1] to (n, 2): the probability of pneumonia, and
        that of a bacterial one if it is a pneumonia.
    """
    inputs = keras.Input((side, side, 1))
    x = layers.AveragePooling2D(DEFAULT_POOL)(inputs) if side == SIDE else inputs
    for _ in range(2):
        x = layers.AveragePooling2D(DEFAULT_BLUR, strides=1)(x)
    x = layers.Cropping2D(DEFAULT_CROP)(x)
    x = layers.Rescaling(255 / IMAGENET_STD, -IMAGENET_MEAN / IMAGENET_STD)(x)
    x = apply_folded(x) if side == SIDE else apply_trainable(x)
    x = layers.GlobalAveragePooling2D(name="features")(x)
    x = layers.Dropout(0.2)(x)
    outputs = layers.Dense(ANSWERS, activation="sigmoid", name="probabilities")(x)
    model = keras.Model(inputs, outputs, name="default")
    if side != SIDE:
        for layer in model.layers:
            layer.trainable = layer is model.layers[-1] or not getattr(layer, "use_bias", False)
    return model
