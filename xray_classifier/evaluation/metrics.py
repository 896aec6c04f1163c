"""Labels and probabilities to figures, with intervals that resample patients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xray_classifier.models.operating_point import OperatingPoint
from xray_classifier.records.evaluation import (
    Confusion,
    Estimate,
    Figures,
    PointFigures,
    ReliabilityPoint,
)

RESAMPLES = 2000
BINS = 15

Labels = NDArray[np.intp]
Probabilities = NDArray[np.float64]
Weights = NDArray[np.intp] | NDArray[np.float64]
"""Shape (n,), from 0: how often each image counts, or how much."""


class Answers(Protocol):
    """What a model said of labelled images, all of shape (n,)."""

    @property
    def labels(self) -> Labels:
        """0 = normal, 1 = pneumonia."""

    @property
    def probabilities(self) -> Probabilities:
        """Of pneumonia, in [0, 1]."""

    @property
    def patients(self) -> Sequence[str]:
        """Images of one patient share it."""


def measure(
    labels: Labels, probabilities: Probabilities, threshold: float, weights: Weights | None = None
) -> dict[str, float]:
    """Compute the figures of a classifier.

    Args:
        labels: shape (n,), 0 = normal, 1 = pneumonia; both must occur.
        probabilities: of pneumonia, shape (n,), in [0, 1].
        threshold: pneumonia is called at this probability or above.
        weights: how much each image counts, shape (n,); 1 each without it.

    Returns:
        loss (mean binary cross-entropy in nats), accuracy, sensitivity, specificity, auc (area
        under the ROC curve), brier (mean squared error) and ece (see `calibration_error`).
    """
    weights = _counted(labels, weights)
    return {
        "loss": _cross_entropy(labels, probabilities, weights),
        **_forced(labels, probabilities, threshold, weights),
        "auc": roc_auc(labels, probabilities, weights),
        "brier": float(np.average((probabilities - labels) ** 2, weights=weights)),
        "ece": calibration_error(labels, probabilities, weights),
    }


def measure_point(
    labels: Labels,
    probabilities: Probabilities,
    point: OperatingPoint,
    weights: Weights | None = None,
) -> dict[str, float]:
    """Compute what an operating point gives; arguments as for `measure`.

    Returns:
        sensitivity, specificity and accuracy of forced verdicts; undecided, the fraction within
        the band; decided_right, the accuracy of the rest (1 if there is none).
    """
    weights = _counted(labels, weights)
    forced = _forced(labels, probabilities, point.threshold, weights)
    undecided = (probabilities >= point.low) & (probabilities < point.high)
    decided = weights * ~undecided
    right = (probabilities >= point.threshold) == (labels == 1)
    return forced | {
        "undecided": float(np.average(undecided, weights=weights)),
        "decided_right": float(np.average(right, weights=decided)) if decided.any() else 1.0,
    }


def roc_auc(labels: Labels, probabilities: Probabilities, weights: Weights) -> float:
    """Give the area under the ROC curve.

    It is the chance that a positive image has the higher probability, equal ones counted half.
    Arguments as for `measure`.
    """
    _, group_of = np.unique(probabilities, return_inverse=True)
    positive = np.bincount(group_of, weights * (labels == 1))
    negative = np.bincount(group_of, weights * (labels == 0))
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / (positive.sum() * negative.sum()))


def calibration_bins(
    labels: Labels, probabilities: Probabilities, weights: Weights | None = None
) -> list[ReliabilityPoint]:
    """Divide images, ordered by probability, into 15 bins of equal mass; leave empty ones out."""
    order = np.argsort(probabilities, kind="stable")
    counted = _counted(labels, weights)[order]
    middle = np.cumsum(counted) - counted / 2
    bin_of = np.minimum((BINS * middle / counted.sum()).astype(np.intp), BINS - 1)
    mass = np.bincount(bin_of, counted, BINS)
    predicted = np.bincount(bin_of, counted * probabilities[order], BINS)
    observed = np.bincount(bin_of, counted * labels[order], BINS)
    return [
        ReliabilityPoint(float(p / n), float(y / n), float(n))
        for p, y, n in zip(predicted, observed, mass, strict=True)
        if n
    ]


def calibration_error(
    labels: Labels, probabilities: Probabilities, weights: Weights | None = None
) -> float:
    """Give the expected calibration error over 15 bins of equal mass (Nguyen and O'Connor 2015)."""
    bins = calibration_bins(labels, probabilities, weights)
    total = sum(each.images for each in bins)
    return sum(each.images * abs(each.predicted - each.observed) for each in bins) / total


def patient_intervals(
    figures: Callable[[Weights], dict[str, float]],
    labels: Labels,
    patients: Sequence[str],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Bootstrap 95 % percentile intervals of figures over patients.

    Images of one child resemble each other, so whole patients are drawn with replacement, each
    with all of its images (the cluster bootstrap; Field and Welsh, JRSS B 69, 2007). A draw that
    lacks a class that is there is drawn again.

    Args:
        figures: computes them, given how often each image counts, shape (n,).
        labels: shape (n,).
        patients: of each image.
        resamples: how many draws.
        seed: of the draws.
    """
    _, patient_of = np.unique(np.asarray(patients), return_inverse=True)
    count = patient_of.max() + 1
    classes = len(np.unique(labels))
    rng = np.random.default_rng(seed)
    draws: list[dict[str, float]] = []
    while len(draws) < resamples:
        times = np.bincount(rng.integers(count, size=count), minlength=count)
        weights = times[patient_of]
        if len(np.unique(labels[weights > 0])) == classes:
            draws.append(figures(weights))
    intervals = {}
    for name in draws[0]:
        low, high = np.percentile([draw[name] for draw in draws], [2.5, 97.5])
        intervals[name] = (float(low), float(high))
    return intervals


def with_intervals(
    figures: Callable[[Weights], dict[str, float]],
    labels: Labels,
    patients: Sequence[str],
    resamples: int = RESAMPLES,
) -> dict[str, Estimate]:
    """Give each figure with its interval over patients."""
    values = figures(np.ones(len(labels), np.intp))
    intervals = patient_intervals(figures, labels, patients, resamples)
    return {name: Estimate(value, *intervals[name]) for name, value in values.items()}


def estimate(answers: Answers, threshold: float, weights: Weights | None = None) -> Figures:
    """Give what `measure` gives with intervals over patients; weights stay with their images."""
    labels, probabilities = answers.labels, answers.probabilities

    def figures(counts: Weights) -> dict[str, float]:
        return measure(labels, probabilities, threshold, counts * _counted(labels, weights))

    return Figures(**with_intervals(figures, labels, answers.patients))


def estimate_point(
    answers: Answers, point: OperatingPoint, weights: Weights | None = None
) -> PointFigures:
    """Give what `measure_point` gives with intervals over patients; weights as for `estimate`."""
    labels, probabilities = answers.labels, answers.probabilities

    def figures(counts: Weights) -> dict[str, float]:
        return measure_point(labels, probabilities, point, counts * _counted(labels, weights))

    return PointFigures(**with_intervals(figures, labels, answers.patients))


def effective_images(weights: Weights) -> float:
    """Say how many images of equal weight tell as much as weighted ones (Kish 1965)."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def confusion(labels: Labels, probabilities: Probabilities, threshold: float) -> Confusion:
    """Count images by what they are and what they are called."""
    called = (probabilities >= threshold).astype(np.intp)
    return Confusion(*np.bincount(2 * labels + called, minlength=4).tolist())


def predictive_values(
    sensitivity: float, specificity: float, prevalence: float
) -> tuple[float, float]:
    """Give (PPV, NPV) at a prevalence, by Bayes; all in [0, 1].

    >>> [round(value, 3) for value in predictive_values(0.9, 0.8, 0.1)]
    [0.333, 0.986]
    """
    positive, negative = prevalence, 1 - prevalence
    called = sensitivity * positive + (1 - specificity) * negative
    cleared = specificity * negative + (1 - sensitivity) * positive
    return sensitivity * positive / called, specificity * negative / cleared


def wilson_interval(right: int, n: int) -> tuple[float, float]:
    """Give Wilson's 95 % interval of a proportion (JASA 22, 1927), where no patients are known."""
    low, high = wilson_intervals(np.array(float(right)), np.array(float(n)))
    return float(low), float(high)


def wilson_intervals(
    right: NDArray[np.float64], n: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the ends of many of Wilson's intervals; weighted counts need not be whole."""
    z = 1.959964
    centre = (right + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * np.sqrt(right * (n - right) / n + z**2 / 4)
    return np.maximum(centre - half, 0), np.minimum(centre + half, 1)


def _counted(labels: Labels, weights: Weights | None) -> Weights:
    return np.ones(len(labels), np.intp) if weights is None else weights


# scikit-learn's functions give the same (a test compares) and take ten times as long for their
# checks of the arguments: too long for thousands of bootstrap samples.


def _cross_entropy(labels: Labels, probabilities: Probabilities, weights: Weights) -> float:
    tiny = np.finfo(float).eps
    of_truth = np.where(labels == 1, probabilities, 1 - probabilities)
    return float(np.average(-np.log(np.clip(of_truth, tiny, 1)), weights=weights))


def _forced(
    labels: Labels, probabilities: Probabilities, threshold: float, weights: Weights
) -> dict[str, float]:
    right = (probabilities >= threshold) == (labels == 1)
    return {
        "accuracy": float(np.average(right, weights=weights)),
        "sensitivity": float(np.average(right, weights=weights * (labels == 1))),
        "specificity": float(np.average(right, weights=weights * (labels == 0))),
    }
