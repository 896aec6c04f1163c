"""How a DICOM file says that its pixels are stored (PS3.3 C.7.6.3)."""

from __future__ import annotations

from dataclasses import dataclass

from xray_classifier.dicom.elements import Elements
from xray_classifier.dicom.reader import DicomFile
from xray_classifier.dicom.streams import KINDS
from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging.limits import check_extent

MAX_SAMPLES = 38_000_000
"""Pixels times channels; OpenJPEG takes 6 bytes for each. A detector has at most 4300 x 4300."""

NEGATIVE, POSITIVE, PALETTE = "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"
RGB, YBR, SUBSAMPLED = "RGB", "YBR_FULL", "YBR_FULL_422"
_UNDEFINED = 0xFFFFFFFF  # the length of an element that holds compressed fragments
_ITEM = b"\xfe\xff\0\xe0"  # begins a fragment; some writers give the length of all of them
ONE_SAMPLE = {NEGATIVE, POSITIVE, PALETTE}
THREE_SAMPLES = {RGB, YBR, SUBSAMPLED, "YBR_RCT", "YBR_ICT"}


@dataclass(frozen=True)
class Layout:
    """How pixels are stored.

    Attributes:
        rows: height in pixels.
        columns: width in pixels.
        samples: 1, or 3 for colour, also where the picture itself is grey.
        photometric: what the samples mean, for example "MONOCHROME2".
        allocated: bits for each sample, 8 or 16.
        bits: bits of them in use; None if the header names an impossible number.
        shift: unused bits below those in use.
        signed: whether samples are two's complement.
        planar: whether each channel is stored for itself; None if the header does not tell.
        syntax: the UID of the transfer syntax, which tells byte order and compression.
        length: bytes of the pixels as the file gives them; None where they stand in fragments.
        little_endian: the byte order of what is not compressed.
        in_words: whether they are written as 16-bit words (OW), whatever their depth.
    """

    rows: int
    columns: int
    samples: int
    photometric: str
    allocated: int
    bits: int | None
    shift: int
    signed: bool
    planar: bool | None
    syntax: str
    length: int | None
    little_endian: bool
    in_words: bool

    @property
    def compressed(self) -> bool:
        """Whether the pixels stand in compressed fragments."""
        return self.length is None

    @property
    def needed(self) -> int:
        """Bytes of the pixels where they are not compressed."""
        values = 2 if self.photometric == SUBSAMPLED else self.samples
        return self.rows * self.columns * values * self.allocated // 8


def read_tags(file: DicomFile) -> Layout:
    """Read what the tags say, whether it goes together or not.

    Raises:
        UnreadableImageError: one is missing or impossible, several frames, too large or too small.
    """
    elements = file.elements
    _check_frames(elements.integer("NumberOfFrames"))
    rows, columns, samples = _extent(elements)
    allocated = _wanted(elements, "BitsAllocated", "Bits Allocated (0028,0100)")
    bits = _wanted(elements, "BitsStored", "Bits Stored (0028,0101)")
    high = elements.integer("HighBit")
    planes = elements.integer("PlanarConfiguration")
    kind, length = elements.form("PixelData")
    in_items = file.syntax in KINDS and (elements.raw("PixelData") or b"").startswith(_ITEM)
    return Layout(
        rows=rows,
        columns=columns,
        samples=samples,
        photometric=_photometric(elements, samples),
        allocated=allocated,
        bits=bits,
        shift=0 if high is None else high + 1 - bits,
        signed=elements.integer("PixelRepresentation") == 1,
        planar=bool(planes) if planes in (0, 1) else None,
        syntax=file.syntax,
        length=None if length == _UNDEFINED or in_items else length,
        little_endian=elements.little_endian,
        in_words=kind == "OW",
    )


def _check_frames(frames: int | None) -> None:
    if frames is not None and frames > 1:
        raise UnreadableImageError(
            f"The DICOM file holds {frames} frames, says Number of Frames (0028,0008); exactly "
            "one is wanted. Export the radiograph alone."
        )


def _extent(elements: Elements) -> tuple[int, int, int]:
    rows = _wanted(elements, "Rows", "Rows (0028,0010)")
    columns = _wanted(elements, "Columns", "Columns (0028,0011)")
    samples = _wanted(elements, "SamplesPerPixel", "Samples per Pixel (0028,0002)")
    check_extent(columns, rows)
    if samples not in (1, 3):
        raise UnreadableImageError(
            f"The DICOM image has {samples} values for each pixel, says Samples per Pixel "
            "(0028,0002); 1 (grey) or 3 (colour) are wanted. Export the radiograph in grey."
        )
    return rows, columns, samples


def _photometric(elements: Elements, samples: int) -> str:
    photometric = elements.text("PhotometricInterpretation")
    if photometric not in ONE_SAMPLE | THREE_SAMPLES:
        raise wrong_photometric(samples)
    return photometric


def wrong_photometric(samples: int) -> UnreadableImageError:
    """What to raise where the samples are of no kind that goes with their number."""
    known = ONE_SAMPLE if samples == 1 else THREE_SAMPLES
    return UnreadableImageError(
        f"The DICOM image has {samples} values for each pixel, but its Photometric "
        f"Interpretation (0028,0004) is none of {', '.join(sorted(known))}. Export the "
        "radiograph in grey."
    )


def check_samples(layout: Layout) -> None:
    """Refuse a picture of too many values.

    Raises:
        UnreadableImageError: pixels times channels over `MAX_SAMPLES`.
    """
    if layout.rows * layout.columns * layout.samples > MAX_SAMPLES:
        raise UnreadableImageError(
            f"The DICOM image has {layout.columns} x {layout.rows} pixels of {layout.samples} "
            f"values each; the limit is {MAX_SAMPLES // 1_000_000} million values. Export it "
            "smaller."
        )


def _wanted(elements: Elements, keyword: str, tag: str) -> int:
    value = elements.integer(keyword)
    if value is None:
        raise UnreadableImageError(
            f"The DICOM file does not say how its pixels are stored: {tag} is missing or damaged. "
            "Export the radiograph again."
        )
    return value
