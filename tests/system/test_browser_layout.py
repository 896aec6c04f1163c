"""The page in a real browser: what is seen first, that nothing jumps, and where links lead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from tests.support.pages import tab_to
from tests.support.processes import START_SECONDS

pytestmark = pytest.mark.browser

FIRST_VERDICT_MS = 300_000
SCREEN = ViewportSize(width=1280, height=800)
ZOOMED = ViewportSize(width=640, height=400)  # what 200 % leave of it
GOOD_SHIFT = 0.1  # what web.dev calls good of Cumulative Layout Shift
WATCH_SHIFTS = """
window.downward = 0;
new PerformanceObserver(list => {
  for (const entry of list.getEntries())
    if (entry.sources.some(source => source.previousRect.x === source.currentRect.x))
      window.downward += entry.value;
}).observe({type: "layout-shift", buffered: true});
"""
"""Adds up what jumps up or down; Streamlit opens its sidebar late, and that pushes to the right."""


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A new visitor's: nothing of the page has been kept by the browser."""
    context = browser.new_context(viewport=SCREEN)
    page = context.new_page()
    page.set_default_timeout(START_SECONDS * 1000)
    page.add_init_script(WATCH_SHIFTS)
    page.goto(address)
    expect(page.get_by_role("button", name="Try it with a drawn sample")).to_be_visible()
    settle(page)
    yield page
    context.close()


def settle(page: Page) -> None:
    expect(page.locator("[data-test-script-state=notRunning]")).to_be_attached()
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)


def box(element: Locator) -> dict[str, float]:
    found: Any = element.bounding_box()
    assert found
    return dict(found)


def shift_since(page: Page) -> float:
    """Give what has jumped since this was asked last."""
    page.wait_for_timeout(500)  # browsers tell of it late
    return float(page.evaluate("[window.downward, window.downward = 0][0]"))


def test_first_screen_holds_title_upload_and_all_help(page: Page) -> None:
    title = box(page.get_by_role("heading", level=1))
    header = box(page.get_by_test_id("stHeader"))
    assert title["y"] - (header["y"] + header["height"]) < 24  # no empty band
    expect(page.get_by_text(re.compile("^Drop X-rays here: DICOM, JPEG"))).to_be_visible()
    columns = page.get_by_test_id("stColumn")
    expect(columns).to_have_count(3)
    lowest = max(box(column)["y"] + box(column)["height"] for column in columns.all())
    assert lowest <= SCREEN["height"]
    assert shift_since(page) < GOOD_SHIFT


@pytest.mark.data
def test_verdict_comes_without_a_jump_and_leads_to_what_explains_it(
    page: Page, original: Path
) -> None:
    shift_since(page)
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(original)
    scale = page.get_by_role("img", name=re.compile("^Scale from 0 to 100 %: normal below"))
    expect(scale).to_be_visible(timeout=FIRST_VERDICT_MS)
    settle(page)
    assert shift_since(page) < GOOD_SHIFT
    expect(page.get_by_role("heading", name="What to upload")).to_have_count(0)
    assert scale.evaluate("picture => picture.complete && picture.naturalWidth > 0")
    assert box(scale)["width"] > 200
    expect(page.get_by_text(re.compile("^Of 100 healthy children like those"))).to_be_visible()
    tab_to(page, page.locator("summary").filter(has_text="What this number means"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("link", name="where it fails"))
    with page.context.expect_page() as opened:
        page.keyboard.press("Enter")
    about = opened.value
    expect(about).to_have_url(re.compile("/model#where-it-fails$"))
    expect(about.get_by_role("heading", name="Where it fails")).to_be_in_viewport()
    for shown in (page, about):
        shown.set_viewport_size(ZOOMED)
        assert shown.evaluate("document.documentElement.scrollWidth") <= ZOOMED["width"]
    assert box(scale)["width"] <= ZOOMED["width"]


def test_charts_come_first_with_figures_under_the_pointer(tab: Page, address: str) -> None:
    page = tab
    page.set_viewport_size(SCREEN)
    page.goto(f"{address}/model?compare=article")
    for name in ("ROC curve: default", "ROC curve: article", "Confusion: article"):
        expect(page.get_by_role("heading", name=name)).to_be_visible()
    settle(page)
    charts = page.get_by_test_id("stVegaLiteChart")
    expect(charts.locator("canvas, svg").first).to_be_visible()
    left, right = box(charts.nth(0)), box(charts.nth(1))
    assert left["y"] == right["y"] < SCREEN["height"]
    assert left["x"] + left["width"] <= right["x"]
    confusion = charts.nth(2)
    confusion.scroll_into_view_if_needed()
    confusion.hover(position={"x": box(confusion)["width"] - 40, "y": 100})
    tooltip = page.locator("#vg-tooltip-element")
    expect(tooltip).to_contain_text("23.9 %")
    expect(tooltip).to_contain_text("56")
