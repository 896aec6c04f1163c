from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

from tests.support.dicom_files import dataset, table_item, written
from xray_classifier.dicom.elements import Elements, tag_of
from xray_classifier.dicom.reader import read
from xray_classifier.dicom.tables import INKS, LookupTable, read_palette, read_table
from xray_classifier.errors import UnreadableImageError

CURVE = [0, 30, 90, 150, 190, 220, 235, 245, 250, 252, 253, 254, 254, 255, 255, 255]


def table(descriptor: list[int] | None, data: bytes | None, kind: str = "OW") -> LookupTable | None:
    file = read(written(dataset(VOILUTSequence=[table_item(descriptor, data, kind)])), 132)
    return read_table(next(file.elements.items("VOILUTSequence")), "Table (0028,3010)")


def whole(descriptor: list[int], data: bytes, kind: str = "OW") -> LookupTable:
    found = table(descriptor, data, kind)
    assert found is not None
    return found


def words(entries: list[int]) -> bytes:
    return np.array(entries, "<u2").tobytes()


def test_a_sound_table_is_read_as_it_stands() -> None:
    found = whole([3, 65530, 12], words([5, 4095, 7]))
    assert found.entries.tolist() == [5, 4095, 7]
    assert (found.announced, found.first, found.highest) == (3, 65530, 4095)
    assert found.whole


@pytest.mark.parametrize(
    ("bits", "peak", "highest"),
    [
        (12, 4095, 4095),
        (12, 4096, 8191),
        (8, 4095, 4095),
        (8, 3000, 4095),
        (0, 255, 255),
        (16, 9, 65535),
        (17, 9, 65535),
        (65535, 9, 65535),
        (0, 0, 1),
    ],
)
def test_entries_beyond_the_bits_prove_more_of_them(bits: int, peak: int, highest: int) -> None:
    assert whole([2, 0, bits], words([0, peak])).highest == highest


@pytest.mark.parametrize(
    ("entries", "complete"), [(5, True), (4, True), (3, True), (2, False), (1, False)]
)
def test_a_table_is_whole_but_for_one_entry(entries: int, *, complete: bool) -> None:
    found = whole([4, 0, 16], words([999] * entries))
    assert found.whole == complete
    assert (len(found.entries), found.announced) == (entries, 4)


def test_none_announced_are_65536() -> None:
    found = whole([0, 0, 16], words(list(range(2**16))))
    assert (found.announced, len(found.entries), found.highest) == (2**16, 2**16, 65535)
    assert len(whole([0, 0, 16], bytes(3 * 2**17)).entries) == 2**16


@pytest.mark.parametrize("bits", [8, 10, 16])
@pytest.mark.parametrize("kind", ["OW", "OB"])
def test_bytes_are_told_by_their_length(bits: int, kind: str) -> None:
    found = whole([16, 0, bits], bytes(CURVE), kind)
    assert found.entries.tolist() == CURVE
    assert found.highest == 255


def test_half_of_a_table_of_words_is_not_taken_for_bytes() -> None:
    half = [entry * 251 + 3 for entry in CURVE[:8]]
    found = whole([16, 0, 16], words(half))
    assert found.entries.tolist() == half
    assert not found.whole


def test_words_of_8_bits_are_told_by_their_length() -> None:
    assert whole([16, 0, 8], words(CURVE)).entries.tolist() == CURVE
    assert whole([16, 0, 8], words(CURVE[:-1])).entries.tolist() == CURVE[:-1]


@pytest.mark.parametrize("descriptor", [[16, 0, 8], [16, 0], None])
def test_a_table_without_entries_is_none(descriptor: list[int] | None) -> None:
    assert table(descriptor, b"") is None
    assert table(descriptor, None) is None


def test_a_single_byte_is_no_entry() -> None:
    made = Dataset()
    tag = BaseTag(tag_of("LUTData"))
    made[tag] = RawDataElement(tag, "OB", 1, b"\7", 0, False, True)  # odd, as no writer leaves it
    assert read_table(Elements(made, little_endian=True), "Table") is None


@pytest.mark.parametrize(("descriptor", "count"), [(None, 0), ([16], 1), ([16, 0], 2)])
def test_entries_without_a_descriptor_are_damage(descriptor: list[int] | None, count: int) -> None:
    message = rf"in its Table \(0028,3010\) has a descriptor of {count} numbers instead of 3"
    with pytest.raises(UnreadableImageError, match=message):
        table(descriptor, bytes(CURVE))


def test_what_is_missing_is_said_with_both_counts() -> None:
    broken = whole([4, 0, 16], words([1, 2])).broken()
    assert "the lookup table in its Table (0028,3010) has 2 entries of 4." in str(broken)


# Palettes


def palette(**tags: Any) -> LookupTable:
    made = dataset()
    made.RedPaletteColorLookupTableDescriptor = [3, 0, 16]
    for place, ink in enumerate(INKS):
        setattr(made, f"{ink}PaletteColorLookupTableData", words([place, 9, 65535]))
    for keyword, value in tags.items():
        setattr(made, keyword, value)
    return read_palette(read(written(made), 132).elements)


def test_palette_has_a_column_for_each_ink() -> None:
    assert palette().entries.tolist() == [[0, 1, 2], [9, 9, 9], [65535, 65535, 65535]]


def test_palette_is_as_long_as_its_shortest_column() -> None:
    short = palette(GreenPaletteColorLookupTableData=words([7]))
    assert short.entries.tolist() == [[0, 7, 2]]
    assert not short.whole


@pytest.mark.parametrize("ink", INKS)
def test_palette_without_an_ink_is_damage(ink: str) -> None:
    with pytest.raises(UnreadableImageError, match=r"PALETTE COLOR, but its .* not all there"):
        palette(**{f"{ink}PaletteColorLookupTableData": b""})
