"""Drawn radiographs, and networks so small that training them takes seconds."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from tests.support.pictures import encoded
from xray_classifier.data.datasets import find_samples
from xray_classifier.data.splits import split_by_patient
from xray_classifier.training.recipes import ARTICLE_AS_PUBLISHED

SEED = 7
RATE = 0.1
MAX_EPOCHS = 8
POOL = 5  # 500 to 100 pixels a side: quicker
SHAPE = (500 // POOL, 500 // POOL, 1)
PER_CLASS = 15  # 12 + 12 to train, two batches; 3 + 3 to validate


def network(_steps: int) -> Any:
    """Judge by mean brightness; starts undecided."""
    model = keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Rescaling(4, offset=-2),
            keras.layers.Dense(1, activation="sigmoid", kernel_initializer="zeros"),
        ]
    )
    adam = keras.optimizers.Adam(RATE)
    # XLA would take longer to compile this than it takes to run.
    model.compile(adam, loss="binary_crossentropy", metrics=["accuracy"], jit_compile=False)
    return model


RECIPE = replace(ARTICLE_AS_PUBLISHED, build=network, pool=POOL, epochs=MAX_EPOCHS)


def draw_radiographs(root: Path) -> Path:
    """Draw images on which the best validation loss lies in the middle of a run.

    In training all pneumonias are bright and all normals dark. In validation one of three is the
    other way round, so the network first gets better and then too sure of itself.
    """
    names = [f"NORMAL/IM-{number:04d}-0001.png" for number in range(115, 115 + PER_CLASS)]
    names += [f"PNEUMONIA/person{number}_virus_1.png" for number in range(1, 1 + PER_CLASS)]
    for number, name in enumerate(names):
        draw(root / "train" / name, number, bright=True)
    parts = split_by_patient(find_samples(root))
    for part, exception in zip(parts, (None, 0), strict=True):
        for label in (0, 1):
            for index, sample in enumerate(one for one in part if one.label == label):
                bright = bool(label) ^ (index == exception)
                draw(
                    sample.path,
                    names.index(sample.path.relative_to(root / "train").as_posix()),
                    bright,
                )
    return root


def draw(path: Path, number: int, bright: bool) -> None:
    """Draw noise that is the same for the same number, and around one level of brightness."""
    noise = np.random.default_rng(number).integers(-30, 30, (40, 40))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded((noise + (200 if bright else 50)).astype(np.uint8)))


def history_of(out: Path) -> list[dict[str, float]]:
    with (out / "history.csv").open(encoding="utf-8", newline="") as stream:
        return [
            {name: float(value) for name, value in row.items()} for row in csv.DictReader(stream)
        ]


def weights_of(out: Path) -> NDArray[np.float32]:
    kernel, bias = keras.models.load_model(out / "article-as-published.keras").get_weights()
    return np.array([kernel[0, 0], bias[0]])


def tiny_extractor() -> keras.Model:
    """Sixteen features: the means of a grid of 4 x 4."""
    inputs = keras.Input((500, 500, 1))
    means = keras.layers.AveragePooling2D(125)(inputs)
    return keras.Model(inputs, keras.layers.Flatten()(means))
