"""A model and labelled radiographs to figures, plots and a table of probabilities."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import classification_report, roc_curve

from xray_classifier.data.datasets import Sample, find_samples, read_image, select
from xray_classifier.data.splits import fingerprint, split_by_patient
from xray_classifier.errors import DatasetError
from xray_classifier.evaluation import plots
from xray_classifier.evaluation.metrics import (
    Labels,
    Probabilities,
    confusion,
    estimate,
)
from xray_classifier.files import make_folder, replace_atomically
from xray_classifier.imaging.preprocessing import resize
from xray_classifier.imaging.radiograph import Radiograph
from xray_classifier.inference.pipeline import classify_radiograph
from xray_classifier.inference.verdict import force, percent
from xray_classifier.labels import LABELS
from xray_classifier.models.classifier import Classifier
from xray_classifier.progress import track
from xray_classifier.records.evaluation import EvaluationReport
from xray_classifier.records.json_files import write_record

HOLDOUT = "holdout"
"""The patients of train and val that training kept for validation, by `split_by_patient`."""

GRID_IMAGES = 20


@dataclass(frozen=True)
class Evaluation:
    """What a model made of a set of labelled radiographs.

    Attributes:
        samples: the radiographs.
        probabilities: of pneumonia, shape (n,).
        threshold: of the model.
        bacterial: probabilities that a pneumonia is a bacterial one, shape (n,); None where the
            model does not say.
    """

    samples: list[Sample]
    probabilities: Probabilities
    threshold: float
    bacterial: Probabilities | None = None

    @cached_property
    def labels(self) -> Labels:
        """The true labels, shape (n,)."""
        return np.array([sample.label for sample in self.samples], np.intp)

    @cached_property
    def patients(self) -> list[str]:
        """The patient of each radiograph."""
        return [sample.patient for sample in self.samples]

    @cached_property
    def summary(self) -> EvaluationReport:
        """What follows from the answers alone: confusion matrix and figures."""
        return EvaluationReport(
            images=len(self.samples),
            patients=len(set(self.patients)),
            data_sha256=fingerprint(self.samples),
            threshold=self.threshold,
            confusion=confusion(self.labels, self.probabilities, self.threshold),
            figures=estimate(self, self.threshold),
        )


def samples_of_split(
    data: Path, split: str, patients: dict[str, str] | None = None
) -> list[Sample]:
    """List the radiographs of a split; "holdout" is what training validates on.

    Raises:
        DatasetError: the data cannot be used, has no such split, or the split lacks a class.
    """
    samples = find_samples(data, patients)
    if split == HOLDOUT:
        chosen = split_by_patient(select(samples, "train", "val", "all"))[1]
    else:
        chosen = select(samples, split)
    if len({sample.label for sample in chosen}) < len(LABELS):
        raise DatasetError(
            f"Split {split} of {data} holds one class only; figures need both, normal and "
            "pneumonia."
        )
    return chosen


def data_name(data: Path, split: str) -> str:
    """Name a split of a data set as JSON files and tables do: chest_xray/test."""
    return f"{data.resolve().name}/{split}"


def evaluate(samples: Sequence[Sample], classifier: Classifier) -> Evaluation:
    """Let a model judge labelled radiographs, in the way the page does.

    Raises:
        DatasetError: a file cannot be read; the message names it.
    """
    answers = []
    for sample in track(samples, "Evaluating", len(samples)):
        result = classify_radiograph(Radiograph(read_image(sample)), classifier)
        answers.append((result.probability, result.bacterial))
    probabilities, bacterial = zip(*answers, strict=True)
    return Evaluation(
        list(samples),
        np.array(probabilities),
        classifier.spec.threshold,
        None if None in bacterial else np.array(bacterial),
    )


def write_evaluation(
    evaluation: Evaluation, found: EvaluationReport, data: Path, out: Path
) -> None:
    """Write metrics.json, predictions.csv, classification_report.txt and the plots to `out`.

    The grid shows patients: `out` must not be published.

    Args:
        evaluation: the answers.
        found: all that was made of them, for metrics.json.
        data: the folder of the data set.
        out: a folder.
    """
    make_folder(out)
    write_record(found, out / "metrics.json")
    with replace_atomically(out / "classification_report.txt") as path:
        path.write_text(report(evaluation), encoding="utf-8")
    _write_predictions(evaluation, data, out / "predictions.csv")
    labels, probabilities = evaluation.labels, evaluation.probabilities
    false_rate, true_rate, _ = roc_curve(labels, probabilities)
    for name, figure in {
        "confusion_matrix": plots.confusion(found.confusion),
        "roc": plots.roc(false_rate, true_rate, found.figures.auc.value),
        "grid": grid(evaluation),
    }.items():
        with replace_atomically(out / f"{name}.png") as path:
            figure.savefig(path, dpi=120)


def report(evaluation: Evaluation) -> str:
    """Write precision, recall and F1 of each class, at the model's threshold, as a table."""
    called = (evaluation.probabilities >= evaluation.threshold).astype(int)
    return str(
        classification_report(
            evaluation.labels, called, labels=[0, 1], target_names=LABELS, digits=4, zero_division=0
        )
    )


def _write_predictions(evaluation: Evaluation, data: Path, target: Path) -> None:
    with (
        replace_atomically(target) as path,
        path.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(["file", "label", "probability", "verdict"])
        for sample, probability in zip(evaluation.samples, evaluation.probabilities, strict=True):
            file = sample.path.relative_to(data).as_posix()
            verdict = force(probability, evaluation.threshold)
            writer.writerow([file, LABELS[sample.label], f"{probability:.9g}", verdict])


def grid(evaluation: Evaluation) -> Figure:
    """Show a fixed random choice of images with label and probability, as the article does.

    The figure shows patients: it must not be published.
    """
    count = min(GRID_IMAGES, len(evaluation.samples))
    chosen = np.random.default_rng(0).choice(len(evaluation.samples), count, replace=False)
    samples = [evaluation.samples[index] for index in chosen]
    titles = [
        f"{LABELS[sample.label]}\npneumonia {percent(evaluation.probabilities[index])}"
        for sample, index in zip(samples, chosen, strict=True)
    ]
    return plots.image_grid([resize(read_image(sample)) for sample in samples], titles)
