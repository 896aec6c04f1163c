"""Out-of-fold answers to calibrated probabilities, operating points and uncertain bands.

Nothing here ever sees a test image: the answers come from `cross_validation`.

Where their table tells how images are rendered, calibration and the point `balanced` with its band
are fitted to answers weighted so that rendering tells nothing of the label (`rendering.score`).
Else part of a probability would mean "so ill children are rendered here", which no other hospital
confirms. It costs on patients like those of the training. There the calibration error of the first
model so fitted rose from .009 to .038 and its loss from .073 to .096; weighted, they fell from .071
to .041 and from .251 to .206. Numbers that are too sure where rendering misleads do more harm than
ones that are not sure enough where it helps. What every image counted once would give is recorded.

`screening` and `confirming` keep what they promise on patients as they are. So do their bands: with
weights, the tenth that may be left undecided would be used up by the hard images, and the decided
ones of `confirming` would be right in 97.1 % instead of 98.9 %.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from xray_classifier.errors import ModelUnavailableError
from xray_classifier.evaluation.curves import clipped_logit
from xray_classifier.evaluation.metrics import (
    Labels,
    Probabilities,
    Weights,
    effective_images,
    estimate,
    estimate_point,
    wilson_intervals,
)
from xray_classifier.evaluation.rendering import measure_by_rendering
from xray_classifier.files import sha256_of
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.keras_network import keras_model
from xray_classifier.models.loading import KERAS, describe_model, load_classifier
from xray_classifier.models.operating_point import BALANCED, CONFIRMING, SCREENING, OperatingPoint
from xray_classifier.models.saving import save_model
from xray_classifier.models.spec import write_spec
from xray_classifier.percent import as_percent
from xray_classifier.records.evaluation import RenderingFigures
from xray_classifier.records.training import CalibrationFacts, PlainCalibration, PlainPoint
from xray_classifier.rendering.score import balanced_weights, find_cutoffs
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


WEIGHTED = ", where the rendering of the picture tells nothing"
METHOD = "Platt scaling on out-of-fold answers{}, put into the last layer"


@dataclass(frozen=True)
class Scale:
    """Platt scaling: calibrated logit = slope * logit + intercept (Platt 1999)."""

    slope: float
    intercept: float

    def apply(self, probabilities: Probabilities) -> Probabilities:
        """Calibrate probabilities, shape (n,)."""
        return expit(self.slope * clipped_logit(probabilities) + self.intercept)

    def undo(self, probability: float) -> float:
        """Give what becomes this probability."""
        return float(expit((logit(probability) - self.intercept) / self.slope))


def calibrate(model: str, answers: Path, out: Path, plain: bool = False) -> Path:
    """Write a model whose probabilities are calibrated, with operating points in its JSON.

    The scaling goes into the last layer, so that the Keras file alone gives what the app shows.

    Args:
        model: name or path of a model that `train` wrote.
        answers: `out_of_fold.csv` of the same recipe.
        out: a folder for model and JSON.
        plain: count every image once, although the table tells how images are rendered.

    Raises:
        ModelUnavailableError: the model has no JSON, is calibrated already, or does not end in a
            single sigmoid unit.
        DatasetError: the answers cannot be used.
    """
    classifier = _load_uncalibrated(model)
    spec = classifier.spec
    found = read_out_of_fold(answers)
    weights = None
    if found.rendering is not None and not plain:
        weights = balanced_weights(found.labels, found.rendering)
    scale = fit_scale(found.labels, found.probabilities, weights)
    calibrated = replace(found, probabilities=scale.apply(found.probabilities))
    points = fit_points(calibrated, weights)
    network = keras_model(classifier.network)
    fold_into_last_layer(network, scale)
    facts = CalibrationFacts(
        method=METHOD.format("" if weights is None else WEIGHTED),
        slope=scale.slope,
        intercept=scale.intercept,
        images=len(found.labels),
        patients=len(set(found.patients)),
        folds=found.folds,
        answers_sha256=sha256_of(answers),
        out_of_fold=estimate(calibrated, points[BALANCED].threshold),
        rendering=_by_rendering(calibrated, points),
        plain=None if weights is None else _plain(found, scale, weights),
    )
    described = replace(
        spec,
        threshold=points[BALANCED].threshold,
        calibration_prevalence=float(found.labels.mean()),
        calibration=facts,
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


def fit_scale(
    labels: Labels, probabilities: Probabilities, weights: Weights | None = None
) -> Scale:
    """Fit Platt's logistic regression of the labels on the logits, unregularised."""
    fitted = LogisticRegression(C=np.inf, tol=1e-8).fit(
        clipped_logit(probabilities)[:, None], labels, weights
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
        BALANCED: _point(BALANCED, float(labels.mean()), answers, weights),
        SCREENING: _point(SCREENING, sensitive, answers),
        CONFIRMING: _point(CONFIRMING, specific, answers),
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
    labels: Labels, probabilities: Probabilities, threshold: float, weights: Weights | None = None
) -> tuple[float, float]:
    """Find the band around a threshold that leaves the fewest images to a human.

    Of the bands whose decided images are right so often that the lower end of the 95 % interval
    (Wilson) reaches 98.5 %, the one with the fewest images; if that leaves more than 10 %
    undecided, the band that decides best with 10 % undecided. With weights all counts are
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
    total, most = below[-1], MOST_UNDECIDED * below[-1] + 1e-9
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
        reached = np.flatnonzero(lowest >= DECIDED_RIGHT)
        if reached.size and (enough is None or undecided[reached[0]] < enough[0]):
            enough = (float(undecided[reached[0]]), low, int(high[reached[0]]))
    _, low, high_end = enough or best
    return _between(sorted_, low, start, threshold), _between(sorted_, high_end, start, threshold)


def _between(ordered: Probabilities, position: int, start: int, threshold: float) -> float:
    if position == start:
        return threshold
    return float(ordered[position]) if position < len(ordered) else 1.0


def _point(
    name: str, threshold: float, answers: OutOfFold, weights: Weights | None = None
) -> OperatingPoint:
    low, high = fit_band(answers.labels, answers.probabilities, threshold, weights)
    criterion = CRITERIA[name] + ("" if weights is None else WEIGHTED)
    point = OperatingPoint(name, threshold, low, high, criterion)
    return replace(point, out_of_fold=estimate_point(answers, point))


def _by_rendering(answers: OutOfFold, points: dict[str, OperatingPoint]) -> RenderingFigures | None:
    if answers.rendering is None:
        return None
    cutoffs = find_cutoffs(answers.labels, answers.rendering)
    threshold, chosen = points[BALANCED].threshold, tuple(points.values())
    return measure_by_rendering(answers, answers.rendering, cutoffs, threshold, chosen)


def _plain(found: OutOfFold, scale: Scale, weights: Weights) -> PlainCalibration:
    """Say what would have come of it if every image counted once.

    Args:
        found: the answers as the networks gave them.
        scale: that the model is calibrated with, in whose probabilities thresholds are given.
        weights: that the scale was fitted with.
    """
    other = fit_scale(found.labels, found.probabilities)
    its = replace(found, probabilities=other.apply(found.probabilities))
    ours = replace(found, probabilities=scale.apply(found.probabilities))
    prevalence = float(found.labels.mean())
    threshold = scale.apply(np.array([other.undo(prevalence)]))
    point = _point(BALANCED, float(threshold[0]), ours)
    return PlainCalibration(
        slope=other.slope,
        intercept=other.intercept,
        out_of_fold=estimate(its, prevalence),
        rendering_balanced=estimate(its, prevalence, weights),
        balanced=PlainPoint(
            threshold=point.threshold,
            low=point.low,
            high=point.high,
            out_of_fold=estimate_point(ours, point),
            rendering_balanced=estimate_point(ours, point, weights),
        ),
    )
