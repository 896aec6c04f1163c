from __future__ import annotations

import io
import zipfile

import pydicom
import pypdfium2

from tests.support.dicom_files import NAME
from tests.support.drawn_reports import REJECTION, RESULT, a_report
from xray_classifier.reports.bundle import to_dicom_zip, to_one_pdf

REPORTS = [a_report(number=3), a_report(REJECTION, number=5)]


def texts(data: bytes) -> list[str]:
    with pypdfium2.PdfDocument(data) as document:
        return [page.get_textpage().get_text_range() for page in document]


def test_pdf_begins_with_a_list_of_all_and_goes_on_with_a_report_on_each() -> None:
    rows = [("3", "pneumonia", "97.3 %", ""), ("4", "unreadable", "", "<b>No</b> image.")]
    first, *reports = texts(to_one_pdf(rows, iter(REPORTS), "Without heatmaps."))
    for words in ("2 studies", "Not a medical device", "Without heatmaps.", "97.3 %"):
        assert words in first
    assert "<b>No</b> image." in first, "as it is, no markup"
    assert len(reports) == 2
    assert "97.3 %" in reports[0]
    assert "NOT JUDGED" in reports[1]


def test_long_list_goes_over_several_pages() -> None:
    rows = [(str(number), "normal", "1.0 %", "") for number in range(300)]
    pages = texts(to_one_pdf(rows, [], ""))
    assert len(pages) > 3
    assert all("Verdict" in page for page in pages), "each has the heading"
    assert "299" in pages[-1]


def test_zip_holds_a_dicom_report_on_each_without_identity() -> None:
    with zipfile.ZipFile(io.BytesIO(to_dicom_zip(iter(REPORTS)))) as archive:
        assert archive.namelist() == ["study-3.sr.dcm", "study-5.sr.dcm"]
        made = pydicom.dcmread(io.BytesIO(archive.read("study-3.sr.dcm")))
    assert made.Modality == "SR"
    assert NAME not in str(made)
    assert str(RESULT.verdict) in str(made).lower()
