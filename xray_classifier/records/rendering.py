"""What the rendering alone tells of the label, as its JSON says it."""

from __future__ import annotations

from dataclasses import dataclass

from xray_classifier.records.evaluation import Estimate

BANDS = 5


@dataclass(frozen=True)
class RenderingFit:
    """A logistic regression of the label on standardised band energies, finest band first.

    Attributes:
        mean: of each energy on the images that it was fitted to.
        deviation: standard deviation of each, above 0.
        coefficients: of the standardised energies.
        intercept: of the logit of pneumonia.

    Raises:
        ValueError: not five bands, or a deviation that is not above 0.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    coefficients: tuple[float, ...]
    intercept: float

    def __post_init__(self) -> None:
        """Refuse what cannot be applied to the energies of five bands."""
        for name in ("mean", "deviation", "coefficients"):
            if len(getattr(self, name)) != BANDS:
                raise ValueError(
                    f"{name} has {len(getattr(self, name))} values, wanted are {BANDS}"
                )
        if min(self.deviation) <= 0:
            raise ValueError(f"the deviation of a band is {min(self.deviation)}, wanted is above 0")


@dataclass(frozen=True)
class HardCutoffs:
    """Where on the scale of rendering scores the hard images begin.

    Attributes:
        normal: normals with this score or a higher one are hard.
        pneumonia: pneumonias with this score or a lower one are hard.
    """

    normal: float
    pneumonia: float


@dataclass(frozen=True)
class RenderingFacts:
    """The rendering score: how it is computed, and what it was fitted to.

    Attributes:
        data: name of the data set's folder.
        data_sha256: fingerprint of the training images; the hold-out is not among them.
        images: how many.
        patients: of how many.
        folds: of the out-of-fold scores.
        fit: on all of these images.
        cutoffs: found on their out-of-fold scores.
        out_of_fold_auc: of these scores.
    """

    data: str
    data_sha256: str
    images: int
    patients: int
    folds: int
    fit: RenderingFit
    cutoffs: HardCutoffs
    out_of_fold_auc: Estimate
