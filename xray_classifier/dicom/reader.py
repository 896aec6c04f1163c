"""The bytes of a DICOM file to the few elements that are used, bounded in time and memory.

pydicom does the parsing. Only the elements in `KEPT` are read; a patient's name or identifier
never becomes a Python object. PS3.5 and PS3.10 are parts of the DICOM standard.
"""

from __future__ import annotations

import logging
import struct
import warnings
import zlib
from dataclasses import dataclass
from typing import Any

from pydicom import config
from pydicom.filereader import read_dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from xray_classifier.dicom.elements import Elements, tag_of
from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging.limits import MeteredStream

# pydicom's warnings and logs quote header values, so they are kept from everybody. Set once, since
# warnings.catch_warnings is not safe with threads.
warnings.filterwarnings("ignore", module=r"pydicom\.")
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
config.settings.reading_validation_mode = config.IGNORE

MAX_INFLATED = 64 * 2**20
"""Bytes of a deflated file; 4300 x 4300 pixels of 16 bits take 37 MB."""

KEPT = (
    *("SOPClassUID", "Modality", "PresentationIntentType", "BodyPartExamined"),
    *("ViewPosition", "ViewCodeSequence", "PatientOrientation", "BurnedInAnnotation"),
    *("StudyDate", "PatientBirthDate", "PatientAge"),
    *("NumberOfFrames", "Rows", "Columns", "SamplesPerPixel", "PlanarConfiguration"),
    *("PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit"),
    *("PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
    "RedPaletteColorLookupTableDescriptor",
    *(f"{ink}PaletteColorLookupTableData" for ink in ("Red", "Green", "Blue")),
    "PixelData",
)
_META = ("MediaStorageSOPClassUID", "TransferSyntaxUID")


@dataclass(frozen=True)
class DicomFile:
    """What is used of a DICOM file.

    Attributes:
        elements: those in `KEPT`.
        sop_class: what kind of object it is, in the words of the standard; empty if unknown.
        syntax: the transfer syntax, that is byte order and compression.
    """

    elements: Elements
    sop_class: str
    syntax: UID


def read(data: bytes, start: int) -> DicomFile:
    """Read a DICOM file.

    Args:
        data: the whole file.
        start: where its first element begins: after the preamble, if there is one.

    Raises:
        UnreadableImageError: deflated to an excessive size.
        Exception: of many kinds, where the bytes are no DICOM elements.
    """
    stream = MeteredStream(data)
    stream.seek(start)
    meta = read_dataset(
        stream,
        is_implicit_VR=False,
        is_little_endian=True,
        stop_when=lambda tag, _vr, _length: tag.group != 2,
        specific_tags=[tag_of(keyword) for keyword in _META],
    )
    begin = stream.tell()
    syntax = meta.get("TransferSyntaxUID") or _guess_syntax(data[begin : begin + 6])
    if syntax == DeflatedExplicitVRLittleEndian:
        stream = MeteredStream(_inflate(data[begin:]))
    little_endian = syntax != ExplicitVRBigEndian
    dataset = read_dataset(
        stream,
        is_implicit_VR=syntax == ImplicitVRLittleEndian,
        is_little_endian=little_endian,
        stop_when=lambda tag, _vr, _length: tag > tag_of("PixelData"),
        specific_tags=[tag_of(keyword) for keyword in KEPT],
    )
    sop_class = dataset.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID")
    elements = Elements(dataset, little_endian=little_endian)
    return DicomFile(elements, name_of(sop_class), syntax)


def name_of(uid: Any) -> str:
    """The name that the standard gives to a UID; empty for others, which are not to be quoted."""
    known = UID(str(uid or ""))
    return known.name if known.name != known else ""


def _guess_syntax(start: bytes) -> UID:
    """Tell byte order and kind of elements from the first 6 bytes of a data set.

    Only groups below 0x0100 begin a file, so a group of 0x0400 or more is one in big-endian order.
    """
    group, _, vr = struct.unpack("<HH2s", start)
    if not (vr.isalpha() and vr.isupper()):
        return ImplicitVRLittleEndian
    return ExplicitVRBigEndian if group >= 0x0400 else ExplicitVRLittleEndian


def _inflate(data: bytes) -> bytes:
    """Undo the deflate compression of a data set (PS3.5 A.5)."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = inflater.decompress(data, MAX_INFLATED)
    if inflater.unconsumed_tail:
        raise UnreadableImageError(
            f"The DICOM file unpacks to more than {MAX_INFLATED // 2**20} MB. Export it without "
            "deflate compression."
        )
    return inflated
