"""What is recorded about a model, as rows and sentences for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xray_classifier.evaluation.metrics import wilson_interval
from xray_classifier.labels import LABELS
from xray_classifier.model_card.tables import ADULTS, HOLDOUT, NOT_YET, TEST, decimal
from xray_classifier.models.spec import ModelSpec
from xray_classifier.paths import MODEL_FOLDER

Row = dict[str, str]

DATA_SETS = {
    TEST: "The official test set: other children of the same hospital.",
    HOLDOUT: "Children of the training set that no model trained on.",
    ADULTS: "Adults of another hospital, with labels mined from reports.",
}
FIGURES = {
    "auc": "AUC",
    "brier": "Brier score",
    "ece": "calibration error",
    "loss": "loss (cross-entropy)",
    "decided_right": "right, of the decided",
}
FRACTIONS = ("accuracy", "sensitivity", "specificity", "undecided", "decided_right")

POINT_FIGURES = ("sensitivity", "specificity", "undecided", "decided_right")


def training_sentences(spec: ModelSpec) -> str:
    """Say what a model was trained on, in Markdown."""
    counts = spec.training.get("training_images")
    if not counts:
        return "What this model was trained on is not recorded."
    images = " and ".join(f"{counts[label]:,} {label}" for label in LABELS)
    width, height = spec.training["median_source_size"]
    return (
        f"{images} frontal chest X-rays of children of 1 to 5 years, all from one hospital in "
        "Guangzhou, as published by [Kermany et al.](https://doi.org/10.17632/rscbjbr9sj) "
        f"(CC BY 4.0); half of them were {width} x {height} pixels or smaller. Readers of the "
        "images, not what became of the children, decided what is pneumonia. Validation was done "
        "on other children."
    )


def figure_rows(figures: Mapping[str, Sequence[float]]) -> list[Row]:
    """Write figures, each given as [value, low, high], as rows with their intervals."""
    return [
        {
            "figure": FIGURES.get(name, name),
            "value": _number(name, value),
            "95 % interval": f"{_number(name, low)} to {_number(name, high)}",
        }
        for name, (value, low, high) in figures.items()
    ]


def confusion_rows(confusion: Sequence[Sequence[int]]) -> list[Row]:
    """Write a confusion matrix, true labels by row."""
    return [
        {"in truth": truth}
        | {f"called {label}": f"{n:,}" for label, n in zip(LABELS, counts, strict=True)}
        for truth, counts in zip(LABELS, confusion, strict=True)
    ]


def confusion_at(found: Mapping[str, Any], point: str) -> list[list[int]]:
    """Count forced verdicts at an operating point, from what was measured of it.

    Args:
        found: what `evaluate` recorded on one data set.
        point: name of the operating point.

    Returns:
        [[true normal, false pneumonia], [false normal, true pneumonia]]
    """
    well, ill = (sum(counts) for counts in found["confusion"])
    figures = found["operating_points"][point]
    cleared = round(figures["specificity"][0] * well)
    called = round(figures["sensitivity"][0] * ill)
    return [[cleared, well - cleared], [ill - called, called]]


def point_rows(points: Mapping[str, Mapping[str, Any]], measured: str) -> list[Row]:
    """Write operating points with what they gave.

    Args:
        points: by name, as in the model's JSON.
        measured: on what: "out_of_fold" or "test".
    """
    return [
        {
            "operating point": name,
            "threshold": _percent(point["threshold"]),
            "uncertain": " to ".join(_percent(end) for end in point["band"]),
        }
        | {
            figure.replace("_", " "): _interval(values)
            for figure, values in point[measured].items()
            if figure in POINT_FIGURES
        }
        for name, point in points.items()
        if measured in point
    ]


def stress_rows(spec: ModelSpec, folder: Path = MODEL_FOLDER / "stress") -> list[Row]:
    """Write what `stress` measured of this very model file; empty where it was not."""
    report = _report(spec, folder)
    changes = dict(report.get("perturbations", {}))
    if "full_resolution" in report:
        changes["full resolution"] = report["full_resolution"]
    return [
        {
            "what was changed": change,
            "mean change of the probability": decimal(found["mean_change"]),
            "verdicts that turned": _interval(found["verdicts_changed"]),
        }
        for change, found in changes.items()
    ]


def border_sentence(spec: ModelSpec, folder: Path = MODEL_FOLDER / "stress") -> str:
    """Say how far the border of the picture alone tells the classes apart for this model."""
    report = _report(spec, folder)
    if "border_alone" not in report:
        return "Whether it looks at lungs was not measured."
    found = ", ".join(
        f"{border} {decimal(area)}" for border, area in report["border_alone"].items()
    )
    found = found.replace(" %", "\u00a0%")  # no line begins with it
    return (
        "A model that looks at nothing but lungs could not tell the classes apart by the border "
        f"of the picture: its AUC would be .5 there. This one's, on {report['images']:,} held-out "
        f"images: {found}."
    )


def comparison_sentence(spec: ModelSpec) -> str:
    """Say how a model compares with the one that it was measured against."""
    compared = spec.results.get(TEST, {}).get("compared")
    if not compared:
        return NOT_YET
    difference = compared["difference"]
    return (
        f"On the official test set `{spec.name}` less `{compared['model']}` is "
        f"{decimal(difference['accuracy'])} in accuracy and {decimal(difference['auc'])} in AUC, "
        "by a paired bootstrap over patients."
    )


def shift_sentence(spec: ModelSpec) -> str:
    """Say how false alarms and calibration differ between the official test set and held-out ones.

    The official test set is drawn otherwise than the training patients, the hold-out is not.
    """
    if not {TEST, HOLDOUT} <= spec.results.keys():
        return NOT_YET
    test, holdout = (spec.results[data]["figures"] for data in (TEST, HOLDOUT))
    alarms = [_interval(_complement(figures["specificity"])) for figures in (test, holdout)]
    return (
        f"Of the normals it calls {alarms[0]} pneumonia on the official test set, and {alarms[1]} "
        f"on held-out patients; its calibration error is {decimal(test['ece'])} and "
        f"{decimal(holdout['ece'])}."
    )


def adults_sentence(spec: ModelSpec) -> str:
    """Say how a model does on adults, and whether that is better than chance."""
    found = spec.results.get(ADULTS)
    if not found:
        return NOT_YET
    area = found["figures"]["auc"]
    chance = ", no better than chance" if area[1] <= 0.5 else ""
    return (
        f"On {found['images']} images of adults of another hospital its AUC is "
        f"{decimal(area)}{chance}."
    )


def gate_rows(results: Mapping[str, Mapping[str, float]]) -> list[Row]:
    """Write what the gate did with images of each kind."""
    return [
        {
            "kind of image": kind.replace("_", " "),
            "images": f"{found['images']:,}",
            "refused": _share(found["rejected"], found["images"]),
            "warned of": _share(found["outside_population"], found["images"]),
        }
        for kind, found in results.items()
    ]


def heatmap_sentence(spec: ModelSpec, folder: Path = MODEL_FOLDER / "explanations") -> str:
    """Say whether this very model file's heatmaps passed their check."""
    report = _report(spec, folder)
    if not report:
        return "Whether its heatmaps show what it looks at was not measured."
    fall, shuffled = report["filling"]["logit"], report["shuffling"]["passed"]
    return (
        f"The heatmaps {'passed' if report['passed'] else '**failed**'} their check on "
        f"{report['images']} held-out images called pneumonia. Filling the hottest tenth lowered "
        f"the score by {fall['hottest']:.2f}, patches of the same shape elsewhere by "
        f"{fall['random']:.2f} (p = {fall['p']:.1g}). With shuffled weights the maps "
        f"{'were' if shuffled else 'were **not**'} lost, as they should be."
    )


def _report(spec: ModelSpec, folder: Path) -> dict[str, Any]:
    """Read a report on this model; empty if there is none, or one on another model file."""
    path = folder / f"{spec.name}.json"
    report: dict[str, Any] = {}
    if path.exists():
        report = json.loads(path.read_text(encoding="utf-8"))
    return report if report.get("sha256") == spec.sha256 else {}


def _number(figure: str, value: float) -> str:
    return _percent(value) if figure in FRACTIONS else f"{value:.3f}"


def _share(fraction: float, images: float) -> str:
    count = round(fraction * images)
    return _interval([fraction, *wilson_interval(count, round(images))])


def _interval(figure: Sequence[float]) -> str:
    value, low, high = map(_percent, figure)
    return f"{value} ({low} to {high})"


def _complement(figure: Sequence[float]) -> list[float]:
    value, low, high = figure
    return [1 - value, 1 - high, 1 - low]


def _percent(fraction: float) -> str:
    return f"{fraction:.1%}".replace("%", " %")
