"""The reports on the page, driven by Streamlit's own test client, and the function behind."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pypdfium2
import pytest
from streamlit.testing.v1 import AppTest

from tests.support.dicom_files import IDENTIFIER, NAME, dicom
from tests.support.drawn_reports import FILE_NAME, REJECTION, RESULT, SPEC
from tests.support.etiologies import PICTURES, two_answer_classifier
from tests.support.pictures import encoded, gradient
from xray_classifier.app import export as export_page
from xray_classifier.app import one_image
from xray_classifier.batch.queue import Queue
from xray_classifier.batch.scoring import score_source
from xray_classifier.errors import ModelUnavailableError, UnreadableImageError
from xray_classifier.imaging.radiograph import Radiograph
from xray_classifier.inference.etiology import NO_PROOF
from xray_classifier.inference.heatmap import Explainer
from xray_classifier.inference.pipeline import Result, classify
from xray_classifier.inputs.sources import Source
from xray_classifier.reports import export
from xray_classifier.reports.content import CaseReport

if TYPE_CHECKING:
    from xray_classifier.models.classifier import Classifier

IMAGE = gradient()

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


# Of many at once


def queue_of(files: dict[str, bytes], classifier: Classifier) -> Queue:
    queue = Queue({name: Source(name, partial(bytes, data)) for name, data in files.items()}, {})
    queue.advance(partial(score_source, classifier=classifier), 60)
    return queue


FILES = {"a.png": encoded(gradient()), "b.dcm": dicom(), "c.txt": b"text"}


@pytest.fixture
def bundle(monkeypatch: pytest.MonkeyPatch, tiny_classifier: Classifier) -> Callable[..., bytes]:
    monkeypatch.setattr(export_page, "shared_classifier", lambda *_: tiny_classifier)
    queue = queue_of(FILES, tiny_classifier)
    return partial(export_page.bundle_bytes, queue=lambda: queue, model="tiny")


def text_of(data: bytes) -> list[str]:
    with pypdfium2.PdfDocument(data) as document:
        return [page.get_textpage().get_text_range() for page in document]


def test_pdf_of_many_lists_all_and_shows_what_could_be_read(bundle: Callable[..., bytes]) -> None:
    first, *reports = text_of(bundle(".pdf", [2, 1], named=False))
    assert "The PDF lists all 3 studies and shows 2, without heatmaps." in first
    assert "unreadable" in first
    assert [re.search(r"Study\s+(\d)", text)[1] for text in reports] == ["1", "2"]  # type: ignore[index]
    assert not [text for text in (first, *reports) if "b.dcm" in text]


def test_pdf_of_many_bears_file_names_where_they_are_wanted(bundle: Callable[..., bytes]) -> None:
    _, *reports = text_of(bundle(".pdf", [1, 2], named=True))
    assert [name in text for name, text in zip(FILES, reports, strict=False)] == [True, True]


def test_pdf_of_many_lists_what_a_pneumonia_looks_like(
    bundle: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = two_answer_classifier()
    monkeypatch.setattr(export_page, "shared_classifier", lambda *_: classifier)
    queue = queue_of(PICTURES, classifier)
    made = export_page.bundle_bytes(
        ".pdf", [1, 2, 4], named=False, queue=lambda: queue, model="second"
    )
    first, bacterial, viral, normal = (" ".join(text.split()) for text in text_of(made))
    assert NO_PROOF in first
    assert first.count("If so, it looks") == 3
    assert "If so, it looks viral 88.1 %." in first
    assert "looks like a bacterial one rather than a viral one: 93.5 %." in bacterial
    assert "looks like a viral one rather than a bacterial one: 88.1 %." in viral
    assert NO_PROOF not in normal
    plain = " ".join(text_of(bundle(".pdf", [1, 2], named=False)))
    assert NO_PROOF not in plain
    assert "it looks" not in plain


def test_zip_of_many_holds_reports_on_the_dicom_files_alone(bundle: Callable[..., bytes]) -> None:
    with zipfile.ZipFile(io.BytesIO(bundle(".zip", [2], named=True))) as archive:
        assert archive.namelist() == ["study-2.sr.dcm"]
        data = archive.read("study-2.sr.dcm")
    assert NAME.encode() not in data
    assert b"b.dcm" not in data


def test_result_of_a_report_on_many_is_the_one_in_the_table(
    bundle: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch, tiny_classifier: Classifier
) -> None:
    found: list[Result] = []

    def note_results(rows: object, reports: Iterator[CaseReport], note: str) -> bytes:
        found.extend(report.result for report in reports)
        return b""

    monkeypatch.setattr("xray_classifier.reports.bundle.to_one_pdf", note_results)
    bundle(".pdf", [1, 2], named=False)
    for result, data in zip(found, FILES.values(), strict=False):
        expected = classify(data, tiny_classifier)
        np.testing.assert_array_equal(result.image, expected.image)
        assert replace(result, image=IMAGE) == replace(expected, image=IMAGE)


def test_reports_on_many_are_gone_with_their_page() -> None:
    with pytest.raises(UnreadableImageError, match="page was closed"):
        export_page.bundle_bytes(".pdf", [1], named=False, queue=lambda: None, model="tiny")
