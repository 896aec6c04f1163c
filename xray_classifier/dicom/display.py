"""Stored pixels to a grey picture, by the grayscale pipeline of DICOM (PS3.3 C.11, PS3.4 N.2).

Every step from stored value to grey is a function of the value alone, so it is worked out once
for each of the 65,536 possible values, and the picture is looked up in that table.

Without a window the range is that of the bits in use, as for a JPEG: the darkest possible value is
black and the brightest white. Where a picture of more than 8 bits uses less than half of this
range, Bits Stored is not to be trusted (often it says 16 for 12 or 14), and black and white are
percentiles of the picture.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xray_classifier.dicom.layout import NEGATIVE, PALETTE, Layout
from xray_classifier.dicom.pixels import StoredPixels
from xray_classifier.dicom.reader import Header
from xray_classifier.imaging.radiograph import GreyImage

PERCENTILES = (0.5, 99.5)
"""Black and white of a picture without window that uses little of its range."""

_CHUNK = 2**20  # pixels that are counted at once, since numpy makes 8 bytes of each

Values = NDArray[np.float64]
"""One number for each possible stored value, from the lowest to the highest."""


def to_grey(stored: StoredPixels, layout: Layout, header: Header) -> GreyImage:
    """Make the picture that a viewer would show.

    Args:
        stored: the pixels as stored.
        layout: how they were stored.
        header: where lookup tables, windows and padding are found.

    Returns:
        Shape (rows, columns), uint8, 0 = black.
    """
    if stored.values.ndim == 3:
        return _luma(stored, layout)
    if layout.samples == 3:
        table = _rounded(_values(stored) / (2**stored.bits - 1))
    elif layout.photometric == PALETTE:
        table = _palette_table(stored, header)
    else:
        with np.errstate(over="ignore"):  # a window may be as narrow as it likes
            table = _grey_table(stored, layout, header)
    return table[stored.values]


def _values(stored: StoredPixels) -> Values:
    return np.arange(2**stored.bits, dtype=np.float64) + stored.lowest


def _luma(stored: StoredPixels, layout: Layout) -> GreyImage:
    """Colour to ITU-R BT.601 luma, of which the first channel of YCbCr consists."""
    table = _rounded(_values(stored) / (2**stored.bits - 1))
    if layout.photometric.startswith("YBR_FULL"):
        return table[stored.values[..., 0]]
    return np.asarray(Image.fromarray(table[stored.values]).convert("L"))


def _palette_table(stored: StoredPixels, header: Header) -> GreyImage:
    """Stored value to the luma of its palette entry (C.7.6.3.1.5)."""
    descriptor = header.words("RedPaletteColorLookupTableDescriptor")
    entries = np.stack(
        [
            _entries(header, f"{ink}PaletteColorLookupTableData", descriptor)
            for ink in ("Red", "Green", "Blue")
        ],
        axis=1,
    )
    colours = _rounded(entries[_places(_values(stored), descriptor)] / _highest(descriptor))
    return np.asarray(Image.fromarray(colours[np.newaxis]).convert("L"))[0]


def _grey_table(stored: StoredPixels, layout: Layout, header: Header) -> GreyImage:
    padding = _padding(stored, header)
    counts = _counts(stored)
    shown = np.where(padding, 0, counts)
    values, full = _modality(_values(stored), header)
    shades = _voi(values, header)
    if shades is None:
        black, white = full
        if stored.bits > 8:
            black, white = _range(values, shown if shown.any() else counts, full)
        shades = (values - black) / (white - black)
    if layout.photometric == NEGATIVE:  # after the window, as the standard has it
        shades = 1 - shades
    table = _rounded(shades)
    table[padding] = 0
    return table


def _rounded(shades: Values) -> GreyImage:
    """Scale [0, 1] to uint8; what lies outside becomes black or white."""
    return np.round(np.clip(shades, 0, 1) * 255).astype(np.uint8)


def _padding(stored: StoredPixels, header: Header) -> NDArray[np.bool_]:
    """Which stored values only fill up the rectangle around the image (C.7.5.1.1.2)."""
    bounds = np.concatenate(
        [header.words("PixelPaddingValue")[:1], header.words("PixelPaddingRangeLimit")[:1]]
    ).astype(np.int64)
    if stored.lowest < 0:
        bounds = bounds.astype(np.int16).astype(np.int64)
    if not header.words("PixelPaddingValue").size:
        return np.zeros(2**stored.bits, np.bool_)
    values = _values(stored)
    return (values >= bounds.min()) & (values <= bounds.max())


def _counts(stored: StoredPixels) -> NDArray[np.int64]:
    """How many pixels have each possible value."""
    flat = stored.values.ravel()
    counts = np.zeros(2**stored.bits, np.int64)
    for start in range(0, flat.size, _CHUNK):
        counts += np.bincount(flat[start : start + _CHUNK], minlength=counts.size)
    return counts


def _modality(values: Values, header: Header) -> tuple[Values, tuple[float, float]]:
    """Stored values to what the device measured (C.11.1), and the range of that."""
    item = header.item("ModalityLUTSequence")
    if item is not None:
        descriptor = item.words("LUTDescriptor")
        values = _entries(item, "LUTData", descriptor)[_places(values, descriptor)]
        return values, (0.0, _highest(descriptor))
    slope, intercept = header.numbers("RescaleSlope"), header.numbers("RescaleIntercept")
    if slope and slope[0]:
        values = values * slope[0] + (intercept[0] if intercept else 0)
    return values, (values.min(), values.max())


def _voi(values: Values, header: Header) -> Values | None:
    """Measured values to shades from 0 to 1 by the first VOI LUT or window (C.11.2), if any."""
    item = header.item("VOILUTSequence")
    if item is not None:
        descriptor = item.words("LUTDescriptor")
        entries = _entries(item, "LUTData", descriptor)
        # Some writers announce 16 bits for a table of 10 or 12.
        full = _highest(descriptor)
        return entries[_places(values, descriptor)] / (
            full if entries.max() > full / 2 else max(entries.max(), 1)
        )
    centres, widths = header.numbers("WindowCenter"), header.numbers("WindowWidth")
    if not centres or not widths or widths[0] <= 0:
        return None
    centre, width, function = centres[0], widths[0], header.text("VOILUTFunction")
    if function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -700, 700)))
    if function == "LINEAR_EXACT" or width <= 1:
        return (values - centre) / width + 0.5
    return (values - (centre - 0.5)) / (width - 1) + 0.5


def _range(
    values: Values, counts: NDArray[np.int64], full: tuple[float, float]
) -> tuple[float, float]:
    """Choose black and white of a deep picture without window."""
    black, white = full
    used = values[counts > 0]
    if used.max() - used.min() >= (white - black) / 2 > 0:
        return black, white
    order = np.argsort(values, kind="stable")
    share = np.cumsum(counts[order]) / counts.sum()
    low, high = values[order][np.searchsorted(share, np.array(PERCENTILES) / 100)]
    return (low, high) if low < high else (black, max(white, black + 1))


def _entries(item: Header, keyword: str, descriptor: NDArray[np.uint16]) -> Values:
    """The entries of a lookup table; 8-bit ones may stand in bytes or in words (C.11.1.1)."""
    count, raw = int(descriptor[0]) or 2**16, item.raw(keyword) or b""
    narrow = descriptor[2] <= 8 and len(raw) < 2 * count
    table = np.frombuffer(raw, np.uint8) if narrow else item.words(keyword)
    if not 0 < count <= table.size:
        raise ValueError(f"{table.size} entries of {count}")
    return table[:count].astype(np.float64)


def _places(values: Values, descriptor: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Which entry of a lookup table each value has; those outside have its first or last one."""
    count, first = int(descriptor[0]) or 2**16, int(descriptor[1])
    if values.min() < 0 and first >= 2**15:
        first -= 2**16
    return np.clip(np.round(values) - first, 0, count - 1).astype(np.int64)


def _highest(descriptor: NDArray[np.uint16]) -> float:
    """The highest value that the depth of a lookup table allows."""
    return float(2 ** int(np.clip(descriptor[2], 1, 16)) - 1)
