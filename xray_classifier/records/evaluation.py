"""What `evaluate` measures of a model on one data set.

Figures are fractions in [0, 1] unless they say otherwise; an optional one is None where it was not
measured. The classes are the objects of the JSON files beside the models, under the same names.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval, which resamples patients unless something else is said."""

    value: float
    low: float
    high: float

    def complement(self) -> Estimate:
        """Give what is left to 1, such as the false alarms that a specificity leaves."""
        return Estimate(1 - self.value, 1 - self.high, 1 - self.low)


@dataclass(frozen=True)
class Confusion:
    """Numbers of images by what they are and what they were called."""

    true_normal: int
    false_pneumonia: int
    false_normal: int
    true_pneumonia: int

    @property
    def normals(self) -> int:
        """How many images are normal."""
        return self.true_normal + self.false_pneumonia

    @property
    def pneumonias(self) -> int:
        """How many images show pneumonia."""
        return self.false_normal + self.true_pneumonia

    @property
    def right(self) -> int:
        """How many images were called what they are."""
        return self.true_normal + self.true_pneumonia

    @property
    def rows(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """A row for each true label, a column for each verdict, both in the order of `LABELS`."""
        return (
            (self.true_normal, self.false_pneumonia),
            (self.false_normal, self.true_pneumonia),
        )


@dataclass(frozen=True)
class Figures:
    """What a classifier reaches with forced verdicts.

    Attributes:
        loss: mean binary cross-entropy in nats, from 0 on.
        accuracy: of all verdicts.
        sensitivity: accuracy on pneumonias.
        specificity: accuracy on normals.
        auc: area under the ROC curve.
        brier: mean squared error of the probability.
        ece: expected calibration error over 15 bins of equal mass.
    """

    loss: Estimate
    accuracy: Estimate
    sensitivity: Estimate
    specificity: Estimate
    auc: Estimate
    brier: Estimate | None = None
    ece: Estimate | None = None


@dataclass(frozen=True)
class PointFigures:
    """What an operating point gives.

    Attributes:
        accuracy: of forced verdicts, as sensitivity and specificity.
        sensitivity: accuracy on pneumonias.
        specificity: accuracy on normals.
        undecided: fraction within the uncertain band.
        decided_right: accuracy outside of the band.
    """

    accuracy: Estimate
    sensitivity: Estimate
    specificity: Estimate
    undecided: Estimate
    decided_right: Estimate


def named_estimates(figures: Figures | PointFigures) -> dict[str, Estimate]:
    """Give the figures that were measured by their names, in a fixed order."""
    values = ((entry.name, getattr(figures, entry.name)) for entry in fields(figures))
    return {name: value for name, value in values if value is not None}


@dataclass(frozen=True)
class Subgroup:
    """What a classifier reaches on a part of the pneumonias, with all normals."""

    images: int
    sensitivity: Estimate
    auc: Estimate


@dataclass(frozen=True)
class EtiologyFigures:
    """What a model's second answer reaches on pneumonias of known etiology, called so or not.

    Attributes:
        images: how many.
        bacterial: how many of them are bacterial.
        patients: of these images.
        auc: of bacterial against viral.
        point: with bacterial in the place of pneumonia, viral in that of normal.
    """

    images: int
    bacterial: int
    patients: int
    auc: Estimate
    point: PointFigures


@dataclass(frozen=True)
class GateCounts:
    """How many images the gate would have rejected or flagged, and the names of the rejected."""

    rejected: int
    flagged: int
    rejected_files: tuple[str, ...]


@dataclass(frozen=True)
class Misjudged:
    """A file whose forced verdict is wrong: its name, its true label, the model's probability."""

    file: str
    label: str
    probability: float


@dataclass(frozen=True)
class RocPoint:
    """A point of the ROC curve."""

    false_positive_rate: float
    true_positive_rate: float


@dataclass(frozen=True)
class ReliabilityPoint:
    """A bin of probabilities: their mean, the fraction with pneumonia, the weight of its images."""

    predicted: float
    observed: float
    images: float


@dataclass(frozen=True)
class CoveragePoint:
    """The fraction of images that is decided, and the fraction of these that is right."""

    decided: float
    right: float


@dataclass(frozen=True)
class Curves:
    """What the model page draws."""

    roc: tuple[RocPoint, ...]
    reliability: tuple[ReliabilityPoint, ...]
    coverage: tuple[CoveragePoint, ...]


@dataclass(frozen=True)
class Difference:
    """The figures of one model less those of another one, from -1 to 1, paired by patient."""

    accuracy: Estimate
    sensitivity: Estimate
    specificity: Estimate
    auc: Estimate


@dataclass(frozen=True)
class Comparison:
    """How a model compares with another one, `model`, on the same images."""

    model: str
    difference: Difference
    mcnemar_p: float
    delong_p: float


@dataclass(frozen=True)
class SpoiltFigures:
    """What a classifier reaches on images that were all spoilt alike, as far as `level` says."""

    level: float
    accuracy: Estimate
    auc: Estimate


@dataclass(frozen=True)
class HardFigures:
    """What a classifier reaches on images whose rendering speaks for the other class.

    Attributes:
        normals: how many are rendered as most pneumonias are.
        pneumonias: how many are rendered as most normals are.
        specificity: on these normals; None where there are none.
        sensitivity: on these pneumonias; None where there are none.
        accuracy: on both; None where a class is missing.
        auc: of one against the other; None where a class is missing.
        operating_points: what each of the model's points gave on both, by its name; none where a
            class is missing.
    """

    normals: int
    pneumonias: int
    specificity: Estimate | None = None
    sensitivity: Estimate | None = None
    accuracy: Estimate | None = None
    auc: Estimate | None = None
    operating_points: dict[str, PointFigures] = field(default_factory=dict)


@dataclass(frozen=True)
class RenderingFigures:
    """What a classifier reaches where the rendering of the picture does not help it.

    Attributes:
        rendering_auc: of the rendering score alone, on these images.
        balanced_rendering_auc: the same once images are weighted; .5 if rendering tells nothing.
        hard: on the images whose rendering speaks for the other class.
        effective_images: how many of equal weight would tell as much as the weighted ones.
        balanced: on all images, weighted so that rendering tells nothing.
        operating_points: what each of the model's points gave on these, by its name.
    """

    rendering_auc: Estimate
    balanced_rendering_auc: Estimate
    hard: HardFigures
    effective_images: float
    balanced: Figures
    operating_points: dict[str, PointFigures] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluationReport:
    """What `evaluate` measured of a model on one data set.

    Attributes:
        images: how many.
        patients: of how many.
        data_sha256: fingerprint of the images.
        threshold: of the forced verdicts.
        confusion: of the forced verdicts.
        figures: with the threshold.
        operating_points: what each of the model's points gave, by its name.
        etiology: bacterial and viral pneumonia apart, where file names tell.
        bacterial_or_viral: the model's second answer; None where it gives none that is good enough
            to be shown, or file names do not tell of both kinds.
        byte_size_auc: AUC of the size of the files alone.
        gate: what the gate makes of the images; the figures are without it.
        errors: what is judged wrongly; None where it was not listed.
        curves: to draw.
        compared: with a baseline model.
        robustness: on ever more spoilt images, by what was changed.
        rendering: where rendering does not help; None where there was no rendering score.
    """

    images: int
    patients: int
    data_sha256: str
    threshold: float
    confusion: Confusion
    figures: Figures
    operating_points: dict[str, PointFigures] = field(default_factory=dict)
    etiology: dict[str, Subgroup] = field(default_factory=dict)
    bacterial_or_viral: EtiologyFigures | None = None
    byte_size_auc: float | None = None
    gate: GateCounts | None = None
    errors: tuple[Misjudged, ...] | None = None
    curves: Curves | None = None
    compared: Comparison | None = None
    robustness: dict[str, tuple[SpoiltFigures, ...]] = field(default_factory=dict)
    rendering: RenderingFigures | None = None
