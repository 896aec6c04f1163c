"""Elements of a DICOM file that tell of a patient, beside those of `dicom_files`."""

from __future__ import annotations

from typing import Any

IDENTITY: dict[str, Any] = {
    "StudyInstanceUID": "1.2.3.47110815",
    "SeriesInstanceUID": "1.2.3.47110815.4",
    "SOPInstanceUID": "1.2.3.47110815.4.5",
    "PatientSex": "F",
    "AccessionNumber": "ACC-0815",
    "ReferringPhysicianName": "Doctor^Who",
}
