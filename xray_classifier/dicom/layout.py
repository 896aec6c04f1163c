"""How a DICOM file says that its pixels are stored (PS3.3 C.7.6.3)."""

from __future__ import annotations

from dataclasses import dataclass

from xray_classifier.dicom.elements import Elements
from xray_classifier.dicom.reader import DicomFile
from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging.limits import check_extent

MAX_SAMPLES = 38_000_000
"""Pixels times channels; OpenJPEG takes 6 bytes for each. A detector has at most 4300 x 4300."""

NEGATIVE, PALETTE, RGB, SUBSAMPLED = "MONOCHROME1", "PALETTE COLOR", "RGB", "YBR_FULL_422"
_UNDEFINED = 0xFFFFFFFF  # the length of an element that holds compressed fragments
_ONE_SAMPLE = {NEGATIVE, "MONOCHROME2", PALETTE}
_THREE_SAMPLES = {RGB, "YBR_FULL", SUBSAMPLED, "YBR_RCT", "YBR_ICT"}


@dataclass(frozen=True)
class Layout:
    """How pixels are stored.

    Attributes:
        rows: height in pixels.
        columns: width in pixels.
        samples: 1, or 3 for colour.
        photometric: what the samples mean, for example "MONOCHROME2".
        allocated: bits for each sample, 8 or 16.
        bits: bits of them in use.
        shift: unused bits below those in use.
        signed: whether samples are two's complement.
        planar: whether each channel is stored for itself.
        syntax: the UID of the transfer syntax, which tells byte order and compression.
        compressed: whether the pixels stand in compressed fragments.
        little_endian: the byte order of what is not compressed.
        in_words: whether they are written as 16-bit words (OW), whatever their depth.
    """

    rows: int
    columns: int
    samples: int
    photometric: str
    allocated: int
    bits: int
    shift: int
    signed: bool
    planar: bool
    syntax: str
    compressed: bool
    little_endian: bool
    in_words: bool


def read_layout(file: DicomFile) -> Layout:
    """Read how pixels are stored, and refuse what cannot be one picture.

    Raises:
        UnreadableImageError: a tag is missing or impossible, several frames, too large, too small
            or too deep.
    """
    elements = file.elements
    _check_frames(elements)
    rows, columns, samples = _extent(elements)
    allocated, bits, shift = _depth(elements)
    kind, length = elements.form("PixelData")
    return Layout(
        rows=rows,
        columns=columns,
        samples=samples,
        photometric=_photometric(elements, samples),
        allocated=allocated,
        bits=bits,
        shift=shift,
        signed=elements.integer("PixelRepresentation") == 1,
        planar=elements.integer("PlanarConfiguration") == 1,
        syntax=file.syntax,
        compressed=length == _UNDEFINED,
        little_endian=elements.little_endian,
        in_words=kind == "OW",
    )


def _check_frames(elements: Elements) -> None:
    frames = elements.integer("NumberOfFrames")
    if frames not in (None, 1):
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
    if rows * columns * samples > MAX_SAMPLES:
        raise UnreadableImageError(
            f"The DICOM image has {columns} x {rows} pixels of {samples} values each; the limit "
            f"is {MAX_SAMPLES // 1_000_000} million values. Export it smaller."
        )
    return rows, columns, samples


def _depth(elements: Elements) -> tuple[int, int, int]:
    allocated = _wanted(elements, "BitsAllocated", "Bits Allocated (0028,0100)")
    bits = _wanted(elements, "BitsStored", "Bits Stored (0028,0101)")
    high = elements.integer("HighBit")
    shift = 0 if high is None else high + 1 - bits
    if allocated not in (8, 16) or not 2 <= bits <= allocated or not 0 <= shift <= allocated - bits:
        raise UnreadableImageError(
            f"The DICOM image keeps {bits} bits in {allocated} from bit {shift} on, say Bits "
            "Allocated (0028,0100), Bits Stored (0028,0101) and High Bit (0028,0102); up to 16 "
            "bits in 8 or 16 are wanted. Export the radiograph again."
        )
    return allocated, bits, shift


def _photometric(elements: Elements, samples: int) -> str:
    photometric = elements.text("PhotometricInterpretation")
    known = _ONE_SAMPLE if samples == 1 else _THREE_SAMPLES
    if photometric not in known:
        raise UnreadableImageError(
            f"The DICOM image has {samples} values for each pixel, but its Photometric "
            f"Interpretation (0028,0004) is none of {', '.join(sorted(known))}. Export the "
            "radiograph in grey."
        )
    return photometric


def _wanted(elements: Elements, keyword: str, tag: str) -> int:
    value = elements.integer(keyword)
    if value is None:
        raise UnreadableImageError(
            f"The DICOM file does not say how its pixels are stored: {tag} is missing or damaged. "
            "Export the radiograph again."
        )
    return value
