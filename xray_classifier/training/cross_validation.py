"""Train a recipe fold by fold, so that every training patient meets a model that never met it.

What these answers show is used to choose: calibration, operating points, uncertain bands.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.special import expit
from sklearn.model_selection import StratifiedGroupKFold

from xray_classifier.calibration.out_of_fold import BACTERIAL, RENDERING
from xray_classifier.data.datasets import Sample, find_samples, select
from xray_classifier.data.splits import (
    SPLIT_SEED,
    fingerprint,
    linked_groups,
    split_by_patient,
)
from xray_classifier.errors import DatasetError
from xray_classifier.evaluation.curves import clipped_logit
from xray_classifier.evaluation.evaluate import Evaluation, evaluate
from xray_classifier.evaluation.metrics import (
    Labels,
    Weights,
    roc_auc,
    with_intervals,
)
from xray_classifier.files import replace_atomically
from xray_classifier.labels import LABELS
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.keras_network import KerasNetwork
from xray_classifier.models.saving import save_model
from xray_classifier.models.spec import ModelSpec
from xray_classifier.records.json_files import write_record
from xray_classifier.records.rendering import RenderingFacts
from xray_classifier.rendering.score import (
    Scores,
    energies_of,
    find_cutoffs,
    fit_score,
    out_of_fold_scores,
)
from xray_classifier.training.recipes import Average, Recipe
from xray_classifier.training.trainer import describe_run, finish, fit

FOLDS = 4


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
    full: Path | None = None,
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
        full: as for `train`.

    Returns:
        The path of `out_of_fold.csv`.

    Raises:
        DatasetError: the data cannot be used, `out` holds another run, or the recipe has a
            teacher.
    """
    if recipe.teacher:
        raise DatasetError(
            f"{recipe.name} is taught by the model {recipe.teacher}, which may have met the "
            "patients of every fold: its answers would be too good. Take another recipe."
        )
    samples = _training_samples(data, patients)
    divided = split_into_folds(samples, folds)
    tables = []
    for number, positions in enumerate(divided):
        inside = set(positions)
        training = [s for index, s in enumerate(samples) if index not in inside]
        validation = [samples[index] for index in positions]
        folder = out / f"fold-{number}"
        table = folder / "answers.csv"
        if not table.exists():
            classifier = _train_fold(recipe, training, validation, folder, seed + number, full)
            _write(table, evaluate(validation, classifier), number)
        tables.append(table)
    energies = energies_of(samples)
    scores = out_of_fold_scores(energies, _labels(samples), divided)
    order = [position for positions in divided for position in positions]
    names = [samples[position].path.name for position in order]
    return _join(tables, names, scores[order], out / "out_of_fold.csv")


def cross_validate_average(
    average: Average,
    data: Path,
    out: Path,
    seed: int,
    folds: int = FOLDS,
    patients: dict[str, str] | None = None,
    full: Path | None = None,
) -> Path:
    """Cross-validate each network in a folder of its name below `out`, and average the answers.

    Args, result and errors are those of `cross_validate`.
    """
    tables = [
        cross_validate(member, data, out / member.name, seed, folds, patients, full)
        for member in average.members
    ]
    target = out / "out_of_fold.csv"
    _write_rows(_averaged([_read(table) for table in tables], average.weights), target)
    return target


def train_rendering(
    data: Path, out: Path, folds: int = FOLDS, patients: dict[str, str] | None = None
) -> Path:
    """Fit the rendering score to the training patients, and find its cut-offs out of fold.

    Args:
        data: as for `cross_validate`; the hold-out takes no part.
        out: a folder for `rendering.json`.
        folds: as for `cross_validate`.
        patients: as in `find_samples`.

    Returns:
        The path of `rendering.json`.

    Raises:
        DatasetError: the data cannot be used.
    """
    samples = _training_samples(data, patients)
    labels, energies = _labels(samples), energies_of(samples)
    scores = out_of_fold_scores(energies, labels, split_into_folds(samples, folds))
    people = [sample.patient for sample in samples]

    def figures(weights: Weights) -> dict[str, float]:
        return {"auc": roc_auc(labels, scores, weights)}

    facts = RenderingFacts(
        data=data.resolve().name,
        data_sha256=fingerprint(samples),
        images=len(samples),
        patients=len(set(people)),
        folds=folds,
        fit=fit_score(energies, labels),
        cutoffs=find_cutoffs(labels, scores),
        out_of_fold_auc=with_intervals(figures, labels, people)["auc"],
    )
    target = out / "rendering.json"
    write_record(facts, target)
    return target


def _training_samples(data: Path, patients: dict[str, str] | None) -> list[Sample]:
    return split_by_patient(select(find_samples(data, patients), "train", "val", "all"))[0]


def _labels(samples: Sequence[Sample]) -> Labels:
    return np.array([sample.label for sample in samples], np.intp)


def _train_fold(
    recipe: Recipe,
    training: Sequence[Sample],
    validation: Sequence[Sample],
    folder: Path,
    seed: int,
    full: Path | None,
) -> Classifier:
    run = {"recipe_name": recipe.name, **describe_run(training, validation, seed, full)}
    checkpoints = fit(recipe, training, validation, folder / "checkpoint", run, full)
    _, model = finish(recipe, checkpoints, training)
    target = folder / f"{recipe.name}.keras"
    spec = ModelSpec(recipe.name, recipe.title, target.name, answers=recipe.answers)
    return Classifier(KerasNetwork(model), save_model(model, spec, target))


def _write(target: Path, evaluation: Evaluation, fold: int) -> None:
    rows = [
        {
            "file": sample.path.name,
            "patient": sample.patient,
            "label": LABELS[sample.label],
            "fold": fold,
            "probability": f"{probability:.9g}",
        }
        for sample, probability in zip(evaluation.samples, evaluation.probabilities, strict=True)
    ]
    if evaluation.bacterial is not None:
        for row, probability in zip(rows, evaluation.bacterial, strict=True):
            row[BACTERIAL] = f"{probability:.9g}"
    _write_rows(rows, target)


def _write_rows(rows: Sequence[Mapping[str, object]], target: Path) -> None:
    with replace_atomically(target) as path, path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _join(tables: Sequence[Path], names: Sequence[str], scores: Scores, target: Path) -> Path:
    """Put the tables of all folds into one, with the rendering score of each image.

    Args:
        tables: of the folds.
        names: of the files, in the order of the tables.
        scores: out of fold, in the same order.
        target: the file.

    Raises:
        DatasetError: the tables are on other files.
    """
    rows = [row for table in tables for row in _read(table)]
    if [row["file"] for row in rows] != list(names):
        raise DatasetError(
            f"{target.parent} holds the answers to other radiographs than the folder of the data "
            "does now. Give the same data, or another folder with --out."
        )
    scored = [row | {RENDERING: f"{score:.6g}"} for row, score in zip(rows, scores, strict=True)]
    _write_rows(scored, target)
    return target


def _read(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _averaged(
    tables: list[list[dict[str, str]]], weights: tuple[float, ...]
) -> list[dict[str, str]]:
    """Average the logits of tables with the same rows; all columns but the answers are alike."""
    averaged = [dict(row) for row in tables[0]]
    for name in ("probability", BACTERIAL):
        logits = [clipped_logit(np.array([float(row[name]) for row in table])) for table in tables]
        means = expit(np.average(logits, axis=0, weights=weights))
        for row, mean in zip(averaged, means, strict=True):
            row[name] = f"{mean:.9g}"
    return averaged
