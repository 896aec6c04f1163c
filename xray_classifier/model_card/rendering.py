"""What the rendering of the pictures does to a model, as sentences, rows and tables.

Figures that were not measured, as of models from before there was a rendering score, say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from xray_classifier.model_card.facts import HOLDOUT, TEST, TableRow
from xray_classifier.model_card.markdown import NOT_YET, decimals, percents, table
from xray_classifier.models.operating_point import BALANCED, OperatingPoint
from xray_classifier.models.spec import ModelSpec
from xray_classifier.percent import as_percent
from xray_classifier.records.evaluation import (
    Estimate,
    Figures,
    PointFigures,
    RenderingFigures,
)
from xray_classifier.records.training import PlainPoint

NOT_MEASURED = "not measured"
IMAGES = "images (normal + pneumonia)"
POINT_HEADING = ("sensitivity", "specificity", "undecided", "decided right")

HARD_NORMALS = "normals rendered as most pneumonias are"
HARD_PNEUMONIAS = "pneumonias rendered as most normals are"


def rendering_sentence(spec: ModelSpec) -> str:
    """Say in plain words what the rendering does to a model."""
    place, found = next(_measured(spec), ("", None))
    if not found:
        return "What the rendering of the picture does to this model was not measured."
    hard = found.hard
    groups = (
        (hard.specificity, hard.normals, HARD_NORMALS),
        (hard.sensitivity, hard.pneumonias, HARD_PNEUMONIAS),
    )
    right = [f"{percents(share)} of the {n:,} {whom}" for share, n, whom in groups if share]
    on_hard = f"the model is right on {' and on '.join(right)}; w" if right else "w"
    return (
        "Most normals of these data come from one machine and most pneumonias from others, so that "
        "the way a picture is rendered tells its label without a lung being looked at: the AUC of "
        f"that alone is {decimals(found.rendering_auc)}. Another hospital has other machines. "
        f"{place[0].upper()}{place[1:]}, {on_hard}eighted so that rendering tells nothing, its AUC "
        f"is {decimals(found.balanced.auc)} and its accuracy {percents(found.balanced.accuracy)}."
    )


def rendering_rows(found: RenderingFigures) -> list[TableRow]:
    """Write the figures on one data set as rows with their intervals."""
    hard, balanced = found.hard, found.balanced
    return [
        _row(f"specificity, {hard.normals:,} hard normals", hard.specificity, as_percent),
        _row(f"sensitivity, {hard.pneumonias:,} hard pneumonias", hard.sensitivity, as_percent),
        _row("accuracy, hard", hard.accuracy, as_percent),
        _row("AUC, hard", hard.auc),
        _row("accuracy, balanced", balanced.accuracy, as_percent),
        _row("sensitivity, balanced", balanced.sensitivity, as_percent),
        _row("specificity, balanced", balanced.specificity, as_percent),
        _row("AUC, balanced", balanced.auc),
        _row("loss (cross-entropy), balanced", balanced.loss),
    ]


def rendering_caption(found: RenderingFigures) -> str:
    """Say what the rows are on."""
    return (
        "Hard: rendered as most of the other class are. Balanced: every image is weighted so that "
        f"its rendering tells nothing; that is worth {found.effective_images:,.0f} images."
    )


def image_rows(found: RenderingFigures | None) -> tuple[list[str], list[str]]:
    """Write a row for hard images and one for all, balanced.

    Returns:
        Each which images and how many, accuracy, sensitivity, specificity and AUC.
    """
    if not found:
        return ["hard", *[NOT_MEASURED] * 4], ["balanced", *[NOT_MEASURED] * 4]
    hard, all_ = found.hard, found.balanced
    of_hard = map(_share, (hard.accuracy, hard.sensitivity, hard.specificity))
    of_all = map(_share, (all_.accuracy, all_.sensitivity, all_.specificity))
    return (
        [f"hard ({hard.normals:,} + {hard.pneumonias:,})", *of_hard, _number(hard.auc)],
        [f"balanced (as {found.effective_images:,.0f})", *of_all, _number(all_.auc)],
    )


def rendering_table(spec: ModelSpec) -> str:
    """Write what was measured where rendering does not help, wherever the model was measured."""
    rows: list[list[str]] = []
    for place, found in _places(spec):
        loss, ece = (found.balanced.loss, found.balanced.ece) if found else (None, None)
        hard, balanced = image_rows(found)
        rows += [[place, *hard, "-", "-"], [place, *balanced, _number(loss), _number(ece)]]
    shares = ("accuracy", "sensitivity", "specificity")
    heading = ("on", IMAGES, *shares, "AUC", "loss", "ECE")
    return table(heading, rows) if rows else NOT_YET


def rendering_alone(spec: ModelSpec) -> str:
    """Write how far the rendering alone tells the label, plain and weighted."""
    rows = [
        (place, _number(found.rendering_auc), _number(found.balanced_rendering_auc))
        for place, found in _measured(spec)
    ]
    return table(("on", "AUC", "AUC, once balanced"), rows) if rows else NOT_YET


def points_by_rendering(spec: ModelSpec) -> str:
    """Write what each operating point gave where rendering does not help."""
    rows = [
        (point.name, place, images, *_point_cells(figures[point.name]))
        for point in spec.operating_points
        for place, found in _measured(spec)
        for images, figures in (
            ("hard", found.hard.operating_points),
            ("balanced", found.operating_points),
        )
        if point.name in figures
    ]
    return table(("point", "on", "images", *POINT_HEADING), rows) if rows else NOT_YET


def both_ways(spec: ModelSpec) -> str:
    """Write what calibration with and without weights gave out of fold."""
    facts = spec.calibration
    if not facts:
        return NOT_YET
    if not facts.plain or not facts.rendering:
        return "This model itself was calibrated without such weights: every image counted once."
    plain, its, ours = facts.plain, facts.plain.balanced, spec.point(BALANCED)
    weighted, once = "weighted, as shipped", "every image once"
    as_they_are, balanced = "patients as they are", "balanced"
    settings = [
        (weighted, *_settings(facts.slope, facts.intercept), *_limits(ours)),
        (once, *_settings(plain.slope, plain.intercept), *_limits(its)),
    ]
    points = facts.rendering.operating_points
    rows = [
        _way(weighted, as_they_are, facts.out_of_fold, ours.out_of_fold),
        _way(weighted, balanced, facts.rendering.balanced, points.get(BALANCED)),
        _way(once, as_they_are, plain.out_of_fold, its.out_of_fold),
        _way(once, balanced, plain.rendering_balanced, its.rendering_balanced),
    ]
    heading = ("calibrated", "slope", "intercept", "threshold", "uncertain band")
    return "\n\n".join(
        [
            "Both ways, out of fold; thresholds and bands are in the probabilities of the model as "
            "it ships:",
            table(heading, settings),
            table(("calibrated", "measured on", "loss", "ECE", *POINT_HEADING), rows),
        ]
    )


def _settings(slope: float, intercept: float) -> tuple[str, str]:
    return f"{slope:.3f}", f"{intercept:.3f}"


def _limits(point: OperatingPoint | PlainPoint) -> tuple[str, str]:
    return f"{point.threshold:.4f}", f"{point.low:.4f} to {point.high:.4f}"


def _way(way: str, on: str, figures: Figures, point: PointFigures | None) -> list[str]:
    return [way, on, _number(figures.loss), _number(figures.ece), *_point_cells(point)]


def _places(spec: ModelSpec) -> Iterator[tuple[str, RenderingFigures | None]]:
    if spec.calibration:
        yield "out of fold", spec.calibration.rendering
    for place, data in (("on held-out patients", HOLDOUT), ("on the official test set", TEST)):
        if data in spec.results:
            yield place, spec.results[data].rendering


def _measured(spec: ModelSpec) -> Iterator[tuple[str, RenderingFigures]]:
    """Give what was measured, that of most images first."""
    return ((place, found) for place, found in _places(spec) if found)


def _row(
    figure: str, found: Estimate | None, write: Callable[[float], str] = "{:.3f}".format
) -> TableRow:
    if not found:
        return {"figure": figure, "value": NOT_MEASURED, "95 % interval": ""}
    interval = f"{write(found.low)} to {write(found.high)}"
    return {"figure": figure, "value": write(found.value), "95 % interval": interval}


def _point_cells(found: PointFigures | None) -> list[str]:
    if not found:
        return [NOT_MEASURED] * 4
    figures = (found.sensitivity, found.specificity, found.undecided, found.decided_right)
    return [*map(percents, figures)]


def _share(figure: Estimate | None) -> str:
    return percents(figure) if figure else NOT_MEASURED


def _number(figure: Estimate | None) -> str:
    return decimals(figure) if figure else NOT_MEASURED
