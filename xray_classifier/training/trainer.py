"""Train a network on a folder of radiographs by its recipe, resumably.

The validation set is split by patient, and every random draw follows from the seed.
"""

from __future__ import annotations

import csv
import platform
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

import xray_classifier
from xray_classifier.data.datasets import Sample, find_partners, find_samples, select
from xray_classifier.data.splits import SPLIT_SEED, fingerprint, part_of, split_by_patient
from xray_classifier.errors import DatasetError
from xray_classifier.evaluation import plots
from xray_classifier.files import replace_atomically
from xray_classifier.imaging.preprocessing import Tensor, scale
from xray_classifier.models.saving import save_model
from xray_classifier.models.spec import ModelSpec, write_spec
from xray_classifier.records.training import ImageSize, TrainingFacts
from xray_classifier.training.checkpoints import Checkpoints
from xray_classifier.training.recipes import SETTLED_ON, Recipe
from xray_classifier.training.training_images import (
    Batches,
    balanced_class_weights,
    count_labels,
    load_images,
    load_sharper,
)


def train(
    recipe: Recipe,
    data: Path,
    out: Path,
    seed: int,
    patients: dict[str, str] | None = None,
    images: int | None = None,
    full: Path | None = None,
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
        images: about so many of those to train on, and as large a part of those to validate on,
            for a quick try; all if None.
        full: a folder with some of the radiographs at full resolution, under the same names: half
            of the time they are shown instead.

    Returns:
        The path of the model file.

    Raises:
        DatasetError: the data cannot be used, `out` holds another or a finished run, or the
            training diverged.
    """
    target = out / f"{recipe.name}.keras"
    if target.exists():
        raise DatasetError(f"{target} is there already: that run has ended. Choose another --out.")
    training, validation = split_by_patient(
        select(find_samples(data, patients), "train", "val", "all")
    )
    if images is not None:
        share = images / len(training)
        training = part_of(training, images)
        validation = part_of(validation, round(share * len(validation)))
    if not validation:
        raise DatasetError(
            f"{data} has too few patients to hold some back for validation. Add radiographs."
        )
    run = {"recipe_name": recipe.name, **describe_run(training, validation, seed, full)}
    checkpoints = fit(recipe, training, validation, out / "checkpoint", run, full)
    _write_history(checkpoints.history, out)
    epoch, model = finish(recipe, checkpoints, training)
    _check_converged(checkpoints.history[epoch - 1], epoch)
    facts = _training_facts(recipe, data, training, run, checkpoints.history, epoch)
    spec = ModelSpec(recipe.name, recipe.title, target.name, answers=recipe.answers, training=facts)
    save_model(model, spec, target, write_spec)
    shutil.rmtree(out / "checkpoint")
    return target


def describe_run(
    training: Sequence[Sample],
    validation: Sequence[Sample],
    seed: int,
    full: Path | None = None,
) -> dict[str, Any]:
    """State what a run is made of, as it is stored in the model's JSON."""
    return {
        "seed": seed,
        "split_seed": SPLIT_SEED,
        "training_images": count_labels(training),
        "validation_images": count_labels(validation),
        "training_sha256": fingerprint(training),
        "validation_sha256": fingerprint(validation),
        "at_full_resolution": len(find_partners(training, full)) if full else 0,
    }


def fit(
    recipe: Recipe,
    training: Sequence[Sample],
    validation: Sequence[Sample],
    folder: Path,
    run: dict[str, Any],
    full: Path | None = None,
) -> Checkpoints:
    """Run a recipe to its end, from where the checkpoints in `folder` left it; else as `train`."""
    companions = recipe.callbacks()
    checkpoints = Checkpoints(folder, run, companions)
    done = len(checkpoints.history)
    if checkpoints.stopped or done == recipe.epochs:
        return checkpoints
    made = [] if done else _made_first(recipe, training, validation, folder, run, full)
    batches = Batches(
        *load_images(training, recipe),
        recipe,
        seed=run["seed"],
        epoch=done,
        class_weights=balanced_class_weights(training),
        sharper=load_sharper(training, full, recipe),
    )
    keras.utils.set_random_seed(run["seed"])
    with strategy().scope():
        model = checkpoints.load(done) if done else recipe.build(len(batches), *made)
    model.fit(
        batches,
        validation_data=Batches(*load_images(validation, recipe), recipe),
        initial_epoch=done,
        epochs=recipe.epochs,
        callbacks=[*companions, checkpoints],
        shuffle=False,  # Batches draws its own order
        verbose="auto",
    )
    return checkpoints


def _made_first(
    recipe: Recipe,
    training: Sequence[Sample],
    validation: Sequence[Sample],
    folder: Path,
    run: dict[str, Any],
    full: Path | None,
) -> list[keras.Model]:
    """Run the recipe that another one goes on from, if it does, in a folder below that one's."""
    if recipe.first is None:
        return []
    run = run | {"recipe_name": recipe.first.name}
    checkpoints = fit(recipe.first, training, validation, folder / recipe.first.name, run, full)
    return [finish(recipe.first, checkpoints, training)[1]]


def finish(
    recipe: Recipe, checkpoints: Checkpoints, training: Sequence[Sample]
) -> tuple[int, keras.Model]:
    """Make the network that ships of the epoch that the recipe chooses, counted from 1."""
    epoch = checkpoints.best_epoch if recipe.keep_best else len(checkpoints.history)
    return epoch, recipe.finish(checkpoints.load(epoch), _unchanged(training, recipe))


def _unchanged(training: Sequence[Sample], recipe: Recipe) -> Iterator[Tensor]:
    """Yield some of the training images in batches, loaded only for a recipe that asks."""
    images, _ = load_images(part_of(training, SETTLED_ON), recipe)
    for batch in np.array_split(images, -(-len(images) // recipe.batch_size)):
        yield scale(batch)


def strategy(devices: Sequence[str] | None = None) -> tf.distribute.Strategy:
    """Choose how a model built in the strategy's scope is trained: on one device, or all GPUs.

    With several devices each step's batch is divided among them, and their gradients are averaged:
    the same steps as on one device, up to rounding and to batches that do not divide evenly.

    Args:
        devices: names as TensorFlow gives them; the GPUs of this machine if None.
    """
    if devices is None:
        devices = [device.name for device in tf.config.list_logical_devices("GPU")]
    if len(devices) < 2:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy(list(devices))


def _check_converged(figures: dict[str, float], epoch: int) -> None:
    """Refuse to ship an epoch whose losses are no numbers any more."""
    lost = [name for name, figure in figures.items() if not np.isfinite(figure)]
    if lost:
        raise DatasetError(
            f"The training diverged: in epoch {epoch}, which would ship, {', '.join(lost)} is no "
            "number. No model was written. Look at the data (`data show`), or take another --seed."
        )


def _training_facts(
    recipe: Recipe,
    data: Path,
    training: Sequence[Sample],
    run: dict[str, Any],
    history: list[dict[str, float]],
    epoch: int,
) -> TrainingFacts:
    return TrainingFacts(
        date=datetime.now(UTC).date().isoformat(),
        data=data.resolve().name,
        median_source_size=_median_size(training),
        **run,
        recipe={"batch_size": recipe.batch_size, "max_epochs": recipe.epochs, **recipe.facts},
        epochs=len(history),
        shipped_epoch=epoch,
        figures_of_that_epoch=history[epoch - 1],
        versions={
            "xray_classifier": xray_classifier.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("keras", "numpy", "pillow")},
            "tensorflow": tf.__version__,
        },
    )


def _median_size(samples: Sequence[Sample]) -> ImageSize:
    """Give the median width and height of the files: what detail training saw."""
    sizes = []
    for sample in samples:
        with Image.open(sample.path) as image:
            sizes.append(image.size)
    return ImageSize(*(int(side) for side in np.median(sizes, axis=0)))


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
