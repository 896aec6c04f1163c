"""Train a network on a folder of radiographs by its recipe, resumably.

The validation set is split by patient, and every random draw follows from the seed.
"""

from __future__ import annotations

import csv
import math
import platform
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow
from numpy.typing import NDArray
from PIL import Image

import xray_classifier
from xray_classifier.data.datasets import (
    SPLIT_SEED,
    Sample,
    find_samples,
    fingerprint,
    read_image,
    select,
    split_by_patient,
)
from xray_classifier.errors import DatasetError
from xray_classifier.evaluation import plots
from xray_classifier.files import replace_atomically, sha256_of
from xray_classifier.imaging.preprocessing import SIDE, Tensor, resize, scale
from xray_classifier.labels import LABELS
from xray_classifier.models.spec import ModelSpec, write_spec
from xray_classifier.progress import track
from xray_classifier.training import distribution
from xray_classifier.training.checkpoints import Checkpoints
from xray_classifier.training.recipes import Recipe


class Batches(keras.utils.PyDataset):
    """Batches of tensors and labels from resized images held in memory as uint8.

    Args:
        images: shape (n, side, side), uint8.
        labels: shape (n,), 0 or 1.
        recipe: gives batch size and augmentation.
        seed: order and augmentation follow from it and the epoch, so that a resumed run sees the
            batches that an uninterrupted one would; None keeps order and images as they are.
        epoch: where the count starts; Keras counts on once before the first epoch, resumed or not.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.float32],
        recipe: Recipe,
        seed: int | None = None,
        epoch: int = 0,
    ) -> None:
        super().__init__()
        self.images = images
        self.labels = labels
        self.recipe = recipe
        self.seed = seed
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(len(self.images) / self.recipe.batch_size)

    def __getitem__(self, index: int) -> tuple[Tensor, NDArray[np.float32]]:
        size = self.recipe.batch_size
        chosen = self._order()[index * size : (index + 1) * size]
        batch = scale(self.images[chosen])
        if self.seed is not None:
            rng = np.random.default_rng([self.seed, self.epoch, index])
            batch = self.recipe.augment(batch, rng)
        return batch, self.labels[chosen, np.newaxis]

    def on_epoch_end(self) -> None:
        """Move on to the next epoch's order and augmentation."""
        self.epoch += 1

    def _order(self) -> NDArray[np.intp]:
        if self.seed is None:
            return np.arange(len(self.images))
        return np.random.default_rng([self.seed, self.epoch]).permutation(len(self.images))


def train(
    recipe: Recipe, data: Path, out: Path, seed: int, patients: dict[str, str] | None = None
) -> Path:
    """Train a model; write model, JSON, history table and history plot to `out`.

    A run that was interrupted goes on after its last whole epoch.

    Args:
        recipe: how.
        data: a data set as `find_samples` understands it; its train and val splits are pooled
            and divided anew by patient. The test split is not touched.
        out: a folder; holds `checkpoint/` until the run has ended.
        seed: of weights, order and augmentation.
        patients: as in `find_samples`.

    Returns:
        The path of the model file.

    Raises:
        DatasetError: the data cannot be used, or `out` holds another or a finished run.
    """
    target = out / f"{recipe.name}.keras"
    if target.exists():
        raise DatasetError(f"{target} is there already: that run has ended. Choose another --out.")
    training, validation = split_by_patient(
        select(find_samples(data, patients), "train", "val", "all")
    )
    if not validation:
        raise DatasetError(
            f"{data} has too few patients to hold some back for validation. Add radiographs."
        )
    run = {"recipe_name": recipe.name, **describe_run(training, validation, seed)}
    checkpoints = fit(recipe, training, validation, out / "checkpoint", run)
    _write_history(checkpoints.history, out)
    epoch = checkpoints.best_epoch if recipe.keep_best else len(checkpoints.history)
    model = recipe.finish(checkpoints.load(epoch))
    with replace_atomically(target) as temporary:
        model.save(temporary)
        facts = _training_facts(recipe, data, training, run, checkpoints.history, epoch)
        write_spec(_spec(recipe, temporary, facts), target.with_suffix(".json"))
    shutil.rmtree(out / "checkpoint")
    return target


def describe_run(
    training: Sequence[Sample], validation: Sequence[Sample], seed: int
) -> dict[str, Any]:
    """State what a run is made of, as it is stored in the model's JSON."""
    return {
        "seed": seed,
        "split_seed": SPLIT_SEED,
        "training_images": count_labels(training),
        "validation_images": count_labels(validation),
        "training_sha256": fingerprint(training),
        "validation_sha256": fingerprint(validation),
    }


def fit(
    recipe: Recipe,
    training: Sequence[Sample],
    validation: Sequence[Sample],
    folder: Path,
    run: dict[str, Any],
) -> Checkpoints:
    """Run a recipe to its end, from where the checkpoints in `folder` left it."""
    keras.utils.set_random_seed(run["seed"])
    companions = recipe.callbacks()
    checkpoints = Checkpoints(folder, run, companions)
    weights = balanced_class_weights(training)
    done = len(checkpoints.history)
    if checkpoints.stopped or done == recipe.epochs:
        return checkpoints
    batches = Batches(*load_images(training, recipe.pool), recipe, seed=run["seed"], epoch=done)
    with distribution.strategy().scope():
        model = checkpoints.load(done) if done else recipe.build(len(batches))
    model.fit(
        batches,
        validation_data=Batches(*load_images(validation, recipe.pool), recipe),
        initial_epoch=done,
        epochs=recipe.epochs,
        class_weight=weights,
        callbacks=[*companions, checkpoints],
        shuffle=False,  # Batches draws its own order
        verbose="auto",
    )
    return checkpoints


def load_images(
    samples: Sequence[Sample], pool: int = 1
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Decode and resize radiographs into memory, 250 kB each, less if pooled.

    Args:
        samples: the radiographs.
        pool: average over so many pixels a side; a divisor of 500.

    Returns:
        Images of shape (n, 500 / pool, 500 / pool), uint8, and labels of shape (n,), float32.

    Raises:
        DatasetError: a file cannot be read; the message names it.
    """

    def load(sample: Sample) -> NDArray[np.uint8]:
        return _pooled(resize(read_image(sample)), pool)

    side = SIDE // pool
    images = np.empty((len(samples), side, side), np.uint8)
    with ThreadPoolExecutor() as threads:
        decoded = track(threads.map(load, samples), "Reading images", len(samples))
        for index, image in enumerate(decoded):
            images[index] = image
    return images, np.array([sample.label for sample in samples], np.float32)


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


def _spec(recipe: Recipe, model_file: Path, facts: dict[str, Any]) -> ModelSpec:
    return ModelSpec(
        name=recipe.name,
        title=recipe.title,
        file=model_file.name,
        sha256=sha256_of(model_file),
        bytes=model_file.stat().st_size,
        training=facts,
    )


def _training_facts(
    recipe: Recipe,
    data: Path,
    training: Sequence[Sample],
    run: dict[str, Any],
    history: list[dict[str, float]],
    epoch: int,
) -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "data": data.resolve().name,
        "median_source_size": _median_size(training),
        **run,
        "recipe": {"batch_size": recipe.batch_size, "max_epochs": recipe.epochs, **recipe.facts},
        "epochs": len(history),
        "shipped_epoch": epoch,
        "figures_of_that_epoch": history[epoch - 1],
        "versions": {
            "xray_classifier": xray_classifier.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("keras", "numpy", "pillow")},
            "tensorflow": tensorflow.__version__,
        },
    }


def _median_size(samples: Sequence[Sample]) -> list[int]:
    """Give the median width and height in pixels of the files: what detail training saw."""
    sizes = []
    for sample in samples:
        with Image.open(sample.path) as image:
            sizes.append(image.size)
    return [int(side) for side in np.median(sizes, axis=0)]


def _write_history(history: list[dict[str, float]], out: Path) -> None:
    with (
        replace_atomically(out / "history.csv") as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.DictWriter(stream, history[0].keys())
        writer.writeheader()
        writer.writerows(history)
    with replace_atomically(out / "history.png") as temporary:
        plots.history(history).savefig(temporary)
