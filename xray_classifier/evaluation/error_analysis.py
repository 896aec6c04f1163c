"""What a reviewer asks of a model beyond its figures: each answer goes into the evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from xray_classifier.data.datasets import read_image
from xray_classifier.data.patients import etiology_from_name
from xray_classifier.evaluation.comparison import compare
from xray_classifier.evaluation.curves import curves_of
from xray_classifier.evaluation.evaluate import Evaluation
from xray_classifier.evaluation.metrics import Weights, measure_point, with_intervals
from xray_classifier.imaging.preprocessing import preprocess
from xray_classifier.labels import LABELS
from xray_classifier.models.gate import Gate
from xray_classifier.models.spec import ModelSpec
from xray_classifier.progress import track

ETIOLOGIES = ("bacteria", "virus")


def review(evaluation: Evaluation, spec: ModelSpec, gate: Gate) -> dict[str, Any]:
    """Answer all of it that needs no second model and no further pass through this one.

    Raises:
        DatasetError: a file cannot be read; the message names it.
    """
    return {
        "operating_points": operating_points(evaluation, spec),
        "etiology": by_etiology(evaluation),
        "byte_size_auc": byte_size_auc(evaluation),
        "gate": rejections(evaluation, gate),
        "errors": errors(evaluation),
        "curves": curves(evaluation),
    }


def operating_points(evaluation: Evaluation, spec: ModelSpec) -> dict[str, Any]:
    """Measure each of a model's operating points, each figure as [value, low, high]."""
    found = {}
    for name in spec.operating_points:
        point = spec.point(name)

        def figures(weights: Weights, point: Any = point) -> dict[str, float]:
            return measure_point(evaluation.labels, evaluation.probabilities, point, weights)

        found[name] = with_intervals(figures, evaluation.labels, evaluation.patients)
    return found


def curves(evaluation: Evaluation) -> dict[str, Any]:
    """Compute the points of ROC, reliability and coverage curve."""
    return curves_of(evaluation.labels, evaluation.probabilities, evaluation.threshold)


def by_etiology(evaluation: Evaluation) -> dict[str, Any]:
    """Measure bacterial and viral pneumonia apart, each with all normals.

    Returns:
        By etiology: images, and sensitivity and auc as [value, low, high]; empty where the file
        names do not tell.
    """
    found = {}
    kinds = np.array([etiology_from_name(one.path.name) for one in evaluation.samples])
    for kind in ETIOLOGIES:
        chosen = np.flatnonzero((kinds == kind) | (evaluation.labels == 0))
        part = Evaluation(
            [evaluation.samples[index] for index in chosen],
            evaluation.probabilities[chosen],
            evaluation.threshold,
        )
        images = int(part.labels.sum())
        if 0 < images < len(chosen):
            figures = part.summary["figures"]
            found[kind] = {"images": images} | {n: figures[n] for n in ("sensitivity", "auc")}
    return found


def byte_size_auc(evaluation: Evaluation) -> float:
    """Give the AUC of the size of the files alone, the smaller the likelier pneumonia.

    A model that is not clearly above it may have learned how files were made.
    """
    sizes = [sample.path.stat().st_size for sample in evaluation.samples]
    return float(roc_auc_score(evaluation.labels, -np.array(sizes)))


def errors(evaluation: Evaluation) -> list[dict[str, Any]]:
    """List what is judged wrongly by a forced verdict, by file name."""
    return [
        {
            "file": sample.path.name,
            "label": LABELS[sample.label],
            "probability": round(float(probability), 4),
        }
        for sample, probability in zip(evaluation.samples, evaluation.probabilities, strict=True)
        if (probability >= evaluation.threshold) != bool(sample.label)
    ]


def rejections(evaluation: Evaluation, gate: Gate) -> dict[str, Any]:
    """Count what the gate would have rejected or flagged; the figures are without it.

    Returns:
        `rejected` and `flagged` as numbers of images, and the names of the `rejected_files`.

    Raises:
        DatasetError: a file cannot be read; the message names it.
    """
    samples = evaluation.samples
    decisions = [
        gate.decide(preprocess(read_image(sample)))
        for sample in track(samples, "Asking the gate", len(samples))
    ]
    return {
        "rejected": sum(bool(decision.reason) for decision in decisions),
        "flagged": sum(
            decision.outside_population and not decision.reason for decision in decisions
        ),
        "rejected_files": [
            sample.path.name
            for sample, decision in zip(samples, decisions, strict=True)
            if decision.reason
        ],
    }


def against(evaluation: Evaluation, baseline: Evaluation, name: str) -> dict[str, Any]:
    """Compare with a baseline model that judged the same radiographs."""
    found = compare(
        evaluation.labels,
        evaluation.patients,
        (evaluation.probabilities, evaluation.threshold),
        (baseline.probabilities, baseline.threshold),
    )
    return {"model": name} | found
