"""What is recorded about a model, as rows and sentences for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xray_classifier.evaluation.metrics import wilson_interval
from xray_classifier.labels import LABELS
from xray_classifier.model_card.markdown import NOT_YET, decimals, percents
from xray_classifier.models.operating_point import OperatingPoint
from xray_classifier.models.spec import OFFICIAL_TEST, ModelSpec
from xray_classifier.percent import as_percent
from xray_classifier.records.checks import (
    OTHER_RENDERING,
    Change,
    ExplanationReport,
    GateShares,
    StressReport,
)
from xray_classifier.records.evaluation import (
    Confusion,
    Estimate,
    EvaluationReport,
    Figures,
    PointFigures,
    named_estimates,
)
from xray_classifier.records.training import LEAST_AUC

TableRow = dict[str, str]
"""Cells by the heading of their column."""

TEST, HOLDOUT, ADULTS = OFFICIAL_TEST, "chest_xray/holdout", "adult_nih/all"
DATA_SETS = {
    TEST: "The official test set: other children of the same hospital.",
    HOLDOUT: "Children of the training set that no model trained on.",
    ADULTS: "Adults of another hospital, with labels mined from reports.",
}
KERMANY = (
    "[Kermany et al.](https://doi.org/10.1016/j.cell.2018.02.010) report 90.7 % for their network."
)
FIGURES = {
    "auc": "AUC",
    "brier": "Brier score",
    "ece": "calibration error",
    "loss": "loss (cross-entropy)",
}
FRACTIONS = ("accuracy", "sensitivity", "specificity")

POINT_FIGURES = ("sensitivity", "specificity", "undecided", "decided_right")


def training_sentences(spec: ModelSpec) -> str:
    """Say what a model was trained on, in Markdown."""
    facts = spec.training
    if not facts:
        return "What this model was trained on is not recorded."
    images = " and ".join(f"{facts.training_images[label]:,} {label}" for label in LABELS)
    return (
        f"{images} frontal chest X-rays of children of 1 to 5 years, all from one hospital in "
        "Guangzhou, as published by [Kermany et al.](https://doi.org/10.17632/rscbjbr9sj) "
        f"(CC BY 4.0); half of them were {facts.median_source_size} pixels or smaller. Readers "
        "of the images, not what became of the children, decided what is pneumonia. Validation "
        "was done on other children."
    )


def figure_rows(figures: Figures) -> list[TableRow]:
    """Write figures as rows with their intervals."""

    def number(name: str, value: float) -> str:
        return as_percent(value) if name in FRACTIONS else f"{value:.3f}"

    return [
        {
            "figure": FIGURES.get(name, name),
            "value": number(name, figure.value),
            "95 % interval": f"{number(name, figure.low)} to {number(name, figure.high)}",
        }
        for name, figure in named_estimates(figures).items()
    ]


def confusion_at(found: EvaluationReport, point: str) -> Confusion:
    """Count forced verdicts at an operating point, from what was measured of it.

    Args:
        found: what `evaluate` recorded on one data set.
        point: name of the operating point.
    """
    normals, pneumonias = found.confusion.normals, found.confusion.pneumonias
    figures = found.operating_points[point]
    cleared = round(figures.specificity.value * normals)
    called = round(figures.sensitivity.value * pneumonias)
    return Confusion(cleared, normals - cleared, pneumonias - called, called)


def point_rows(
    points: Sequence[OperatingPoint], measured: Mapping[str, PointFigures | None]
) -> list[TableRow]:
    """Write operating points with what they gave.

    Args:
        points: of a model.
        measured: by the points' names; those that are not in it are left out.
    """
    rows = []
    for point in points:
        figures = measured.get(point.name)
        if figures:
            named = named_estimates(figures)
            rows.append(
                {
                    "operating point": point.name,
                    "threshold": as_percent(point.threshold),
                    "uncertain": f"{as_percent(point.low)} to {as_percent(point.high)}",
                }
                | {name.replace("_", " "): percents(named[name]) for name in POINT_FIGURES}
            )
    return rows


def stress_rows(report: StressReport | None) -> list[TableRow]:
    """Write what `stress` measured; empty where it was not."""
    if not report:
        return []
    changes: dict[str, Change | None] = {**report.perturbations}
    changes.setdefault(OTHER_RENDERING, None)  # of before it was measured
    if report.full_resolution:
        changes["full resolution"] = report.full_resolution.change
    return [
        {
            "what was changed": name,
            "mean change of the probability": decimals(change.mean_change) if change else "-",
            "verdicts that turned": percents(change.verdicts_changed) if change else "not measured",
        }
        for name, change in changes.items()
    ]


def border_sentence(report: StressReport | None) -> str:
    """Say how far the border of the picture alone tells the classes apart for a model."""
    if not report:
        return "Whether it looks at lungs was not measured."
    found = ", ".join(f"{border} {decimals(auc)}" for border, auc in report.border_alone.items())
    found = found.replace(" %", "\u00a0%")  # no line begins with it
    return (
        "A model that looks at nothing but lungs could not tell the classes apart by the border "
        f"of the picture: its AUC would be .5 there. This one's, on {report.images:,} held-out "
        f"images: {found}."
    )


def comparison_sentence(spec: ModelSpec) -> str:
    """Say how a model compares with the one that it was measured against."""
    compared = spec.results[TEST].compared if TEST in spec.results else None
    if not compared:
        return NOT_YET
    difference = compared.difference
    return (
        f"On the official test set `{spec.name}` less `{compared.model}` is "
        f"{decimals(difference.accuracy)} in accuracy and {decimals(difference.auc)} in AUC, "
        "by a paired bootstrap over patients."
    )


def shift_sentence(spec: ModelSpec) -> str:
    """Say how false alarms and calibration differ between the official test set and held-out ones.

    The official test set is drawn otherwise than the training patients, the hold-out is not.
    """
    if not {TEST, HOLDOUT} <= spec.results.keys():
        return NOT_YET
    test, holdout = (spec.results[data].figures for data in (TEST, HOLDOUT))
    return (
        f"Of the normals it calls {percents(test.specificity.complement())} pneumonia on the "
        f"official test set, and {percents(holdout.specificity.complement())} on held-out "
        f"patients; its calibration error is {decimals(test.ece)} and {decimals(holdout.ece)}."
    )


def adults_sentence(spec: ModelSpec) -> str:
    """Say how a model does on adults, and whether that is better than chance."""
    found = spec.results.get(ADULTS)
    if not found:
        return NOT_YET
    auc = found.figures.auc
    chance = ", no better than chance" if auc.low <= 0.5 else ""
    return (
        f"On {found.images} images of adults of another hospital its AUC is "
        f"{decimals(auc)}{chance}."
    )


def etiology_sentence(spec: ModelSpec) -> str:
    """Say how well a model tells bacterial from viral pneumonia; empty for one that does not."""
    if not spec.etiology:
        return ""
    places = [("out of fold", spec.etiology.images, spec.etiology.out_of_fold.accuracy)]
    test = spec.results[TEST].bacterial_or_viral if TEST in spec.results else None
    if test:
        places.append(("of the official test set", test.images, test.point.accuracy))
    right = " and ".join(
        f"on {percents(accuracy)} of {images:,} pneumonias {where}"
        for where, images, accuracy in places
    )
    if spec.etiology.shown:
        told = "Under a verdict of pneumonia it says whether the picture looks bacterial or viral"
    else:
        told = (
            "It learned to tell bacterial from viral pneumonia, too, but not well enough for that "
            f"to be shown (AUC {decimals(spec.etiology.auc)} out of fold, {LEAST_AUC} being wanted)"
        )
    return f"{told}: right {right}, if it must say one of both. {KERMANY}"


def frequencies_sentence(figures: Figures | PointFigures, whom: str) -> str:
    """Say in natural frequencies how often forced verdicts are wrong.

    That way they are understood best (Gigerenzer 2007, doi:10.1111/j.1539-6053.2008.00033.x).

    Args:
        figures: measured with forced verdicts.
        whom: on; continues "healthy children".
    """
    called = _of_100(figures.specificity.complement().value)
    missed = _of_100(figures.sensitivity.complement().value)
    return (
        f"Of 100 healthy children {whom}, {called} called ill; of 100 ill ones, {missed} missed "
        "(no verdict left uncertain)."
    )


def gate_rows(results: Mapping[str, GateShares]) -> list[TableRow]:
    """Write what the gate did with images of each kind."""
    return [
        {
            "kind of image": kind.replace("_", " "),
            "images": f"{found.images:,}",
            "refused": _share(found.rejected, found.images),
            "warned of": _share(found.outside_population, found.images),
        }
        for kind, found in results.items()
    ]


def heatmap_sentence(report: ExplanationReport | None) -> str:
    """Say whether a model's heatmaps passed their check."""
    if not report:
        return "Whether its heatmaps show what it looks at was not measured."
    drops, lost = report.deletion_test.logit, report.parameter_randomisation_test.passed
    return (
        f"The heatmaps {'passed' if report.passed else '**failed**'} their check on "
        f"{report.images} held-out images called pneumonia. Filling the hottest tenth lowered "
        f"the score by {drops.hottest:.2f}, patches of the same shape elsewhere by "
        f"{drops.random:.2f} (p = {drops.p:.1g}). With shuffled weights the maps "
        f"{'were' if lost else 'were **not**'} lost, as they should be."
    )


def _share(fraction: float, images: int) -> str:
    count = round(fraction * images)
    return percents(Estimate(fraction, *wilson_interval(count, images)))


def _of_100(fraction: float) -> str:
    """Count in a hundred with the verb that goes with it; never none, and never all."""
    count = round(100 * fraction)
    if count == 0:
        return "fewer than 1 was"
    if count == 100:
        return "more than 99 were"
    return f"{count} {'was' if count == 1 else 'were'}"
