"""What a model reaches where the rendering of the picture does not help it.

Random patients of the same hospital do not show it, since most normals come from one machine and
most pneumonias from others: see `rendering.score`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xray_classifier.evaluation.evaluate import Evaluation
from xray_classifier.evaluation.metrics import (
    Answers,
    Labels,
    Probabilities,
    Weights,
    effective_images,
    estimate,
    estimate_point,
    roc_auc,
    with_intervals,
)
from xray_classifier.models.operating_point import OperatingPoint
from xray_classifier.records.evaluation import HardFigures, RenderingFigures
from xray_classifier.records.rendering import HardCutoffs, RenderingFacts
from xray_classifier.rendering.score import Scores, balanced_weights, energies_of, hard, scores_by

Points = Sequence[OperatingPoint]


@dataclass(frozen=True)
class Part:
    """The answers to some of the images."""

    labels: Labels
    probabilities: Probabilities
    patients: Sequence[str]


def by_rendering(evaluation: Evaluation, points: Points, facts: RenderingFacts) -> RenderingFigures:
    """Measure a model where rendering does not help, on images that the score was not fitted to.

    Args:
        evaluation: the answers.
        points: of the model.
        facts: the rendering score; its cut-offs apply unchanged, so that any share may be hard.

    Raises:
        DatasetError: a file cannot be read; the message names it.
    """
    scores = scores_by(facts.fit, energies_of(evaluation.samples))
    return measure_by_rendering(evaluation, scores, facts.cutoffs, evaluation.threshold, points)


def measure_by_rendering(
    answers: Answers, scores: Scores, cutoffs: HardCutoffs, threshold: float, points: Points
) -> RenderingFigures:
    """Measure answers where rendering does not help.

    Args:
        answers: to images of both classes.
        scores: rendering scores of the images, shape (n,).
        cutoffs: from which scores on an image is hard.
        threshold: of the forced verdicts.
        points: operating points to measure, too.
    """
    labels = answers.labels
    weights = balanced_weights(labels, scores)

    def of_rendering(counts: Weights) -> dict[str, float]:
        return {
            "plain": roc_auc(labels, scores, counts),
            "balanced": roc_auc(labels, scores, counts * weights),
        }

    alone = with_intervals(of_rendering, labels, answers.patients)
    return RenderingFigures(
        rendering_auc=alone["plain"],
        balanced_rendering_auc=alone["balanced"],
        hard=_hard_figures(answers, hard(labels, scores, cutoffs), threshold, points),
        effective_images=effective_images(weights),
        balanced=estimate(answers, threshold, weights),
        operating_points={point.name: estimate_point(answers, point, weights) for point in points},
    )


def _hard_figures(
    answers: Answers, chosen: NDArray[np.bool_], threshold: float, points: Points
) -> HardFigures:
    """Measure what is asked of both classes on the chosen images; what needs a missing one not."""
    labels, probabilities = answers.labels[chosen], answers.probabilities[chosen]
    part = Part(labels, probabilities, np.asarray(answers.patients)[chosen].tolist())
    pneumonias = int(labels.sum())
    normals = len(labels) - pneumonias
    right = (probabilities >= threshold) == (labels == 1)

    def figures(counts: Weights) -> dict[str, float]:
        found = {}
        if normals:
            found["specificity"] = float(np.average(right, weights=counts * (labels == 0)))
        if pneumonias:
            found["sensitivity"] = float(np.average(right, weights=counts * (labels == 1)))
        if normals and pneumonias:
            found["accuracy"] = float(np.average(right, weights=counts))
            found["auc"] = roc_auc(labels, probabilities, counts)
        return found

    found = with_intervals(figures, labels, part.patients) if len(labels) else {}
    both = points if normals and pneumonias else ()
    return HardFigures(
        normals,
        pneumonias,
        **found,
        operating_points={point.name: estimate_point(part, point) for point in both},
    )
