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

from xray_classifier.dicom.display_settings import (
    Colour,
    DisplaySettings,
    Grey,
    Palette,
    Rescale,
    Window,
)
from xray_classifier.dicom.pixels import StoredPixels
from xray_classifier.dicom.tables import LookupTable
from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging.radiograph import GreyImage, StoredValues

PERCENTILES = (0.5, 99.5)
"""Black and white of a picture without window that uses little of its range."""

_CHUNK = 2**20  # pixels that are counted at once, since numpy makes 8 bytes of each

Values = NDArray[np.float64]
"""One number for each possible stored value, from the lowest to the highest."""

Mask = NDArray[np.bool_]
"""Whether something holds for each of these values."""


def to_grey(stored: StoredPixels, settings: DisplaySettings | UnreadableImageError) -> GreyImage:
    """Make the picture that a viewer would show.

    Args:
        stored: the pixels as stored, shape (rows, columns); colour also (rows, columns, 3).
        settings: what their values stand for; if that is not known, what to raise.

    Returns:
        Shape (rows, columns), uint8, 0 = black.

    Raises:
        UnreadableImageError: that, or a lookup table lacks entries that the picture needs.
    """
    if isinstance(settings, UnreadableImageError):
        raise settings
    if isinstance(settings, Colour):
        return _luma(stored, settings)
    if isinstance(settings, Palette):
        table = _palette_table(stored, settings.table)
    else:
        with np.errstate(over="ignore"):  # a window may be as narrow as it likes
            table, _, _ = _grey_table(stored, settings)
    return table[stored.values]


def stored_values(
    stored: StoredPixels, settings: DisplaySettings | UnreadableImageError
) -> StoredValues | None:
    """Keep the pixels that `to_grey` makes a picture of, and say how it does.

    Returns:
        None for colour, and for what has no more than 8 bits.
    """
    if not isinstance(settings, Grey) or stored.bits <= 8:
        return None
    with np.errstate(over="ignore"):
        table, window, used = _grey_table(stored, settings)
    places = np.flatnonzero(used)
    first, last = int(places[0]), int(places[-1])
    return StoredValues(
        stored.values.astype(np.uint16, copy=False),
        greys=table,
        used=(first, last),
        window=_in_stored_values(window, settings.modality),
        lowest=stored.lowest,
        negative=bool(table[first] > table[last]),
    )


def _in_stored_values(
    window: Window | None, modality: LookupTable | Rescale
) -> tuple[float, float] | None:
    """Width and level of a window on measured values as one on stored ones, if it is one there."""
    if window is None or isinstance(modality, LookupTable) or not modality.slope:
        return None
    exact = window.function in ("LINEAR_EXACT", "SIGMOID") or window.width < 1
    width, centre = (window.width + exact, window.centre + exact / 2)
    return width / abs(modality.slope), (centre - modality.intercept) / modality.slope


def _values(stored: StoredPixels) -> Values:
    return np.arange(2**stored.bits, dtype=np.float64) + stored.lowest


def _luma(stored: StoredPixels, settings: Colour) -> GreyImage:
    """Colour to ITU-R BT.601 luma, of which the first channel of YCbCr consists."""
    table = _rounded(_values(stored) / (2**stored.bits - 1))
    if stored.values.ndim == 2:  # a decoder has made luma of it
        return table[stored.values]
    if settings.luma_first:
        return table[stored.values[..., 0]]
    return np.asarray(Image.fromarray(table[stored.values]).convert("L"))


def _palette_table(stored: StoredPixels, palette: LookupTable) -> GreyImage:
    """Stored value to the luma of its palette entry (C.7.6.3.1.5)."""
    used = _counts(stored) > 0
    # Entries of 8 bits often stand in words that are announced as full.
    highest = palette.highest if palette.entries.max() > 255 else min(palette.highest, 255)
    colours = _rounded(_look_up(_values(stored), palette, used) / highest)
    return np.asarray(Image.fromarray(colours[np.newaxis]).convert("L"))[0]


def _grey_table(stored: StoredPixels, settings: Grey) -> tuple[GreyImage, Window | None, Mask]:
    """The grey of each value, the window behind it, if any, and which values the picture has."""
    padding = _padding(stored, settings.padding)
    counts = _counts(stored)
    shown = np.where(padding, 0, counts)
    used = (shown if shown.any() else counts) > 0
    values, full = _measured(_values(stored), settings.modality, used)
    window = settings.voi if isinstance(settings.voi, Window) else None
    if settings.voi is None:
        black, white = full
        if stored.bits > 8:
            black, white = _range(values, shown if shown.any() else counts, full)
        shades = (values - black) / (white - black)
        window = Window((black + white) / 2, white - black, "LINEAR_EXACT")
    elif isinstance(settings.voi, Window):
        shades = _windowed(values, settings.voi)
    else:
        shades = _through_table(values, settings.voi, used)
    if settings.negative:  # after the window, as the standard has it
        shades = 1 - shades
    table = _rounded(shades)
    table[padding] = 0
    return table, window, used


def _rounded(shades: Values) -> GreyImage:
    """Scale [0, 1] to uint8; what lies outside becomes black or white."""
    return np.round(np.clip(shades, 0, 1) * 255).astype(np.uint8)


def _padding(stored: StoredPixels, padding: tuple[int, int] | None) -> Mask:
    """Which of the possible stored values only fill up the rectangle around the image."""
    if padding is None:
        return np.zeros(2**stored.bits, np.bool_)
    bounds = np.array(padding, np.uint16)
    signed = bounds.astype(np.int16) if stored.lowest < 0 else bounds
    values = _values(stored)
    return (values >= signed.min()) & (values <= signed.max())


def _counts(stored: StoredPixels) -> NDArray[np.int64]:
    """How many pixels have each possible value."""
    flat = stored.values.ravel()
    counts = np.zeros(2**stored.bits, np.int64)
    for start in range(0, flat.size, _CHUNK):
        counts += np.bincount(flat[start : start + _CHUNK], minlength=counts.size)
    return counts


def _measured(
    values: Values, modality: LookupTable | Rescale, used: Mask
) -> tuple[Values, tuple[float, float]]:
    """Stored values to what the device measured (C.11.1), and the range of that."""
    if isinstance(modality, LookupTable):
        return _look_up(values, modality, used), (0.0, _white(modality))
    values = values * modality.slope + modality.intercept
    return values, (values.min(), values.max())


def _through_table(values: Values, table: LookupTable, used: Mask) -> Values:
    """Measured values to shades from 0 to 1 by a VOI LUT (C.11.2.1.1)."""
    return _look_up(values, table, used) / _white(table)


def _white(table: LookupTable) -> float:
    """The entry that stands for white: some writers announce 16 bits for a table of 10 or 12."""
    peak = float(table.entries.max())
    return table.highest if peak > table.highest / 2 else max(peak, 1.0)


def _windowed(values: Values, window: Window) -> Values:
    """Measured values to shades by a window (C.11.2.1.2): 0 to 1 inside, beyond that outside."""
    centre, width = window.centre, window.width
    if window.function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -700, 700)))
    if window.function == "LINEAR_EXACT" or width < 1:
        return (values - centre) / width + 0.5
    if width == 1:
        return np.where(values > centre - 0.5, 1.0, 0.0)
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


def _look_up(values: Values, table: LookupTable, used: Mask) -> Values:
    """The entry of each value; those outside of the table have its first or last one.

    Args:
        values: what is looked up.
        table: where.
        used: which of the values are in the picture.

    Returns:
        Shape (values,), of a palette (values, 3).

    Raises:
        UnreadableImageError: the table lacks entries that the picture needs.
    """
    wanted = np.round(values[used])
    first = _first(table, wanted, below_zero=bool(values.min() < 0))
    entries, announced = table.entries, table.announced
    last = wanted.max()
    if not table.whole and last >= first + len(entries):
        raise table.broken()
    # More entries than announced are padding, unless the picture goes on where they do.
    if not first + announced <= last < first + len(entries) or not entries[announced:].any():
        entries = entries[:announced]
    places = np.clip(np.round(values) - first, 0, len(entries) - 1)
    return entries[places.astype(np.int64)]


def _first(table: LookupTable, wanted: Values, *, below_zero: bool) -> int:
    """The value of the first entry, which is signed where values are (C.11.2.1.1).

    The type that the element claims is not to be trusted; where nothing of the picture is met in
    one way, or less of one without values below 0, it is the other.
    """
    unsigned, signed = table.first, table.first - 2**16
    if unsigned < 2**15:
        return unsigned

    def met(first: int) -> int:
        return int(np.count_nonzero((wanted >= first) & (wanted < first + len(table.entries))))

    if below_zero:
        return signed if met(signed) or not met(unsigned) else unsigned
    return signed if met(signed) > met(unsigned) else unsigned
