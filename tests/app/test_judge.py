"""The first minute: help on the empty page, and the drawn sample."""

from __future__ import annotations

from collections.abc import Sized

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.support.pages import viewed
from tests.support.pictures import encoded
from xray_classifier.app.judge import SAMPLE_NOTE
from xray_classifier.imaging.sample import draw_sample
from xray_classifier.models import gate
from xray_classifier.models.gate import GateDecision


def script() -> None:
    from xray_classifier.app.judge import show_judge_page
    from xray_classifier.inference.pipeline import DEFAULTS

    show_judge_page("default", DEFAULTS)


class RefusingGate:
    """A gate that lets nothing through."""

    def decide_batch(self, batch: Sized) -> list[GateDecision]:
        return [GateDecision("It is a drawing.", outside_population=False)] * len(batch)


@pytest.fixture
def page(tiny_models: None, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(gate, "load_gate", lambda **_: RefusingGate())
    return AppTest.from_function(script, default_timeout=60).run()


def texts(page: AppTest) -> str:
    return " ".join(element.value for element in page.markdown)


def test_empty_page_says_what_to_upload_where_to_get_it_and_what_comes_back(page: AppTest) -> None:
    headings = [element.value for element in page.header]
    assert headings == ["What to upload", "What comes back", "No X-ray at hand?"]
    for part in (
        "DICOM",
        "50 MB",
        "10.17632/rscbjbr9sj",
        "CC BY 4.0",
        "kaggle.com",
        "No diagnosis",
    ):
        assert part in texts(page)


def test_sample_goes_the_way_of_an_upload_and_is_refused_with_the_reason(page: AppTest) -> None:
    page.button[0].click().run()
    assert page.query_params["sample"] == "drawn"
    assert page.info[0].value == SAMPLE_NOTE
    assert "It is a drawing." in page.error[0].value
    assert not [heading for heading in page.header if "%" in heading.value]
    (shown,) = viewed(page).images
    np.testing.assert_array_equal(shown, draw_sample())


def test_output_for_the_sample_is_shown_on_demand_as_not_valid(page: AppTest) -> None:
    page.button[0].click().run()
    page.toggle[-1].set_value(True).run()
    assert page.header[0].value.startswith("Not valid: ")
    assert "The number is not valid" in page.warning[0].value


def test_sample_is_put_away_again(page: AppTest) -> None:
    page.button[0].click().run()
    page.button[0].click().run()
    assert not page.query_params
    assert "Drop one frontal chest X-ray" in texts(page)


def test_address_opens_the_sample_and_rubbish_does_not(page: AppTest) -> None:
    page.query_params["sample"] = "rubbish"
    assert not viewed(page.run()).images
    page.query_params["sample"] = "drawn"
    assert len(viewed(page.run()).images) == 1


def test_upload_is_shown_instead_of_the_sample(page: AppTest) -> None:
    page.button[0].click().run()
    white = encoded(np.full((50, 60), 255, np.uint8))
    page.file_uploader[0].upload("x.png", white, "image/png").run()
    assert not page.info
    (shown,) = viewed(page).images
    assert (shown.shape, shown.min()) == ((50, 60), 255)
