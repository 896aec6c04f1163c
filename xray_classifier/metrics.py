"""Labels and probabilities to figures, with intervals that resample patients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import log_loss, roc_auc_score

RESAMPLES = 2000

Labels = NDArray[np.intp]
Probabilities = NDArray[np.float64]


def measure(
    labels: Labels,
    probabilities: Probabilities,
    threshold: float,
    weights: NDArray[np.intp] | None = None,
) -> dict[str, float]:
    """Compute the figures of a classifier.

    Args:
        labels: shape (n,), 0 = normal, 1 = pneumonia; both must occur.
        probabilities: of pneumonia, shape (n,), in [0, 1].
        threshold: pneumonia is called at this probability or above.
        weights: how often each image counts, shape (n,); once each without it.

    Returns:
        loss (mean binary cross-entropy in nats), accuracy, sensitivity, specificity and auc
        (area under the ROC curve).
    """
    weights = np.ones(len(labels), np.intp) if weights is None else weights
    right = (probabilities >= threshold) == (labels == 1)
    ill, well = weights * (labels == 1), weights * (labels == 0)
    return {
        "loss": float(log_loss(labels, probabilities, sample_weight=weights, labels=[0, 1])),
        "accuracy": float(np.average(right, weights=weights)),
        "sensitivity": float(np.average(right, weights=ill)),
        "specificity": float(np.average(right, weights=well)),
        "auc": float(roc_auc_score(labels, probabilities, sample_weight=weights)),
    }


def patient_intervals(
    labels: Labels,
    probabilities: Probabilities,
    patients: Sequence[str],
    threshold: float,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Bootstrap 95 % percentile intervals of `measure` over patients.

    Images of one child resemble each other, so whole patients are drawn with replacement, each
    with all of its images (the cluster bootstrap; Field and Welsh, JRSS B 69, 2007). A draw that
    lacks a class is drawn again.
    """
    _, patient_of = np.unique(np.asarray(patients), return_inverse=True)
    count = patient_of.max() + 1
    rng = np.random.default_rng(seed)
    draws: list[list[float]] = []
    while len(draws) < resamples:
        times = np.bincount(rng.integers(count, size=count), minlength=count)
        weights = times[patient_of]
        if len(np.unique(labels[weights > 0])) == 2:
            draws.append(list(measure(labels, probabilities, threshold, weights).values()))
    names = measure(labels, probabilities, threshold).keys()
    bounds = np.percentile(np.array(draws), [2.5, 97.5], axis=0).T
    return {
        name: (float(low), float(high)) for name, (low, high) in zip(names, bounds, strict=True)
    }


def confusion(labels: Labels, probabilities: Probabilities, threshold: float) -> NDArray[np.intp]:
    """Count [[true normal, false pneumonia], [false normal, true pneumonia]]."""
    called = (probabilities >= threshold).astype(np.intp)
    return np.bincount(2 * labels + called, minlength=4).reshape(2, 2)


def wilson_interval(right: int, n: int) -> tuple[float, float]:
    """Give Wilson's 95 % interval of a proportion (JASA 22, 1927), where no patients are known."""
    z = 1.959964
    centre = (right + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * np.sqrt(right * (n - right) / n + z**2 / 4)
    return float(centre - half), float(centre + half)
