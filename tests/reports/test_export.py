from __future__ import annotations

import json

import pytest

from tests.support.dicom_files import IDENTIFIER, dicom
from tests.support.drawn_reports import a_report
from tests.support.pictures import encoded, gradient
from tests.support.processes import printed
from xray_classifier.errors import DatasetError, ModelUnavailableError, UnreadableImageError
from xray_classifier.inference.heatmap import Explainer
from xray_classifier.reports import dicom as report_dicom
from xray_classifier.reports.content import CaseReport
from xray_classifier.reports.export import ENDINGS, check_request, export

PICTURE_FILE, DICOM_FILE = encoded(gradient()), dicom()


def no_explainer() -> Explainer:
    raise ModelUnavailableError("This model cannot be explained.")


def forbidden() -> Explainer:
    pytest.fail("a report without pictures needs no heatmap")


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("a.pdf", ".pdf"),
        ("A.PDF", ".pdf"),
        ("a.b.json", ".json"),
        ("a.dcm", ".dcm"),
        ("a.sr.dcm", ".sr.dcm"),
        ("a.SR.DCM", ".sr.dcm"),
    ],
)
def test_format_is_told_from_the_name(name: str, ending: str) -> None:
    assert check_request(name, DICOM_FILE, keep_identity=False) == ending


def test_unknown_ending_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(DatasetError, match=r"a.docx ends in none of .sr.dcm, .dcm, .pdf, .json"):
        check_request("a.docx", DICOM_FILE, keep_identity=False)


def test_identity_is_for_dicom_reports_only() -> None:
    with pytest.raises(DatasetError, match=r"as .pdf never names the patient. Choose .dcm or"):
        check_request("a.pdf", DICOM_FILE, keep_identity=True)
    assert check_request("a.dcm", DICOM_FILE, keep_identity=True) == ".dcm"


@pytest.mark.parametrize("name", ["a.dcm", "a.sr.dcm"])
def test_dicom_reports_are_made_of_dicom_only(name: str) -> None:
    with pytest.raises(DatasetError, match=r"made of DICOM files only, and this is none. Choose"):
        check_request(name, PICTURE_FILE, keep_identity=False)


@pytest.mark.parametrize(
    ("ending", "start"), [(".pdf", b"%PDF-"), (".json", b"{"), (".dcm", bytes(128) + b"DICM")]
)
def test_each_format_is_written(ending: str, start: bytes) -> None:
    assert export(a_report(), ending, no_explainer).startswith(start)


@pytest.mark.parametrize("ending", [".json", ".sr.dcm"])
def test_formats_without_pictures_ask_for_no_heatmap(ending: str) -> None:
    assert export(a_report(), ending, forbidden)


def test_json_is_the_report() -> None:
    assert json.loads(export(a_report(number=3), ".json", forbidden))["study"] == 3


@pytest.mark.parametrize("ending", [".dcm", ".sr.dcm"])
def test_identity_is_handed_on(ending: str) -> None:
    assert IDENTIFIER.encode() not in export(a_report(), ending, no_explainer)
    assert IDENTIFIER.encode() in export(a_report(), ending, no_explainer, DICOM_FILE)


def test_longer_of_two_endings_comes_first() -> None:
    assert ENDINGS.index(".sr.dcm") < ENDINGS.index(".dcm")


def test_libraries_wait_until_a_report_is_asked_for() -> None:
    program = (
        "import sys\n"
        "import xray_classifier.reports.export, xray_classifier.app.export\n"
        "print({'reportlab', 'pypdfium2', 'highdicom', 'pydicom', 'tensorflow'} & "
        "sys.modules.keys())"
    )
    assert printed(program) == "set()"


def test_error_on_writing_the_identity_does_not_quote_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(report: CaseReport, source: bytes | None) -> bytes:
        raise ValueError(IDENTIFIER)

    monkeypatch.setattr(report_dicom, "to_structured_report", fail)
    with pytest.raises(UnreadableImageError, match="cannot be written") as caught:
        export(a_report(), ".sr.dcm", forbidden, DICOM_FILE)
    assert caught.value.__suppress_context__
    with pytest.raises(ValueError, match=IDENTIFIER):  # no identity was asked for: a plain fault
        export(a_report(), ".sr.dcm", forbidden)
