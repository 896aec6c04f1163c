"""What the checks beyond `evaluate` found of a model: stress, heatmaps, seeds; and of the gate.

Each report is a file of its own beside the models, in the folder that is named here; what the gate
reaches stands in its own JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xray_classifier.records.evaluation import Estimate, Figures

OTHER_RENDERING = "rendering of the other class"
"""What `stress` calls the change that renders a radiograph as one of the other class is."""


@dataclass(frozen=True)
class Change:
    """What a change of the pictures did to a model's answers.

    Attributes:
        mean_change: mean absolute change of the probability.
        verdicts_changed: fraction of the forced verdicts that turned.
        auc: on the changed pictures.
    """

    mean_change: Estimate
    verdicts_changed: Estimate
    auc: Estimate


@dataclass(frozen=True)
class ResolutionChange:
    """What full resolution changed, and on how many images."""

    images: int
    change: Change


@dataclass(frozen=True)
class StressReport:
    """What `stress` measured.

    Attributes:
        model: its name.
        sha256: of the model file.
        threshold: of the forced verdicts.
        data: data set and split, as chest_xray/holdout.
        data_sha256: fingerprint of the images.
        images: how many.
        auc: on the pictures as they are.
        perturbations: by what was changed; the lungs were left as they are.
        border_alone: AUC with nothing of a lung left; .5 for a model that looks at lungs only.
        full_resolution: None where it was not compared with.
    """

    folder: ClassVar = "stress"

    model: str
    sha256: str
    threshold: float
    data: str
    data_sha256: str
    images: int
    auc: Estimate
    perturbations: dict[str, Change]
    border_alone: dict[str, Estimate]
    full_resolution: ResolutionChange | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The sha256 of each model file that was measured."""
        return (self.sha256,)


@dataclass(frozen=True)
class Drops:
    """How far a score fell, in the median over images, when a part of the picture was deleted.

    Attributes:
        hottest: the hottest part of the heatmap.
        random: patches of the same shape elsewhere.
        other_image: what is hottest in another picture.
        p: of Wilcoxon's signed-rank test, paired and one-sided: hottest above random.
        p_other_image: the same, hottest above other_image.
        images_hottest_above_random: fraction of the images.
    """

    hottest: float
    random: float
    other_image: float
    p: float
    p_other_image: float
    images_hottest_above_random: float


@dataclass(frozen=True)
class DeletionTest:
    """Whether deleting what a heatmap shows as hottest lowers the score.

    Attributes:
        fraction: of the pixels that is deleted.
        patches: random places for each image.
        logit: drops of the logit.
        probability: drops of the probability.
        passed: both fall more than by deleting elsewhere.
    """

    fraction: float
    patches: int
    logit: Drops
    probability: Drops
    passed: bool


@dataclass(frozen=True)
class Likeness:
    """How alike heatmaps are, in the median over images.

    Attributes:
        rank_correlation: Spearman's, from -1 to 1.
        ssim: structural similarity, from -1 to 1.
        blank: how many of the other heatmaps are 0 everywhere.
    """

    rank_correlation: float
    ssim: float
    blank: int


@dataclass(frozen=True)
class CascadeStep:
    """What is left of heatmaps once all layers from the last down to one are randomised."""

    down_to: str
    likeness: Likeness


@dataclass(frozen=True)
class RandomisationTest:
    """Whether heatmaps are lost when the network's weights are randomised.

    Attributes:
        other_image: likeness to the heatmap of another picture, for comparison.
        all_layers: with all weights randomised, once for each draw.
        cascade: from the last layers to the first.
        passed: no likeness is left.
    """

    other_image: Likeness
    all_layers: tuple[Likeness, ...]
    cascade: tuple[CascadeStep, ...]
    passed: bool


@dataclass(frozen=True)
class ExplanationReport:
    """What `explain-check` measured.

    Attributes:
        model: its name.
        sha256: of the model file.
        method: of the heatmaps.
        images: how many, of as many patients.
        deletion_test: the first check.
        parameter_randomisation_test: the second check.
        passed: whether both were.
    """

    folder: ClassVar = "explanations"

    model: str
    sha256: str
    method: str
    images: int
    deletion_test: DeletionTest
    parameter_randomisation_test: RandomisationTest
    passed: bool

    @property
    def files(self) -> tuple[str, ...]:
        """The sha256 of each model file that was measured."""
        return (self.sha256,)


@dataclass(frozen=True)
class SeedRun:
    """A model that was trained with one of the seeds: its file, and what it reaches."""

    sha256: str
    figures: Figures


@dataclass(frozen=True)
class SeedsReport:
    """What `seeds` measured: models that differ in their seed only, by seed."""

    folder: ClassVar = "seeds"

    images: int
    data_sha256: str
    seeds: dict[str, SeedRun]

    @property
    def files(self) -> tuple[str, ...]:
        """The sha256 of each model file that was measured."""
        return tuple(run.sha256 for run in self.seeds.values())


@dataclass(frozen=True)
class GateShares:
    """What the gate did with images of one kind.

    Attributes:
        images: how many.
        rejected: fraction that it refused.
        outside_population: fraction that it let through with a warning.
    """

    images: int
    rejected: float
    outside_population: float
