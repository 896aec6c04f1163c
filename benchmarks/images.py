"""Radiographs to measure with: the originals of ../shared/data, or drawn where they are missing."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
ORIGINALS = ROOT.parent / "shared" / "data" / "originals"
LARGE = "NORMAL/NORMAL2-IM-0604-0001.jpeg"
LARGE_SIZE = (1700, 1437)
SIZES = (LARGE_SIZE, (1400, 1070), (1184, 728), (856, 592))  # of originals
DRAWN = 24


def source() -> str:
    """Say which images are measured with."""
    return "originals" if ORIGINALS.is_dir() else "drawn"


@cache
def large_jpeg() -> bytes:
    """Give one JPEG of about 1700 pixels."""
    if ORIGINALS.is_dir():
        return (ORIGINALS / LARGE).read_bytes()
    return draw(*LARGE_SIZE)


def draw(width: int, height: int, seed: int = 0) -> bytes:
    """Draw a grey JPEG that weighs about as much as a radiograph: a quarter of a byte a pixel."""
    rng = np.random.default_rng(seed)
    across, down = np.linspace(0, 6, width, dtype=np.float32), np.linspace(0, 5, height)
    pixels = 128 + 60 * np.sin(across) * np.cos(down.astype(np.float32))[:, np.newaxis]
    pixels += rng.standard_normal((height, width), np.float32) * 6
    stream = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(stream, "JPEG", quality=92)
    return stream.getvalue()


def fill(folder: Path, count: int) -> None:
    """Put `count` JPEGs of different sizes into an empty folder, as links to a few."""
    files = sorted(ORIGINALS.rglob("*.jpeg")) or _draw_into(folder.parent / f"{folder.name}-drawn")
    for number in range(count):
        (folder / f"{number:05}.jpeg").symlink_to(files[number % len(files)])


def _draw_into(folder: Path) -> list[Path]:
    folder.mkdir()
    files = [folder / f"{number}.jpeg" for number in range(DRAWN)]
    for number, file in enumerate(files):
        file.write_bytes(draw(*SIZES[number % len(SIZES)], seed=number))
    return files
