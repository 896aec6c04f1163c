"""Figures to a table for people, and to the JSON behind the tables of docs/performance.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from benchmarks.measure import Figure


def collect(
    figures: Sequence[Figure], machine: dict[str, Any], command: str, **tables: Any
) -> dict[str, Any]:
    """Join what was measured: each key with its value, then the details."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "command": command,
        "machine": machine,
        **{figure.key: figure.value for figure in figures},
        "figures": [asdict(figure) | {"met": figure.met} for figure in figures],
        **tables,
    }


def describe(figures: Sequence[Figure]) -> str:
    """Write the figures for people: value, what is wanted, and the medians with quartiles."""
    lines = []
    for figure in figures:
        wanted = f"{'at least' if figure.at_least else 'at most'} {figure.target:g}"
        mark = "met" if figure.met else "MISSED"
        lines.append(f"{figure.key:26}{figure.value:10.4g}   {wanted:14}{mark}")
        lines += [f"    {name:32}{side} of {side.times}" for name, side in figure.sides.items()]
    return "\n".join(lines)
