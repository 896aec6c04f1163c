"""The page in a real browser, as a visitor uses it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.viewer_page import button, canvas, grey
from xray_classifier.cli.main import main
from xray_classifier.inference.pipeline import Result, classify
from xray_classifier.inference.verdict import percent
from xray_classifier.inputs.decoding import MAX_BYTES, decode
from xray_classifier.models.loading import load_classifier

pytestmark = [pytest.mark.browser, pytest.mark.data]

FIRST_VERDICT_MS = 300_000  # a busy machine is slow, not wrong


@pytest.fixture
def page(tab: Page, address: str) -> Page:
    tab.goto(address)
    expect(tab.get_by_text("Drop one frontal chest X-ray")).to_be_visible(timeout=60_000)
    return tab


@pytest.fixture(scope="module")
def expected(original: Path) -> Result:
    return classify(original.read_bytes(), load_classifier())


def upload(page: Page, file: Path | dict[str, object]) -> None:
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(file)  # type: ignore[arg-type]


def expect_verdict(page: Page, result: Result) -> None:
    assert result.probability is not None
    line = page.get_by_text(f"Probability of pneumonia {percent(result.probability)}")
    expect(line).to_be_visible(timeout=FIRST_VERDICT_MS)


def test_uploaded_radiograph_gets_the_probability_that_predict_prints(
    page: Page,
    original: Path,
    expected: Result,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    upload(page, original)
    expect_verdict(page, expected)
    expect(page.get_by_role("heading", name=re.compile("^Normal 9"))).to_be_visible()
    button(page, "One to one").click()
    expect(page.locator("output.zoom")).to_have_text("Zoom 100 %")
    shown, whole = grey(page), decode(original.read_bytes()).image
    top, left = (np.array(whole.shape) - shown.shape) // 2
    middle = whole[top : top + len(shown), left : left + shown.shape[1]]
    np.testing.assert_array_equal(shown, middle)
    short_hash = page.get_by_text(load_classifier().spec.short_hash)
    expect(short_hash).to_be_hidden()
    page.get_by_text("What this number means").click()
    expect(short_hash).to_be_visible()
    page.screenshot(path=tmp_path / "verdict.png")
    assert main(["predict", str(original)]) == 0
    assert expected.probability is not None
    assert percent(expected.probability) in capsys.readouterr().out


def test_broken_file_gets_a_sentence_and_the_next_image_a_verdict(
    page: Page, original: Path, expected: Result
) -> None:
    upload(page, {"name": "x.png", "mimeType": "image/png", "buffer": b"just text"})
    expect(page.get_by_text("This is not an image that can be read")).to_be_visible()
    page.get_by_test_id("stFileChipDeleteBtn").click()  # left there, it would be one of many
    expect(page.get_by_text("to begin")).to_be_visible()
    upload(page, original)
    expect_verdict(page, expected)
    expect(page.get_by_text("This is not an image that can be read")).to_have_count(0)


def test_upload_over_the_limit_is_refused_with_the_limit(page: Page, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    with large.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    upload(page, large)
    expect(page.get_by_text(re.compile("must be 50.0MB or smaller"))).to_be_visible()


def test_two_visitors_see_their_own_images(
    page: Page, browser: Browser, address: str, data: Path, original: Path, expected: Result
) -> None:
    other_file = data / "originals" / "PNEUMONIA" / "person536_bacteria_2258.jpeg"
    other = browser.new_page()
    other.goto(address)
    upload(page, original)
    upload(other, other_file)
    expect_verdict(page, expected)
    expect_verdict(other, classify(other_file.read_bytes(), load_classifier()))
    other.close()


def test_page_fits_a_phone(tab: Page, address: str, original: Path) -> None:
    phone = tab
    phone.set_viewport_size({"width": 390, "height": 844})
    phone.goto(address)
    upload(phone, original)
    expect(canvas(phone)).to_be_visible(timeout=FIRST_VERDICT_MS)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    verdict = phone.get_by_role("heading", name=re.compile("^Normal"))
    tops = [part.bounding_box() for part in (verdict, canvas(phone))]
    assert all(tops)
    assert tops[0]["y"] < tops[1]["y"]  # type: ignore[index]
