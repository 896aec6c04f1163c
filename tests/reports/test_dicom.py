from __future__ import annotations

import io
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.filereader import dcmread
from pydicom.uid import ComprehensiveSRStorage, SecondaryCaptureImageStorage

from tests.support.dicom_files import BIRTH, IDENTIFIER, NAME, dataset, dicom, written
from tests.support.drawn_reports import (
    FILE_NAME,
    INVALID,
    REJECTION,
    RESULT,
    SHA256,
    a_report,
    with_heatmap,
)
from tests.support.etiologies import answered, report_on
from tests.support.identity import IDENTITY
from tests.support.pictures import gradient
from xray_classifier.inference.warnings import WARNINGS
from xray_classifier.inputs.decoding import decode
from xray_classifier.reports.content import DISCLAIMER
from xray_classifier.reports.dicom import to_secondary_capture, to_structured_report
from xray_classifier.reports.pdf import to_picture

SOURCE = dicom(**IDENTITY)
SECRETS = (NAME, IDENTIFIER, BIRTH, *(value for value in IDENTITY.values() if len(value) > 1))
UIDS = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
Writer = Callable[..., bytes]
both = pytest.mark.parametrize("write", [to_secondary_capture, to_structured_report])

# Type 1 (a value is wanted) and type 2 (may be empty) of the modules that both kinds of object
# share, PS3.3 C.7.1.1, C.7.2.1, C.7.3.1, C.12.1.
TYPE_1 = ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID", "Modality")
TYPE_2 = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime"),
    *("ReferringPhysicianName", "StudyID", "AccessionNumber", "SeriesNumber"),
)
# Of the Secondary Capture (A.8.1) and the Comprehensive SR (A.35.3).
PICTURE_TYPE_1 = (
    *("ConversionType", "SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PlanarConfiguration"),
    *("ImageType", "PixelData"),
)
DOCUMENT_TYPE_1 = (
    *("InstanceNumber", "CompletionFlag", "VerificationFlag", "ContentDate", "ContentTime"),
    *("ValueType", "ConceptNameCodeSequence", "ContinuityOfContent", "ContentSequence"),
)


def read(content: bytes) -> Dataset:
    return dcmread(io.BytesIO(content))


def flat(item: Dataset) -> list[Dataset]:
    """All content items below one, in their order."""
    below = item.get("ContentSequence", [])
    return [found for child in below for found in (child, *flat(child))]


def concept(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeMeaning)


def coded(document: Dataset) -> dict[str, Any]:
    """Values of numbers and codes by the meaning of their concept."""
    return {
        concept(item): (
            (float(item.MeasuredValueSequence[0].NumericValue))
            if item.ValueType == "NUM"
            else item.ConceptCodeSequence[0].CodeMeaning
        )
        for item in flat(document)
        if item.ValueType in ("NUM", "CODE")
    }


def comments(document: Dataset) -> list[str]:
    return [str(item.TextValue) for item in flat(document) if concept(item) == "Comment"]


# Both kinds


@both
@pytest.mark.parametrize("source", [None, SOURCE])
def test_every_attribute_that_must_be_there_is(write: Writer, source: bytes | None) -> None:
    made = read(write(a_report(), source))
    special = PICTURE_TYPE_1 if write is to_secondary_capture else DOCUMENT_TYPE_1
    assert [keyword for keyword in (*TYPE_1, *special) if made.get(keyword) in (None, "")] == []
    assert [keyword for keyword in TYPE_2 if keyword not in made] == []
    assert made.file_meta.MediaStorageSOPInstanceUID == made.SOPInstanceUID


@both
def test_identity_of_the_source_is_nowhere_by_default(write: Writer) -> None:
    content = write(a_report())
    assert not [secret for secret in SECRETS if secret.encode() in content]
    made = read(content)
    assert (made.PatientName, made.PatientID, made.PatientBirthDate) == ("", "", "")
    assert made.PatientIdentityRemoved == "YES"
    assert "No header element of the source is copied" in made.DeidentificationMethod


@both
def test_uids_are_new_each_time(write: Writer) -> None:
    first, second = read(write(a_report())), read(write(a_report()))
    for keyword in UIDS:
        assert first[keyword].value != second[keyword].value
        assert first[keyword].value not in IDENTITY.values()


@both
def test_identity_is_kept_if_that_is_wanted(write: Writer) -> None:
    made = read(write(a_report(), SOURCE))
    kept = {keyword: str(made[keyword].value) for keyword in IDENTITY if keyword not in UIDS}
    assert kept == {keyword: IDENTITY[keyword] for keyword in kept}
    assert (made.PatientName, made.PatientID, made.PatientBirthDate) == (NAME, IDENTIFIER, BIRTH)
    assert (made.StudyDate, made.StudyInstanceUID) == ("20260301", IDENTITY["StudyInstanceUID"])
    assert "PatientIdentityRemoved" not in made
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):  # it is another object
        assert made[keyword].value != IDENTITY[keyword]


@both
def test_names_in_other_scripts_are_kept(write: Writer) -> None:
    source = dataset(**IDENTITY)
    source.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    source.PatientName = "Yamada^Tarou=山田^太郎"
    assert read(write(a_report(), written(source))).PatientName == "Yamada^Tarou=山田^太郎"


@both
def test_source_without_study_gets_a_new_one(write: Writer) -> None:
    made = read(write(a_report(), dicom()))
    assert made.PatientID == IDENTIFIER
    assert made.StudyInstanceUID
    assert "SourceImageSequence" not in made
    assert "CurrentRequestedProcedureEvidenceSequence" not in made


@both
def test_dates_are_those_of_the_report(write: Writer) -> None:
    made = read(write(a_report()))
    assert (made.ContentDate, made.ContentTime) == ("20261124", "120530")
    assert made.TimezoneOffsetFromUTC == "+0000"
    assert not made.StudyDate


@both
def test_nothing_of_the_source_is_logged(write: Writer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    write(a_report(), SOURCE)
    assert not [secret for secret in SECRETS if secret in caplog.text]


# The picture


def test_picture_is_the_page_of_the_pdf() -> None:
    report = with_heatmap(a_report())
    made = read(to_secondary_capture(report))
    assert made.SOPClassUID == SecondaryCaptureImageStorage
    np.testing.assert_array_equal(made.pixel_array, to_picture(report))
    assert made.DerivationDescription == DISCLAIMER


def test_picture_points_to_the_source_if_identity_is_kept() -> None:
    (reference,) = read(to_secondary_capture(a_report(), SOURCE)).SourceImageSequence
    assert reference.ReferencedSOPInstanceUID == IDENTITY["SOPInstanceUID"]


def test_picture_that_may_hold_burned_in_text_is_not_called_free_of_identity() -> None:
    report = a_report(replace(RESULT, warnings=("burned_in_text",)))
    made = read(to_secondary_capture(report))
    assert (made.PatientIdentityRemoved, made.BurnedInAnnotation) == ("NO", "YES")
    assert read(to_structured_report(report)).PatientIdentityRemoved == "YES"


def test_picture_can_be_opened_as_any_radiograph_can() -> None:
    # Secondary Captures come in with a caution; so the page of a report passes the decoder.
    decoded = decode(to_secondary_capture(a_report(replace(RESULT, image=gradient()))))
    assert decoded.image.shape == (1754, 1241)


# The document


def test_document_codes_verdict_and_probability() -> None:
    made = read(to_structured_report(a_report()))
    assert made.SOPClassUID == ComprehensiveSRStorage
    assert made.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    values = coded(made)
    assert values["Probability of pneumonia"] == 97.3
    assert values["Pneumonia"] == "Present"
    (name,) = [item for item in flat(made) if concept(item) == "Pneumonia"]
    code = name.ConceptNameCodeSequence[0]
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("233604007", "SCT")
    assert (made.PreliminaryFlag, made.VerificationFlag) == ("PRELIMINARY", "UNVERIFIED")


@pytest.mark.parametrize(
    ("verdict", "presence"), [("normal", "Absent"), ("uncertain", "Undetermined")]
)
def test_other_verdicts_are_coded_too(verdict: str, presence: str) -> None:
    made = read(to_structured_report(a_report(replace(RESULT, verdict=verdict))))
    assert coded(made)["Pneumonia"] == presence


@pytest.mark.parametrize("result", [REJECTION, INVALID])
def test_what_means_nothing_is_not_coded(result: Any) -> None:
    values = coded(read(to_structured_report(a_report(result))))
    assert values["Pneumonia"] == "Undetermined"
    assert "Probability of pneumonia" not in values


def test_document_says_in_words_what_the_page_says() -> None:
    said = comments(read(to_structured_report(a_report())))
    assert said[0].startswith("Pneumonia. Probability of pneumonia 97.3 %, at or above")
    assert f"Warning: {WARNINGS['view_not_frontal']}" in said
    assert DISCLAIMER in said
    assert f"SHA-256 of the model: {SHA256}" in said


def test_document_of_an_invalid_number_begins_with_that() -> None:
    assert comments(read(to_structured_report(a_report(INVALID))))[0].startswith("Not valid.")
    assert comments(read(to_structured_report(a_report(REJECTION))))[0].startswith("Not judged.")


def test_document_names_the_file_only_if_that_is_wanted() -> None:
    assert b"Fakename" not in to_structured_report(a_report())
    said = comments(read(to_structured_report(a_report(file_name=FILE_NAME))))
    assert f"File: {FILE_NAME}" in said


def test_document_points_to_the_source_if_identity_is_kept() -> None:
    made = read(to_structured_report(a_report(), SOURCE))
    (evidence,) = made.CurrentRequestedProcedureEvidenceSequence
    series = evidence.ReferencedSeriesSequence[0]
    assert series.SeriesInstanceUID == IDENTITY["SeriesInstanceUID"]
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == IDENTITY["SOPInstanceUID"]
    assert [item for item in flat(made) if item.ValueType == "IMAGE"]
    alone = read(to_structured_report(a_report()))
    assert not [item for item in flat(alone) if item.ValueType == "IMAGE"]
    assert "PertinentOtherEvidenceSequence" not in alone


def test_etiology_is_said_in_words_and_not_coded() -> None:
    report = report_on(answered("bacterial", 0.87))
    told = read(to_structured_report(report))
    assert report.etiology in comments(told)
    assert "If a pneumonia, it looks: bacterial 87.0 %" in comments(told)
    plain = read(to_structured_report(a_report()))
    assert coded(told) == coded(plain)
    assert "bacterial" not in " ".join(comments(plain))
