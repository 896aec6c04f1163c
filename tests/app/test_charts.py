"""Curves are drawn from what is recorded, and their absence is said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, get_args, get_type_hints

import pytest
from streamlit.testing.v1 import AppTest

from tests.support.recorded import POINT_FIGURES, SUMMARY
from xray_classifier.app.charts import (
    CONFUSION_CHART,
    CURVES,
    chart_of,
    confusion_cells,
    marks_of,
)
from xray_classifier.records.evaluation import Confusion, Curves, ReliabilityPoint


def script(key: str, points: object) -> None:
    from xray_classifier.app.charts import CURVES, show_curve

    show_curve(CURVES[key], points)  # type: ignore[arg-type]  # no import is known out there


def drawn(key: str, points: Sequence[Any]) -> AppTest:
    page = AppTest.from_function(script, args=(key, points), default_timeout=60).run()
    assert not page.exception
    return page


def test_points_are_drawn_with_how_to_read_them() -> None:
    page = drawn("reliability", [ReliabilityPoint(0.1, 0.2, 70), ReliabilityPoint(0.9, 0.8, 71)])
    caption = page.caption[0].value
    assert caption.endswith("lie on the dashed line. Each point stands for 70 to 71 images.")
    chart = page.get("vega_lite_chart") or page.get("arrow_vega_lite_chart")
    assert len(chart) == 1
    assert not page.markdown


def test_curve_that_was_not_measured_is_said() -> None:
    assert drawn("roc", ()).markdown[0].value == "Not measured."


def test_axes_are_named_and_bounded() -> None:
    chart = chart_of(CURVES["coverage"])
    x, y = (chart["layer"][0]["encoding"][axis] for axis in "xy")
    assert (x["field"], y["field"]) == ("decided", "right")
    assert x["scale"]["domain"] == y["scale"]["domain"] == [0.5, 1]


def test_only_curves_with_a_reference_have_the_dashed_line() -> None:
    layers = {key: len(chart_of(curve)["layer"]) for key, curve in CURVES.items()}
    assert layers == {"roc": 2, "reliability": 2, "coverage": 1}


def test_pointing_at_a_point_shows_every_number_of_it() -> None:
    tooltip = chart_of(CURVES["reliability"])["layer"][0]["encoding"]["tooltip"]
    assert [entry["field"] for entry in tooltip] == ["predicted", "observed", "images"]


def test_operating_points_are_marked_on_the_roc_curve_and_named_by_shape() -> None:
    points = {"balanced": POINT_FIGURES, "screening": POINT_FIGURES}
    marks = marks_of(replace(SUMMARY, operating_points=points), "screening")
    *_, layer = chart_of(CURVES["roc"], marks)["layer"]
    first, second = layer["data"]["values"]
    assert first == {
        "operating point": "balanced",
        "false alarms": pytest.approx(0.2),
        "sensitivity": 0.95,
        "chosen": False,
    }
    assert second["chosen"]
    shape = layer["encoding"]["shape"]["scale"]
    assert shape == {"domain": ["balanced", "screening"], "range": ("circle", "square")}
    fields = [entry["field"] for entry in layer["encoding"]["tooltip"]]
    assert fields == ["operating point", "false alarms", "sensitivity"]


def test_model_without_points_is_marked_at_its_threshold_even_without_a_curve() -> None:
    (mark,) = marks_of(SUMMARY)
    assert (mark.name, mark.false_alarms, mark.sensitivity) == ("fixed", 0.25, 0.66667)
    page = AppTest.from_function(marked, args=(SUMMARY,), default_timeout=60).run()
    (chart,) = page.get("vega_lite_chart") or page.get("arrow_vega_lite_chart")
    assert "Fixed: 66.7 % sensitivity at 25.0 % false alarms." in str(chart.proto)


def marked(found: object) -> None:
    from xray_classifier.app.charts import CURVES, marks_of, show_curve

    show_curve(CURVES["roc"], (), marks_of(found))  # type: ignore[arg-type]


def test_cells_of_the_confusion_have_counts_shares_of_the_row_and_words() -> None:
    cells = confusion_cells(Confusion(3, 1, 1000, 1000))
    assert [list(cell.values()) for cell in cells] == [
        ["normal", "normal", 3, "75.0 %", "right"],
        ["normal", "pneumonia", 1, "25.0 %", "wrong"],
        ["pneumonia", "normal", 1000, "50.0 %", "wrong"],
        ["pneumonia", "pneumonia", 1000, "50.0 %", "right"],
    ]
    assert confusion_cells(Confusion(0, 0, 1, 1))[0]["share"] == "none"
    assert json.loads(json.dumps(CONFUSION_CHART)) == CONFUSION_CHART


def confused(confusion: object) -> None:
    from xray_classifier.app.charts import show_confusion

    show_confusion(confusion, 0.4)  # type: ignore[arg-type]


def test_confusion_is_said_to_who_cannot_see_it() -> None:
    page = AppTest.from_function(confused, args=(Confusion(3, 1, 2, 4),), default_timeout=60).run()
    (chart,) = page.get("vega_lite_chart") or page.get("arrow_vega_lite_chart")
    assert (
        "Confusion matrix: of normal 3 called normal (75.0 %); of normal 1 called pneumonia "
        "(25.0 %)" in str(chart.proto)
    )
    assert "at the threshold of 40 %" in page.caption[0].value


def test_chart_is_plain_json() -> None:
    assert json.loads(json.dumps(chart_of(CURVES["roc"]))) == chart_of(CURVES["roc"])


def test_columns_are_numbers_of_the_points_that_are_recorded() -> None:
    kinds = get_type_hints(Curves)
    assert CURVES.keys() == kinds.keys()
    for key, curve in CURVES.items():
        point, _ = get_args(kinds[key])
        assert [*curve.columns] == [entry.name for entry in fields(point)]
