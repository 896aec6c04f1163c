"""What benchmarks and long tests wrote down, as tables of the README."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xray_classifier.paths import REPOSITORY

BENCHMARKS = REPOSITORY / "benchmarks" / "results.json"
HARDNESS = REPOSITORY / "tests" / "measured.json"
_MISSING = "Not measured yet."


def benchmarks_table(path: Path = BENCHMARKS) -> str:
    """Write what `python -m benchmarks --json` measured as Markdown.

    Figures, memory, the growth with number and size if it was measured, and the machine.
    """
    if not path.exists():
        return _MISSING
    found = json.loads(path.read_text(encoding="utf-8"))
    memory = ", ".join(f"{step} {size:.0f}" for step, size in found["memory_mb"].items())
    steps = f"Resident memory in MB after each step: {memory}."
    growth = _growth(found) if "by_count" in found else []
    return "\n\n".join([_figures(found["figures"]), steps, *growth, _machine(found)])


def hardness_table(path: Path = HARDNESS) -> str:
    """Write what `pytest -m long --measured` measured as Markdown: figures, waits, machine."""
    if not path.exists():
        return _MISSING
    found = json.loads(path.read_text(encoding="utf-8"))
    parts = [_figures(found["figures"])]
    if "waits" in found:  # not if only some of the long tests ran
        waits = "; ".join(f"{which} {seconds:.1f}" for which, seconds in found["waits"].items())
        parts.append(f"Seconds from upload to verdict with all of them at once: {waits}.")
    load = f"Other work on the machine before: a load of {found['machine']['load_before']:g}."
    return "\n\n".join([*parts, f"{_machine(found)} {load}"])


def _figures(figures: Sequence[dict[str, Any]]) -> str:
    lines = [["what", "measured", "wanted", "medians (quartiles)"], ["---"] * 4]
    for figure in figures:
        wanted = f"{'at least' if figure['at_least'] else 'at most'} {_number(figure['target'])}"
        value = _number(figure["value"])
        sides = "; ".join(_side(name, side) for name, side in figure["sides"].items())
        lines.append([figure["what"], value if figure["met"] else f"**{value}**", wanted, sides])
    return _table(lines)


def _growth(found: dict[str, Any]) -> list[str]:
    by_count = [
        ["images in a folder", "seconds without the start", "images a second", "peak memory in MB"]
    ]
    by_count += [["---"] * 4]
    for row in found["by_count"]:
        rate = f"{row['images'] / row['seconds']:.1f}"
        numbers = [f"{row['images']:,}", f"{row['seconds']:.1f}", rate, f"{row['peak_mb']:.0f}"]
        by_count.append(numbers)
    by_side = [["one image of", "ms", "peak memory in MB"], ["---"] * 3]
    for row in found["by_side"]:
        size = f"{row['side']:,} x {row['side']:,}"
        by_side.append([size, f"{row['ms']:.0f}", f"{row['peak_mb']:.0f}"])
    (message,) = found["beyond_limit"]
    return [_table(by_count), _table(by_side), f"Above the limit: *{message}*"]


def _table(lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _side(name: str, side: dict[str, Any]) -> str:
    quartiles = f" ({_number(side['low'])} to {_number(side['high'])})" if side["times"] > 1 else ""
    return f"{name} {_number(side['median'])}{quartiles} {side['unit']}"


def _machine(found: dict[str, Any]) -> str:
    machine = found["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"Measured on {found['date']} by `{found['command']}`: {machine['cpu']}, "
        f"{machine['cores']} cores, {machine['memory_gb']:g} GB; {versions}. In bold: missed."
    )
