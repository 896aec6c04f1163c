"""A model's second answer, bacterial or viral, calibrated on the pneumonias among its answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xray_classifier.calibration.out_of_fold import OutOfFold
from xray_classifier.calibration.points import Aim, point_of
from xray_classifier.calibration.scaling import Scale, fit_scale
from xray_classifier.evaluation.metrics import Weights, estimate_point, roc_auc, with_intervals
from xray_classifier.records.training import EtiologyFacts

NAME = "etiology"
CRITERION = "a likelihood ratio of 1: the picture speaks for a bacterial pneumonia"
BAND = Aim(decided_right=0.9, most_undecided=0.5)
"""Readers and networks are about as often right on all; half of the answers may be left out."""


@dataclass(frozen=True)
class Second:
    """What comes of the second answer.

    Attributes:
        scale: to be applied to it.
        facts: for the model's JSON; None if it cannot be measured.
    """

    scale: Scale
    facts: EtiologyFacts | None


def calibrate_etiology(found: OutOfFold) -> Second:
    """Fit scale, threshold and uncertain band of the second answer, as for the first.

    An answer that cannot be measured, as no file's name tells the etiology, is left as it is.
    """
    kinds = np.array(found.etiologies)
    if found.bacterial is None or len(set(kinds) - {""}) < 2:
        return Second(Scale(1.0, 0.0), None)
    known = np.flatnonzero((found.labels == 1) & (kinds != ""))
    labels = (kinds[known] == "bacteria").astype(np.intp)
    scale = fit_scale(labels, found.bacterial[known])
    patients = tuple(found.patients[index] for index in known)
    answers = OutOfFold(labels, scale.apply(found.bacterial[known]), patients, found.folds)
    point = point_of(NAME, float(labels.mean()), answers, criterion=CRITERION, aim=BAND)

    def figures(weights: Weights) -> dict[str, float]:
        return {"auc": roc_auc(labels, answers.probabilities, weights)}

    facts = EtiologyFacts(
        slope=scale.slope,
        intercept=scale.intercept,
        images=len(labels),
        patients=len(set(patients)),
        threshold=point.threshold,
        low=point.low,
        high=point.high,
        auc=with_intervals(figures, labels, patients)["auc"],
        out_of_fold=estimate_point(answers, point),
    )
    return Second(scale, facts)
