"""Lookup tables of a DICOM file (PS3.3 C.11.1.1, C.7.6.3.1.5), and what of them is to be believed.

A descriptor says how many entries a table has, from which value on, and of how many bits. Writers
err in each of the three; the entries themselves prove most of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xray_classifier.dicom.elements import Elements
from xray_classifier.errors import UnreadableImageError

MAX_ENTRIES = 2**16

_FEW = 16
"""With fewer entries their run does not tell whether they are bytes or words."""

INKS = ("Red", "Green", "Blue")


@dataclass(frozen=True)
class LookupTable:
    """A lookup table as it stands in the file.

    Attributes:
        name: the element that holds it, with its tag.
        entries: shape (count,), or (count, 3) for a palette; float64 from 0 to 65,535, for 1 to
            65,536 values that follow each other.
        announced: how many there should be, 1 to 65,536.
        first: the value of the first entry as an unsigned number, 0 to 65,535: of a table that
            begins below 0 it is 65,536 too much.
        highest: the highest entry that the depth allows, 1 to 65,535: the announced depth, unless
            the entries go beyond.
    """

    name: str
    entries: NDArray[np.float64]
    announced: int
    first: int
    highest: float

    @property
    def whole(self) -> bool:
        """Whether all entries are there; one less is a slip in counting, and cannot be seen."""
        return len(self.entries) >= self.announced - 1

    def broken(self) -> UnreadableImageError:
        """What to raise where a picture needs entries that are missing."""
        return UnreadableImageError(
            f"The DICOM file is damaged or incomplete: the lookup table in its {self.name} has "
            f"{len(self.entries)} entries of {self.announced}. Export it again."
        )


def read_table(item: Elements, name: str) -> LookupTable | None:
    """Read the table in an item of a sequence; None if it has no entries.

    Args:
        item: the item.
        name: the sequence, with its tag.

    Raises:
        UnreadableImageError: there are entries, but no descriptor of three numbers.
    """
    if not _has_entries(item, "LUTData"):
        return None
    return _read(item, name, "LUTDescriptor", ("LUTData",))


def read_palette(elements: Elements) -> LookupTable:
    """Read the tables of red, green and blue as one; the first descriptor counts for all.

    Raises:
        UnreadableImageError: one of them is missing, or the descriptor.
    """
    columns = tuple(f"{ink}PaletteColorLookupTableData" for ink in INKS)
    name = "Palette Color Lookup Tables (0028,1101 to 1203)"
    if not all(_has_entries(elements, column) for column in columns):
        raise UnreadableImageError(
            "The DICOM file is damaged or incomplete: its Photometric Interpretation (0028,0004) "
            f"is PALETTE COLOR, but its {name} are not all there. Export it again."
        )
    return _read(elements, name, "RedPaletteColorLookupTableDescriptor", columns)


def _has_entries(elements: Elements, keyword: str) -> bool:
    return len(elements.raw(keyword) or b"") > 1  # a byte is none, since lengths are even


def _read(elements: Elements, name: str, descriptor: str, columns: tuple[str, ...]) -> LookupTable:
    words = elements.words(descriptor)
    if words.size < 3:
        raise UnreadableImageError(
            f"The DICOM file is damaged or incomplete: the lookup table in its {name} has a "
            f"descriptor of {words.size} numbers instead of 3. Export it again."
        )
    announced, first, depth = (int(word) for word in words[:3])
    count = announced or MAX_ENTRIES
    as_bytes = _are_bytes(elements, columns[0], count, depth)
    inks = [_entries(elements, column, as_bytes=as_bytes) for column in columns]
    rows = min(map(len, inks))
    entries = np.stack([ink[:rows] for ink in inks], axis=1).astype(np.float64)
    return LookupTable(
        name=name,
        entries=entries[:, 0] if len(inks) == 1 else entries,
        announced=count,
        first=first,
        highest=_highest(float(entries.max(initial=0)), 8 if as_bytes and depth > 8 else depth),
    )


def _entries(
    elements: Elements, keyword: str, *, as_bytes: bool
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    if not as_bytes:
        return elements.words(keyword)[:MAX_ENTRIES]
    raw = elements.raw(keyword) or b""
    if not elements.little_endian and elements.form(keyword)[0] != "OB":
        raw = elements.words(keyword).astype("<u2").tobytes()
    return np.frombuffer(raw, np.uint8)[:MAX_ENTRIES]


def _are_bytes(elements: Elements, keyword: str, count: int, depth: int) -> bool:
    """Whether entries stand in bytes (two in a word, the first in the low byte) or in words.

    Those of 8 bits may stand in either (C.11.1.1.1), so the length decides. Bytes of a table that
    is announced as deeper, and words of one that is short, are told by their run: two bytes of a
    word have nothing to do with each other.
    """
    length = len(elements.raw(keyword) or b"")
    if depth <= 8:
        if length >= 2 * count:
            return False
        doubtful = length >= 2 * (count - 1)
    else:
        doubtful = length in (count, count + 1)
        if not doubtful:
            return False
    if not doubtful or count < _FEW:
        return depth <= 8
    in_bytes = _entries(elements, keyword, as_bytes=True).astype(np.float64)
    in_words = _entries(elements, keyword, as_bytes=False).astype(np.float64)
    return _unrest(in_bytes) <= _unrest(in_words)


def _unrest(entries: NDArray[np.float64]) -> float:
    """All steps between neighbours together, as a share of the range: 1 for a curve that rises."""
    return float(np.abs(np.diff(entries)).sum() / max(np.ptp(entries), 1))


def _highest(peak: float, depth: int) -> float:
    announced = 2.0 ** min(depth, 16) - 1
    return announced if peak <= announced > 0 else 2.0 ** max(int(peak).bit_length(), 1) - 1
