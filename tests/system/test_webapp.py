"""The page, driven by Streamlit's own test client."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.support.dicom_files import BIRTH, IDENTIFIER, NAME, dicom
from tests.support.pages import ask_for_heatmap, draw_app, viewed
from tests.support.pictures import encoded, gradient, shaded_square
from tests.support.places import ROOT
from tests.support.stand_ins import BrightnessNetwork, find_no_model, pointed_classifier
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.inference.warnings import WARNINGS
from xray_classifier.inputs.decoding import MAX_BYTES
from xray_classifier.models import loading
from xray_classifier.models.network import NO_SIGMOID
from xray_classifier.models.spec import ModelSpec

if TYPE_CHECKING:
    from xray_classifier.models.classifier import Classifier

# White alone is rejected by the tiny gate, black alone is flagged.
WHITISH, BLACKISH = np.full((50, 50), 254, np.uint8), np.full((50, 50), 1, np.uint8)


def upload(page: AppTest, content: bytes, name: str = "x.png") -> AppTest:
    return page.file_uploader[0].upload(name, content, "image/png").run()


def texts(page: AppTest) -> str:
    return " ".join(element.value for element in [*page.header, *page.markdown, *page.caption])


def test_empty_page_invites_an_upload_and_shows_no_error(page: AppTest) -> None:
    assert "Drop one frontal chest X-ray" in texts(page)
    assert not page.error
    assert not page.exception


def test_standing_line_is_on_the_page_with_and_without_an_image(page: AppTest) -> None:
    assert "Not a medical device" in page.caption[0].value
    assert "children of 1 to 5 years" in upload(page, encoded(gradient())).caption[0].value


def test_upload_shows_verdict_probability_threshold_model_and_hash(page: AppTest) -> None:
    upload(page, encoded(WHITISH))  # sigmoid(8 * 254 / 255 - 4) = .981
    assert page.header[0].value == "Pneumonia 98.1 %"
    assert "Pneumonia is called from 50.0 % on." in texts(page)
    assert "Tiny (`tiny`, `abababab`)" in texts(page)
    (shown,) = viewed(page).images
    np.testing.assert_array_equal(shown, WHITISH)


def test_dicom_is_judged_and_its_header_is_warned_of(page: AppTest) -> None:
    whitish = np.full((50, 50), 4080, np.uint16)  # 254 of 255
    file = dicom(whitish, BitsStored=12, PatientAge="045Y", ViewPosition="LL")
    page.file_uploader[0].upload("IM0001", file, "application/octet-stream").run()
    assert page.header[0].value == "Pneumonia 98.1 %"
    *warnings, _ = [element.value for element in page.warning]  # the last stands always
    assert warnings == [WARNINGS[code] for code in ("age_outside_1_to_5", "view_not_frontal")]
    shown = texts(page) + " ".join(warnings)
    assert not [secret for secret in (NAME, IDENTIFIER, BIRTH) if secret in shown]


def test_dicom_of_something_else_gets_a_sentence_that_names_the_tag(page: AppTest) -> None:
    upload(page, dicom(Modality="CT"), "scan.dcm")
    assert "its Modality (0008,0060) is CT" in page.error[0].value
    assert not page.header


def test_jpeg_gives_no_warning_of_its_own(page: AppTest) -> None:
    upload(page, encoded(gradient(), "JPEG"))
    assert len(page.warning) == 1  # what stands under every verdict


def test_page_says_that_it_takes_dicom(page: AppTest) -> None:
    assert "DICOM" in texts(page)
    assert "DICOM" in page.file_uploader[0].label


def test_normal_verdict_names_the_probability_of_both(page: AppTest) -> None:
    upload(page, encoded(BLACKISH))  # sigmoid(8 / 255 - 4) = .019
    assert page.header[0].value == "Normal 98.1 %"
    assert "Pneumonia is called from 50.0 % on." in texts(page)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"just text", "not an image that can be read"),
        (b"", "is empty"),
        (encoded(gradient(200, 200), "JPEG")[:900], "damaged or incomplete"),
        (b"x" * (MAX_BYTES + 1), "the limit is 50 MB"),
    ],
)
def test_unusable_file_gets_a_sentence_instead_of_a_verdict(
    page: AppTest, content: bytes, message: str
) -> None:
    upload(page, content)
    assert message in page.error[0].value
    assert not page.header
    assert not page.exception


def test_unusable_file_does_not_load_the_model(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "load_classifier", lambda *_, **__: pytest.fail("loaded"))
    assert "not an image" in upload(page, b"just text").error[0].value


def test_next_image_after_a_broken_one_is_judged(page: AppTest) -> None:
    upload(page, b"just text")
    upload(page, encoded(WHITISH))
    assert page.header[0].value == "Pneumonia 98.1 %"
    assert not page.error


def test_rejected_image_gets_the_reason_instead_of_a_verdict(page: AppTest) -> None:
    upload(page, encoded(np.full((50, 50), 255, np.uint8)))
    assert "This is not something I can judge. It is white." in page.error[0].value
    assert not page.header
    assert len(viewed(page).images) == 1
    assert not viewed(page).question, "there is no output yet that a heatmap would explain"


def test_rejected_image_shows_a_number_on_demand_marked_as_not_valid(page: AppTest) -> None:
    upload(page, encoded(np.full((50, 50), 255, np.uint8)))
    page.toggle[-1].set_value(True).run()
    assert page.header[0].value == "Not valid: Pneumonia 98.2 %"
    assert "The number is not valid" in page.warning[0].value


def test_chest_of_another_population_is_judged_with_a_warning(page: AppTest) -> None:
    upload(page, encoded(np.zeros((50, 50), np.uint8)))
    assert page.header[0].value == "Normal 98.2 %"
    assert "unlike those of the children" in page.warning[0].value


def test_heatmap_is_shown_on_demand_with_what_it_is_not(
    page: AppTest, monkeypatch: pytest.MonkeyPatch, square_classifier: Classifier
) -> None:
    monkeypatch.setattr(loading, "load_classifier", lambda *_, **__: square_classifier)
    upload(page, encoded(shaded_square()))
    assert len(viewed(page).images) == 1
    assert len(page.warning) == 1
    ask_for_heatmap(page)
    radiograph, layer = viewed(page).images
    np.testing.assert_array_equal(radiograph, shaded_square())
    assert layer[..., 3].max() == 255
    assert "not a localisation of disease" in page.warning[-1].value
    assert not page.exception


def test_model_that_cannot_be_explained_is_said(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ModelUnavailableError(NO_SIGMOID)

    monkeypatch.setattr(BrightnessNetwork, "logits", refuse)
    upload(page, encoded(WHITISH))
    ask_for_heatmap(page)
    assert "This model cannot be explained" in page.error[0].value
    assert page.header[0].value == "Pneumonia 98.1 %"
    assert len(viewed(page).images) == 1


def test_model_is_chosen_in_the_sidebar(
    page: AppTest, monkeypatch: pytest.MonkeyPatch, tiny_classifier: Classifier
) -> None:
    asked: list[str] = []

    def note(name: str, source: str | None) -> Classifier:
        asked.append(name)
        return tiny_classifier

    monkeypatch.setattr(loading, "load_classifier", note)
    assert page.sidebar.selectbox[0].options == ["default", "article"]
    page.sidebar.selectbox[0].set_value("article")
    upload(page, encoded(WHITISH))
    assert asked == ["article"]


def test_missing_default_model_leaves_the_page_whole(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "model_names", list)
    page.run()
    assert "Drop one frontal chest X-ray" in texts(page)
    assert not page.exception


def test_missing_model_is_said_and_nothing_is_invented(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "load_classifier", find_no_model)
    upload(page, encoded(gradient()))
    assert "there is no verdict. The model file is missing." in page.error[0].value
    assert not page.header


def test_model_is_loaded_once_for_all_visitors(
    page: AppTest, monkeypatch: pytest.MonkeyPatch, tiny_classifier: Classifier
) -> None:
    loads: list[str] = []

    def count(name: str, source: str | None) -> Classifier:
        loads.append(name)
        return tiny_classifier

    monkeypatch.setattr(loading, "load_classifier", count)
    for _ in range(2):
        upload(draw_app(), encoded(gradient()))
    assert loads == [loading.DEFAULT_MODEL]


def test_source_of_a_missing_model_is_read_from_the_secrets(
    page: AppTest, monkeypatch: pytest.MonkeyPatch, tiny_classifier: Classifier
) -> None:
    asked: list[str | None] = []

    def note(name: str, source: str | None) -> Classifier:
        asked.append(source)
        return tiny_classifier

    monkeypatch.setattr(loading, "load_classifier", note)
    page.secrets["model_urls"] = {loading.DEFAULT_MODEL: "some-drive-id"}
    upload(page, encoded(gradient()))
    assert asked == ["some-drive-id"]


def test_configuration_limits_uploads_and_tells_visitors_no_internals() -> None:
    config = tomllib.loads(Path(ROOT, ".streamlit/config.toml").read_text(encoding="utf-8"))
    assert config["server"]["maxUploadSize"] * 2**20 == MAX_BYTES
    assert config["server"]["enableXsrfProtection"] is True
    assert config["client"]["showErrorDetails"] == "none"
    assert config["browser"]["gatherUsageStats"] is False


# Operating points and pre-test probability


@pytest.fixture
def pointed(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    classifier = pointed_classifier()
    monkeypatch.setattr(loading, "load_classifier", lambda *_, **__: classifier)
    monkeypatch.setattr(loading, "read_facts", lambda name: classifier.spec)
    return page.run()


def test_model_without_points_offers_none(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "read_facts", lambda name: ModelSpec("m", "M", "m.keras"))
    page.run()
    assert [choice.label for choice in page.sidebar.selectbox] == ["Model"]
    assert not page.sidebar.number_input


def test_verdict_within_the_band_is_uncertain(pointed: AppTest) -> None:
    upload(pointed, encoded(np.full((50, 50), 155, np.uint8)))  # sigmoid(.863) = .703
    assert pointed.header[0].value == "Uncertain: a human must decide"
    assert (
        "Operating point *balanced*: normal below 60.0 %, pneumonia from 80.0 % on, and between "
        "them uncertain." in texts(pointed)
    )
    assert "assumes that 74.0 % of such patients have pneumonia" in texts(pointed)


def test_operating_point_changes_the_verdict_and_not_the_probability(pointed: AppTest) -> None:
    upload(pointed, encoded(np.full((50, 50), 155, np.uint8)))
    pointed.sidebar.selectbox[1].set_value("screening").run()
    assert pointed.header[0].value == "Pneumonia 70.3 %"
    assert "Operating point *screening*" in texts(pointed)


def test_pretest_probability_adds_the_post_test_probability(pointed: AppTest) -> None:
    upload(pointed, encoded(np.full((50, 50), 155, np.uint8)))
    pointed.sidebar.number_input[0].set_value(10.0).run()
    # odds 2.37 / 2.846 * .1111 = .0925; .0925 / 1.0925 = .0847
    assert "With the pre-test probability given: 8.5 %" in texts(pointed)
    assert pointed.header[0].value == "Uncertain: a human must decide"
