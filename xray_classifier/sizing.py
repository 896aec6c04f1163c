"""How long an archive takes, from the speed that was measured, for the README."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ARCHIVE = Path(__file__).parents[1] / "benchmarks" / "archive.json"
ARCHIVES = (1_000_000, 100_000_000)
CORES = (2, 16, 64, 256, 1024)


def archive_table(path: Path = ARCHIVE) -> str:
    """Write what `python -m benchmarks.archive` measured, and what follows from it, as Markdown."""
    if not path.exists():
        return "Not measured yet."
    found = json.loads(path.read_text(encoding="utf-8"))
    engines = found["engines"]
    local = engines["local"]["images_per_second"]
    lines = [["engine", "images/s", "of local"], ["---"] * 3]
    for name, measured in engines.items():
        rate = measured["images_per_second"]
        lines.append([name, f"{rate:.1f}", f"{rate / local:.2f}"])
    machine = (
        f"{found['images']} images, model `{found['model']}` with gate, on {found['cores']} cores "
        f"({found['cpu']}), {found['date']}, `{found['command']}`."
    )
    return f"{_table(lines)}\n\n{machine}\n\n{sizing_table(rate_of_a_core(engines))}"


def rate_of_a_core(engines: dict[str, Any]) -> float:
    """Give the images per second of one worker beside the most others that were measured."""
    most = max((one for one in engines.values() if one["workers"]), key=lambda one: one["workers"])
    return float(most["images_per_second"] / most["workers"])


def sizing_table(rate: float) -> str:
    """Write the time for large archives: images / (cores * rate).

    Args:
        rate: images per second of one core.
    """
    heading = ["cores", *(f"{images:,} images" for images in ARCHIVES)]
    lines = [
        [str(cores), *(_time(images / (cores * rate)) for images in ARCHIVES)] for cores in CORES
    ]
    return _table([heading, ["---"] * 3, *lines])


def _time(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds / 60:.0f} minutes"


def _table(lines: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
