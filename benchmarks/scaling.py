"""How time and memory grow with the number of images and with their size."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.images import draw, fill
from benchmarks.measure import Figure, Quartiles, quartiles
from benchmarks.processes import ask
from xray_classifier.errors import UnreadableImageError
from xray_classifier.inputs.decoding import decode
from xray_classifier.models.loading import DEFAULT_MODEL

COUNTS = (1, 10, 100, 500, 1000, 5000, 10_000)
SMALL, LARGE = 500, 5000
SIDES = (200, 500, 1000, 2000, 4000, 8000)
OVER_LIMIT = 8001


def by_count(counts: tuple[int, ...] = COUNTS) -> list[dict[str, Any]]:
    """Score folders of growing size with the default model and the gate."""
    found = []
    for count in counts:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary, "images")
            folder.mkdir()
            fill(folder, count)
            found.append(ask("folder_peak", str(folder), DEFAULT_MODEL))
    return found


def by_side(sides: tuple[int, ...] = SIDES) -> list[dict[str, Any]]:
    """Judge drawn squares of growing size."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, "image.jpeg")
        for side in sides:
            image.write_bytes(draw(side, side))
            answer = ask("image_peak", str(image))
            median = quartiles(answer["seconds"]).median
            found.append({"side": side, "ms": median, "peak_mb": answer["peak_mb"]})
    return found


def beyond_limit(side: int = OVER_LIMIT) -> str:
    """Give the message for an image above the one pixel limit."""
    stream = io.BytesIO()
    Image.new("L", (side, side)).save(stream, "PNG")
    try:
        decode(stream.getvalue())
    except UnreadableImageError as error:
        return str(error)
    raise RuntimeError(f"An image of {side} x {side} pixels was not refused.")


def flatness(found: list[dict[str, Any]], small: int = SMALL, large: int = LARGE) -> Figure:
    """Compare the peak memory for a large folder with that for a small one."""
    peaks = {entry["images"]: entry["peak_mb"] for entry in found}
    sides = {
        f"{count} images": Quartiles(peaks[count], peaks[count], peaks[count], 1, "MB")
        for count in (large, small)
    }
    what = f"peak memory for a folder of {large} images over that of {small}"
    return Figure("folder_peak_5000_over_500", what, peaks[large] / peaks[small], 1.1, sides=sides)
