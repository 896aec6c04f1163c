"""How long an archive takes, from the speed that was measured, for the README."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from xray_classifier.paths import REPOSITORY

ARCHIVE = REPOSITORY / "benchmarks" / "archive.json"
ARCHIVES = (1_000_000, 100_000_000)
WANTED = 0.8
CORES = (2, 16, 64, 256, 1024)


def archive_table(path: Path = ARCHIVE) -> str:
    """Write what `python -m benchmarks.archive` measured, and what follows from it, as Markdown."""
    if not path.exists():
        return "Not measured yet."
    found = json.loads(path.read_text(encoding="utf-8"))
    engines = found["engines"]
    local = engines["local"]["images_per_second"]
    one = next(each["images_per_second"] for each in engines.values() if each["workers"] == 1)
    lines = [["engine", "images/s", "of local", "of one worker"], ["---"] * 4]
    for name, measured in engines.items():
        rate = measured["images_per_second"]
        of_one = f"{rate / one:.2f}" if measured["workers"] else ""
        lines.append([name, f"{rate:.1f}", f"{rate / local:.2f}", of_one])
    machine = (
        f"{found['images']} images, model `{found['model']}` with gate, on {found['cores']} cores "
        f"({found['cpu']}), {found['date']}, `{found['command']}`."
    )
    rate = rate_of_a_core(engines)
    wanted = f"Wanted of Ray with a worker for each core: at least {WANTED:g} of local."
    return f"{_table(lines)}\n\n{wanted} {machine}\n\n{sizing_table(rate)}"


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
