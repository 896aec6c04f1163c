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

import numpy as np
from numpy.typing import NDArray
from pydicom import config
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset, read_sequence_item
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging.limits import MeteredStream

# pydicom's warnings and logs quote header values, so they are kept from everybody. Set once, since
# warnings.catch_warnings is not safe with threads.
warnings.filterwarnings("ignore", module=r"pydicom\.")
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
config.settings.reading_validation_mode = config.IGNORE

MAX_INFLATED = 64 * 2**20
"""Bytes of a deflated file; 4300 x 4300 pixels of 16 bits take 37 MB."""

MAX_NUMBER = 1e12

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


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return tag


class Elements:
    """The elements of a data set, read without trust: what is missing or malformed is None.

    Args:
        dataset: as pydicom reads it.
        little_endian: the byte order of its values.
    """

    def __init__(self, dataset: Dataset, *, little_endian: bool) -> None:
        self._dataset = dataset
        self.little_endian = little_endian

    def numbers(self, keyword: str) -> list[float]:
        """All values of an element as numbers; empty if one of them is none, or out of reason."""
        try:
            value = self._dataset.get(keyword)
            found = [float(one) for one in ([value] if _single(value) else value)]
        except Exception:  # pydicom has many, and a hostile value may find more  # noqa: BLE001
            return []
        return found if all(abs(one) < MAX_NUMBER for one in found) else []  # NaN is not less

    def integer(self, keyword: str) -> int | None:
        """The first value of an element as a whole number."""
        found = self.numbers(keyword)
        return int(found[0]) if found and found[0].is_integer() else None

    def texts(self, keyword: str) -> list[str]:
        """All values of an element as text in capitals, without outer spaces."""
        try:
            value = self._dataset.get(keyword)
            found = [str(one).strip().upper() for one in ([value] if _single(value) else value)]
        except Exception:  # noqa: BLE001 - as above
            return []
        return [] if value is None else found

    def text(self, keyword: str) -> str:
        """The first value of an element as text in capitals; empty where there is none."""
        return next(iter(self.texts(keyword)), "")

    def raw(self, keyword: str) -> bytes | None:
        """The bytes of an element as they stand in the file; None for a sequence, too."""
        tag = BaseTag(_tag(keyword))
        value = self._dataset.get_item(tag).value if tag in self._dataset else None
        return value if isinstance(value, bytes) else None

    def words(self, keyword: str) -> NDArray[np.uint16]:
        """The values of an element as unsigned 16-bit numbers, whatever type it claims."""
        raw = self.raw(keyword) or b""
        order = "<" if self.little_endian else ">"
        return np.frombuffer(raw, f"{order}u2", len(raw) // 2).astype(np.uint16)

    def item(self, keyword: str) -> Elements | None:
        """The first data set of a sequence, None if there is none.

        Raises:
            Exception: of many kinds, where the bytes are no data set.
        """
        element = self._dataset.get_item(_tag(keyword))
        if element is None or not element.value:
            return None
        if isinstance(element, RawDataElement):  # the others are parsed already
            dataset = read_sequence_item(
                MeteredStream(element.value),
                element.is_implicit_VR,
                element.is_little_endian,
                "iso8859",
            )
        else:
            dataset = element.value[0]
        return None if dataset is None else Elements(dataset, little_endian=self.little_endian)

    def form(self, keyword: str) -> tuple[str, int]:
        """The type of an element and its length in bytes, as the file gives them."""
        element = self._dataset.get_item(_tag(keyword))
        return str(getattr(element, "VR", "")), int(getattr(element, "length", 0))


def _single(value: Any) -> bool:
    return isinstance(value, str | bytes | int | float) or value is None


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
        specific_tags=[_tag(keyword) for keyword in _META],
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
        stop_when=lambda tag, _vr, _length: tag > _tag("PixelData"),
        specific_tags=[_tag(keyword) for keyword in KEPT],
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
