"""What a DICOM file says of how its stored values become grey (PS3.3 C.7.6.3, C.7.5.1, C.11)."""

from __future__ import annotations

from dataclasses import dataclass

from xray_classifier.dicom.elements import Elements, LookupTable
from xray_classifier.dicom.layout import NEGATIVE, PALETTE, Layout


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
        return Palette(elements.palette())
    return Grey(
        modality=_read_modality(elements),
        voi=_read_voi(elements),
        padding=_read_padding(elements),
        negative=layout.photometric == NEGATIVE,
    )


def _read_modality(elements: Elements) -> LookupTable | Rescale:
    table = elements.lookup_table("ModalityLUTSequence")
    if table is not None:
        return table
    slope, intercept = elements.numbers("RescaleSlope"), elements.numbers("RescaleIntercept")
    if slope and slope[0]:
        return Rescale(slope[0], intercept[0] if intercept else 0.0)
    return Rescale()


def _read_voi(elements: Elements) -> LookupTable | Window | None:
    table = elements.lookup_table("VOILUTSequence")
    if table is not None:
        return table
    centres, widths = elements.numbers("WindowCenter"), elements.numbers("WindowWidth")
    if not centres or not widths or widths[0] <= 0:
        return None
    return Window(centres[0], widths[0], elements.text("VOILUTFunction"))


def _read_padding(elements: Elements) -> tuple[int, int] | None:
    value, limit = elements.words("PixelPaddingValue"), elements.words("PixelPaddingRangeLimit")
    if not value.size:
        return None
    return int(value[0]), int(limit[0] if limit.size else value[0])
