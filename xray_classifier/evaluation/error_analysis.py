"""What a reviewer asks of a model beyond its figures: each answer goes into the evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from sklearn.metrics import roc_auc_score

from xray_classifier.data.datasets import read_image
from xray_classifier.data.patients import etiology_from_name
from xray_classifier.evaluation.comparison import compare
from xray_classifier.evaluation.curves import curves_of
from xray_classifier.evaluation.evaluate import Evaluation
from xray_classifier.evaluation.metrics import Weights, estimate_point, roc_auc, with_intervals
from xray_classifier.evaluation.rendering import Part
from xray_classifier.imaging.preprocessing import preprocess
from xray_classifier.labels import LABELS
from xray_classifier.models.gate import Gate
from xray_classifier.models.operating_point import OperatingPoint
from xray_classifier.models.spec import ModelSpec
from xray_classifier.progress import track
from xray_classifier.records.evaluation import (
    Comparison,
    Curves,
    EtiologyFigures,
    EvaluationReport,
    GateCounts,
    Misjudged,
    PointFigures,
    Subgroup,
)
from xray_classifier.records.training import EtiologyFacts

ETIOLOGIES = ("bacteria", "virus")


def review(evaluation: Evaluation, spec: ModelSpec, gate: Gate) -> EvaluationReport:
    """Add to the figures all that needs no second model and no further pass through this one.

    Raises:
        DatasetError: a file cannot be read; the message names it.
    """
    return replace(
        evaluation.summary,
        operating_points=operating_points(evaluation, spec.operating_points),
        etiology=by_etiology(evaluation),
        bacterial_or_viral=bacterial_or_viral(evaluation, spec.etiology),
        byte_size_auc=byte_size_auc(evaluation),
        gate=rejections(evaluation, gate),
        errors=errors(evaluation),
        curves=curves(evaluation),
    )


def operating_points(
    evaluation: Evaluation, points: Sequence[OperatingPoint]
) -> dict[str, PointFigures]:
    """Measure operating points, by name."""
    return {point.name: estimate_point(evaluation, point) for point in points}


def curves(evaluation: Evaluation) -> Curves:
    """Compute the points of ROC, reliability and coverage curve."""
    return curves_of(evaluation.labels, evaluation.probabilities, evaluation.threshold)


def by_etiology(evaluation: Evaluation) -> dict[str, Subgroup]:
    """Measure bacterial and viral pneumonia apart; none of it where file names do not tell."""
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
            figures = part.summary.figures
            found[kind] = Subgroup(images, figures.sensitivity, figures.auc)
    return found


def bacterial_or_viral(
    evaluation: Evaluation, facts: EtiologyFacts | None
) -> EtiologyFigures | None:
    """Measure the second answer on all true pneumonias whose file names tell the etiology.

    Args:
        evaluation: the answers.
        facts: on the second answer, with the threshold and band that it has; None for a model
            without one.

    Returns:
        None where that cannot be measured.
    """
    kinds = np.array([etiology_from_name(one.path.name) for one in evaluation.samples])
    known = np.flatnonzero((evaluation.labels == 1) & (kinds != ""))
    if facts is None or evaluation.bacterial is None or len(set(kinds[known])) < len(ETIOLOGIES):
        return None
    labels = (kinds[known] == ETIOLOGIES[0]).astype(np.intp)
    patients = [evaluation.patients[index] for index in known]
    answers = Part(labels, evaluation.bacterial[known], patients)

    def auc(weights: Weights) -> dict[str, float]:
        return {"auc": roc_auc(labels, answers.probabilities, weights)}

    point = OperatingPoint("etiology", facts.threshold, facts.low, facts.high)
    return EtiologyFigures(
        images=len(labels),
        bacterial=int(labels.sum()),
        patients=len(set(patients)),
        auc=with_intervals(auc, labels, patients)["auc"],
        point=estimate_point(answers, point),
    )


def byte_size_auc(evaluation: Evaluation) -> float:
    """Give the AUC of the size of the files alone, the smaller the likelier pneumonia.

    A model that is not clearly above it may have learned how files were made.
    """
    sizes = [sample.path.stat().st_size for sample in evaluation.samples]
    return float(roc_auc_score(evaluation.labels, -np.array(sizes)))


def errors(evaluation: Evaluation) -> tuple[Misjudged, ...]:
    """List what is judged wrongly by a forced verdict, by file name."""
    return tuple(
        Misjudged(sample.path.name, LABELS[sample.label], round(float(probability), 4))
        for sample, probability in zip(evaluation.samples, evaluation.probabilities, strict=True)
        if (probability >= evaluation.threshold) != bool(sample.label)
    )


def rejections(evaluation: Evaluation, gate: Gate) -> GateCounts:
    """Count what the gate would have rejected or flagged; the figures are without it.

    Raises:
        DatasetError: a file cannot be read; the message names it.
    """
    samples = evaluation.samples
    decisions = [
        gate.decide(preprocess(read_image(sample)))
        for sample in track(samples, "Asking the gate", len(samples))
    ]
    rejected = [
        sample.path.name
        for sample, decision in zip(samples, decisions, strict=True)
        if decision.reason
    ]
    return GateCounts(
        rejected=len(rejected),
        flagged=sum(decision.outside_population and not decision.reason for decision in decisions),
        rejected_files=tuple(rejected),
    )


def against(evaluation: Evaluation, baseline: Evaluation, name: str) -> Comparison:
    """Compare with a baseline model that judged the same radiographs."""
    return compare(
        evaluation.labels,
        evaluation.patients,
        (evaluation.probabilities, evaluation.threshold),
        (baseline.probabilities, baseline.threshold),
        name,
    )
