"""Figures and tables as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from xray_classifier.evaluation.metrics import wilson_interval
from xray_classifier.percent import as_percent
from xray_classifier.records.evaluation import Estimate

NOT_YET = "Not measured yet."


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def percents(figure: Estimate) -> str:
    """Write a figure with its interval as percentages.

    >>> percents(Estimate(0.912, 0.901, 0.923))
    '91.2 % (90.1 % to 92.3 %)'
    """
    return f"{as_percent(figure.value)} ({as_percent(figure.low)} to {as_percent(figure.high)})"


def decimals(figure: Estimate | None, digits: int = 3) -> str:
    """Write a figure with its interval as decimal fractions; "-" if it was not measured."""
    if figure is None:
        return "-"
    return f"{figure.value:.{digits}f} ({figure.low:.{digits}f} to {figure.high:.{digits}f})"


def proportion(count: int, n: int) -> str:
    """Write a proportion as percentages, with Wilson's interval."""
    return percents(Estimate(count / n, *wilson_interval(count, n)))
