"""The identifiers of a DICOM file: the one place that reads them, and only where a user asks."""

from __future__ import annotations

import io

from pydicom.dataset import Dataset
from pydicom.filereader import dcmread

from xray_classifier.dicom.reader import name_of
from xray_classifier.errors import UnreadableImageError

PATIENT = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex")
STUDY = (
    *("StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "StudyDescription"),
    *("AccessionNumber", "ReferringPhysicianName"),
)
IMAGE = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID")
"""What a reference to the image itself needs, together with the study's UID."""


def read_identity(data: bytes) -> Dataset:
    """Read whose image a DICOM file holds, and which one it is.

    Args:
        data: a file that `decode` has accepted, so that its size and nesting are bounded.

    Returns:
        The elements in `PATIENT`, `STUDY` and `IMAGE` that have a value.

    Raises:
        UnreadableImageError: they cannot be read. The message holds none of them.
    """
    wanted = [*PATIENT, *STUDY, *IMAGE]
    identity = Dataset()
    try:
        file = dcmread(io.BytesIO(data), True, True, True, ["SpecificCharacterSet", *wanted])
        for keyword in wanted:
            if file.get(keyword):
                setattr(identity, keyword, file[keyword].value)
    except Exception:  # of many kinds, and some quote the header  # noqa: BLE001
        raise UnreadableImageError(
            "The identifiers of the DICOM file cannot be read. Make the report without them."
        ) from None
    return identity


def can_be_referenced(identity: Dataset) -> bool:
    """Tell whether the image has all that a reference to it needs, and is of a known kind."""
    complete = all(keyword in identity for keyword in (*IMAGE, "StudyInstanceUID"))
    return complete and bool(name_of(identity.SOPClassUID))
