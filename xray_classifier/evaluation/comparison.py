"""Is one model better than another on the same radiographs?

The bootstrap over patients decides. DeLong's and McNemar's tests stand beside it because readers
expect them; both take images for independent, which images of one child are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm, rankdata

from xray_classifier.evaluation.metrics import (
    Labels,
    Probabilities,
    Weights,
    measure,
    with_intervals,
)
from xray_classifier.records.evaluation import Comparison, Difference

Mask = NDArray[np.bool_]


def compare(
    labels: Labels,
    patients: Sequence[str],
    ours: tuple[Probabilities, float],
    other: tuple[Probabilities, float],
    name: str,
) -> Comparison:
    """Compare two models that judged the same images.

    Args:
        labels: shape (n,), both classes.
        patients: of each image.
        ours: probabilities, shape (n,), and the threshold they are judged by.
        other: the same of the model that ours is compared with.
        name: of that other model.

    Returns:
        Differences by a paired bootstrap over patients, and the p of both tests.
    """
    names = [entry.name for entry in fields(Difference)]

    def differences(weights: Weights) -> dict[str, float]:
        mine, its = measure(labels, *ours, weights), measure(labels, *other, weights)
        return {name: mine[name] - its[name] for name in names}

    return Comparison(
        name,
        Difference(**with_intervals(differences, labels, patients)),
        mcnemar_p=mcnemar(labels, ours, other),
        delong_p=delong(labels, ours[0], other[0]),
    )


def mcnemar(
    labels: Labels, ours: tuple[Probabilities, float], other: tuple[Probabilities, float]
) -> float:
    """Give the exact p of McNemar's test: are the images that one alone gets right balanced?"""
    mine, its = (
        (probabilities >= threshold) == (labels == 1) for probabilities, threshold in (ours, other)
    )
    only_mine, only_its = int((mine & ~its).sum()), int((its & ~mine).sum())
    if only_mine + only_its == 0:
        return 1.0
    return float(binomtest(only_mine, only_mine + only_its).pvalue)


def delong(labels: Labels, ours: Probabilities, other: Probabilities) -> float:
    """Give the p of DeLong's test of equal AUC (Biometrics 44, 1988; Sun and Xu 2014)."""
    positive, negative = labels == 1, labels == 0
    shares = [_placements(probabilities, positive, negative) for probabilities in (ours, other)]
    of_positives = np.stack([share for share, _ in shares])
    of_negatives = np.stack([share for _, share in shares])
    covariance = np.cov(of_positives) / positive.sum() + np.cov(of_negatives) / negative.sum()
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    difference = of_positives[0].mean() - of_positives[1].mean()
    if variance <= 0:
        return 1.0 if difference == 0 else 0.0
    return float(2 * norm.sf(abs(difference) / np.sqrt(variance)))


def _placements(
    probabilities: Probabilities, positive: Mask, negative: Mask
) -> tuple[Probabilities, Probabilities]:
    """For each image, the fraction of the other class that it is ordered rightly against."""
    ranks = rankdata(probabilities)
    below = (ranks[positive] - rankdata(probabilities[positive])) / negative.sum()
    above = 1 - (ranks[negative] - rankdata(probabilities[negative])) / positive.sum()
    return below, above
