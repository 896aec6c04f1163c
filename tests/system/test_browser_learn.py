"""The page Learn in a real browser, with a real radiograph: what it shows is the model's own."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.pages import tab_to
from xray_classifier.imaging.preprocessing import Tensor, preprocess, resize
from xray_classifier.inference.pipeline import read
from xray_classifier.inference.verdict import percent
from xray_classifier.learn.edits import Edits, edited
from xray_classifier.learn.steps import ARTICLE, take_steps
from xray_classifier.models.loading import KERAS, load_classifier

pytestmark = [pytest.mark.browser, pytest.mark.data]


@pytest.fixture
def page(tab: Page, address: str, original: Path) -> Page:
    """The page with a radiograph of a healthy child."""
    tab.set_viewport_size({"width": 1280, "height": 900})
    tab.goto(f"{address}/learn")
    sample = tab.get_by_text("a cartoon that this program has drawn")
    expect(sample).to_be_visible()
    tab.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(original)
    expect(sample).to_have_count(0)
    at_rest(tab)
    expect(tab.get_by_role("slider")).to_have_count(9)  # none is left of the sample's
    return tab


def at_rest(page: Page) -> None:
    """Wait until the page has been drawn."""
    expect(page.locator("[data-test-script-state=notRunning]")).to_be_attached()


def answer(page: Page) -> Locator:
    return page.get_by_text(re.compile("^Probability of pneumonia, article: "))


def expect_answer(page: Page, tensor: Tensor) -> None:
    """Wait for the probability that the judging pipeline's network gives to a tensor."""
    probability = float(load_classifier(ARTICLE).probabilities(tensor[np.newaxis])[0])
    line = f"Probability of pneumonia, article: {percent(probability)}"
    expect(page.get_by_text(line, exact=True)).to_be_visible()


def slider(page: Page, label: str) -> Locator:
    return page.get_by_test_id("stSlider").filter(has_text=label).get_by_role("slider")


def values_of(page: Page, label: str) -> tuple[int, int]:
    """Read both ends of a slider."""
    thumbs = slider(page, label)
    low, high = (int(thumbs.nth(end).input_value()) for end in (0, 1))
    return low, high


def test_shown_steps_are_those_of_the_model(page: Page, original: Path) -> None:
    from xray_classifier.models.keras_network import keras_model

    tensor = preprocess(read(original.read_bytes()).image)
    expect_answer(page, tensor)
    model = keras_model(load_classifier(ARTICLE, runtime=KERAS).network)
    maps = tensor[np.newaxis]
    for layer in model.layers[:2]:
        maps = np.asarray(layer(maps))
    assert maps.shape == (1, 249, 249, 32)
    expect(page.get_by_text("32 maps of 249 x 249 cells · receptive field 4 x 4")).to_be_visible()
    tab_to(page, slider(page, "Filter"), presses=80)
    page.keyboard.press("ArrowRight")
    second = maps[0, :, :, 1]
    wanted = f"Map 2: mean {second.mean():.4f}, largest {second.max():.4f}"
    expect(page.get_by_text(wanted)).to_be_visible()
    page.get_by_role("radio", name="5").or_(page.get_by_role("button", name="5")).first.click()
    expect(page.get_by_text("64 maps of 13 x 13 cells · receptive field 94 x 94")).to_be_visible()
    steps = take_steps(load_classifier(ARTICLE).network, tensor)
    assert steps is not None
    expect(page.get_by_text(f"Logit {steps.logit:.3f}, probability")).to_be_visible()


def test_keys_and_pointer_change_the_answer_as_the_pipeline_would(
    page: Page, original: Path
) -> None:
    squeezed = resize(read(original.read_bytes()).image)
    expect_answer(page, edited(squeezed, Edits()))
    slider(page, "Brighten").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    expect_answer(page, edited(squeezed, Edits(brightness=0.2)))
    page.get_by_role("button", name="Undo all changes").click()
    expect_answer(page, edited(squeezed, Edits()))

    at_rest(page)
    chart = page.get_by_test_id("stVegaLiteChart")  # a new one, without the old one's rectangle
    expect(chart).to_have_count(1)
    expect(chart.locator("canvas, svg").first).to_be_visible()
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 120, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 240, box["y"] + 220, steps=6)
    page.mouse.up()
    expect(slider(page, "rows").nth(1)).not_to_have_value("0")
    page.wait_for_timeout(500)  # the last of the rectangles on the way
    rows, columns = values_of(page, "rows"), values_of(page, "columns")
    assert rows == pytest.approx((156, 343), abs=10)  # of 500, where 320 are drawn
    assert columns == pytest.approx((187, 375), abs=10)
    expect_answer(page, edited(squeezed, Edits(rows=rows, columns=columns)))
