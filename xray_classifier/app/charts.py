"""Interactive curves of a model, as Vega-Lite charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from xray_classifier.records.evaluation import CoveragePoint, ReliabilityPoint, RocPoint

Point = RocPoint | ReliabilityPoint | CoveragePoint

HEIGHT = 320


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
    "roc": Curve(
        "ROC curve",
        {"false_positive_rate": "false alarms", "true_positive_rate": "sensitivity"},
        "How much sensitivity costs in false alarms, for every threshold. The nearer to the top "
        "left, the better; a coin gives the dashed line.",
        diagonal=True,
    ),
    "reliability": Curve(
        "Reliability",
        {name: name for name in ("predicted", "observed", "images")},
        "Of the images that were given about this probability, how many were pneumonia. "
        "Trustworthy probabilities lie on the dashed line.",
        diagonal=True,
    ),
    "coverage": Curve(
        "Coverage",
        {name: name for name in ("decided", "right")},
        "How often it is right if only the clearest images are decided, and the rest is left to "
        "a human.",
        low=0.5,
    ),
}


def show_curve(curve: Curve, points: Sequence[Point]) -> None:
    """Draw a curve and say how to read it; say so where it was not measured."""
    st.subheader(curve.title)
    if not points:
        st.markdown("Not measured.")
        return
    rows = [
        {shown: getattr(point, name) for name, shown in curve.columns.items()} for point in points
    ]
    st.vega_lite_chart(rows, chart_of(curve), alt=f"{curve.title}. {curve.meaning}")
    st.caption(curve.meaning)


def chart_of(curve: Curve) -> dict[str, Any]:
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
    tooltip = [{"field": field, "format": ".3~g"} for field in fields]
    line = {
        "mark": {"type": "line", "point": {"size": 15}, "clip": True},
        "encoding": {**axes, "tooltip": tooltip, "order": {"field": fields[0]}},
    }
    return {"height": HEIGHT, "layer": [line, *([DIAGONAL] if curve.diagonal else [])]}


DIAGONAL = {
    "data": {"values": [{"at": 0}, {"at": 1}]},
    "mark": {"type": "line", "strokeDash": [4, 4], "color": "gray"},
    "encoding": {axis: {"field": "at", "type": "quantitative"} for axis in ("x", "y")},
}
