"""Points of the curves that the model page and the model card draw."""

from __future__ import annotations

import numpy as np
from scipy.special import logit
from sklearn.metrics import roc_curve

from xray_classifier.evaluation.metrics import Labels, Probabilities, calibration_bins
from xray_classifier.records.evaluation import CoveragePoint, Curves, RocPoint

POINTS = 100
COVERAGES = np.linspace(1, 0.5, 26)


def curves_of(labels: Labels, probabilities: Probabilities, threshold: float) -> Curves:
    """Compute all curves.

    Args:
        labels: shape (n,), both classes.
        probabilities: of pneumonia, shape (n,), in [0, 1].
        threshold: of the forced verdicts.
    """
    return Curves(
        roc=roc(labels, probabilities),
        reliability=tuple(calibration_bins(labels, probabilities)),
        coverage=coverage(labels, probabilities, threshold),
    )


def roc(labels: Labels, probabilities: Probabilities) -> tuple[RocPoint, ...]:
    """Give the ROC curve, at most 100 points of it."""
    false_rate, true_rate, _ = roc_curve(labels, probabilities)
    chosen = np.unique(np.linspace(0, len(false_rate) - 1, POINTS).round().astype(int))
    return tuple(
        RocPoint(round(float(x), 5), round(float(y), 5))
        for x, y in zip(false_rate[chosen], true_rate[chosen], strict=True)
    )


def coverage(
    labels: Labels, probabilities: Probabilities, threshold: float
) -> tuple[CoveragePoint, ...]:
    """Leave ever more images undecided, those nearest to the threshold in logits first."""
    distance = np.abs(clipped_logit(probabilities) - logit(threshold))
    order = np.argsort(-distance, kind="stable")
    right = ((probabilities >= threshold) == (labels == 1))[order]
    n = len(right)
    counts = [max(1, round(fraction * n)) for fraction in COVERAGES]
    return tuple(
        CoveragePoint(round(count / n, 4), round(float(right[:count].mean()), 5))
        for count in counts
    )


def clipped_logit(probabilities: Probabilities) -> Probabilities:
    """Give the logits of probabilities; of 0 and 1, those of a ten-millionth away from them."""
    return logit(np.clip(probabilities, 1e-7, 1 - 1e-7))
