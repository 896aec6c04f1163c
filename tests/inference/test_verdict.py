from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.support.etiologies import FACTS
from xray_classifier.inference.verdict import etiology_of, force, percent, verdict_of
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


@pytest.mark.parametrize(
    ("bacterial", "etiology"),
    [
        (0.0, "viral"),
        (math.nextafter(FACTS.low, 0), "viral"),
        (FACTS.low, "uncertain"),
        (FACTS.threshold, "uncertain"),
        (math.nextafter(FACTS.high, 0), "uncertain"),
        (FACTS.high, "bacterial"),
        (1.0, "bacterial"),
    ],
)
def test_etiology_has_a_band_of_its_own(bacterial: float, etiology: str) -> None:
    assert etiology_of("pneumonia", bacterial, FACTS) == etiology


def test_etiology_without_a_band_turns_at_its_threshold() -> None:
    sharp = replace(FACTS, low=0.65, high=0.65)
    below = math.nextafter(0.65, 0)
    assert [etiology_of("pneumonia", p, sharp) for p in (below, 0.65)] == ["viral", "bacterial"]


@pytest.mark.parametrize("verdict", ["normal", "uncertain"])
def test_etiology_is_said_of_a_pneumonia_only(verdict: str) -> None:
    assert etiology_of(verdict, 0.9, FACTS) is None


def test_etiology_is_not_said_by_a_model_that_cannot_tell() -> None:
    assert etiology_of("pneumonia", None, FACTS) is None
    assert etiology_of("pneumonia", 0.9, None) is None
