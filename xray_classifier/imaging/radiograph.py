"""A decoded radiograph, and how large one may be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xray_classifier.errors import UnreadableImageError

GreyImage = NDArray[np.uint8]
"""The pixels of a radiograph: shape (height, width), uint8, 0 = black."""

MAX_PIXELS = 64_000_000  # 8000 x 8000; radiographs have at most about 4300 x 4300
MIN_SIDE = 32
MAX_SCANNED = 640_000_000  # pixels times scans; a progressive JPEG has about ten scans
_SCAN = b"\xff\xda"  # begins a scan of a JPEG; within one, 0 follows every 0xFF


@dataclass(frozen=True)
class Radiograph:
    """What a file holds.

    Attributes:
        image: shape (height, width), uint8, upright, 0 = black.
        warnings: code words of `cautions` for what a reader of a verdict should know.
    """

    image: GreyImage
    warnings: tuple[str, ...] = ()


def check_extent(width: int, height: int) -> None:
    """Refuse an image that is too large to be decoded or too small to show a chest.

    Raises:
        UnreadableImageError: over `MAX_PIXELS` in all, or a side under `MIN_SIDE`.
    """
    if width * height > MAX_PIXELS:
        raise UnreadableImageError(too_many_pixels(f"{width} x {height}"))
    if min(width, height) < MIN_SIDE:
        raise UnreadableImageError(
            f"The image has {width} x {height} pixels; at least {MIN_SIDE} x {MIN_SIDE} are "
            "needed to show a chest. Upload the radiograph in its original size."
        )


def check_scans(stream: bytes, pixels: int) -> None:
    """Refuse a JPEG of so many scans that decoding takes minutes: each costs as much as all.

    Raises:
        UnreadableImageError: scans times pixels over `MAX_SCANNED`.
    """
    scans = stream.count(_SCAN)
    if scans * pixels > MAX_SCANNED:
        raise UnreadableImageError(
            f"The JPEG image is stored in {scans} scans, which would take too long to decode. "
            "Save it as plain JPEG or PNG."
        )


def too_many_pixels(extent: str) -> str:
    """Say that an image is too large to be decoded."""
    return (
        f"The image has {extent} pixels; the limit is {MAX_PIXELS // 1_000_000} million "
        "in all. Scale it down, to about 2000 x 2000 for example."
    )
