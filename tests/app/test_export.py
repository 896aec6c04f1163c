"""The reports on the page, driven by Streamlit's own test client, and the function behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.support.dicom_files import IDENTIFIER, NAME, dicom
from tests.support.drawn_reports import FILE_NAME, REJECTION, RESULT, SPEC
from tests.support.pictures import encoded, gradient
from xray_classifier.app import export as export_page
from xray_classifier.app import one_image
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.imaging.radiograph import Radiograph
from xray_classifier.inference.heatmap import Explainer
from xray_classifier.reports import export

if TYPE_CHECKING:
    from xray_classifier.inference.pipeline import Result

FILE_NAME_BOX, IDENTITY_BOX = (
    "Include the file name",
    "Keep the patient's identifiers from the source file",
)


def upload(page: AppTest, content: bytes) -> AppTest:
    return page.file_uploader[0].upload(FILE_NAME, content, "application/octet-stream").run()


def labels(page: AppTest) -> list[str]:
    return [button.label for button in page.download_button]


def boxes(page: AppTest) -> dict[str, bool]:
    return {box.label: bool(box.value) for box in page.checkbox}


def test_empty_page_offers_no_report(page: AppTest) -> None:
    assert not labels(page)


def test_image_can_be_taken_away_as_pdf_and_json(page: AppTest) -> None:
    upload(page, encoded(gradient()))
    assert page.expander[-1].label == "Take it away"
    assert labels(page) == ["PDF", "JSON"]
    assert boxes(page) == {FILE_NAME_BOX: False}


def test_dicom_can_be_taken_away_as_dicom_without_identity_by_default(page: AppTest) -> None:
    upload(page, dicom())
    assert labels(page) == ["PDF", "JSON", "DICOM picture", "DICOM Structured Report"]
    assert boxes(page) == {FILE_NAME_BOX: False, IDENTITY_BOX: False}


def test_keeping_the_identity_is_warned_of(page: AppTest) -> None:
    upload(page, dicom())
    before = len(page.warning)
    page.checkbox[1].set_value(True).run()
    assert len(page.warning) == before + 1
    assert "will hold the patient's name" in page.warning[-1].value
    assert not [secret for secret in (NAME, IDENTIFIER) if secret in str(page.main)]


def test_ticks_hold_for_one_file_only(page: AppTest) -> None:
    upload(page, dicom())
    for index in (0, 1):
        page.checkbox[index].set_value(True).run()
    assert boxes(page) == {FILE_NAME_BOX: True, IDENTITY_BOX: True}
    upload(page, dicom(PatientName="Other^Child"))
    assert boxes(page) == {FILE_NAME_BOX: False, IDENTITY_BOX: False}


def test_rejected_image_has_a_report_too(page: AppTest) -> None:
    upload(page, encoded(np.full((50, 50), 255, np.uint8)))
    assert labels(page) == ["PDF", "JSON"]


def test_unreadable_file_has_none(page: AppTest) -> None:
    assert not labels(upload(page, b"just text"))


def test_nothing_is_made_before_a_button_is_clicked(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_page, "report_bytes", lambda *_, **__: pytest.fail("made"))
    monkeypatch.setattr(export, "export", lambda *_, **__: pytest.fail("made"))
    upload(page, dicom())
    assert len(labels(page)) == 4
    assert not page.exception


def test_no_picture_is_kept_for_a_report_that_may_never_be_asked_for(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Any] = []
    monkeypatch.setattr(one_image, "offer_reports", lambda *given: kept.extend(given))
    file = encoded(gradient())
    upload(page, file)
    again = kept[2]
    assert [part for part in again.args if isinstance(part, bytes)] == [file]
    assert not [part for part in (*kept, *again.args) if isinstance(part, (np.ndarray, Radiograph))]
    assert again().image.shape == gradient().shape


# What a click calls


def no_explainer() -> Explainer:
    raise ModelUnavailableError("This model cannot be explained.")


def clicked(
    ending: str,
    file_name: str = "",
    source: bytes | None = None,
    result: Result = RESULT,
) -> bytes:
    return export_page.report_bytes(
        ending,
        classify=lambda: result,
        spec=SPEC,
        load_explainer=no_explainer,
        number=4,
        file_name=file_name,
        source=source,
    )


def test_click_makes_the_report_of_this_case() -> None:
    values = json.loads(clicked(".json"))
    assert (values["study"], values["probability"]) == (4, 0.973)
    assert "file" not in values
    assert json.loads(clicked(".json", FILE_NAME))["file"] == FILE_NAME
    assert json.loads(clicked(".json", result=REJECTION))["status"] == "rejected"


def test_click_keeps_the_identity_only_if_it_is_given_the_source() -> None:
    assert NAME.encode() not in clicked(".sr.dcm")
    assert NAME.encode() in clicked(".sr.dcm", source=dicom())


def test_report_of_a_model_that_cannot_be_explained_is_made_all_the_same(tmp_path: Path) -> None:
    assert clicked(".pdf").startswith(b"%PDF-")
