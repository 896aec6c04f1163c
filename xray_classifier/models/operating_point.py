"""An operating point: where on the scale of probabilities the verdicts change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from xray_classifier.records.evaluation import PointFigures

BALANCED, SCREENING, CONFIRMING = "balanced", "screening", "confirming"
FIXED = "fixed"
"""The one point of a model for which none were fitted: its threshold, and no uncertain band."""


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold and the band around it that is left to a human.

    Attributes:
        name: "balanced", "screening", "confirming" or "fixed".
        threshold: a forced verdict is "pneumonia" at this probability or above.
        low: below it the verdict is "normal".
        high: at or above it the verdict is "pneumonia"; from low to here "uncertain".
        criterion: by what the threshold was chosen, for people.
        out_of_fold: what it gave on the patients it was fitted to; None where none were.

    Raises:
        ValueError: not 0 <= low <= threshold <= high <= 1.
    """

    name: str
    threshold: float
    low: float
    high: float
    criterion: str = ""
    out_of_fold: PointFigures | None = None

    def __post_init__(self) -> None:
        """Refuse a band that does not hold its threshold."""
        if not 0 <= self.low <= self.threshold <= self.high <= 1:
            raise ValueError(
                f"The band of operating point {self.name} goes from {self.low} to {self.high}; it "
                f"must hold the threshold {self.threshold} and lie between 0 and 1."
            )

    @classmethod
    def fixed(cls, threshold: float) -> Self:
        """Make the only point of a model for which none were fitted."""
        return cls(FIXED, threshold, threshold, threshold, "fixed before training")
