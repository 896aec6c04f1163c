"""What a DICOM file says of how its stored values become grey (PS3.3 C.7.6.3, C.7.5.1, C.11)."""

from __future__ import annotations

from dataclasses import dataclass

from xray_classifier.dicom.elements import Elements
from xray_classifier.dicom.layout import NEGATIVE, PALETTE, POSITIVE, Layout
from xray_classifier.dicom.tables import LookupTable, read_palette, read_table
from xray_classifier.errors import UnreadableImageError

_MODALITY_TABLE = "Modality LUT Sequence (0028,3000)"
_VOI_TABLE = "VOI LUT Sequence (0028,3010)"


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
        guessed: whether the file should say more of the shades, but it is lost.
    """

    modality: LookupTable | Rescale
    voi: LookupTable | Window | None
    padding: tuple[int, int] | None
    negative: bool
    guessed: bool = False


@dataclass(frozen=True)
class Palette:
    """A sample stands for a colour of the table."""

    table: LookupTable


@dataclass(frozen=True)
class Colour:
    """Three samples are a colour; of YCbCr the first is the luma."""

    luma_first: bool


DisplaySettings = Grey | Palette | Colour


@dataclass(frozen=True)
class _Tables:
    """The tables of a sequence.

    Attributes:
        whole: the first that has all its entries.
        short: the first that has not.
        broken: why the first was none, where it had entries.
        lost: whether an item announces a table, but has no entries.
    """

    whole: LookupTable | None = None
    short: LookupTable | None = None
    broken: UnreadableImageError | None = None
    lost: bool = False


def read_display_settings(elements: Elements, layout: Layout) -> DisplaySettings:
    """Read what the kind of pixels needs; of tables and windows the first that is any good.

    Raises:
        UnreadableImageError: nothing but a damaged lookup table.
        Exception: of many kinds, where a sequence is damaged.
    """
    if layout.photometric == PALETTE:
        return Palette(read_palette(elements))
    if layout.photometric not in (NEGATIVE, POSITIVE):
        return Colour(luma_first=layout.photometric.startswith("YBR_FULL"))
    modality, modality_lost = _read_modality(elements)
    voi, voi_lost = _read_voi(elements)
    # Without a window or table, slope and intercept change nothing of the shades.
    shifted = isinstance(modality, Rescale) and voi is not None and _intercept_lost(elements)
    return Grey(
        modality=modality,
        voi=voi,
        padding=_read_padding(elements),
        negative=layout.photometric == NEGATIVE,
        guessed=modality_lost or voi_lost or shifted,
    )


def _read_modality(elements: Elements) -> tuple[LookupTable | Rescale, bool]:
    """The first good one of table and rescaling, and whether one is lost."""
    tables = _read_tables(elements, "ModalityLUTSequence", _MODALITY_TABLE)
    if tables.whole is not None:
        return tables.whole, False
    slope, intercept = elements.number("RescaleSlope"), elements.number("RescaleIntercept")
    if slope:
        return Rescale(slope, intercept or 0.0), False
    if tables.short is None and tables.broken is not None:
        raise tables.broken
    return tables.short or Rescale(), tables.lost and tables.short is None


def _intercept_lost(elements: Elements) -> bool:
    """Whether there is an intercept, but no slope to count with: it is left out (C.11.1.1.2)."""
    return bool(elements.number("RescaleIntercept")) and not elements.number("RescaleSlope")


def _read_voi(elements: Elements) -> tuple[LookupTable | Window | None, bool]:
    """The first good one of tables and windows, and whether one is lost.

    All tables and windows of a file are alternatives to each other (C.11.2.1).
    """
    tables = _read_tables(elements, "VOILUTSequence", _VOI_TABLE)
    voi = tables.whole or _read_window(elements) or tables.short
    if voi is None and tables.broken is not None:
        raise tables.broken
    return voi, tables.lost and voi is None


def _read_window(elements: Elements) -> Window | None:
    pairs = zip(elements.numbers("WindowCenter"), elements.numbers("WindowWidth"), strict=False)
    for centre, width in pairs:
        if centre is not None and width is not None and width > 0:
            return Window(centre, width, elements.text("VOILUTFunction"))
    return None


def _read_tables(elements: Elements, keyword: str, name: str) -> _Tables:
    """Read tables up to the first whole one.

    Raises:
        Exception: of many kinds, where the first item is damaged.
    """
    short, broken, lost = None, None, False
    for item in elements.items(keyword):
        try:
            table = read_table(item, name)
        except UnreadableImageError as error:
            broken = broken or error
            continue
        if table is None:
            lost = lost or bool(item.raw("LUTDescriptor"))
        elif table.whole:
            return _Tables(whole=table)
        else:
            short = short or table
    return _Tables(short=short, broken=broken, lost=lost)


def _read_padding(elements: Elements) -> tuple[int, int] | None:
    value, limit = elements.words("PixelPaddingValue"), elements.words("PixelPaddingRangeLimit")
    if not value.size:
        return None
    return int(value[0]), int(limit[0] if limit.size else value[0])
