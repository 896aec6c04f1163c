"""What a model reaches where the rendering of the picture does not help it.

Random patients of the same hospital do not show it, since most normals come from one machine and
most pneumonias from others: see `rendering.score`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xray_classifier.evaluation.evaluate import Evaluation
from xray_classifier.evaluation.metrics import (
    Labels,
    Probabilities,
    Weights,
    effective_images,
    measure,
    measure_point,
    roc_auc,
    with_intervals,
)
from xray_classifier.models.operating_point import OperatingPoint
from xray_classifier.records.evaluation import (
    Estimate,
    Figures,
    HardFigures,
    PointFigures,
    RenderingFigures,
)
from xray_classifier.records.rendering import HardCutoffs, RenderingFacts
from xray_classifier.rendering.score import Scores, balanced_weights, energies_of, hard, scores_by

Points = Sequence[OperatingPoint]


class Answers(Protocol):
    """What a model said of labelled images, all of shape (n,)."""

    @property
    def labels(self) -> Labels:
        """0 = normal, 1 = pneumonia."""

    @property
    def probabilities(self) -> Probabilities:
        """Of pneumonia."""

    @property
    def patients(self) -> Sequence[str]:
        """Images of one patient share it."""


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
    labels, probabilities = answers.labels, answers.probabilities
    weights = balanced_weights(labels, scores)

    def figures(counts: Weights) -> dict[str, float]:
        return measure(labels, probabilities, threshold, counts * weights)

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
        balanced=Figures(**with_intervals(figures, labels, answers.patients)),
        operating_points={p.name: _balanced_point(answers, weights, p) for p in points},
    )


def _balanced_point(answers: Answers, weights: Weights, point: OperatingPoint) -> PointFigures:
    """Measure an operating point on weighted images."""

    def figures(counts: Weights) -> dict[str, float]:
        return measure_point(answers.labels, answers.probabilities, point, counts * weights)

    return PointFigures(**with_intervals(figures, answers.labels, answers.patients))


def _hard_figures(
    answers: Answers, chosen: NDArray[np.bool_], threshold: float, points: Points
) -> HardFigures:
    """Measure what is asked of both classes on the chosen images; what needs a missing one not."""
    labels, probabilities = answers.labels[chosen], answers.probabilities[chosen]
    patients = np.asarray(answers.patients)[chosen].tolist()
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

    def measured(point: OperatingPoint) -> PointFigures:
        def figures_of_point(counts: Weights) -> dict[str, float]:
            return measure_point(labels, probabilities, point, counts)

        return PointFigures(**with_intervals(figures_of_point, labels, patients))

    found: dict[str, Estimate] = with_intervals(figures, labels, patients) if len(labels) else {}
    both = points if normals and pneumonias else ()
    return HardFigures(
        normals, pneumonias, **found, operating_points={p.name: measured(p) for p in both}
    )
