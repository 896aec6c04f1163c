from __future__ import annotations

import math

import pytest

from xray_classifier.inference.verdict import force, percent, verdict_of
from xray_classifier.models.operating_point import OperatingPoint

BAND = OperatingPoint("balanced", 0.7, 0.6, 0.8)


@pytest.mark.parametrize("threshold", [0.057, 0.5, 0.9])
def test_pneumonia_begins_exactly_at_the_threshold(threshold: float) -> None:
    point = OperatingPoint.fixed(threshold)
    below, above = math.nextafter(threshold, 0), math.nextafter(threshold, 1)
    verdicts = ["normal", "pneumonia", "pneumonia"]
    assert [verdict_of(p, point) for p in (below, threshold, above)] == verdicts
    assert [force(p, threshold) for p in (below, threshold, above)] == verdicts


@pytest.mark.parametrize(("probability", "verdict"), [(0.0, "normal"), (1.0, "pneumonia")])
def test_extremes_are_judged(probability: float, verdict: str) -> None:
    assert verdict_of(probability, BAND) == verdict
    assert verdict_of(probability, OperatingPoint.fixed(0.5)) == verdict


@pytest.mark.parametrize(
    ("probability", "verdict"),
    [
        (math.nextafter(0.6, 0), "normal"),
        (0.6, "uncertain"),
        (0.7, "uncertain"),
        (math.nextafter(0.8, 0), "uncertain"),
        (0.8, "pneumonia"),
    ],
)
def test_band_is_uncertain_from_its_low_end_to_below_its_high_end(
    probability: float, verdict: str
) -> None:
    assert verdict_of(probability, BAND) == verdict


@pytest.mark.parametrize(
    ("probability", "text"),
    [
        (0.0, "under 0.1 %"),
        (0.0004, "under 0.1 %"),
        (0.0005, "0.1 %"),
        (0.0123, "1.2 %"),
        (0.5, "50.0 %"),
        (0.9731, "97.3 %"),
        (0.999, "99.9 %"),
        (0.9994, "99.9 %"),
        (0.9995, "over 99.9 %"),
        (1.0, "over 99.9 %"),
    ],
)
def test_percentages_are_written_without_certainty(probability: float, text: str) -> None:
    assert percent(probability) == text
