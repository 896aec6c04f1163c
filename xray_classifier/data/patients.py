"""Whose radiograph a file is: by its name, or by a table."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from xray_classifier.errors import DatasetError

# File names of the sets that are used here. In Kermany's, bacterial and viral patients are
# numbered separately, so "person1_bacteria" and "person1_virus" are two children.
_PATIENT_PATTERNS = (
    re.compile(r"(?P<patient>person\d+_(?:bacteria|virus))_\d+"),
    re.compile(r"(?P<patient>(?:NORMAL\d*-)?IM-\d+)-\d+"),
    re.compile(r"(?P<patient>\d{8})_\d{3}\."),  # NIH ChestX-ray14
)


def patient_from_name(name: str) -> str | None:
    """Read the patient from a file name of the Kermany or NIH sets, None for other names."""
    for pattern in _PATIENT_PATTERNS:
        match = pattern.match(name)
        if match:
            return match["patient"]
    return None


def etiology_from_name(name: str) -> str:
    """Tell "bacteria", "virus" or "" (unknown, or normal) from a file name of the Kermany sets."""
    return next((kind for kind in ("bacteria", "virus") if f"_{kind}_" in name), "")


def read_patients(path: Path) -> dict[str, str]:
    """Read a CSV with the columns `file` and `patient`.

    Raises:
        DatasetError: no such file, a column missing, a row without a value, or a file with two
            patients.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"The patient table {path} cannot be read: {error}.") from error
    if not rows or not {"file", "patient"} <= rows[0][1].keys():
        raise DatasetError(f"{path} needs the columns file,patient and a row for each image.")
    patients: dict[str, str] = {}
    for line, row in rows:
        file, patient = row["file"], row["patient"]
        if not file or not patient:
            raise DatasetError(f"{path}, line {line}: file or patient is empty.")
        if patients.setdefault(file, patient) != patient:
            raise DatasetError(f"{path}, line {line}: {file} has a second patient, {patient}.")
    return patients
