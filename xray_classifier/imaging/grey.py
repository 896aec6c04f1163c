"""Samples of any depth, grey or in colour, to a grey picture of 8 bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging.radiograph import GreyImage, StoredValues

Samples = NDArray[Any]

_DEPTHS = (8, 10, 12, 14, 16)  # bits that devices have
_OVERSHOOT = 1 / 64  # of full range
_PIXELS = 2**18  # that are scaled at once, in 8 bytes a sample


def to_grey(
    colours: Samples,
    opacity: Samples | None = None,
    *,
    negative: bool = False,
    bits: int | None = None,
    lossy: bool = False,
) -> GreyImage:
    """Scale samples to 8 bits, then make luma (ITU-R BT.601) of colour and lay it on black.

    Files with 10, 12 or 14 bits keep them in 16, so the full range is the smallest usual depth
    that holds the maximum; opacity has no part in it, nor what it hides. Floats up to about 1 span
    [0, 1].

    Args:
        colours: integers or floats, shape (height, width), or (height, width, channels) of 1
            channel of grey, 3 of red, green and blue, or 4 of inks.
        opacity: of the same type, shape (height, width); if it is 0 everywhere, it means nothing.
        negative: whether 0 is white.
        bits: what the file keeps a sample in; by default that of the type.
        lossy: whether a compression may have put the maximum a little too high.

    Raises:
        UnreadableImageError: a sample that is seen is below 0, infinite or undefined.
    """
    planes = colours[..., np.newaxis] if colours.ndim == 2 else colours
    if opacity is not None and not opacity.any():
        opacity = None
    full = _full_range(planes, opacity, _OVERSHOOT if lossy else 0)
    shades = _scaling(planes.dtype, full)
    opacities = _scaling(planes.dtype, _full_opacity(opacity, full, bits))
    grey = np.empty(planes.shape[:2], np.uint8)
    for rows in strips(grey.shape):
        seen = _luma(shades(_seen(planes, opacity, rows)))
        seen = ImageOps.invert(seen) if negative else seen
        if opacity is not None:
            seen = on_black(seen, Image.fromarray(opacities(opacity[rows])))
        grey[rows] = np.asarray(seen)
    return grey


def stored_values(samples: NDArray[np.uint16], *, negative: bool = False) -> StoredValues:
    """Keep samples of which `to_grey` makes a picture, and say how it does.

    Args:
        samples: shape (height, width).
        negative: whether 0 is white.
    """
    full = _full_range(samples[..., np.newaxis], None, 0)
    greys = _scaling(samples.dtype, full)(np.arange(2**16, dtype=np.uint16))
    return StoredValues(
        samples,
        greys=255 - greys if negative else greys,
        used=(int(samples.min()), int(samples.max())),
        window=(full + 1, (full + 1) / 2),
        negative=negative,
    )


def on_black(picture: Image.Image, opacity: Image.Image) -> Image.Image:
    """Lay a grey picture on black, as far as it is opaque; both in mode L."""
    black = Image.new("L", picture.size, 0)
    black.paste(picture, mask=opacity)
    return black


def _full_range(colours: Samples, opacity: Samples | None, overshoot: float) -> float:
    """Find what stands for white."""
    parts = (_seen(colours, opacity, rows) for rows in strips(colours.shape[:2]))
    extremes = np.array([(part.min(), part.max()) for part in parts], np.float64)
    low, peak = float(extremes.min()), float(extremes.max())
    if not (np.isfinite(peak) and low >= 0):
        raise UnreadableImageError(
            f"The image holds pixels from {low:g} to {peak:g}; none below 0 or undefined can be "
            "shown. Save the radiograph as an 8- or 16-bit image."
        )
    if colours.dtype.kind == "f" and peak < 2:
        return max(1.0, peak)
    least = peak / (1 + overshoot)
    full = next((2.0**bits - 1 for bits in _DEPTHS if least < 2**bits), peak)
    return full if colours.dtype.kind == "f" else min(full, float(np.iinfo(colours.dtype).max))


def _full_opacity(opacity: Samples | None, full: float, bits: int | None) -> float:
    """Find what stands for opaque: writers of 12 bits in 16 may mean 4095 by it, too."""
    if opacity is None or opacity.max() == full:
        return full
    return 1.0 if opacity.dtype.kind == "f" else 2.0 ** (bits or 8 * opacity.itemsize) - 1


def _scaling(kind: np.dtype[Any], full: float) -> Callable[[Samples], GreyImage]:
    """Give what scales samples of a type to [0, 255]; by table, which takes less memory."""
    if kind.kind == "u" and kind.itemsize <= 2:
        table = _rounded(np.arange(2 ** (8 * kind.itemsize)) * (255 / full))
        return lambda samples: table[samples]
    return lambda samples: _rounded(samples.astype(np.float64) * (255 / full))


def _rounded(values: NDArray[np.floating]) -> GreyImage:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def _luma(planes: GreyImage) -> Image.Image:
    height, width, channels = planes.shape
    mode = {1: "L", 3: "RGB", 4: "CMYK"}[channels]
    return Image.frombytes(mode, (width, height), planes.tobytes()).convert("L")


def _seen(colours: Samples, opacity: Samples | None, rows: slice) -> Samples:
    """Some rows of a picture; what is not seen is 0."""
    if opacity is None:
        return colours[rows]
    return np.where(opacity[rows, :, np.newaxis] > 0, colours[rows], colours.dtype.type(0))


def strips(shape: tuple[int, ...]) -> Iterator[slice]:
    """Cut the rows of a picture of that height and width into strips that take little memory."""
    height, width = shape
    step = max(1, _PIXELS // width)
    return (slice(start, start + step) for start in range(0, height, step))
