"""Timing in turns, and what comes of it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Quartiles:
    """What one side took.

    Attributes:
        median: in `unit`.
        low: the lower quartile.
        high: the upper quartile.
        times: how often it was measured.
        unit: of the three.
    """

    median: float
    low: float
    high: float
    times: int
    unit: str = "ms"

    def __str__(self) -> str:
        return f"{self.median:.4g} {self.unit} ({self.low:.4g} to {self.high:.4g})"


@dataclass(frozen=True)
class Figure:
    """One measured figure and what is wanted of it.

    Attributes:
        key: its name in the JSON.
        what: in words.
        value: a ratio, or in the unit that `what` names.
        target: reached if the value is at most this, or at least this.
        at_least: which of both.
        sides: what was compared, by name.
    """

    key: str
    what: str
    value: float
    target: float
    at_least: bool = False
    sides: dict[str, Quartiles] = field(default_factory=dict)

    @property
    def met(self) -> bool:
        """Whether the value is what is wanted."""
        return self.value >= self.target if self.at_least else self.value <= self.target


def take_turns(
    sides: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 2
) -> dict[str, list[float]]:
    """Time each side once a round, after some rounds that do not count.

    Returns:
        Seconds for each round, by side.
    """
    return ask_in_turns(
        {name: partial(_seconds, side) for name, side in sides.items()}, rounds, warm_up
    )


def ask_in_turns(
    sides: Mapping[str, Callable[[], T]], rounds: int, warm_up: int
) -> dict[str, list[T]]:
    """Ask each side once a round for what it measured, after some rounds that do not count."""
    found: dict[str, list[T]] = {name: [] for name in sides}
    for number in range(-warm_up, rounds):
        for name, side in sides.items():
            answer = side()
            if number >= 0:
                found[name].append(answer)
    return found


def _seconds(side: Callable[[], object]) -> float:
    start = time.perf_counter()
    side()
    return time.perf_counter() - start


def quartiles(values: Sequence[float], unit: str = "ms", scale: float = 1e3) -> Quartiles:
    """Give median and quartiles; `scale` turns the values, seconds as a rule, into the unit."""
    scaled = [scale * value for value in values]
    low, median, high = (
        statistics.quantiles(scaled, n=4, method="inclusive") if len(scaled) > 1 else scaled * 3
    )
    return Quartiles(median, low, high, len(scaled), unit)


def ratio(above: Quartiles, below: Quartiles) -> float:
    """Divide the medians."""
    return above.median / below.median
