"""An operating point: where on the scale of probabilities the verdicts change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

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
        out_of_fold: what it gave on the patients it was fitted to, each figure as
            [value, low, high] with its 95 % interval.

    Raises:
        ValueError: not 0 <= low <= threshold <= high <= 1.
    """

    name: str
    threshold: float
    low: float
    high: float
    criterion: str = ""
    out_of_fold: Mapping[str, Any] = field(default_factory=dict)

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

    @classmethod
    def from_json(cls, name: str, values: Mapping[str, Any]) -> Self:
        """Read a point as `to_json` wrote it.

        Raises:
            ValueError: something is missing or is no number.
        """
        try:
            low, high = (float(end) for end in values["band"])
            threshold = float(values["threshold"])
            return cls(name, threshold, low, high, values["criterion"], values["out_of_fold"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"Operating point {name} is incomplete: {error!r}.") from error

    def to_json(self) -> dict[str, Any]:
        """Give what the model's JSON holds of this point, under its name."""
        return {
            "threshold": self.threshold,
            "band": [self.low, self.high],
            "criterion": self.criterion,
            "out_of_fold": dict(self.out_of_fold),
        }
