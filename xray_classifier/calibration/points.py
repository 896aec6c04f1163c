"""Operating points: thresholds chosen on calibrated answers, and uncertain bands around them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xray_classifier.calibration.out_of_fold import OutOfFold
from xray_classifier.evaluation.metrics import (
    Labels,
    Probabilities,
    Weights,
    effective_images,
    estimate_point,
    wilson_intervals,
)
from xray_classifier.models.operating_point import BALANCED, CONFIRMING, SCREENING, OperatingPoint
from xray_classifier.percent import as_percent

TARGET = 0.99
"""Sensitivity of `screening`, specificity of `confirming`."""


@dataclass(frozen=True)
class Aim:
    """What a band is fitted to reach.

    Attributes:
        decided_right: fraction of the decided images that are to be right.
        most_undecided: fraction of all images that may be left undecided for it.
    """

    decided_right: float
    most_undecided: float


VERDICT = Aim(decided_right=0.985, most_undecided=0.10)


CRITERIA = {
    BALANCED: "a likelihood ratio of 1: the picture speaks for pneumonia rather than against it",
    SCREENING: f"the highest threshold with a sensitivity of at least {as_percent(TARGET, 0)}",
    CONFIRMING: f"the lowest threshold with a specificity of at least {as_percent(TARGET, 0)}",
}


WEIGHTED = ", where the rendering of the picture tells nothing"


def fit_points(answers: OutOfFold, weights: Weights | None = None) -> dict[str, OperatingPoint]:
    """Choose the thresholds of `CRITERIA` and their bands on calibrated answers.

    A calibrated probability equal to the prevalence has a likelihood ratio of 1. Whoever calls
    from there on loses least of sensitivity and specificity together (Youden's index), however
    frequent pneumonia is. Where answers are calibrated with weights, that holds with the weights,
    which leave the classes as frequent as they are.

    Args:
        answers: to choose on.
        weights: for the band of `balanced`, shape (n,), on average 1 in each class.
    """
    labels, probabilities = answers.labels, answers.probabilities
    sensitive = sensitive_threshold(labels, probabilities)
    specific = specific_threshold(labels, probabilities)
    return {
        BALANCED: point_of(BALANCED, float(labels.mean()), answers, weights),
        SCREENING: point_of(SCREENING, sensitive, answers),
        CONFIRMING: point_of(CONFIRMING, specific, answers),
    }


def sensitive_threshold(labels: Labels, probabilities: Probabilities) -> float:
    """Find the highest threshold with a sensitivity of at least 99 %."""
    positive = np.sort(probabilities[labels == 1])
    return float(positive[int(np.floor((1 - TARGET) * len(positive) + 1e-9))])


def specific_threshold(labels: Labels, probabilities: Probabilities) -> float:
    """Find the lowest threshold with a specificity of at least 99 %."""
    negative = np.sort(probabilities[labels == 0])[::-1]
    return float(np.nextafter(negative[int(np.floor((1 - TARGET) * len(negative) + 1e-9))], 2))


def fit_band(
    labels: Labels,
    probabilities: Probabilities,
    threshold: float,
    weights: Weights | None = None,
    aim: Aim = VERDICT,
) -> tuple[float, float]:
    """Find the band around a threshold that leaves the fewest images to a human.

    Of the bands whose decided images are right so often that the lower end of the 95 % interval
    (Wilson) reaches the aim, the one with the fewest images; if that leaves more undecided than
    allowed, the band that decides best with as many as allowed. With weights all counts are
    weighted, and the interval is that of as many images as these tell of (`effective_images`).

    Returns:
        (low, high): from low to below high is undecided.
    """
    order = np.argsort(probabilities, kind="stable")
    sorted_, truth = probabilities[order], labels[order]
    mass = np.ones(len(order)) if weights is None else weights[order]
    start = int(np.searchsorted(sorted_, threshold))
    wrong_mass = mass * ((np.arange(len(order)) >= start) != (truth == 1))
    # before each position, and of all
    wrong, below = (np.concatenate([[0], np.cumsum(each)]) for each in (wrong_mass, mass))
    total, most = below[-1], aim.most_undecided * below[-1] + 1e-9
    told = effective_images(mass) / total
    best = (0.0, start, start)
    enough: tuple[float, int, int] | None = None
    for low in range(start, int(np.searchsorted(below, below[start] - most)) - 1, -1):
        # A band starts at its lowest image and ends above its highest; equal ones stay together.
        high = np.arange(start, np.searchsorted(below, below[low] + most, side="right"))
        undecided = below[high] - below[low]
        decided = total - undecided
        right = decided - (wrong[-1] - (wrong[high] - wrong[low]))
        rate = right / decided
        leader = int(np.argmax(rate))
        if rate[leader] > best[0]:
            best = (float(rate[leader]), low, int(high[leader]))
        lowest, _ = wilson_intervals(right * told, decided * told)
        reached = np.flatnonzero(lowest >= aim.decided_right)
        if reached.size and (enough is None or undecided[reached[0]] < enough[0]):
            enough = (float(undecided[reached[0]]), low, int(high[reached[0]]))
    _, low, high_end = enough or best
    return _between(sorted_, low, start, threshold), _between(sorted_, high_end, start, threshold)


def _between(ordered: Probabilities, position: int, start: int, threshold: float) -> float:
    if position == start:
        return threshold
    return float(ordered[position]) if position < len(ordered) else 1.0


def point_of(
    name: str,
    threshold: float,
    answers: OutOfFold,
    weights: Weights | None = None,
    criterion: str = "",
    aim: Aim = VERDICT,
) -> OperatingPoint:
    """Make an operating point of a threshold: fit its band, and measure what it gives.

    Args:
        name: of the point.
        threshold: in (0, 1).
        answers: to fit and measure on.
        weights: for the band, as for `fit_band`.
        criterion: by which the threshold was chosen; that of the name without.
        aim: of the band.
    """
    low, high = fit_band(answers.labels, answers.probabilities, threshold, weights, aim)
    chosen_by = criterion or CRITERIA[name] + ("" if weights is None else WEIGHTED)
    point = OperatingPoint(name, threshold, low, high, chosen_by)
    return replace(point, out_of_fold=estimate_point(answers, point))
