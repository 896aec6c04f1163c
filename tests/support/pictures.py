"""Drawn images, and the bytes of files that hold them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray


def gradient(height: int = 60, width: int = 80) -> NDArray[np.uint8]:
    """A drawn image: brighter from left to right, with a dark bar at the top."""
    image = np.tile(np.linspace(0, 255, width), (height, 1)).astype(np.uint8)
    image[: height // 6] = 10
    return image


def squares(row: int = 300, column: int = 100, side: int = 100) -> NDArray[np.uint8]:
    """A dark picture of 500 x 500 pixels with a bright square, by its first row and column."""
    image = np.full((500, 500), 50, np.uint8)
    image[row : row + side, column : column + side] = 255
    return image


def shaded_square() -> NDArray[np.uint8]:
    """The same picture with as many greys as a radiograph has: the rest is darker than half."""
    return np.maximum(squares(), np.linspace(20, 120, 500).astype(np.uint8))


def encoded(image: Image.Image | NDArray[Any], kind: str = "PNG", **options: Any) -> bytes:
    """Write an image as the bytes of a file."""
    if not isinstance(image, Image.Image):
        image = Image.fromarray(image)
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def zipped(contents: Mapping[Any, bytes], kind: int = ZIP_DEFLATED) -> bytes:
    """Write a ZIP archive of members by name or `ZipInfo`, the same at any time of day."""
    stream = io.BytesIO()
    with ZipFile(stream, "w", kind) as archive:
        for name, content in contents.items():
            member = name if isinstance(name, ZipInfo) else ZipInfo(name)
            archive.writestr(member, content, compress_type=kind)
    return stream.getvalue()
