"""Measured results to the tables of the model card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple

from xray_classifier.evaluation.metrics import predictive_values
from xray_classifier.model_card.facts import HOLDOUT, TEST
from xray_classifier.model_card.markdown import NOT_YET, decimals, percents, proportion, table
from xray_classifier.models.spec import ModelSpec
from xray_classifier.percent import as_percent
from xray_classifier.records.checks import GateShares, SeedsReport
from xray_classifier.records.evaluation import (
    Confusion,
    CoveragePoint,
    Estimate,
    EvaluationReport,
    Figures,
    PointFigures,
)

PREVALENCES = (0.05, 0.1, 0.25, 0.5)
STEPS_OF_COVERAGE = (1.0, 0.98, 0.96, 0.94, 0.92, 0.9, 0.86, 0.8)


def performance(spec: ModelSpec) -> str:
    """Write the figures out of fold, on the hold-out and on the test, and the confusion matrix."""
    rows = []
    if spec.calibration:
        facts = spec.calibration
        rows.append(_performance_row("out of fold", facts.images, facts.out_of_fold))
    rows += [
        _performance_row(name, found.images, found.figures)
        for name, found in _measured(spec, test="**test**").items()
    ]
    shares = ("accuracy", "sensitivity", "specificity")
    heading = ("on", "images", *shares, "AUC", "loss", "Brier", "ECE")
    return f"{table(heading, rows)}\n\n{_confusion(spec)}"


def _performance_row(name: str, images: int, figures: Figures) -> list[str]:
    return [
        name,
        f"{images}",
        *map(percents, (figures.accuracy, figures.sensitivity, figures.specificity)),
        decimals(figures.auc, 4),
        *map(decimals, (figures.loss, figures.brier, figures.ece)),
    ]


def _confusion(spec: ModelSpec) -> str:
    if TEST not in spec.results:
        return "The official test set was not met yet."
    counts: Confusion = spec.results[TEST].confusion
    rows = [
        ("normal", f"{counts.true_normal}", f"{counts.false_pneumonia}"),
        ("pneumonia", f"{counts.false_normal}", f"{counts.true_pneumonia}"),
    ]
    heading = ("is", "called normal", "called pneumonia")
    return f"On the official test set:\n\n{table(heading, rows)}"


def points(spec: ModelSpec) -> str:
    """Write what each operating point gave, wherever it was measured."""
    rows = []
    for point in spec.operating_points:
        if point.out_of_fold:
            rows.append(_point_row(point.name, "out of fold", point.out_of_fold))
        rows += [
            _point_row(point.name, where, found.operating_points[point.name])
            for where, found in _measured(spec, test="**test**").items()
        ]
    names = ("sensitivity", "specificity", "accuracy", "undecided", "decided right")
    return table(("point", "on", *names), rows)


def _point_row(point: str, where: str, found: PointFigures) -> list[str]:
    figures = (
        found.sensitivity,
        found.specificity,
        found.accuracy,
        found.undecided,
        found.decided_right,
    )
    return [point, where, *map(percents, figures)]


def thresholds(spec: ModelSpec) -> str:
    """Write the thresholds and bands of the operating points."""
    rows = [
        (
            point.name,
            point.criterion,
            f"{point.threshold:.4f}",
            f"{point.low:.4f} to {point.high:.4f}",
        )
        for point in spec.operating_points
    ]
    return table(("point", "chosen by", "threshold", "uncertain band"), rows)


def predictive(spec: ModelSpec) -> str:
    """Write PPV and NPV of the default operating point at several prevalences."""
    if TEST not in spec.results:
        return NOT_YET
    figures = spec.results[TEST].figures
    own = spec.calibration_prevalence
    rows = [
        (as_percent(prevalence, 0), *map(percents, _predictive_values(figures, prevalence)))
        for prevalence in (*PREVALENCES, *([own] if own else []))
    ]
    note = "Ranges: both at the lower, both at the upper end of their intervals."
    return table(("prevalence", "PPV", "NPV"), rows) + f"\n\n{note}"


def _predictive_values(figures: Figures, prevalence: float) -> tuple[Estimate, Estimate]:
    ends = zip(astuple(figures.sensitivity), astuple(figures.specificity), strict=True)
    values = [
        predictive_values(sensitivity, specificity, prevalence) for sensitivity, specificity in ends
    ]
    ppv, npv = zip(*values, strict=True)
    return Estimate(*ppv), Estimate(*npv)


def seeds(report: SeedsReport | None) -> str:
    """Write the figures of each seed."""
    if not report:
        return NOT_YET
    rows = []
    for seed, run in report.seeds.items():
        found = run.figures
        shares = map(percents, (found.accuracy, found.sensitivity, found.specificity))
        rest = (decimals(figure, 4) for figure in (found.auc, found.brier, found.ece))
        rows.append((seed, *shares, *rest))
    heading = ("seed", "accuracy", "sensitivity", "specificity", "AUC", "Brier", "ECE")
    text = f"The same recipe on the {report.images} images of the hold-out, calibrated alike:"
    return f"{text}\n\n{table(heading, rows)}"


def compared(spec: ModelSpec) -> str:
    """Write how the model compares with the article's."""
    found = spec.results[TEST].compared if TEST in spec.results else None
    if not found:
        return NOT_YET
    less = found.difference
    rows = [
        ("accuracy", decimals(less.accuracy)),
        ("sensitivity", decimals(less.sensitivity)),
        ("specificity", decimals(less.specificity)),
        ("auc", decimals(less.auc)),
    ]
    return (
        f"On the official test set, ours less `{found.model}` (paired bootstrap over "
        f"patients):\n\n{table(('figure', 'difference'), rows)}\n\nMcNemar p "
        f"{found.mcnemar_p:.1e}, DeLong p {found.delong_p:.1e}."
    )


def subgroups(spec: ModelSpec) -> str:
    """Write the figures of bacterial and viral pneumonia."""
    rows = [
        (where, kind, f"{part.images}", percents(part.sensitivity), decimals(part.auc))
        for where, found in _measured(spec).items()
        for kind, part in found.etiology.items()
    ]
    heading = ("on", "pneumonia by", "images", "sensitivity", "AUC against all normals")
    return table(heading, rows) if rows else NOT_YET


def etiology(spec: ModelSpec) -> str:
    """Write how well the second answer tells bacterial from viral pneumonia; of a model with one.

    Args:
        spec: of the model.
    """
    rows = []
    if spec.etiology:
        facts = spec.etiology
        rows.append(_etiology_row("out of fold", facts.images, facts.auc, facts.out_of_fold))
    rows += [
        _etiology_row(where, found.images, found.auc, found.point)
        for where, report in _measured(spec, test="**test**").items()
        if (found := report.bacterial_or_viral)
    ]
    names = ("AUC", "accuracy", "of bacterial", "of viral", "undecided", "decided right")
    return table(("on", "pneumonias", *names), rows)


def _etiology_row(where: str, images: int, auc: Estimate, found: PointFigures) -> list[str]:
    figures = (
        found.accuracy,
        found.sensitivity,
        found.specificity,
        found.undecided,
        found.decided_right,
    )
    return [where, f"{images}", decimals(auc), *map(percents, figures)]


def robustness(spec: ModelSpec) -> str:
    """Write accuracy and AUC on ever more spoilt images."""
    found = spec.results.get(TEST)
    if not found or not found.robustness:
        return NOT_YET
    figures = found.figures
    rows = [("nothing", "", percents(figures.accuracy), decimals(figures.auc))]
    rows += [
        (name, f"{spoilt.level:g}", percents(spoilt.accuracy), decimals(spoilt.auc))
        for name, levels in found.robustness.items()
        for spoilt in levels
    ]
    return table(("changed", "level", "accuracy", "AUC"), rows)


def gate(results: Mapping[str, GateShares], spec: ModelSpec) -> str:
    """Write what the gate does with images of each kind.

    Args:
        results: of the gate, by kind.
        spec: of the model; says what the gate does with the official test set.
    """
    rows = []
    for kind, found in results.items():
        counts = (
            round(share * found.images) for share in (found.rejected, found.outside_population)
        )
        rows.append((kind, f"{found.images}", *(proportion(n, found.images) for n in counts)))
    test = spec.results.get(TEST)
    if test and test.gate:
        cells = (proportion(n, test.images) for n in (test.gate.rejected, test.gate.flagged))
        rows.append(("official test set", f"{test.images}", *cells))
    note = "In brackets Wilson's intervals."
    return table(("images of", "n", "rejected", "flagged"), rows) + f"\n\n{note}"


def coverage(spec: ModelSpec) -> str:
    """Write how right the verdicts are if fewer are given."""
    places = {
        where: (found.images, found.curves.coverage)
        for where, found in _measured(spec).items()
        if found.curves
    }
    if not places:
        return NOT_YET
    rows = [
        (as_percent(step, 0), *(_right(points, step, images) for images, points in places.values()))
        for step in STEPS_OF_COVERAGE
    ]
    right = (f"right, {where} ({images:,} images)" for where, (images, _) in places.items())
    return table(("decided", *right), rows)


def _right(points: tuple[CoveragePoint, ...], step: float, images: int) -> str:
    nearest = min(points, key=lambda point: abs(point.decided - step))
    n = round(nearest.decided * images)
    return proportion(round(nearest.right * n), n)


def errors(spec: ModelSpec) -> str:
    """List every error on the test by file name."""
    listed = spec.results[TEST].errors if TEST in spec.results else None
    if listed is None:
        return NOT_YET
    rows = [(f"`{error.file}`", error.label, f"{error.probability:.3f}") for error in listed]
    return table(("file", "is", "probability of pneumonia"), rows)


def _measured(spec: ModelSpec, test: str = "test") -> dict[str, EvaluationReport]:
    """Give what was measured on hold-out and official test set, by the names in tables."""
    places = {"hold-out": HOLDOUT, test: TEST}
    return {name: spec.results[data] for name, data in places.items() if data in spec.results}
