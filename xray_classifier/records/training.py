"""How a model was made, as its JSON says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xray_classifier.records.evaluation import Estimate, Figures, PointFigures, RenderingFigures


@dataclass(frozen=True)
class ImageSize:
    """Width and height in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width} x {self.height}"


@dataclass(frozen=True)
class TrainingFacts:
    """What a model was trained on, and how.

    Attributes:
        date: of the end, as 2026-11-24.
        data: name of the data set's folder.
        median_source_size: of the training images as they lie in their files.
        seed: of weights, order and augmentation.
        split_seed: of the choice of the validation patients.
        training_images: by label.
        validation_images: by label.
        training_sha256: fingerprint of the training images.
        validation_sha256: fingerprint of the validation images.
        recipe: the settings by name, in words, numbers and mappings of such.
        epochs: how many there were.
        shipped_epoch: whose weights are in the file, counted from 1.
        figures_of_that_epoch: as Keras logged them.
        versions: of program, Python and libraries.
        recipe_name: as `train` calls it.
        at_full_resolution: how many of the training images were there so, too.
        networks: of a model that averages several: how each was trained.
    """

    date: str
    data: str
    median_source_size: ImageSize
    seed: int
    split_seed: int
    training_images: dict[str, int]
    validation_images: dict[str, int]
    training_sha256: str
    validation_sha256: str
    recipe: dict[str, Any]
    epochs: int
    shipped_epoch: int
    figures_of_that_epoch: dict[str, float]
    versions: dict[str, str]
    recipe_name: str | None = None
    at_full_resolution: int = 0
    networks: tuple[TrainingFacts, ...] = ()


@dataclass(frozen=True)
class PlainPoint:
    """The point `balanced` as it would be if every image counted once, on the model's own scale.

    Attributes:
        threshold: as an `OperatingPoint` has it, as low and high.
        low: lower end of the uncertain band.
        high: its upper end.
        out_of_fold: what it gives on all patients.
        rendering_balanced: what it gives on them, weighted so that rendering tells nothing.
    """

    threshold: float
    low: float
    high: float
    out_of_fold: PointFigures
    rendering_balanced: PointFigures


@dataclass(frozen=True)
class PlainCalibration:
    """What would have come of the same answers if every image counted once.

    Attributes:
        slope: of the logit.
        intercept: of the logit.
        out_of_fold: what answers calibrated so reach on all patients.
        rendering_balanced: what they reach, weighted so that rendering tells nothing.
        balanced: the point that would be chosen.
    """

    slope: float
    intercept: float
    out_of_fold: Figures
    rendering_balanced: Figures
    balanced: PlainPoint


LEAST_AUC = 0.85
"""A second answer that tells bacterial from viral less well is measured, but not shown."""


@dataclass(frozen=True)
class EtiologyFacts:
    """How a model's second answer, bacterial or viral, was calibrated on pneumonias, out of fold.

    Attributes:
        slope: of the logit.
        intercept: of the logit.
        images: pneumonias of known etiology.
        patients: of these images.
        threshold: bacterial is said from this probability on: the fraction of bacterial ones.
        low: lower end of the uncertain band.
        high: its upper end.
        auc: of bacterial against viral.
        out_of_fold: with bacterial in the place of pneumonia, viral in that of normal.
    """

    slope: float
    intercept: float
    images: int
    patients: int
    threshold: float
    low: float
    high: float
    auc: Estimate
    out_of_fold: PointFigures

    @property
    def shown(self) -> bool:
        """Whether it tells the two apart well enough to be said of a patient's radiograph."""
        return self.auc.value >= LEAST_AUC


@dataclass(frozen=True)
class CalibrationFacts:
    """How a model's probabilities were calibrated, and on what.

    Attributes:
        method: in words.
        slope: of the logit.
        intercept: of the logit.
        images: whose answers were used.
        patients: of these images.
        folds: of the cross-validation that gave the answers.
        answers_sha256: of the file with the answers.
        out_of_fold: what the calibrated answers reach on all patients.
        rendering: what they reach where rendering does not help; None where the table of answers
            did not tell how the images are rendered.
        plain: the other way, where answers were weighted so that rendering tells nothing; None
            where every image counted once.
    """

    method: str
    slope: float
    intercept: float
    images: int
    patients: int
    folds: int
    answers_sha256: str
    out_of_fold: Figures
    rendering: RenderingFigures | None = None
    plain: PlainCalibration | None = None
