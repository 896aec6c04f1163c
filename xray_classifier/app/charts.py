"""What was measured of a model, as Vega-Lite charts: numbers under the pointer, words in `alt`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from xray_classifier.labels import LABELS
from xray_classifier.models.operating_point import FIXED
from xray_classifier.percent import as_percent
from xray_classifier.records.evaluation import (
    Confusion,
    CoveragePoint,
    EvaluationReport,
    Figures,
    PointFigures,
    ReliabilityPoint,
    RocPoint,
)

Point = RocPoint | ReliabilityPoint | CoveragePoint

HEIGHT = 380  # pixels, axes and legend included
MARKED = "#c8631a"  # stands out against light and dark ground by 3 to 1
RIGHT, WRONG = "#1d6fa8", "#a84a0c"  # white text stands out against both by 4.5 to 1
ROC, RELIABILITY, COVERAGE, CONFUSION = "roc", "reliability", "coverage", "Confusion"
DARK = "#31333f"
SHAPES = ("circle", "square", "diamond", "triangle-up")


@dataclass(frozen=True)
class Curve:
    """How one of the curves in a model's JSON is drawn.

    Attributes:
        title: its heading.
        columns: by its name in the record, what a number of each point is called; the first two
            are drawn.
        meaning: how to read it.
        diagonal: draw the line that a coin, or a perfectly calibrated model, would give.
        low: where both axes begin; they end at 1.
    """

    title: str
    columns: dict[str, str]
    meaning: str
    diagonal: bool = False
    low: float = 0.0


CURVES = {
    ROC: Curve(
        "ROC curve",
        {"false_positive_rate": "false alarms", "true_positive_rate": "sensitivity"},
        "How much sensitivity costs in false alarms, for every threshold: the nearer to the top "
        "left the better, and a coin gives the dashed line.",
        diagonal=True,
    ),
    RELIABILITY: Curve(
        "Reliability",
        {name: name for name in ("predicted", "observed", "images")},
        "Of the images that were given about this probability, how many were pneumonia: "
        "trustworthy probabilities lie on the dashed line.",
        diagonal=True,
    ),
    COVERAGE: Curve(
        "Coverage",
        {name: name for name in ("decided", "right")},
        "How often it is right if only the clearest images are decided, and the rest is left to "
        "a human.",
        low=0.5,
    ),
}


@dataclass(frozen=True)
class Mark:
    """Where an operating point lies on the ROC curve; rates are in [0, 1]."""

    name: str
    false_alarms: float
    sensitivity: float
    chosen: bool = False


def marks_of(found: EvaluationReport, chosen: str | None = None) -> list[Mark]:
    """Place operating points on the ROC curve, or the threshold of a model that has none.

    Args:
        found: what was measured on a data set.
        chosen: name of the point to stress.
    """
    points: Mapping[str, PointFigures | Figures] = found.operating_points or {FIXED: found.figures}
    return [
        Mark(name, 1 - figures.specificity.value, figures.sensitivity.value, name == chosen)
        for name, figures in points.items()
    ]


def show_curve(curve: Curve, points: Sequence[Point], marks: Sequence[Mark] = ()) -> None:
    """Draw a curve and say how to read it; say so where it was not measured.

    Args:
        curve: which one.
        points: of it, from left to right.
        marks: to draw on it, alone if there are no points.
    """
    if not points and not marks:
        st.markdown("Not measured.")
        return
    rows = [
        {shown: getattr(point, name) for name, shown in curve.columns.items()} for point in points
    ]
    words = [f"{curve.title}. {curve.meaning}"]
    words += [
        f"{mark.name.capitalize()}: {as_percent(mark.sensitivity)} sensitivity at "
        f"{as_percent(mark.false_alarms)} false alarms."
        for mark in marks
    ]
    _draw(rows, chart_of(curve, marks), " ".join(words))
    counts = sorted({round(row["images"]) for row in rows if "images" in row})
    each = f" Each point stands for {' to '.join(map(str, counts[:1] + counts[1:][-1:]))} images."
    st.caption(curve.meaning + (each if counts else ""))


def _draw(rows: list[dict[str, Any]], chart: dict[str, Any], words: str) -> None:
    """Draw a chart; on light ground its letters get a contrast that Streamlit's grey lacks."""
    text = {"labelColor": DARK, "titleColor": DARK} if st.context.theme.type == "light" else {}
    st.vega_lite_chart(
        rows, {**chart, "config": {"axis": text, "legend": text}}, height=HEIGHT, alt=words
    )


def chart_of(curve: Curve, marks: Sequence[Mark] = ()) -> dict[str, Any]:
    """Describe the chart of a curve in Vega-Lite."""
    fields = list(curve.columns.values())
    axes = {
        axis: {
            "field": field,
            "type": "quantitative",
            "scale": {"domain": [curve.low, 1], "zero": False},
            "axis": {"format": "%", "title": field},
        }
        for axis, field in zip("xy", fields, strict=False)
    }
    line = {
        "mark": {"type": "line", "point": {"size": 25}, "clip": True},
        "encoding": {**axes, "tooltip": _tooltip(fields), "order": {"field": fields[0]}},
    }
    layers = [line, *([DIAGONAL] if curve.diagonal else [])]
    return {"height": HEIGHT, "layer": [*layers, *([_layer(marks, axes)] if marks else [])]}


def _layer(marks: Sequence[Mark], axes: dict[str, Any]) -> dict[str, Any]:
    """Describe marks, told apart by shape; the chosen one is the largest."""
    x, y = (axes[axis]["field"] for axis in "xy")
    names = [mark.name for mark in marks]
    key = "operating point"
    return {
        "data": {
            "values": [
                {key: mark.name, x: mark.false_alarms, y: mark.sensitivity, "chosen": mark.chosen}
                for mark in marks
            ]
        },
        "mark": {"type": "point", "filled": True, "color": MARKED, "opacity": 1},
        "encoding": {
            **axes,
            "shape": {
                "field": key,
                "type": "nominal",
                "scale": {"domain": names, "range": SHAPES[: len(names)]},
                "legend": {"orient": "bottom", "symbolFillColor": MARKED, "title": None},
            },
            "size": {"condition": {"test": "datum.chosen", "value": 260}, "value": 110},
            "tooltip": [{"field": key}, *_tooltip([x, y])],
        },
    }


def _tooltip(fields: Sequence[str]) -> list[dict[str, str]]:
    return [{"field": field, "format": ".3~g"} for field in fields]


def show_confusion(confusion: Confusion, threshold: float) -> None:
    """Draw the confusion matrix at a threshold, and say how to read it."""
    cells = confusion_cells(confusion)
    words = "; ".join(
        f"of {cell['in truth']} {cell['images']:,} called {cell['called']} ({cell['share']})"
        for cell in cells
    )
    _draw(cells, CONFUSION_CHART, f"Confusion matrix: {words}.")
    st.caption(
        f"Rows are what images are in truth, columns what they were called at the threshold of "
        f"{100 * threshold:.3g} %, none left uncertain; percentages are of the row."
    )


def confusion_cells(confusion: Confusion) -> list[dict[str, Any]]:
    """Give the four cells of a confusion matrix, row by row: names, count, share of the row."""
    return [
        {
            "in truth": truth,
            "called": called,
            "images": count,
            "share": as_percent(count / sum(counts)) if sum(counts) else "none",
            "verdict": "right" if truth == called else "wrong",
        }
        for truth, counts in zip(LABELS, confusion.rows, strict=True)
        for called, count in zip(LABELS, counts, strict=True)
    ]


def _written(field: str, size: int, down: int) -> dict[str, Any]:
    mark = {"type": "text", "color": "white", "fontSize": size, "dy": down}
    number = {"format": ","} if field == "images" else {}
    return {"mark": mark, "encoding": {"text": {"field": field, **number}}}


CONFUSION_CHART = {
    "height": HEIGHT,
    "encoding": {
        "x": {"field": "called", "type": "nominal", "axis": {"labelAngle": 0, "orient": "top"}},
        "y": {"field": "in truth", "type": "nominal"},
        "tooltip": [
            {"field": field} for field in ("in truth", "called", "images", "share", "verdict")
        ],
    },
    "layer": [
        {
            "mark": {"type": "rect", "stroke": "white", "strokeWidth": 2},
            "encoding": {
                "color": {
                    "field": "verdict",
                    "type": "nominal",
                    "scale": {"domain": ["right", "wrong"], "range": [RIGHT, WRONG]},
                    "legend": None,
                }
            },
        },
        _written("images", 26, -14),
        _written("share", 15, 12),
        _written("verdict", 13, 34),
    ],
}

DIAGONAL = {
    "data": {"values": [{"at": 0}, {"at": 1}]},
    "mark": {"type": "line", "strokeDash": [4, 4], "color": "gray"},
    "encoding": {axis: {"field": "at", "type": "quantitative"} for axis in ("x", "y")},
}
