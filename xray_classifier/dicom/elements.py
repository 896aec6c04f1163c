"""The values of DICOM elements, read without trust in what the file says of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_sequence_item
from pydicom.tag import BaseTag

from xray_classifier.imaging.limits import MeteredStream

MAX_NUMBER = 1e12
"""Numbers from here on are taken for none."""

MAX_VALUE = 2**14
"""Bytes of an element whose values are parsed: a window has at most 16 in each of its two."""

MAX_ITEMS = 16
"""Data sets of a sequence that are looked at."""

_ITEM, _ITEM_BIG_ENDIAN = b"\xfe\xff\0\xe0", b"\xff\xfe\xe0\0"
_NUMBERS_IN_TEXT = {"DS", "IS"}
_NUMBERS_IN_BINARY = {"US", "SS", "UL", "SL", "FL", "FD"}


def tag_of(keyword: str) -> int:
    """Give the tag of an element by its keyword in the standard."""
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

    def has(self, keyword: str) -> bool:
        """Whether an element is there, be it empty."""
        return tag_of(keyword) in self._dataset

    def numbers(self, keyword: str) -> list[float | None]:
        """All values of an element as numbers; None for one that is none, or out of reason."""
        return [_number(value) for value in self._number_values(keyword)]

    def number(self, keyword: str) -> float | None:
        """The first of the values of an element that is a number."""
        return next((one for one in self.numbers(keyword) if one is not None), None)

    def integer(self, keyword: str) -> int | None:
        """The first value of an element as a whole number."""
        first = next(iter(self.numbers(keyword)), None)
        return int(first) if first is not None and first.is_integer() else None

    def texts(self, keyword: str) -> list[str]:
        """All values of an element as text in capitals, without outer spaces."""
        return [str(one).strip().upper() for one in self._values(keyword)]

    def text(self, keyword: str) -> str:
        """The first value of an element as text in capitals; empty where there is none."""
        return next(iter(self.texts(keyword)), "")

    def _number_values(self, keyword: str) -> list[Any]:
        element = self._dataset.get_item(tag_of(keyword))
        if (
            isinstance(element, RawDataElement)
            and element.VR not in _NUMBERS_IN_BINARY
            and dictionary_VR(tag_of(keyword)) in _NUMBERS_IN_TEXT
        ):  # pydicom gives up all of them for a bad one
            raw = element.value or b""
            values = raw.decode("latin-1").split("\\") if len(raw) <= MAX_VALUE else []
            return [value.strip("\0 ") for value in values]
        return self._values(keyword)

    def _values(self, keyword: str) -> list[Any]:
        try:
            element = self._dataset.get_item(tag_of(keyword))
            if isinstance(element, RawDataElement) and len(element.value or b"") > MAX_VALUE:
                return []
            value = self._dataset.get(keyword)
            if value is None:
                return []
            return [value] if isinstance(value, str | bytes | int | float) else list(value)
        except Exception:  # pydicom has many, and a hostile value may find more  # noqa: BLE001
            return []

    def raw(self, keyword: str) -> bytes | None:
        """The bytes of an element as they stand in the file; None for a sequence, too."""
        tag = BaseTag(tag_of(keyword))
        value = self._dataset.get_item(tag).value if tag in self._dataset else None
        return value if isinstance(value, bytes) else None

    def words(self, keyword: str) -> NDArray[np.uint16]:
        """The values of an element as unsigned 16-bit numbers, whatever type it claims."""
        raw = self.raw(keyword) or b""
        order = "<" if self.little_endian else ">"
        return np.frombuffer(raw, f"{order}u2", len(raw) // 2).astype(np.uint16)

    def items(self, keyword: str) -> Iterator[Elements]:
        """The first data sets of a sequence, each read when it is asked for.

        Raises:
            Exception: of many kinds, where the bytes are no data set.
        """
        element = self._dataset.get_item(tag_of(keyword))
        if element is None or not element.value:
            return
        if isinstance(element, RawDataElement):  # the others are parsed already
            datasets = _parsed_items(element)
        else:
            datasets = iter(element.value[:MAX_ITEMS])
        for dataset in datasets:
            yield Elements(dataset, little_endian=self.little_endian)

    def form(self, keyword: str) -> tuple[str, int]:
        """The type of an element and its length in bytes, as the file gives them."""
        element = self._dataset.get_item(tag_of(keyword))
        return str(getattr(element, "VR", "")), int(getattr(element, "length", 0))


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except Exception:  # whatever a hostile value is  # noqa: BLE001
        return None
    return number if abs(number) < MAX_NUMBER else None  # NaN is not less


def _parsed_items(element: RawDataElement) -> Iterator[Dataset]:
    raw = element.value or b""
    stream = MeteredStream(raw)
    item = _ITEM if element.is_little_endian else _ITEM_BIG_ENDIAN
    for _ in range(MAX_ITEMS):
        start = stream.tell()
        if start >= len(raw):
            return
        dataset = read_sequence_item(
            stream, element.is_implicit_VR, element.is_little_endian, "iso8859"
        )
        if dataset is None:  # the end, in a sequence that marks it
            return
        if raw[start : start + len(item)] != item:  # pydicom reads on all the same
            if start == 0:
                raise ValueError("no item where the first should begin")
            return
        yield dataset
