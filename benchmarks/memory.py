"""Where the memory goes, and whether it stays there."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.images import fill, large_jpeg
from benchmarks.measure import Figure, Quartiles
from benchmarks.processes import RUNTIMES, ask

EARLY, LATE = 100, 1000
IMAGES = 24


def growth(early: int = EARLY, late: int = LATE) -> Figure:
    """Compare the resident memory after many verdicts with that after some."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "images")
        folder.mkdir()
        fill(folder, IMAGES)
        resident = {
            side: ask("verdicts", str(folder), str(early), str(late), runtime=runtime)
            for side, runtime in RUNTIMES.items()
        }
    sides = {
        f"{side}, after {count} verdicts": Quartiles(megabytes, megabytes, megabytes, 1, "MB")
        for side, found in resident.items()
        for count, megabytes in found.items()
    }
    value = resident["ours"][str(late)] / resident["ours"][str(early)] - 1
    what = f"growth of resident memory from {early} to {late} verdicts, as a fraction"
    return Figure("memory_growth_1000", what, value, 0.05, sides=sides)


def steps() -> dict[str, dict[str, float]]:
    """Give the resident memory in MB of the page's process after each step, on both sides."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, "image.jpeg")
        image.write_bytes(large_jpeg())
        resident = {
            side: ask("where_memory_goes", str(image), runtime=runtime)
            for side, runtime in RUNTIMES.items()
        }
    return {
        step: {side: found[step] for side, found in resident.items()} for step in resident["ours"]
    }
