"""Reports as a visitor takes them away: downloaded in a real browser, opened and read back."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pypdfium2
import pytest
from playwright.sync_api import Page, expect
from pydicom.filereader import dcmread

from tests.support.dicom_files import IDENTIFIER, NAME, dicom
from tests.support.identity import IDENTITY
from xray_classifier.inference.verdict import percent
from xray_classifier.inputs.decoding import decode
from xray_classifier.models.loading import load_classifier
from xray_classifier.reports.content import DISCLAIMER

pytestmark = [pytest.mark.browser, pytest.mark.data]

FIRST_VERDICT_MS = 300_000  # a busy machine is slow, not wrong
FILE_NAME = "Zoe-Fakename.dcm"


@pytest.fixture(scope="module")
def study(original: Path) -> bytes:
    """A DICOM file of one of the radiographs."""
    return dicom(decode(original.read_bytes()).image, **IDENTITY)


@pytest.fixture
def page(tab: Page, address: str, study: bytes) -> Page:
    """The page with the study on it, and its reports in reach."""
    tab.goto(address)
    tab.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(
        {"name": FILE_NAME, "mimeType": "application/octet-stream", "buffer": study}
    )
    tab.get_by_text("Take it away").click(timeout=FIRST_VERDICT_MS)
    return tab


def download(page: Page, label: str) -> bytes:
    with page.expect_download(timeout=FIRST_VERDICT_MS) as waiting:
        page.get_by_role("button", name=label, exact=True).click()
    assert "Fakename" not in waiting.value.suggested_filename
    return Path(waiting.value.path()).read_bytes()


def tick(page: Page, label: str) -> None:
    # A box that is drawn anew under the pointer would not notice it.
    expect(page.locator("[data-test-script-state=notRunning]")).to_be_attached()
    page.get_by_text(label).click()
    expect(page.get_by_role("checkbox", name=label)).to_be_checked()


def text_of(pdf: bytes) -> str:
    with pypdfium2.PdfDocument(pdf) as document:
        pages = [page.get_textpage().get_text_range() for page in document]
    return " ".join(" ".join(pages).split())


def test_every_report_is_downloaded_and_read_back_without_identity(page: Page) -> None:
    files = {
        label: download(page, label)
        for label in ("JSON", "PDF", "DICOM picture", "DICOM Structured Report")
    }
    for content in files.values():
        assert not [word for word in (NAME, IDENTIFIER, FILE_NAME) if word.encode() in content]
    values = json.loads(files["JSON"])
    spec = load_classifier().spec
    assert (values["verdict"], values["model"]["sha256"]) == ("normal", spec.sha256)
    expect(page.get_by_text(f"pneumonia {percent(values['probability'])}").first).to_be_visible()
    text = text_of(files["PDF"])
    for wanted in (percent(values["probability"]), spec.sha256, DISCLAIMER, "Heatmap: from violet"):
        assert wanted in text
    assert FILE_NAME not in text
    picture = dcmread(io.BytesIO(files["DICOM picture"]))
    assert (picture.PatientName, picture.pixel_array.shape) == ("", (1754, 1241, 3))
    document = dcmread(io.BytesIO(files["DICOM Structured Report"]))
    assert (document.Modality, document.PatientID) == ("SR", "")
    assert document.StudyInstanceUID != IDENTITY["StudyInstanceUID"]


def test_file_name_and_identity_come_along_once_they_are_ticked(page: Page) -> None:
    tick(page, "Include the file name")
    tick(page, "Keep the patient's identifiers from the source file")
    warning = page.get_by_text("will hold the patient's name")
    expect(warning).to_be_visible(timeout=FIRST_VERDICT_MS)
    assert json.loads(download(page, "JSON"))["file"] == FILE_NAME
    made = dcmread(io.BytesIO(download(page, "DICOM Structured Report")))
    assert (made.PatientName, made.StudyInstanceUID) == (NAME, IDENTITY["StudyInstanceUID"])
