"""What a DICOM file says of how its stored values become grey (PS3.3 C.7.6.3, C.7.5.1, C.11)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xray_classifier.dicom.layout import NEGATIVE, PALETTE, Layout
from xray_classifier.dicom.reader import Elements

_INKS = ("Red", "Green", "Blue")


@dataclass(frozen=True)
class LookupTable:
    """A lookup table (C.11.1.1), proven to have the entries that it announces.

    Attributes:
        entries: shape (count,), or (count, 3) for a palette; float64 from 0 to 65,535, for 1 to
            65,536 values that follow each other.
        first: the value of the first entry as an unsigned number, 0 to 65,535: of a table that
            begins below 0 it is 65,536 too much.
        highest: the highest entry that the announced depth allows, 1 to 65,535.
    """

    entries: NDArray[np.float64]
    first: int
    highest: float


@dataclass(frozen=True)
class Rescale:
    """Stored value to what the device measured: value times slope, plus intercept (C.11.1)."""

    slope: float = 1.0
    intercept: float = 0.0


@dataclass(frozen=True)
class Window:
    """Which measured values are spread from black to white (C.11.2.1.2).

    Attributes:
        centre: in measured values.
        width: in measured values, above 0.
        function: "LINEAR_EXACT" or "SIGMOID"; all else is linear.
    """

    centre: float
    width: float
    function: str


@dataclass(frozen=True)
class Grey:
    """How one grey sample becomes a shade.

    Attributes:
        modality: stored to measured values.
        voi: measured values to shades; None where the file leaves that to the viewer.
        padding: the bounds, in any order, of the stored values that only fill up the rectangle
            around the image (C.7.5.1.1.2), as unsigned 16-bit numbers.
        negative: whether the lowest value is white.
    """

    modality: LookupTable | Rescale
    voi: LookupTable | Window | None
    padding: tuple[int, int] | None
    negative: bool


@dataclass(frozen=True)
class Palette:
    """A sample stands for a colour of the table."""

    table: LookupTable


@dataclass(frozen=True)
class Colour:
    """Three samples are a colour; of YCbCr the first is the luma."""

    luma_first: bool


DisplaySettings = Grey | Palette | Colour


def read_display_settings(elements: Elements, layout: Layout) -> DisplaySettings:
    """Read what the kind of pixels needs; of tables and windows the first that counts.

    Raises:
        Exception: of many kinds, where a lookup table is damaged or missing.
    """
    if layout.samples == 3:
        return Colour(luma_first=layout.photometric.startswith("YBR_FULL"))
    if layout.photometric == PALETTE:
        return Palette(
            _read_table(
                elements,
                "RedPaletteColorLookupTableDescriptor",
                *(f"{ink}PaletteColorLookupTableData" for ink in _INKS),
            )
        )
    return Grey(
        modality=_read_modality(elements),
        voi=_read_voi(elements),
        padding=_read_padding(elements),
        negative=layout.photometric == NEGATIVE,
    )


def _read_modality(elements: Elements) -> LookupTable | Rescale:
    item = elements.item("ModalityLUTSequence")
    if item is not None:
        return _read_table(item, "LUTDescriptor", "LUTData")
    slope, intercept = elements.numbers("RescaleSlope"), elements.numbers("RescaleIntercept")
    if slope and slope[0]:
        return Rescale(slope[0], intercept[0] if intercept else 0.0)
    return Rescale()


def _read_voi(elements: Elements) -> LookupTable | Window | None:
    item = elements.item("VOILUTSequence")
    if item is not None:
        return _read_table(item, "LUTDescriptor", "LUTData")
    centres, widths = elements.numbers("WindowCenter"), elements.numbers("WindowWidth")
    if not centres or not widths or widths[0] <= 0:
        return None
    return Window(centres[0], widths[0], elements.text("VOILUTFunction"))


def _read_padding(elements: Elements) -> tuple[int, int] | None:
    value, limit = elements.words("PixelPaddingValue"), elements.words("PixelPaddingRangeLimit")
    if not value.size:
        return None
    return int(value[0]), int(limit[0] if limit.size else value[0])


def _read_table(elements: Elements, descriptor: str, *columns: str) -> LookupTable:
    announced, first, depth = (int(word) for word in elements.words(descriptor)[:3])
    count = announced or 2**16
    entries = [_read_entries(elements, keyword, count, depth) for keyword in columns]
    return LookupTable(
        entries=entries[0] if len(entries) == 1 else np.stack(entries, axis=1),
        first=first,
        highest=float(2 ** min(max(depth, 1), 16) - 1),
    )


def _read_entries(elements: Elements, keyword: str, count: int, depth: int) -> NDArray[np.float64]:
    """Read the entries of a lookup table; 8-bit ones may stand in bytes or in words."""
    raw = elements.raw(keyword) or b""
    narrow = depth <= 8 and len(raw) < 2 * count
    entries = np.frombuffer(raw, np.uint8) if narrow else elements.words(keyword)
    if entries.size < count:
        raise ValueError(f"{entries.size} entries of {count}")
    return entries[:count].astype(np.float64)
