"""Which of two recipes is ahead, by the answers of their cross-validations to the same patients."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xray_classifier.calibration.out_of_fold import OutOfFold
from xray_classifier.calibration.scaling import fit_scale
from xray_classifier.errors import DatasetError
from xray_classifier.evaluation.metrics import RESAMPLES, Weights, measure, with_intervals
from xray_classifier.records.evaluation import Estimate
from xray_classifier.rendering.score import balanced_weights, find_cutoffs, hard

ONCE, BALANCED, HARD = "every image once", "rendering-balanced", "hard images"
FIGURES = {
    "log-loss": ("loss", (ONCE, BALANCED)),
    "AUC": ("auc", (ONCE, BALANCED, HARD)),
}
"""What is compared: its name in `measure`, and the ways to count images."""


class Compared(NamedTuple):
    """One figure of both recipes, and what the second one's less the first one's is."""

    first: float
    second: float
    difference: Estimate


def compare_recipes(
    first: OutOfFold, second: OutOfFold, resamples: int = RESAMPLES
) -> dict[str, Compared]:
    """Compare two recipes on the images that both answered, by a paired bootstrap over patients.

    Args:
        first: answers of one recipe, with the rendering score.
        second: those of another one to the same images, in any order.
        resamples: how many the bootstrap draws.

    Returns:
        Log-loss in nats and AUC, with every image counted once and weighted so that rendering
        tells nothing; AUC on hard images alone, too. Answers are Platt-scaled beforehand with the
        same weights; the bootstrap does not fit that anew.

    Raises:
        DatasetError: the images are not the same, or the first table has no rendering score.
    """
    kinds = _weights(first)
    labels = first.labels
    answers = [first.probabilities, second.probabilities[_places(first, second)]]
    scaled = {
        kind: [fit_scale(labels, each, weights).apply(each) for each in answers]
        for kind, weights in kinds.items()
    }

    def figures(recipe: int, counts: Weights) -> dict[str, float]:
        measured = {
            kind: measure(labels, scaled[kind][recipe], 0.5, counts * weights)
            for kind, weights in kinds.items()
        }
        return {
            f"{title}, {kind}": measured[kind][name]
            for title, (name, shown) in FIGURES.items()
            for kind in shown
        }

    def differences(counts: Weights) -> dict[str, float]:
        before, after = figures(0, counts), figures(1, counts)
        return {name: after[name] - before[name] for name in before}

    once = np.ones(len(labels), np.intp)
    before, after = figures(0, once), figures(1, once)
    estimates = with_intervals(differences, labels, first.patients, resamples)
    return {name: Compared(before[name], after[name], estimates[name]) for name in estimates}


def describe(found: dict[str, Compared]) -> str:
    """Write a comparison for people, one figure a line."""
    lines = [f"{'':30} {'first':>7} {'second':>7}  second less first (95 % interval)"]
    for name, (before, after, estimate) in found.items():
        interval = f"{estimate.value:+.4f} ({estimate.low:+.4f} to {estimate.high:+.4f})"
        lines.append(f"{name:30} {before:7.4f} {after:7.4f}  {interval}")
    return "\n".join(lines)


def _weights(answers: OutOfFold) -> dict[str, NDArray[np.float64]]:
    labels, rendering = answers.labels, answers.rendering
    if rendering is None:
        raise DatasetError(
            "The first table has no column rendering. Run its `cross-validate` again to add it."
        )
    return {
        ONCE: np.ones(len(labels)),
        BALANCED: balanced_weights(labels, rendering),
        HARD: hard(labels, rendering, find_cutoffs(labels, rendering)).astype(float),
    }


def _places(first: OutOfFold, second: OutOfFold) -> list[int]:
    """Give the row of the second table for each row of the first."""
    row_of = {file: row for row, file in enumerate(second.files)}
    missing = [file for file in first.files if file not in row_of]
    if missing or len(first.files) != len(second.files):
        raise DatasetError(
            f"The tables answer {len(first.files)} and {len(second.files)} images, of which "
            f"{len(first.files) - len(missing)} are the same; wanted are two of the same images, "
            "of `cross-validate` with the same --data."
        )
    return [row_of[file] for file in first.files]
