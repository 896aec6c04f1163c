"""The values of DICOM elements, read without trust in what the file says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_sequence_item
from pydicom.tag import BaseTag

from xray_classifier.imaging.limits import MeteredStream

MAX_NUMBER = 1e12
"""Numbers from here on are taken for none."""


def tag_of(keyword: str) -> int:
    """Give the tag of an element by its keyword in the standard."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return tag


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
        tag = BaseTag(tag_of(keyword))
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
        element = self._dataset.get_item(tag_of(keyword))
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

    def lookup_table(self, keyword: str) -> LookupTable | None:
        """The table in the first data set of a sequence, None if there is none.

        Raises:
            Exception: of many kinds, where the table is damaged.
        """
        item = self.item(keyword)
        return None if item is None else item._table("LUTDescriptor", "LUTData")

    def palette(self) -> LookupTable:
        """The tables of red, green and blue as one; the first descriptor counts for all.

        Raises:
            ValueError: one of them is missing or damaged.
        """
        data = (f"{ink}PaletteColorLookupTableData" for ink in ("Red", "Green", "Blue"))
        return self._table("RedPaletteColorLookupTableDescriptor", *data)

    def _table(self, descriptor: str, *columns: str) -> LookupTable:
        announced, first, depth = (int(word) for word in self.words(descriptor)[:3])
        count = announced or 2**16
        entries = [self._entries(keyword, count, depth) for keyword in columns]
        return LookupTable(
            entries=entries[0] if len(entries) == 1 else np.stack(entries, axis=1),
            first=first,
            highest=float(2 ** min(max(depth, 1), 16) - 1),
        )

    def _entries(self, keyword: str, count: int, depth: int) -> NDArray[np.float64]:
        """The entries of a lookup table; 8-bit ones may stand in bytes or in words."""
        raw = self.raw(keyword) or b""
        narrow = depth <= 8 and len(raw) < 2 * count
        entries = np.frombuffer(raw, np.uint8) if narrow else self.words(keyword)
        if entries.size < count:
            raise ValueError(f"{entries.size} entries of {count}")
        return entries[:count].astype(np.float64)

    def form(self, keyword: str) -> tuple[str, int]:
        """The type of an element and its length in bytes, as the file gives them."""
        element = self._dataset.get_item(tag_of(keyword))
        return str(getattr(element, "VR", "")), int(getattr(element, "length", 0))


def _single(value: Any) -> bool:
    return isinstance(value, str | bytes | int | float) or value is None
