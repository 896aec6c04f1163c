from __future__ import annotations

import re

import pytest

from xray_classifier.models.operating_point import OperatingPoint


def test_fixed_point_has_no_band() -> None:
    point = OperatingPoint.fixed(0.5)
    assert (point.name, point.low, point.threshold, point.high) == ("fixed", 0.5, 0.5, 0.5)


@pytest.mark.parametrize(("low", "high"), [(0.71, 0.8), (0.6, 0.69), (-0.1, 0.8), (0.6, 1.1)])
def test_band_that_does_not_hold_the_threshold_is_refused(low: float, high: float) -> None:
    message = re.escape(f"band of operating point balanced goes from {low} to {high}; it must hold")
    with pytest.raises(ValueError, match=message):
        OperatingPoint("balanced", 0.7, low, high)
