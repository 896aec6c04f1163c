"""Out-of-fold answers to calibrated probabilities, operating points and uncertain bands.

Nothing here ever sees a test image: the answers come from `cross_validation`.

Where their table tells how images are rendered, calibration and the point `balanced` with its band
are fitted to answers weighted so that rendering tells nothing of the label (`rendering.score`).
Else part of a probability would mean "so ill children are rendered here", which no other hospital
confirms. It costs on patients like those of the training: a larger loss and calibration error there
for smaller ones where rendering misleads. Numbers that are too sure where it misleads do more harm
than ones that are not sure enough where it helps. What every image counted once would give is
recorded, and the model card shows both.

`screening` and `confirming` keep what they promise on patients as they are. So do their bands: with
weights, the tenth that may be left undecided would be used up by the hard images, and fewer of the
decided ones would be right.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from xray_classifier.calibration.etiology import calibrate_etiology
from xray_classifier.calibration.out_of_fold import OutOfFold, read_out_of_fold
from xray_classifier.calibration.points import WEIGHTED, fit_points, point_of
from xray_classifier.calibration.scaling import Scale, fit_scale, fold_into_last_layer
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.evaluation.metrics import Weights, estimate, estimate_point
from xray_classifier.evaluation.rendering import measure_by_rendering
from xray_classifier.files import sha256_of
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.keras_network import keras_model
from xray_classifier.models.loading import KERAS, describe_model, load_classifier
from xray_classifier.models.operating_point import BALANCED, OperatingPoint
from xray_classifier.models.saving import save_model
from xray_classifier.models.spec import write_spec
from xray_classifier.records.evaluation import RenderingFigures
from xray_classifier.records.training import CalibrationFacts, PlainCalibration, PlainPoint
from xray_classifier.rendering.score import balanced_weights, find_cutoffs

METHOD = "Platt scaling on out-of-fold answers{}, put into the last layer"


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
            sigmoid unit for each of its answers.
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
    second = calibrate_etiology(found) if len(spec.answers) > 1 else None
    network = keras_model(classifier.network)
    fold_into_last_layer(network, scale, *([second.scale] if second else []))
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
        etiology=second.facts if second else None,
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
    point = point_of(BALANCED, float(threshold[0]), ours)
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
