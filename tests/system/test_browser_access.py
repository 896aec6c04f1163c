"""The page for everyone: audited by axe, by keyboard alone, on a phone, in the light and dark."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.support.pages import tab_to
from tests.support.pictures import encoded
from tests.support.places import ROOT
from xray_classifier.imaging.sample import draw_sample, sample_png
from xray_classifier.inference.pipeline import classify
from xray_classifier.inference.verdict import percent
from xray_classifier.models.loading import load_classifier

pytestmark = pytest.mark.browser

FIRST_VERDICT_MS = 300_000  # a busy machine is slow, not wrong
AXE = {
    "resultTypes": ["violations"],
    "rules": {"target-size": {"enabled": True}},  # of WCAG 2.2; off by default
}
KNOWN = {
    "presentation-role-conflict": "minor; Streamlit's drop zone has a label that no reader speaks,"
    " but the button within it has one, too",
}
Opener = Callable[..., Page]
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


@pytest.fixture
def open_page(tab: Page, address: str) -> Opener:
    """Visit an address: `open_page(path)`."""

    def open_page(path: str = "/") -> Page:
        tab.goto(address + path)
        expect(tab.get_by_role("heading", level=1)).to_be_visible()
        return tab

    return open_page


def empty_state(page: Page) -> Locator:
    return page.get_by_text("Drop one frontal chest X-ray")


def refusal(page: Page) -> Locator:
    return page.get_by_text("This is not something I can judge.")


def caveat(page: Page) -> Locator:
    """What the page says of a heatmap; the viewer has it, too, for the full screen."""
    return page.get_by_role("alert").filter(has_text="not a localisation of disease")


def settle(page: Page) -> None:
    """Wait until the script has run through and every image is there."""
    expect(page.locator("[data-test-script-state=notRunning]")).to_be_attached()
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)


def show_output(page: Page) -> None:
    """Ask for what the model makes of a refused image, and for its heatmap."""
    expect(refusal(page)).to_be_visible(timeout=FIRST_VERDICT_MS)
    page.get_by_text("Show the model's output anyway").click()
    page.get_by_role("button", name="Where did the model look?").click()
    expect(caveat(page)).to_be_visible()
    settle(page)


def findings(page: Page) -> list[str]:
    """List what axe objects to, in the light and in the dark, but for what is known."""
    settle(page)
    objections = []
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        expect_scheme(page, scheme)
        objections += [
            f"{scheme}: {found['impact']} {found['id']}: {node['html'][:200]} "
            f"{node['failureSummary']}"
            for found in Axe().run(page, options=AXE).response["violations"]
            for node in found["nodes"]
            if found["id"] not in KNOWN
        ]
    return objections


def expect_scheme(page: Page, scheme: Scheme) -> None:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    red, green, blue = bytes.fromhex(config["theme"][scheme]["backgroundColor"][1:])
    ground = page.get_by_test_id("stApp")
    expect(ground).to_have_css("background-color", f"rgb({red}, {green}, {blue})")


def test_axe_finds_nothing(open_page: Opener) -> None:
    page = open_page()
    expect(empty_state(page)).to_be_visible()
    assert not findings(page)
    page.get_by_role("button", name="Try it with a drawn sample").click()
    expect(refusal(page)).to_be_visible(timeout=FIRST_VERDICT_MS)
    assert not findings(page)
    show_output(page)
    assert not findings(page)
    page.get_by_role("link", name="Learn").click()
    expect(page.get_by_role("heading", name="7. Sigmoid and threshold")).to_be_visible()
    page.get_by_text("Nothing but the outer border").click()
    expect(page.get_by_text("On this picture article goes from")).to_be_visible()
    assert not findings(page)
    page.get_by_role("link", name="About the model").click()
    expect(page.get_by_role("heading", name="What the gate refuses")).to_be_visible()
    assert not findings(page)


@pytest.mark.data
def test_axe_finds_nothing_beside_a_verdict(open_page: Opener, original: Path) -> None:
    page = open_page()
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(original)
    verdict = page.get_by_role("heading", name=re.compile("^Normal"))
    expect(verdict).to_be_visible(timeout=FIRST_VERDICT_MS)
    assert not findings(page)


@pytest.mark.data
def test_axe_finds_nothing_beside_a_table(open_page: Opener, original: Path) -> None:
    page = open_page()
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files([original, ROOT / "LICENSE"])
    done = page.get_by_role("button", name="Download all as CSV")
    expect(done).to_be_visible(timeout=FIRST_VERDICT_MS)
    expect(page.get_by_role("button", name="1 unreadable", exact=True)).to_be_visible()
    assert not findings(page)
    page.get_by_role("combobox", name="Open a study").press("1")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Study 1")).to_be_visible()
    expect(page.get_by_role("img", name="The image as decoded")).to_be_visible()
    assert not findings(page)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_colours_follow_the_system_of_the_visitor(
    tab: Page, open_page: Opener, scheme: Scheme
) -> None:
    tab.emulate_media(color_scheme=scheme)
    expect_scheme(open_page(), scheme)


def test_image_and_verdict_have_words_for_a_screen_reader(open_page: Opener) -> None:
    page = open_page("/?sample=drawn")
    show_output(page)
    expect(page.get_by_role("img", name="The image under its heatmap")).to_be_visible()
    page.get_by_role("button", name="Where did the model look?").click()
    expect(page.get_by_role("img", name="The image as decoded")).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile("^Not valid: "))).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("^Scale from 0 to 100 %: "))).to_be_visible()
    expect(page.get_by_text(re.compile("^Probability of pneumonia .+%"))).to_be_visible()
    expect(page.get_by_role("alert").filter(has_text="not something I can judge")).to_be_visible()


def test_everything_is_reached_with_the_keyboard(open_page: Opener) -> None:
    page = open_page()
    expect(empty_state(page)).to_be_visible()
    settle(page)
    tab_to(page, page.get_by_role("button", name="Upload", exact=True))
    tab_to(page, page.get_by_role("button", name="Try it with a drawn sample"))
    page.keyboard.press("Enter")
    expect(refusal(page)).to_be_visible(timeout=FIRST_VERDICT_MS)
    settle(page)
    tab_to(page, page.get_by_label("Show the model's output anyway"))
    page.keyboard.press("Space")
    expect(page.get_by_role("heading", name=re.compile("^Not valid: "))).to_be_visible()
    settle(page)
    tab_to(page, page.get_by_role("button", name="Where did the model look?"))
    page.keyboard.press("Space")
    expect(caveat(page)).to_be_visible()
    settle(page)
    slider = page.get_by_role("slider", name="Opacity of the heatmap in %")
    tab_to(page, slider)
    page.keyboard.press("ArrowRight")
    expect(slider).to_have_value("65")


@pytest.mark.parametrize("path", ["/", "/?sample=drawn", "/learn", "/model"])
def test_nothing_is_wider_than_a_phone(tab: Page, open_page: Opener, path: str) -> None:
    tab.set_viewport_size({"width": 360, "height": 740})
    page = open_page(path)
    if "sample" in path:
        show_output(page)
    settle(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_back_forward_and_reload_do_what_they_say(open_page: Opener) -> None:
    page = open_page()
    page.get_by_role("button", name="Try it with a drawn sample").click()
    expect(refusal(page)).to_be_visible(timeout=FIRST_VERDICT_MS)
    page.go_back()
    expect(empty_state(page)).to_be_visible()
    page.go_forward()
    expect(refusal(page)).to_be_visible()
    page.reload()
    expect(refusal(page)).to_be_visible()
    page.get_by_role("button", name="Put the drawn sample away").click()
    expect(empty_state(page)).to_be_visible()
    expect(page).to_have_url(re.compile("/$"))


def test_choice_of_model_stands_in_the_address_on_both_pages(
    open_page: Opener, address: str
) -> None:
    page = open_page()
    page.get_by_role("combobox", name="Model").click()
    page.get_by_role("option", name="article").click()
    expect(page).to_have_url(f"{address}/?model=article")
    page.get_by_role("link", name="About the model").click()
    expect(page).to_have_url(f"{address}/model?model=article")
    shared = open_page("/model?model=article")
    expect(shared.get_by_text("The article's CNN, trained from scratch")).to_be_visible()
    shared.get_by_role("combobox", name="Model").click()
    shared.get_by_role("option", name="default").click()
    expect(shared).to_have_url(f"{address}/model")


def test_two_tabs_show_their_own_images(open_page: Opener, address: str) -> None:
    negative = encoded(np.subtract(255, draw_sample()))
    one = open_page("/?sample=drawn")
    other = one.context.new_page()
    other.goto(address)
    other.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(
        {"name": "x.png", "mimeType": "image/png", "buffer": negative}
    )
    classifier = load_classifier()
    for page, file in ((one, sample_png()), (other, negative)):
        show_output(page)
        probability = classify(file, classifier).probability
        assert probability is not None
        line = f"Probability of pneumonia {percent(probability)}"
        expect(page.get_by_text(line)).to_be_visible()
