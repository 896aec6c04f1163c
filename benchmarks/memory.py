"""Where the memory goes, and whether it stays there."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.images import fill, large_jpeg
from benchmarks.measure import Figure, Quartiles
from benchmarks.processes import ask

EARLY, LATE = 100, 1000
IMAGES = 24


def growth(early: int = EARLY, late: int = LATE) -> Figure:
    """Compare the resident memory after many verdicts with that after some."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "images")
        folder.mkdir()
        fill(folder, IMAGES)
        resident = ask("verdicts", str(folder), str(early), str(late))
    sides = {
        f"after {count} verdicts": Quartiles(megabytes, megabytes, megabytes, 1, "MB")
        for count, megabytes in resident.items()
    }
    value = resident[str(late)] / resident[str(early)] - 1
    what = f"growth of resident memory from {early} to {late} verdicts, as a fraction"
    return Figure("memory_growth_1000", what, value, 0.05, sides=sides)


def steps() -> dict[str, float]:
    """Give the resident memory in MB of the page's process after each step."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, "image.jpeg")
        image.write_bytes(large_jpeg())
        resident: dict[str, float] = ask("where_memory_goes", str(image))
    return resident
