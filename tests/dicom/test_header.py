from __future__ import annotations

import struct
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import (
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)

from tests.support.dicom_files import NAME, bundled, dataset, dicom, written
from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging.limits import MAX_READS
from xray_classifier.inputs.decoding import decode

NO_DATES = {"PatientBirthDate": None, "StudyDate": None}


def warnings(**tags: Any) -> tuple[str, ...]:
    return decode(dicom(**tags)).warnings


# What is refused


@pytest.mark.parametrize("modality", ["CR", "DX", "RG", "DR"])
def test_radiographs_of_a_chest_pass_without_a_warning(modality: str) -> None:
    assert warnings(Modality=modality) == ()


@pytest.mark.parametrize("modality", ["CT", "MR", "US", "NM", "PT", "XA", "MG", "IO", "PX", "SEG"])
def test_other_modality_is_refused_with_its_tag(modality: str) -> None:
    with pytest.raises(
        UnreadableImageError, match=rf"its Modality \(0008,0060\) is {modality}, but CR, DX or RG"
    ):
        warnings(Modality=modality)


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("CT_small.dcm", "CT"),
        ("MR_small.dcm", "MR"),
        ("examples_palette.dcm", "US"),
        ("JPGExtended.dcm", "NM"),
        ("rtdose.dcm", "RTDOSE"),
        ("liver_1frame.dcm", "SEG"),
    ],
)
def test_other_modality_of_pydicom_s_files_is_refused(name: str, modality: str) -> None:
    with pytest.raises(UnreadableImageError, match=rf"Modality \(0008,0060\) is {modality},"):
        decode(bundled(name))


@pytest.mark.parametrize("modality", ["OT", "SC", "HC", "RF", "X-RAY", "", None])
def test_copies_and_unknown_modalities_are_read_with_a_warning(modality: str | None) -> None:
    assert warnings(Modality=modality) == ("modality_unusual",)


def test_secondary_capture_without_modality_is_read_with_a_warning() -> None:
    tags = {"Modality": None, "SOPClassUID": SecondaryCaptureImageStorage}
    assert warnings(**tags) == ("modality_unusual",)


def test_class_of_another_modality_is_refused_with_its_tag() -> None:
    with pytest.raises(
        UnreadableImageError, match=r"SOP Class UID \(0008,0016\) says CT Image Storage"
    ):
        warnings(Modality=None, SOPClassUID=CTImageStorage)


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("ABDOMEN", "ABDOMEN"),
        ("hand", "HAND"),
        ("LEFT KNEE", "KNEE"),
        ("C SPINE", "CSPINE"),
        ("SKULL^PA", "SKULL"),
        ("TSPINE", "TSPINE"),
    ],
)
def test_other_body_part_is_refused_with_its_tag(value: str, part: str) -> None:
    with pytest.raises(
        UnreadableImageError,
        match=rf"shows no chest: its Body Part Examined \(0018,0015\) is {part}\.",
    ):
        warnings(BodyPartExamined=value)


def test_other_body_part_of_pydicom_s_radiographs_is_refused() -> None:
    from pathlib import Path

    from pydicom.data import get_testdata_file

    folder = get_testdata_file("dicomdirtests/DICOMDIR", download=False)
    assert isinstance(folder, str)
    file = Path(folder).with_name("77654033") / "CR1" / "6154"
    with pytest.raises(UnreadableImageError, match=r"Body Part Examined \(0018,0015\) is CSPINE"):
        decode(file.read_bytes())


@pytest.mark.parametrize("value", ["CHEST", "Thorax", "CHEST PA", "LUNG", "PORT CHEST", "", None])
def test_chest_passes_whatever_it_is_called(value: str | None) -> None:
    assert warnings(BodyPartExamined=value) == ()


@pytest.mark.parametrize("value", ["WHOLEBODY", "TRUNK", "UNKNOWN", "HERZ"])
def test_unclear_body_part_is_read_with_a_warning(value: str) -> None:
    assert warnings(BodyPartExamined=value) == ("body_part_unclear",)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("reportsi.dcm", "Basic Text SR Storage, with SR as Modality"),
        ("rtplan.dcm", "RT Plan Storage, with RTPLAN as Modality"),
        ("rtstruct.dcm", "RT Structure Set Storage, with RTSTRUCT as Modality"),
        ("waveform_ecg.dcm", "12-lead ECG Waveform Storage, with ECG as Modality"),
        ("ExplVR_BigEndNoMeta.dcm", "RT Ion Plan Storage, with RTPLAN as Modality"),
        ("ExplVR_LitEndNoMeta.dcm", "RT Ion Plan Storage, with RTPLAN as Modality"),
        ("UN_sequence.dcm", "CT Image Storage"),
        ("dicomdirtests/DICOMDIR", "Media Storage Directory Storage"),
    ],
)
def test_objects_without_pixels_are_refused_with_their_class(name: str, kind: str) -> None:
    with pytest.raises(
        UnreadableImageError, match=rf"no Pixel Data \(7FE0,0010\) but is of the class {kind}"
    ):
        decode(bundled(name))


def test_radiograph_without_pixels_is_said_to_break_off() -> None:
    made = dataset()
    del made.PixelData
    with pytest.raises(UnreadableImageError, match=r"breaks off before its Pixel Data"):
        decode(written(made))


def test_refusals_say_what_to_do() -> None:
    with pytest.raises(UnreadableImageError, match="Choose the frontal chest radiograph"):
        warnings(Modality="CT")


DAMAGED = {"lookup table": (0x28, 0x3010), "coded view": (0x54, 0x220)}
"""Tags of the sequences that are read."""


def damaged(name: str, **tags: Any) -> bytes:
    """A file with a sequence of too many elements to be read."""
    file = dicom(**tags)
    item = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    junk = item + struct.pack("<HH2sH", 9, 16, b"LO", 0) * MAX_READS
    place = file.index(struct.pack("<HH", 0x7FE0, 0x10))
    element = struct.pack("<HH2sHL", *DAMAGED[name], b"SQ", 0, len(junk)) + junk
    return file[:place] + element + file[place:]


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_sequence_is_refused(name: str) -> None:
    with pytest.raises(UnreadableImageError, match="damaged or incomplete"):
        decode(damaged(name))


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"Modality": "CT"}, r"Modality \(0008,0060\) is CT"),
        ({"Rows": 31}, "80 x 31 pixels; at least 32"),
        ({"NumberOfFrames": 2}, "holds 2 frames"),
        ({"PixelData": bytes(4000)}, "holds 4000 bytes of pixels"),
    ],
)
@pytest.mark.parametrize("name", DAMAGED)
def test_what_says_more_goes_before_a_damaged_sequence(
    name: str, tags: dict[str, Any], message: str
) -> None:
    with pytest.raises(UnreadableImageError, match=message):
        decode(damaged(name, **tags))


def test_another_modality_goes_before_an_impossible_layout() -> None:
    with pytest.raises(UnreadableImageError, match=r"Modality \(0008,0060\) is CT"):
        decode(dicom(Modality="CT", Rows=None, NumberOfFrames=2))


def test_impossible_layout_goes_before_missing_pixels() -> None:
    with pytest.raises(UnreadableImageError, match="holds 2 frames"):
        decode(dicom(NumberOfFrames=2, PixelData=bytes(40)))


# Age


@pytest.mark.parametrize("age", ["001Y", "005Y", "012M", "018M", "071M", "053W", "366D", "04Y"])
def test_age_of_1_to_5_years_gives_no_warning(age: str) -> None:
    assert warnings(PatientAge=age, **NO_DATES) == ()


@pytest.mark.parametrize("age", ["000Y", "006Y", "045Y", "011M", "072M", "300D", "006W", "010D"])
def test_other_age_is_warned_of(age: str) -> None:
    assert warnings(PatientAge=age, **NO_DATES) == ("age_outside_1_to_5",)


@pytest.mark.parametrize(
    ("birth", "study", "inside"),
    [
        ("20200301", "20210228", False),  # one day before the first birthday
        ("20200301", "20210301", True),
        ("20200301", "20260228", True),
        ("20200301", "20260301", False),  # the sixth birthday
        ("20200229", "20210228", False),
        ("20200229", "20210301", True),
        ("1990.05.07", "20260301", False),  # as before the standard of 1993
    ],
)
def test_age_follows_from_the_dates(birth: str, study: str, inside: bool) -> None:
    found = warnings(PatientBirthDate=birth, StudyDate=study)
    assert found == (() if inside else ("age_outside_1_to_5",))


def test_stated_age_goes_before_the_dates() -> None:
    assert warnings(PatientAge="003Y", PatientBirthDate="19500101", StudyDate="20260301") == ()


@pytest.mark.parametrize(
    "tags",
    [
        NO_DATES,
        {"PatientBirthDate": "", "StudyDate": "20260301"},
        {"PatientBirthDate": "20300101", "StudyDate": "20260301"},
        {"PatientBirthDate": "20209999", "StudyDate": "20260301"},
        {"PatientAge": "old", **NO_DATES},
        {"PatientAge": "", **NO_DATES},
    ],
)
def test_unknown_or_impossible_age_gives_no_warning(tags: dict[str, Any]) -> None:
    assert warnings(**tags) == ()


# View


@pytest.mark.parametrize("view", ["AP", "PA", "", None, "CHEST PA", "ERECT", "ANTERO-POSTERIOR"])
def test_frontal_or_unstated_view_gives_no_warning(view: str | None) -> None:
    tags = {} if view is None else {"ViewPosition": view}
    assert warnings(**tags) == ()


@pytest.mark.parametrize(
    "view", ["LL", "RL", "LLD", "RLD", "LLO", "RLO", "lateral", "LAT", "LEFT LATERAL", "OBLIQUE"]
)
def test_other_view_is_warned_of(view: str) -> None:
    assert warnings(ViewPosition=view) == ("view_not_frontal",)


def test_coded_view_is_understood() -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "R-10236", "SRT", "left lateral"
    assert warnings(ViewCodeSequence=[code]) == ("view_not_frontal",)
    code.CodeMeaning = "postero-anterior"
    assert warnings(ViewCodeSequence=[code]) == ()


@pytest.mark.parametrize(
    ("orientation", "frontal"),
    [(["L", "F"], True), (["R", "F"], True), (["A", "F"], False), (["P", "F"], False)],
)
def test_orientation_of_the_rows_tells_a_lateral_view(
    orientation: list[str], frontal: bool
) -> None:
    found = warnings(PatientOrientation=orientation)
    assert found == (() if frontal else ("view_not_frontal",))


# Other facts


def test_raw_data_are_warned_of() -> None:
    assert warnings(Modality="DX", PresentationIntentType="FOR PROCESSING") == (
        "not_for_presentation",
    )
    for_viewing = {
        "SOPClassUID": DigitalXRayImageStorageForPresentation,
        "PresentationIntentType": "FOR PRESENTATION",
    }
    assert warnings(Modality="DX", **for_viewing) == ()


def test_burned_in_text_is_warned_of() -> None:
    assert warnings(BurnedInAnnotation="YES") == ("burned_in_text",)
    assert warnings(BurnedInAnnotation="NO") == ()


def test_warnings_come_together() -> None:
    found = warnings(PatientAge="045Y", ViewPosition="LL", Modality="OT")
    assert found == ("age_outside_1_to_5", "view_not_frontal", "modality_unusual")


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_header_is_read_in_every_encoding(syntax: Any) -> None:
    assert decode(dicom(syntax=syntax, PatientAge="045Y")).warnings == ("age_outside_1_to_5",)


# Hostile values


@pytest.mark.parametrize(
    "keyword",
    ["Modality", "BodyPartExamined", "PatientAge", "ViewPosition", "PatientOrientation",
     "PhotometricInterpretation", "BurnedInAnnotation", "PresentationIntentType"],
)  # fmt: skip
def test_a_name_in_the_wrong_place_is_not_quoted(keyword: str) -> None:
    tags: dict[str, Any] = {keyword: NAME}
    try:
        decode(dicom(**tags))
    except UnreadableImageError as error:
        assert "fakename" not in str(error).lower()  # noqa: PT017 - either outcome is right
