"""Probability to verdict, and its sober wording."""

from __future__ import annotations

from xray_classifier.labels import LABELS
from xray_classifier.models.operating_point import OperatingPoint
from xray_classifier.percent import as_percent

NORMAL, PNEUMONIA = LABELS
UNCERTAIN = "uncertain"


def force(probability: float, threshold: float) -> str:
    """Say "pneumonia" if and only if the probability is at or above the threshold."""
    return PNEUMONIA if probability >= threshold else NORMAL


def verdict_of(probability: float, point: OperatingPoint) -> str:
    """Say "normal", "pneumonia" or, within the band of the operating point, "uncertain"."""
    if point.low <= probability < point.high:
        return UNCERTAIN
    return force(probability, point.threshold)


def percent(probability: float) -> str:
    """Write a probability for people, never as an absolute certainty.

    >>> percent(0.9731)
    '97.3 %'
    >>> percent(0.99999)
    'over 99.9 %'
    """
    if probability >= 0.9995:
        return "over 99.9 %"
    if probability < 0.0005:
        return "under 0.1 %"
    return as_percent(probability)
