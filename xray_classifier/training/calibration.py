"""Out-of-fold answers to calibrated probabilities, operating points and uncertain bands.

Nothing here ever sees a test image: the answers come from `cross_validation`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from xray_classifier.errors import ModelUnavailableError
from xray_classifier.evaluation.curves import clipped_logit
from xray_classifier.evaluation.metrics import (
    Labels,
    Probabilities,
    Weights,
    measure,
    measure_point,
    wilson_interval,
    with_intervals,
)
from xray_classifier.files import sha256_of
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.keras_network import keras_model
from xray_classifier.models.loading import KERAS, describe_model, load_classifier
from xray_classifier.models.operating_point import BALANCED, CONFIRMING, SCREENING, OperatingPoint
from xray_classifier.models.saving import save_model
from xray_classifier.models.spec import write_spec
from xray_classifier.percent import as_percent
from xray_classifier.records.evaluation import Figures, PointFigures
from xray_classifier.records.training import CalibrationFacts
from xray_classifier.training.cross_validation import OutOfFold, read_out_of_fold

TARGET = 0.99
"""Sensitivity of `screening`, specificity of `confirming`."""

DECIDED_RIGHT = 0.985
MOST_UNDECIDED = 0.10

CRITERIA = {
    BALANCED: "a likelihood ratio of 1: the picture speaks for pneumonia rather than against it",
    SCREENING: f"the highest threshold with a sensitivity of at least {as_percent(TARGET, 0)}",
    CONFIRMING: f"the lowest threshold with a specificity of at least {as_percent(TARGET, 0)}",
}


@dataclass(frozen=True)
class Scale:
    """Platt scaling: calibrated logit = slope * logit + intercept (Platt 1999)."""

    slope: float
    intercept: float

    def apply(self, probabilities: Probabilities) -> Probabilities:
        """Calibrate probabilities, shape (n,)."""
        return expit(self.slope * clipped_logit(probabilities) + self.intercept)


def calibrate(model: str, answers: Path, out: Path) -> Path:
    """Write a model whose probabilities are calibrated, with operating points in its JSON.

    The scaling goes into the last layer, so that the Keras file alone gives what the app shows.

    Args:
        model: name or path of a model that `train` wrote.
        answers: `out_of_fold.csv` of the same recipe.
        out: a folder for model and JSON.

    Raises:
        ModelUnavailableError: the model has no JSON, is calibrated already, or does not end in a
            single sigmoid unit.
        DatasetError: the answers cannot be used.
    """
    classifier = _load_uncalibrated(model)
    spec = classifier.spec
    found = read_out_of_fold(answers)
    scale = fit_scale(found.labels, found.probabilities)
    calibrated = replace(found, probabilities=scale.apply(found.probabilities))
    points = fit_points(calibrated)
    network = keras_model(classifier.network)
    fold_into_last_layer(network, scale)
    described = replace(
        spec,
        threshold=points[BALANCED].threshold,
        calibration_prevalence=float(found.labels.mean()),
        calibration=_facts(calibrated, scale, answers),
        operating_points=tuple(points.values()),
        results={},
    )
    target = out / spec.file
    save_model(network, described, target, write_spec)
    return target


def _load_uncalibrated(model: str) -> Classifier:
    if describe_model(model) is None:
        raise ModelUnavailableError(f"{model} has no JSON beside it. Give a model of `train`.")
    classifier = load_classifier(model, runtime=KERAS)
    spec = classifier.spec
    if spec.calibration_prevalence is not None:
        raise ModelUnavailableError(
            f"Model {spec.name} ({spec.short_hash}) is calibrated already. Give it as `train` "
            "wrote it."
        )
    return classifier


def fit_scale(labels: Labels, probabilities: Probabilities) -> Scale:
    """Fit Platt's logistic regression of the labels on the logits, unregularised."""
    fitted = LogisticRegression(C=np.inf, tol=1e-8).fit(
        clipped_logit(probabilities)[:, None], labels
    )
    return Scale(float(fitted.coef_[0, 0]), float(fitted.intercept_[0]))


def fold_into_last_layer(model: Any, scale: Scale) -> None:
    """Put a scale into the weights of a model's last layer.

    Raises:
        ModelUnavailableError: the last layer is no single sigmoid unit.
    """
    last = model.layers[-1]
    if getattr(getattr(last, "activation", None), "__name__", "") != "sigmoid":
        raise ModelUnavailableError("The model's last layer is no sigmoid: it cannot be scaled.")
    kernel, bias = last.get_weights()
    last.set_weights([kernel * scale.slope, bias * scale.slope + scale.intercept])


def fit_points(answers: OutOfFold) -> dict[str, OperatingPoint]:
    """Choose the thresholds of `CRITERIA` and their bands on calibrated answers.

    A calibrated probability equal to the prevalence has a likelihood ratio of 1. Whoever calls
    from there on loses least of sensitivity and specificity together (Youden's index), however
    frequent pneumonia is.
    """
    labels, probabilities = answers.labels, answers.probabilities
    thresholds = {
        BALANCED: float(labels.mean()),
        SCREENING: sensitive_threshold(labels, probabilities),
        CONFIRMING: specific_threshold(labels, probabilities),
    }
    return {name: _point(name, thresholds[name], answers) for name in thresholds}


def sensitive_threshold(labels: Labels, probabilities: Probabilities) -> float:
    """Find the highest threshold with a sensitivity of at least 99 %."""
    positive = np.sort(probabilities[labels == 1])
    return float(positive[int(np.floor((1 - TARGET) * len(positive) + 1e-9))])


def specific_threshold(labels: Labels, probabilities: Probabilities) -> float:
    """Find the lowest threshold with a specificity of at least 99 %."""
    negative = np.sort(probabilities[labels == 0])[::-1]
    return float(np.nextafter(negative[int(np.floor((1 - TARGET) * len(negative) + 1e-9))], 2))


def fit_band(labels: Labels, probabilities: Probabilities, threshold: float) -> tuple[float, float]:
    """Find the band around a threshold that leaves the fewest images to a human.

    Of the bands whose decided images are right so often that the lower end of the 95 % interval
    (Wilson) reaches 98.5 %, the one with the fewest images; if that leaves more than 10 %
    undecided, the band that decides best with 10 % undecided.

    Returns:
        (low, high): from low to below high is undecided.
    """
    order = np.argsort(probabilities, kind="stable")
    sorted_, truth = probabilities[order], labels[order]
    start = int(np.searchsorted(sorted_, threshold))
    n, most = len(sorted_), int(MOST_UNDECIDED * len(sorted_))
    wrong = np.concatenate([[0], np.cumsum((np.arange(n) >= start) != (truth == 1))])
    best = (0.0, start, start)
    enough: tuple[int, int, int] | None = None
    for below in range(min(start, most) + 1):
        # A band starts at its lowest image and ends above its highest; equal ones stay together.
        low = start - below
        above = np.arange(min(n - start, most - below) + 1)
        high = start + above
        decided = n - (high - low)
        right = decided - (wrong[-1] - (wrong[high] - wrong[low]))
        rate = right / decided
        leader = int(np.argmax(rate))
        if rate[leader] > best[0]:
            best = (float(rate[leader]), low, int(high[leader]))
        reached = np.flatnonzero(_lower_ends(right, decided) >= DECIDED_RIGHT)
        if reached.size and (enough is None or below + reached[0] < enough[0]):
            enough = (below + int(reached[0]), low, int(high[reached[0]]))
    _, low, high_end = enough or best
    return _between(sorted_, low, start, threshold), _between(sorted_, high_end, start, threshold)


def _lower_ends(right: Any, decided: Any) -> Any:
    return np.vectorize(lambda r, n: wilson_interval(r, n)[0])(right, decided)


def _between(ordered: Probabilities, position: int, start: int, threshold: float) -> float:
    if position == start:
        return threshold
    return float(ordered[position]) if position < len(ordered) else 1.0


def _point(name: str, threshold: float, answers: OutOfFold) -> OperatingPoint:
    labels, probabilities = answers.labels, answers.probabilities
    low, high = fit_band(labels, probabilities, threshold)
    point = OperatingPoint(name, threshold, low, high, CRITERIA[name])

    def figures(weights: Weights) -> dict[str, float]:
        return measure_point(labels, probabilities, point, weights)

    found = PointFigures(**with_intervals(figures, labels, answers.patients))
    return replace(point, out_of_fold=found)


def _facts(calibrated: OutOfFold, scale: Scale, answers: Path) -> CalibrationFacts:
    labels, probabilities = calibrated.labels, calibrated.probabilities
    threshold = float(labels.mean())

    def figures(weights: Weights) -> dict[str, float]:
        return measure(labels, probabilities, threshold, weights)

    return CalibrationFacts(
        method="Platt scaling on out-of-fold answers, put into the last layer",
        slope=scale.slope,
        intercept=scale.intercept,
        images=len(labels),
        patients=len(set(calibrated.patients)),
        folds=calibrated.folds,
        answers_sha256=sha256_of(answers),
        out_of_fold=Figures(**with_intervals(figures, labels, calibrated.patients)),
    )
