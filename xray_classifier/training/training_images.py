"""What a network is shown in training: radiographs in memory, in batches, and their weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from xray_classifier.data.datasets import Sample, find_partners, read_image
from xray_classifier.errors import DatasetError, UnreadableImageError
from xray_classifier.evaluation import plots
from xray_classifier.imaging.preprocessing import SIDE, Tensor, resize, scale
from xray_classifier.imaging.radiograph import GreyImage
from xray_classifier.inputs.decoding import decode
from xray_classifier.labels import LABELS
from xray_classifier.progress import track
from xray_classifier.training.recipes import Recipe

SHARPER_CHANCE = 0.5
"""Of an image of which a sharper copy is there, in an epoch."""

SHOWN = 20
"""Images in a picture of what the network sees."""


class Batches(keras.utils.PyDataset):
    """Batches of tensors, targets and weights from resized images held in memory as uint8.

    Args:
        images: shape (n, side, side), uint8.
        targets: shape (n, answers), the label first, 0 or 1.
        recipe: gives batch size and augmentation.
        seed: order and augmentation follow from it and the epoch, so that a resumed run sees the
            batches that an uninterrupted one would; None keeps order and images as they are.
        epoch: where the count starts; Keras counts on once before the first epoch, resumed or not.
        class_weights: of an image, by its label; all are alike without.
        sharper: some of the images at full resolution, reduced to the same size, by their
            positions; shown in place of the others half of the time.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        targets: NDArray[np.float32],
        recipe: Recipe,
        seed: int | None = None,
        epoch: int = 0,
        class_weights: dict[int, float] | None = None,
        sharper: dict[int, NDArray[np.uint8]] | None = None,
    ) -> None:
        super().__init__()
        self.images = images
        self.targets = targets
        self.recipe = recipe
        self.seed = seed
        self.epoch = epoch
        self.sharper = sharper or {}
        by_label = class_weights or {0: 1.0, 1: 1.0}
        self.weights = np.array([by_label[int(label)] for label in targets[:, 0]], np.float32)

    def __len__(self) -> int:
        return math.ceil(len(self.images) / self.recipe.batch_size)

    def __getitem__(self, index: int) -> tuple[Tensor, NDArray[np.float32], NDArray[np.float32]]:
        size = self.recipe.batch_size
        chosen = self._order()[index * size : (index + 1) * size]
        images, targets = self.images[chosen], self.targets[chosen]
        if self.seed is None:
            return scale(images), targets, self.weights[chosen]
        rng = np.random.default_rng([self.seed, self.epoch, index])
        if self.sharper:
            for place in np.flatnonzero(rng.random(len(chosen)) < SHARPER_CHANCE):
                images[place] = self.sharper.get(int(chosen[place]), images[place])
        batch = self.recipe.augment(scale(images), targets[:, 0], rng)
        return batch, targets, self.weights[chosen]

    def on_epoch_end(self) -> None:
        """Move on to the next epoch's order and augmentation."""
        self.epoch += 1

    def _order(self) -> NDArray[np.intp]:
        if self.seed is None:
            return np.arange(len(self.images))
        return np.random.default_rng([self.seed, self.epoch]).permutation(len(self.images))


def load_sharper(
    samples: Sequence[Sample], full: Path | None, recipe: Recipe
) -> dict[int, NDArray[np.uint8]]:
    """Load those of the radiographs that a folder holds at full resolution, as `load_images` does.

    Returns:
        Images of shape (500 / pool, 500 / pool), uint8, by the positions of the radiographs.

    Raises:
        DatasetError: a file cannot be read, or cannot be told from another one of its name.
    """
    partners = find_partners(samples, full) if full else {}
    positions = [place for place, one in enumerate(samples) if one.path.name in partners]
    found = [
        replace(samples[place], path=partners[samples[place].path.name]) for place in positions
    ]
    return dict(zip(positions, load_images(found, recipe)[0], strict=True))


def load_images(
    samples: Sequence[Sample], recipe: Recipe
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Decode and resize radiographs into memory, 250 kB each, less if pooled.

    Args:
        samples: the radiographs.
        recipe: says over how many pixels images are averaged, and what is to be answered.

    Returns:
        Images of shape (n, 500 / pool, 500 / pool), uint8, and targets of shape (n, answers),
        float32.

    Raises:
        DatasetError: a file cannot be read; the message names it.
    """

    def load(sample: Sample) -> NDArray[np.uint8]:
        return _pooled(resize(read_image(sample)), recipe.pool)

    side = SIDE // recipe.pool
    images = np.empty((len(samples), side, side), np.uint8)
    with ThreadPoolExecutor() as threads:
        decoded = track(threads.map(load, samples), "Reading images", len(samples))
        for index, image in enumerate(decoded):
            images[index] = image
    return images, np.array([recipe.targets(sample) for sample in samples], np.float32)


def images_in(folder: Path) -> list[GreyImage]:
    """Resize every readable image of a folder, at any depth, in the order of the paths.

    Raises:
        DatasetError: there is none.
    """
    images = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            images.append(resize(decode(path.read_bytes()).image))
        except UnreadableImageError:
            continue
    if not images:
        raise DatasetError(f"{folder} holds no images. Check the path.")
    return images


def _pooled(image: NDArray[np.uint8], pool: int) -> NDArray[np.uint8]:
    if pool == 1:
        return image
    side = len(image) // pool
    means = image.reshape(side, pool, side, pool).mean(axis=(1, 3))
    return np.round(means).astype(np.uint8)


def balanced_class_weights(samples: Sequence[Sample]) -> dict[int, float]:
    """Weight each class by n / (classes * n of the class), as scikit-learn's "balanced" does.

    Raises:
        DatasetError: a class has no image.
    """
    counts = count_labels(samples)
    if not all(counts.values()):
        raise DatasetError(f"Training needs images of both classes; there are: {counts}.")
    return {label: len(samples) / (len(LABELS) * counts[name]) for label, name in enumerate(LABELS)}


def count_labels(samples: Sequence[Sample]) -> dict[str, int]:
    """Count the images of each class, by its name."""
    return {
        name: sum(sample.label == label for sample in samples) for label, name in enumerate(LABELS)
    }


def draw_augmented(samples: Sequence[Sample], recipe: Recipe, seed: int) -> Figure:
    """Draw a random choice of training images, changed as in training, with their labels.

    The figure shows patients: it must not be published.
    """
    rng = np.random.default_rng(seed)
    count = min(SHOWN, len(samples))
    chosen = [samples[index] for index in rng.choice(len(samples), count, replace=False)]
    images, targets = load_images(chosen, recipe)
    augmented = np.round(recipe.augment(scale(images), targets[:, 0], rng)[..., 0] * 255).astype(
        np.uint8
    )
    return plots.image_grid(list(augmented), [LABELS[sample.label] for sample in chosen])
