from __future__ import annotations

import math

import pytest

from xray_classifier.verdict import judge, percent


@pytest.mark.parametrize("threshold", [0.057, 0.5, 0.9])
def test_pneumonia_begins_exactly_at_the_threshold(threshold: float) -> None:
    assert judge(threshold, threshold) == "pneumonia"
    assert judge(math.nextafter(threshold, 0), threshold) == "normal"
    assert judge(math.nextafter(threshold, 1), threshold) == "pneumonia"


@pytest.mark.parametrize(("probability", "verdict"), [(0.0, "normal"), (1.0, "pneumonia")])
def test_extremes_are_judged(probability: float, verdict: str) -> None:
    assert judge(probability, 0.5) == verdict


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
