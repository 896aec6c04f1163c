"""Probability to verdict, and its sober wording."""

from __future__ import annotations

from xray_classifier.labels import LABELS
from xray_classifier.models.operating_point import OperatingPoint
from xray_classifier.percent import as_percent
from xray_classifier.records.training import EtiologyFacts

NORMAL, PNEUMONIA = LABELS
UNCERTAIN = "uncertain"
BACTERIAL, VIRAL = "bacterial", "viral"


def force(probability: float, threshold: float) -> str:
    """Say "pneumonia" if and only if the probability is at or above the threshold."""
    return PNEUMONIA if probability >= threshold else NORMAL


def verdict_of(probability: float, point: OperatingPoint) -> str:
    """Say "normal", "pneumonia" or, within the band of the operating point, "uncertain"."""
    if point.low <= probability < point.high:
        return UNCERTAIN
    return force(probability, point.threshold)


def etiology_of(verdict: str, bacterial: float | None, facts: EtiologyFacts | None) -> str | None:
    """Say "bacterial", "viral" or "uncertain" of a pneumonia; None of all else.

    Args:
        verdict: on the image.
        bacterial: the probability that a pneumonia is a bacterial one, None if none is given.
        facts: on that answer, None where it is not to be shown.
    """
    if verdict != PNEUMONIA or bacterial is None or facts is None:
        return None
    if facts.low <= bacterial < facts.high:
        return UNCERTAIN
    return BACTERIAL if bacterial >= facts.threshold else VIRAL


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
