"""Train a recipe fold by fold, so that every training patient meets a model that never met it.

What these answers show is used to choose: calibration, operating points, uncertain bands.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from xray_classifier.data.datasets import Sample, find_samples, select
from xray_classifier.data.splits import SPLIT_SEED, linked_groups, split_by_patient
from xray_classifier.errors import DatasetError
from xray_classifier.evaluation.evaluate import evaluate
from xray_classifier.evaluation.metrics import Labels, Probabilities
from xray_classifier.files import replace_atomically
from xray_classifier.labels import LABELS
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.keras_network import KerasNetwork
from xray_classifier.models.saving import save_model
from xray_classifier.models.spec import ModelSpec
from xray_classifier.training.recipes import Recipe
from xray_classifier.training.trainer import describe_run, finish, fit

FOLDS = 4
COLUMNS = ("file", "patient", "label", "fold", "probability")


@dataclass(frozen=True)
class OutOfFold:
    """Answers of models to patients that they never met; all of shape (n,).

    Attributes:
        labels: 0 = normal, 1 = pneumonia.
        probabilities: of pneumonia, in [0, 1], as the network gives them.
        patients: images of one patient share it.
        folds: how many there were.
    """

    labels: Labels
    probabilities: Probabilities
    patients: tuple[str, ...]
    folds: int


def split_into_folds(samples: Sequence[Sample], folds: int = FOLDS) -> list[list[int]]:
    """Divide samples so that no patient and no image is in two folds; both classes alike in each.

    Returns:
        The positions of each fold's samples.
    """
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=SPLIT_SEED)
    labels = [sample.label for sample in samples]
    divided = splitter.split(labels, labels, linked_groups(samples))
    return [positions.tolist() for _, positions in divided]


def cross_validate(
    recipe: Recipe,
    data: Path,
    out: Path,
    seed: int,
    folds: int = FOLDS,
    patients: dict[str, str] | None = None,
) -> Path:
    """Train a model for each fold and write what it answers to the fold's patients.

    The hold-out takes no part. A run that was interrupted goes on after its last whole epoch.

    Args:
        recipe: how.
        data: a data set as `find_samples` understands it; the test split is not touched.
        out: a folder; holds each fold's model, its answers, and in the end `out_of_fold.csv`.
        seed: of the first fold; each next one has the next.
        folds: how many.
        patients: as in `find_samples`.

    Returns:
        The path of `out_of_fold.csv`.

    Raises:
        DatasetError: the data cannot be used, or `out` holds another run.
    """
    samples, _ = split_by_patient(select(find_samples(data, patients), "train", "val", "all"))
    tables = []
    for number, positions in enumerate(split_into_folds(samples, folds)):
        inside = set(positions)
        training = [s for index, s in enumerate(samples) if index not in inside]
        validation = [samples[index] for index in positions]
        folder = out / f"fold-{number}"
        table = folder / "answers.csv"
        if not table.exists():
            classifier = _train_fold(recipe, training, validation, folder, seed + number)
            probabilities = evaluate(validation, classifier).probabilities
            _write(table, validation, number, probabilities)
        tables.append(table)
    return _join(tables, out / "out_of_fold.csv")


def _train_fold(
    recipe: Recipe,
    training: Sequence[Sample],
    validation: Sequence[Sample],
    folder: Path,
    seed: int,
) -> Classifier:
    run = {"recipe_name": recipe.name, **describe_run(training, validation, seed)}
    checkpoints = fit(recipe, training, validation, folder / "checkpoint", run)
    _, model = finish(recipe, checkpoints)
    target = folder / f"{recipe.name}.keras"
    spec = ModelSpec(recipe.name, recipe.title, target.name)
    return Classifier(KerasNetwork(model), save_model(model, spec, target))


def _write(
    target: Path, samples: Sequence[Sample], fold: int, probabilities: Probabilities
) -> None:
    with (
        replace_atomically(target) as path,
        path.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for sample, probability in zip(samples, probabilities, strict=True):
            label = LABELS[sample.label]
            writer.writerow([sample.path.name, sample.patient, label, fold, f"{probability:.9g}"])


def _join(tables: Sequence[Path], target: Path) -> Path:
    with replace_atomically(target) as path, path.open("w", encoding="utf-8") as stream:
        for number, table in enumerate(tables):
            lines = table.read_text(encoding="utf-8").splitlines(keepends=True)
            stream.writelines(lines if number == 0 else lines[1:])
    return target


def read_out_of_fold(path: Path) -> OutOfFold:
    """Read what `cross_validate` wrote.

    Raises:
        DatasetError: no such file, a column missing, a value that is none, or one class only.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        labels = np.array([LABELS.index(row["label"]) for row in rows], np.intp)
        probabilities = np.array([float(row["probability"]) for row in rows])
        patients = tuple(row["patient"] for row in rows)
        folds = len({row["fold"] for row in rows})
    except OSError as error:
        raise DatasetError(f"The table {path} cannot be read: {error.strerror}.") from error
    except (KeyError, ValueError) as error:
        raise DatasetError(
            f"{path} is no table of out-of-fold answers ({error}); wanted are the columns "
            f"{','.join(COLUMNS)}. Make it with `cross-validate`."
        ) from error
    if len(set(labels.tolist())) < len(LABELS):
        raise DatasetError(f"{path} holds one class only; both are needed.")
    return OutOfFold(labels, probabilities, patients, folds)
