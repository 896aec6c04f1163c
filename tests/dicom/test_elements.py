from __future__ import annotations

import struct

from pydicom import Dataset

from tests.support.dicom_files import lookup_table
from xray_classifier.dicom.elements import Elements


def elements(**values: object) -> Elements:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return Elements(made, little_endian=True)


def test_numbers_are_read_without_trust() -> None:
    assert elements(WindowCenter=["1.5", "2"]).numbers("WindowCenter") == [1.5, 2]
    assert elements(Rows=12).integer("Rows") == 12
    assert elements().integer("Rows") is None
    assert elements(RescaleSlope="1e13").numbers("RescaleSlope") == []
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


def test_first_item_of_a_sequence_is_found() -> None:
    table = lookup_table([1, 2, 3])
    found = elements(VOILUTSequence=[table, lookup_table([9])]).item("VOILUTSequence")
    assert found is not None
    assert found.raw("LUTData") == struct.pack("<3H", 1, 2, 3)
    assert elements(VOILUTSequence=[]).item("VOILUTSequence") is None
    assert elements().item("VOILUTSequence") is None
