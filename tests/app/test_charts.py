"""Curves are drawn from what is recorded, and their absence is said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, get_args, get_type_hints

from streamlit.testing.v1 import AppTest

from xray_classifier.app.charts import CURVES, chart_of
from xray_classifier.records.evaluation import Curves, ReliabilityPoint


def script(key: str, points: object) -> None:
    from xray_classifier.app.charts import CURVES, show_curve

    show_curve(CURVES[key], points)  # type: ignore[arg-type]  # no import is known out there


def drawn(key: str, points: Sequence[Any]) -> AppTest:
    page = AppTest.from_function(script, args=(key, points), default_timeout=30).run()
    assert not page.exception
    return page


def test_points_are_drawn_with_how_to_read_them() -> None:
    page = drawn("reliability", [ReliabilityPoint(0.1, 0.2, 70), ReliabilityPoint(0.9, 0.8, 70)])
    assert page.subheader[0].value == "Reliability"
    assert "lie on the dashed line" in page.caption[0].value
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


def test_chart_is_plain_json() -> None:
    assert json.loads(json.dumps(chart_of(CURVES["roc"]))) == chart_of(CURVES["roc"])


def test_columns_are_numbers_of_the_points_that_are_recorded() -> None:
    kinds = get_type_hints(Curves)
    assert CURVES.keys() == kinds.keys()
    for key, curve in CURVES.items():
        point, _ = get_args(kinds[key])
        assert [*curve.columns] == [entry.name for entry in fields(point)]
