from __future__ import annotations

from pathlib import Path

import pytest

from xray_classifier.data.patients import etiology_from_name, patient_from_name, read_patients
from xray_classifier.errors import DatasetError


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("person1_bacteria_1.jpeg", "person1_bacteria"),
        ("person1_bacteria_2.jpeg", "person1_bacteria"),
        ("person1_virus_6.jpeg", "person1_virus"),
        ("person1_virus_2_3.jpeg", "person1_virus"),
        ("person10_virus_35.jpeg", "person10_virus"),
        ("IM-0115-0001.jpeg", "IM-0115"),
        ("IM-0437-0001-0002.jpeg", "IM-0437"),
        ("00001303_001.jpeg", "00001303"),
        ("NORMAL2-IM-0115-0001.jpeg", "NORMAL2-IM-0115"),
        ("NORMAL2-IM-0832-0001-0002.jpeg", "NORMAL2-IM-0832"),
        ("scan17.png", None),
        ("person1.jpeg", None),
        ("copy of person1_virus_6.jpeg", None),
        ("IM-0115.jpeg", None),
    ],
)
def test_patient_is_read_from_the_file_name(name: str, patient: str | None) -> None:
    assert patient_from_name(name) == patient


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("person1_bacteria_1.jpeg", "bacteria"),
        ("person1_virus_6.jpeg", "virus"),
        ("IM-0115-0001.jpeg", ""),
        ("scan.png", ""),
    ],
)
def test_etiology_is_read_from_the_file_name(name: str, kind: str) -> None:
    assert etiology_from_name(name) == kind


@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_patient_table_is_read(start: str, tmp_path: Path) -> None:
    table = tmp_path / "patients.csv"
    table.write_text(f'{start}patient,age,file\nAnn,3,a.png\n"Bob, jr",4,b.png\n', encoding="utf-8")
    assert read_patients(table) == {"a.png": "Ann", "b.png": "Bob, jr"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "needs the columns file,patient"),
        (b"file,patient\n", "needs the columns file,patient and a row for each image"),
        (b"file,child\na.png,Ann\n", "needs the columns file,patient"),
        (b"file;patient\na.png;Ann\n", "needs the columns file,patient"),
        (b"file,patient\na.png,Ann\nb.png,\n", r"patients\.csv, line 3: file or patient is empty"),
        (b"file,patient\na.png\n", "line 2: file or patient is empty"),
        (b"file,patient\n,Ann\n", "line 2: file or patient is empty"),
        (b"file,patient\n\na.png,\n", "line 3: file or patient is empty"),
        (b"file,patient\na.png,Zo\xeb\n", r"patients\.csv cannot be read: .*utf-8"),
    ],
)
def test_faulty_patient_table_is_an_error(text: bytes, message: str, tmp_path: Path) -> None:
    table = tmp_path / "patients.csv"
    table.write_bytes(text)
    with pytest.raises(DatasetError, match=message):
        read_patients(table)


def test_missing_patient_table_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"patient table .*none\.csv cannot be read: .*No such"):
        read_patients(tmp_path / "none.csv")
