from __future__ import annotations

import re
from typing import Any

import pytest

from xray_classifier.models.operating_point import OperatingPoint

POINT = OperatingPoint("balanced", 0.7, 0.6, 0.8, "equal", {"accuracy": [0.97, 0.96, 0.98]})


def test_point_survives_json() -> None:
    assert OperatingPoint.from_json("balanced", POINT.to_json()) == POINT


def test_fixed_point_has_no_band() -> None:
    point = OperatingPoint.fixed(0.5)
    assert (point.name, point.low, point.threshold, point.high) == ("fixed", 0.5, 0.5, 0.5)


@pytest.mark.parametrize(("low", "high"), [(0.71, 0.8), (0.6, 0.69), (-0.1, 0.8), (0.6, 1.1)])
def test_band_that_does_not_hold_the_threshold_is_refused(low: float, high: float) -> None:
    message = re.escape(f"band of operating point balanced goes from {low} to {high}; it must hold")
    with pytest.raises(ValueError, match=message):
        OperatingPoint("balanced", 0.7, low, high)


@pytest.mark.parametrize("change", [{"band": None}, {"band": [0.1]}, {"threshold": None}])
def test_incomplete_json_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Operating point balanced is incomplete|not enough"):
        OperatingPoint.from_json("balanced", {**POINT.to_json(), **change})


@pytest.mark.parametrize("missing", ["band", "threshold", "criterion", "out_of_fold"])
def test_missing_value_is_named(missing: str) -> None:
    values = {name: value for name, value in POINT.to_json().items() if name != missing}
    with pytest.raises(ValueError, match=f"Operating point balanced is incomplete.*{missing}"):
        OperatingPoint.from_json("balanced", values)
