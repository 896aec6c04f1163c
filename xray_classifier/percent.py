"""The one way to write a percentage."""

from __future__ import annotations


def as_percent(fraction: float, digits: int = 1) -> str:
    """Write a fraction for people.

    >>> as_percent(0.9123)
    '91.2 %'
    >>> as_percent(0.05, 0)
    '5 %'
    """
    return f"{100 * fraction:.{digits}f} %"
