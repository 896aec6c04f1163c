"""Drawn images, and the bytes of files that hold them."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
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


def rgb() -> NDArray[np.uint8]:
    """The drawn image, and two turns of it, as red, green and blue."""
    return np.dstack([gradient(), gradient()[::-1], gradient()[:, ::-1]])


def deep(bits: int) -> NDArray[np.uint16]:
    """The drawn image in so many bits of 16."""
    return (gradient().astype(np.uint32) * (2**bits - 1) // 255).astype(np.uint16)


def upright() -> NDArray[np.uint8]:
    """An image that no flip or turn maps onto itself, in blocks that JPEG keeps."""
    image = np.zeros((48, 64), np.uint8)
    image[:16, :16] = 255
    image[:16, 48:] = 160
    image[32:, :16] = 80
    return image


def turned(orientation: int, image: NDArray[Any]) -> NDArray[Any]:
    """The image as it is stored, if EXIF says this of its orientation."""
    return np.ascontiguousarray(_STORED[orientation](image))


_STORED: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    1: lambda image: image,
    2: np.fliplr,
    3: lambda image: np.rot90(image, 2),
    4: np.flipud,
    5: np.transpose,
    6: np.rot90,  # stored a quarter turn anticlockwise, so turned clockwise to be upright
    7: lambda image: np.rot90(image, 2).T,
    8: lambda image: np.rot90(image, -1),
}


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
