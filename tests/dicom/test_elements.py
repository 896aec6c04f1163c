from __future__ import annotations

import struct
import time

import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian

from tests.support.dicom_files import dataset, lookup_table, written
from xray_classifier.dicom.elements import MAX_ITEMS, MAX_VALUE, Elements, tag_of
from xray_classifier.dicom.reader import read


def elements(**values: object) -> Elements:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return Elements(made, little_endian=True)


def test_numbers_are_read_without_trust() -> None:
    assert elements(WindowCenter=["1.5", "2"]).numbers("WindowCenter") == [1.5, 2]
    assert elements(Rows=12).integer("Rows") == 12
    assert elements().integer("Rows") is None
    assert elements(RescaleSlope="1e13").numbers("RescaleSlope") == [None]
    assert elements(RescaleSlope=None).numbers("RescaleSlope") == []
    made = elements()
    made._dataset.add_new("Rows", "LO", "many")
    made._dataset.add_new("Columns", "FD", float("nan"))
    made._dataset.add_new("SamplesPerPixel", "FD", 1.5)
    for keyword in ("Rows", "Columns", "SamplesPerPixel"):
        assert made.integer(keyword) is None


def test_texts_are_read_in_capitals_without_spaces() -> None:
    assert elements(Modality=" cr ").text("Modality") == "CR"
    assert elements(PatientOrientation=["L", "F"]).texts("PatientOrientation") == ["L", "F"]
    assert elements(Modality=None).text("Modality") == ""
    assert elements().texts("Modality") == []


def raw_elements(tag: int, raw: bytes, kind: str | None = "DS") -> Elements:
    made = Dataset()
    made[tag] = RawDataElement(BaseTag(tag), kind, len(raw), raw, 0, kind is None, True)
    return Elements(made, little_endian=True)


CENTRE = tag_of("WindowCenter")


@pytest.mark.parametrize("kind", ["DS", "LO", "UN", None])
def test_a_bad_number_leaves_the_others(kind: str | None) -> None:
    found = raw_elements(CENTRE, b"\\many\\ 2048 \\nan\\1e99\\-3\0", kind)
    assert found.numbers("WindowCenter") == [None, None, 2048, None, None, -3]
    assert found.number("WindowCenter") == 2048
    assert found.integer("WindowCenter") is None


def test_binary_numbers_are_read_as_such() -> None:
    assert raw_elements(CENTRE, struct.pack("<2H", 40, 400), "US").numbers("WindowCenter") == [
        40,
        400,
    ]


@pytest.mark.parametrize("kind", ["DS", None])
def test_excessive_values_are_not_parsed(kind: str | None) -> None:
    many = raw_elements(CENTRE, b"1\\" * 2**20, kind)
    start = time.process_time()
    assert many.numbers("WindowCenter") == []
    assert raw_elements(tag_of("Modality"), b"A\\" * 2**20, "CS").texts("Modality") == []
    assert time.process_time() - start < 0.1
    just = raw_elements(CENTRE, b"1\\" * (MAX_VALUE // 2 - 1) + b"1 ", kind)
    assert len(just.numbers("WindowCenter")) == MAX_VALUE // 2


def test_an_empty_element_is_there() -> None:
    assert elements(NumberOfFrames=None).has("NumberOfFrames")
    assert not elements().has("NumberOfFrames")


def first_data(*items: Dataset) -> list[bytes | None]:
    return [
        found.raw("LUTData") for found in elements(VOILUTSequence=items).items("VOILUTSequence")
    ]


def test_items_of_a_sequence_are_found() -> None:
    table = lookup_table([1, 2, 3])
    assert first_data(table, Dataset(), lookup_table([9])) == [
        struct.pack("<3H", 1, 2, 3),
        None,
        struct.pack("<H", 9),
    ]
    assert first_data() == []
    assert list(elements().items("VOILUTSequence")) == []


@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_items_of_a_file_are_found(syntax: UID, *, undefined: bool) -> None:
    made = dataset(VOILUTSequence=[lookup_table([7])] * (MAX_ITEMS + 4))
    made["VOILUTSequence"].is_undefined_length = undefined
    found = read(written(made, syntax), 132).elements.items("VOILUTSequence")
    assert [item.raw("LUTData") for item in found] == [b"\x07\0"] * MAX_ITEMS


def test_what_is_no_item_is_damage_in_the_first_place_only() -> None:
    tag = tag_of("VOILUTSequence")
    with pytest.raises(ValueError, match="no item where the first should begin"):
        list(raw_elements(tag, b"no item at all", "SQ").items("VOILUTSequence"))
    empty = struct.pack("<HHL", 0xFFFE, 0xE000, 0)
    assert len(list(raw_elements(tag, empty + bytes(8), "SQ").items("VOILUTSequence"))) == 1
