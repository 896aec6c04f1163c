"""The article's convolutional network, untrained."""

from __future__ import annotations

import keras
from keras import layers

from xray_classifier.preprocessing import SIDE

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
