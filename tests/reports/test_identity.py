from __future__ import annotations

import pytest
from pydicom import Dataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from tests.support.dicom_files import BIRTH, IDENTIFIER, NAME, dataset, dicom, written
from tests.support.identity import IDENTITY
from xray_classifier.errors import UnreadableImageError
from xray_classifier.reports import identity as report_identity
from xray_classifier.reports.identity import can_be_referenced, read_identity


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_identity_is_read_in_every_byte_order(syntax: UID) -> None:
    identity = read_identity(dicom(syntax=syntax, **IDENTITY))
    found = {keyword: str(identity[keyword].value) for keyword in IDENTITY}
    assert found == IDENTITY
    assert (identity.PatientName, identity.PatientID) == (NAME, IDENTIFIER)
    assert (identity.PatientBirthDate, identity.StudyDate) == (BIRTH, "20260301")


def test_nothing_but_the_identity_is_read() -> None:
    identity = read_identity(dicom(PatientAddress="Secret Street", **IDENTITY))
    assert "PatientAddress" not in identity
    assert "PixelData" not in identity
    assert "StudyID" not in identity  # it has no value


def test_file_without_preamble_is_read() -> None:
    assert read_identity(dicom()[132:]).PatientID == IDENTIFIER


def test_unreadable_identity_is_said_without_quoting_anything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_arguments: object) -> Dataset:
        raise ValueError(f"bad value {NAME}")

    monkeypatch.setattr(report_identity, "dcmread", fail)
    with pytest.raises(UnreadableImageError, match="Make the report without them") as caught:
        read_identity(dicom())
    assert caught.value.__suppress_context__
    assert NAME not in str(caught.value)


def test_image_with_all_uids_can_be_referenced() -> None:
    identity = read_identity(dicom(**IDENTITY))
    assert identity.SOPClassUID == ComputedRadiographyImageStorage
    assert can_be_referenced(identity)


@pytest.mark.parametrize(
    ("keyword", "value"), [("SeriesInstanceUID", None), ("SOPClassUID", "1.2.3.999")]
)
def test_image_without_series_or_of_an_unknown_class_cannot(
    keyword: str, value: str | None
) -> None:
    made = dataset(**IDENTITY)
    if value is None:
        del made[keyword]
    else:
        made.SOPClassUID = value
    assert not can_be_referenced(read_identity(written(made)))
