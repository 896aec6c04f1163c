"""The viewer in a real browser: what is on its canvas, before and after each thing one can do.

It stands on a small page of its own, which counts how often the server is asked; on the app's page
it is tried in `test_browser.py` and `test_browser_access.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import (
    Browser,
    CDPSession,
    Error,
    Locator,
    Page,
    Route,
    ViewportSize,
    WebSocket,
    expect,
)

from tests.support.dicom_files import dicom
from tests.support.pages import tab_to
from tests.support.viewer_page import (
    Pixels,
    button,
    canvas,
    drag,
    drawn,
    frame,
    grey,
    middle,
    point,
    said,
    screen,
    under_pointer,
)
from tests.support.visitors import serve
from xray_classifier.app.viewer import layer_of
from xray_classifier.inference.heatmap import OPACITY, overlay
from xray_classifier.inputs.decoding import decode

pytestmark = pytest.mark.browser

PAGE = """
import numpy as np
import streamlit as st
from tests.system.test_browser_viewer import deep_file, heated, large, wide
from xray_classifier.app import viewer
from xray_classifier.inference.pipeline import read

st.set_page_config(layout="wide")
st.session_state.runs = st.session_state.get("runs", 0) + 1
st.button("again")
which = st.radio("which", ["wide", "large", "deep"], horizontal=True)
name = "" if st.toggle("unjudged") else "tiny"
fails = st.toggle("fails")
st.text(f"run {st.session_state.runs}")
if which == "deep":
    viewer.show_viewer(read(deep_file(), keep_stored=True).stored)
else:
    question = viewer.show_viewer({"wide": wide, "large": large}[which](), name)
    if question:
        viewer.show_layer(question, None if fails else heated(), "No localisation.")
st.text("the end")
for line in range(60):
    st.text(f"line {line}")
"""
WIDE: ViewportSize = {"width": 1000, "height": 900}


def wide() -> Pixels:
    """A picture of which each pixel can be told from its neighbours."""
    rows, columns = np.mgrid[:200, :300]
    return ((3 * columns + 7 * rows) % 256).astype(np.uint8)


def large() -> Pixels:
    """Larger than what the browser is sent: a quarter of it white."""
    picture = np.full((3000, 4000), 40, np.uint8)
    picture[:1500, :2000] = 255
    return picture


def deep() -> NDArray[np.uint16]:
    """Of 12 bits: values from 1000 to 1399, one to a column."""
    return np.tile(np.arange(1000, 1400, dtype=np.uint16), (300, 1))


def deep_file() -> bytes:
    """These as a DICOM file, of which the highest is black, with a border that is no image."""
    padded = deep()
    padded[:, :20] = 4095
    return dicom(
        padded,
        BitsStored=12,
        PhotometricInterpretation="MONOCHROME1",
        PixelPaddingValue=4095,
        WindowCenter=1210,
        WindowWidth=300,
    )


def heated() -> NDArray[np.float32]:
    """A heatmap that grows to the right, cold at the left."""
    return np.tile(np.linspace(0, 1, 500, dtype=np.float32), (500, 1))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("viewer")
    script = folder / "page.py"
    script.write_text(PAGE)
    with serve(folder, environment={"PYTHONPATH": "."}, script=str(script)) as server:
        yield f"http://127.0.0.1:{server.port}"
        assert "Traceback" not in server.log.read_text()


@contextmanager
def without_errors(page: Page) -> Iterator[None]:
    """Hold that no script of a page fails."""
    errors: list[str] = []

    def note(error: Error) -> None:
        errors.append(str(error))

    page.on("pageerror", note)
    yield
    page.remove_listener("pageerror", note)
    assert errors == []


@pytest.fixture
def page(tab: Page, address: str) -> Iterator[Page]:
    tab.set_viewport_size(WIDE)
    with without_errors(tab):
        tab.goto(address)
        settle(tab)
        yield tab


@pytest.fixture
def phone(browser: Browser, address: str) -> Iterator[Page]:
    phone = browser.new_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    with without_errors(phone):
        phone.goto(address)
        settle(phone)
        yield phone
    phone.close()


def settle(page: Page) -> None:
    """Wait until the script has run through, and what is drawn has been drawn."""
    expect(page.get_by_text("line 59")).to_be_attached()
    expect(page.locator("[data-test-script-state=notRunning]")).to_be_attached()
    expect(page.locator("output.zoom")).to_have_text(re.compile(r"^Zoom \d+ %$"))
    drawn(page)


def one_to_one(page: Page) -> Pixels:
    """The picture of 300 x 200, at one to one."""
    button(page, "One to one").click()
    expect(page.locator("output.zoom")).to_have_text("Zoom 100 %")
    return middle(grey(page), 200, 300)


def windowed(values: NDArray[Any], width: float, level: float) -> Pixels:
    """DICOM's linear function, PS3.3 C.11.2.1.2.1."""
    shades = (values - (level - 0.5)) / (width - 1) + 0.5
    return np.floor(255 * np.clip(shades, 0, 1) + 0.5).astype(np.uint8)


def runs(page: Page) -> int:
    """How often the server has drawn the page."""
    return int(page.get_by_text(re.compile("^run ")).inner_text().split()[1])


# What is shown, and the window


def test_one_to_one_shows_each_pixel_as_it_is(page: Page) -> None:
    np.testing.assert_array_equal(one_to_one(page), wide())
    assert said(page)["width"] == "256"
    assert said(page)["level"] == "128"


def test_whole_image_fills_the_column_on_black(page: Page) -> None:
    found = grey(page)
    assert found.shape[1] / found.shape[0] == pytest.approx(1.5, rel=0.01)
    assert said(page)["zoom"] == f"Zoom {100 * found.shape[1] / 300:.0f} %"
    column = page.get_by_test_id("stVerticalBlock").first.bounding_box()
    box = canvas(page).bounding_box()
    assert column
    assert box
    assert box["width"] == pytest.approx(column["width"], abs=3)


def test_drag_changes_width_across_and_level_down(page: Page) -> None:
    one_to_one(page)
    before = runs(page)
    drag(page, -300, -100)
    width, level = int(said(page)["width"]), int(said(page)["level"])
    assert width == pytest.approx(256 - 300 * 256 / screen(page).shape[1], abs=1)
    assert level == pytest.approx(128 - 100 * 256 / screen(page).shape[1], abs=1)
    found = middle(grey(page), 200, 300)
    np.testing.assert_array_equal(found, windowed(wide().astype(float), width, level))
    assert runs(page) == before


def test_narrowest_window_is_a_threshold(page: Page) -> None:
    one_to_one(page)
    drag(page, -2000, 0)
    assert said(page)["width"] == "1"
    np.testing.assert_array_equal(middle(grey(page), 200, 300), 255 * (wide() >= 128))


def test_sliders_change_the_window_by_keyboard(page: Page) -> None:
    one_to_one(page)
    tab_to(page, page.get_by_role("slider", name="Width"))
    page.keyboard.press("PageDown")
    tab_to(page, page.get_by_role("slider", name="Level"))
    page.keyboard.press("ArrowRight")
    width, level = int(said(page)["width"]), int(said(page)["level"])
    assert width < 256
    assert level == 129
    found = middle(grey(page), 200, 300)
    np.testing.assert_array_equal(found, windowed(wide().astype(float), width, level))


def test_inverted_and_back(page: Page) -> None:
    one_to_one(page)
    canvas(page).focus()
    page.keyboard.press("i")
    np.testing.assert_array_equal(middle(grey(page), 200, 300), 255 - wide())
    expect(button(page, "Invert")).to_have_attribute("aria-pressed", "true")
    button(page, "Invert").click()
    np.testing.assert_array_equal(middle(grey(page), 200, 300), wide())


def test_more_than_8_bits_are_windowed_from_the_values_of_the_file(page: Page) -> None:
    page.get_by_text("deep", exact=True).click()
    expect(page.locator("output.width")).to_have_text("300")
    assert said(page)["level"] == "1210"
    button(page, "One to one").click()
    begun = middle(grey(page), 300, 400)
    np.testing.assert_array_equal(begun, decode(deep_file()).image)
    drag(page, -20, 30)
    width, level = int(said(page)["width"]), int(said(page)["level"])
    assert (width, level) != (300, 1210)
    found = middle(grey(page), 300, 400)
    expected = 255 - windowed(deep()[:, 20:].astype(float), width, level)
    assert abs(found[:, 20:].astype(int) - expected).max() <= 1, "but for a half that is rounded"
    assert not found[:, :20].any(), "the border stays black"
    canvas(page).hover()
    assert re.fullmatch(r"Stored value 1[123]\d\d at \d+, \d+", said(page)["grey"])
    button(page, "Reset the view").click()
    button(page, "One to one").click()
    np.testing.assert_array_equal(middle(grey(page), 300, 400), begun)


# Zoom and place


def test_grey_under_the_pointer_is_that_of_the_file(page: Page) -> None:
    point(page, 0.25, 0.5)
    value, x, y = under_pointer(page)
    assert value == wide()[y, x]
    assert np.hypot(x - 75, y - 100) < 2
    page.mouse.move(2, 2)
    assert said(page)["grey"] == "Grey –"


def test_wheel_zooms_about_the_pointer(page: Page) -> None:
    point(page, 0.25, 0.25)
    before = under_pointer(page)
    page.mouse.wheel(0, -1000)
    expect(page.locator("output.zoom")).to_have_text("Zoom 1600 %")  # the most
    value, x, y = under_pointer(page)
    assert np.hypot(x - before[1], y - before[2]) < 2
    found = grey(page)
    assert found[len(found) // 4, found.shape[1] // 4] == value == wide()[y, x]
    page.mouse.wheel(0, 4000)
    expect(page.locator("output.zoom")).to_have_text("Zoom 100 %")  # the least, for a small one


def test_page_is_scrolled_past_the_viewer(page: Page) -> None:
    page.set_viewport_size({"width": 1000, "height": 600})
    settle(page)
    zoom = said(page)["zoom"]
    page.mouse.move(500, 150)
    for _ in range(8):
        page.mouse.wheel(0, 50)
        page.wait_for_timeout(100)
    box = canvas(page).bounding_box()
    assert box
    assert box["y"] < 150 < box["y"] + box["height"], "the viewer has come under the pointer"
    assert said(page)["zoom"] == zoom


def test_drag_with_shift_or_the_middle_button_moves_the_image(page: Page) -> None:
    one_to_one(page)
    whole = grey(page)
    page.keyboard.down("Shift")
    drag(page, 40, 25)
    page.keyboard.up("Shift")
    np.testing.assert_array_equal(grey(page)[25:, 40:], whole[:-25, :-40])
    drag(page, -40, -25, button="middle")
    np.testing.assert_array_equal(grey(page), whole)
    assert (said(page)["width"], said(page)["level"]) == ("256", "128")


def test_image_is_moved_by_buttons_and_keys(page: Page) -> None:
    assert page.get_by_role("group", name="Move the image").count() == 0
    one_to_one(page)
    whole = grey(page)
    step = round(whole.shape[1] / 8)
    button(page, "Show what is further left").click()
    shifted = grey(page)
    assert abs(shifted[:, step:].astype(int) - whole[:, :-step]).max() <= 0
    canvas(page).focus()
    page.keyboard.press("Shift+ArrowRight")
    np.testing.assert_array_equal(grey(page), whole)
    button(page, "Show what is further down").click()
    assert (grey(page) != whole).any()
    page.keyboard.press("0")  # takes the buttons away, and the focus goes to the image
    expect(canvas(page)).to_be_focused()


def test_double_click_resets_everything(page: Page) -> None:
    whole = grey(page)
    drag(page, -100, 60)
    button(page, "Invert").click()
    button(page, "Zoom in").click()
    assert (grey(page) != whole).any()
    canvas(page).dblclick()
    np.testing.assert_array_equal(grey(page), whole)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Zoom in", "+"),
        ("Zoom out", "-"),
        ("Fit the whole image", "0"),
        ("One to one", "1"),
        ("Invert", "i"),
        ("Reset the view", "r"),
    ],
)
def test_button_and_key_do_the_same(page: Page, name: str, key: str) -> None:
    start = runs(page)

    def zoomed_and_changed_by(act: Callable[[], None]) -> Pixels:
        button(page, "Reset the view").click()
        drag(page, -60, 20)
        button(page, "Zoom in").click()
        before = grey(page)
        act()
        found = grey(page)
        assert (found != before).any()
        return found

    clicked = zoomed_and_changed_by(button(page, name).click)
    pressed = zoomed_and_changed_by(partial(page.keyboard.press, key))
    np.testing.assert_array_equal(clicked, pressed)
    assert runs(page) == start, "R runs the page again where the viewer has no focus"


def test_full_screen_and_back(page: Page) -> None:
    canvas(page).focus()
    page.keyboard.press("f")
    expect(button(page, "Full screen")).to_have_attribute("aria-pressed", "true")
    box = page.locator(".viewer").bounding_box()
    assert box
    assert (box["width"], box["height"]) == (WIDE["width"], WIDE["height"])
    found = grey(page)
    assert found.shape[0] > 500
    assert np.ptp(found) > 200
    button(page, "Full screen").click()
    expect(button(page, "Full screen")).to_have_attribute("aria-pressed", "false")


def test_large_image_is_reduced_and_still_counted_in_its_own_pixels(page: Page) -> None:
    page.get_by_text("large", exact=True).click()
    expect(page.locator("output.zoom")).to_have_text(re.compile(r"^Zoom 2\d %$"))
    settle(page)
    found = grey(page)
    assert found.shape[1] / found.shape[0] == pytest.approx(4 / 3, rel=0.01)
    assert found[5, 5] == 255
    assert found[-5, -5] == 40
    point(page, 0.9, 0.9)
    value, x, y = under_pointer(page)
    assert value == 40
    assert np.hypot(x - 3600, y - 2700) < 20
    button(page, "One to one").click()
    expect(page.locator("output.zoom")).to_have_text("Zoom 100 %")
    found = grey(page)
    edge = int(np.argmax(found[10] < 150))  # the middle of 4000 pixels is that of the canvas
    assert edge == pytest.approx(found.shape[1] / 2, abs=2)


# The heatmap


def ask(page: Page) -> None:
    """Ask for the heatmap by its key, and wait for it."""
    canvas(page).focus()
    page.keyboard.press("h")
    expect(heat_button(page)).to_have_attribute("aria-pressed", "true")
    settle(page)


def heat_button(page: Page) -> Locator:
    return page.get_by_role("button", name="Where did the model look?")


def test_heatmap_is_asked_for_once_and_then_only_laid_over(page: Page) -> None:
    plain = one_to_one(page)
    start = runs(page)
    expect(page.get_by_role("slider", name="Opacity of the heatmap in %")).to_be_disabled()
    ask(page)
    assert runs(page) == start + 1
    found = middle(screen(page), 200, 300).astype(int)
    expected = overlay(wide(), heated(), OPACITY).astype(int)
    assert abs(found - expected).max() <= 6
    assert abs(found - expected).mean() < 1

    expect(page.get_by_role("img", name="The image under its heatmap")).to_be_visible()
    page.keyboard.press("h")
    np.testing.assert_array_equal(middle(grey(page), 200, 300), plain)
    expect(page.get_by_role("img", name="The image as decoded")).to_be_visible()
    heat_button(page).click()
    assert (middle(screen(page), 200, 300).astype(int) == found).all()
    assert runs(page) == start + 1


def test_opacity_is_changed_beside_it(page: Page) -> None:
    one_to_one(page)
    ask(page)
    start = runs(page)
    slider = page.get_by_role("slider", name="Opacity of the heatmap in %")
    assert said(page)["opacity"] == f"{100 * OPACITY:.0f} %"
    slider.fill("100")
    expected = overlay(wide(), heated(), 1).astype(int)
    assert abs(middle(screen(page), 200, 300) - expected).max() <= 6
    slider.fill("0")
    np.testing.assert_array_equal(middle(grey(page), 200, 300), wide())
    assert runs(page) == start


def test_heatmap_and_view_stay_when_the_page_is_drawn_again(page: Page) -> None:
    drag(page, -60, 20)
    button(page, "Zoom in").click()
    ask(page)
    before = screen(page)
    page.get_by_role("button", name="again").click()
    expect(page.get_by_text("run 3")).to_be_visible()
    settle(page)
    np.testing.assert_array_equal(screen(page), before)
    canvas(page).focus()
    page.keyboard.press("h")  # off, and it stays off
    page.get_by_role("button", name="again").click()
    expect(page.get_by_text("run 4")).to_be_visible()
    settle(page)
    expect(heat_button(page)).to_have_attribute("aria-pressed", "false")


def test_pixels_are_sent_once(page: Page, address: str) -> None:
    page = page.context.new_page()
    frames: list[int] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", lambda data: frames.append(len(data)))

    page.on("websocket", listen)
    page.goto(address)
    settle(page)
    assert max(frames) > wide().nbytes
    frames.clear()
    ask(page)
    page.get_by_role("button", name="again").click()
    expect(page.get_by_text("run 3")).to_be_visible()
    settle(page)
    (layer,) = [size for size in frames if size > wide().nbytes / 2]
    assert layer > layer_of(heated()).nbytes


def test_view_outlives_runs_that_overtake_each_other(page: Page) -> None:
    one_to_one(page)
    again = page.get_by_role("button", name="again")
    for _ in range(8):
        again.click(no_wait_after=True)
    settle(page)
    button(page, "Invert").click()
    np.testing.assert_array_equal(middle(grey(page), 200, 300), 255 - wide())


def test_full_screen_says_what_a_heatmap_is_not(page: Page) -> None:
    ask(page)
    note = page.get_by_text("No localisation.")
    expect(note).to_be_hidden()
    page.keyboard.press("f")
    expect(note).to_be_visible()
    page.keyboard.press("h")
    expect(note).to_be_hidden()


def test_next_image_begins_anew_and_without_a_heatmap(page: Page) -> None:
    ask(page)
    button(page, "Invert").click()
    page.get_by_text("large", exact=True).click()
    expect(page.locator("output.zoom")).to_have_text(re.compile(r"^Zoom 2\d %$"))
    settle(page)
    assert (grey(page)[5, 5], grey(page)[-5, -5]) == (255, 40)
    expect(heat_button(page)).to_have_attribute("aria-pressed", "false")
    ask(page)
    assert np.ptp(screen(page), axis=2).max() > 50, "coloured"


def test_heatmap_is_not_offered_where_there_is_nothing_to_explain(page: Page) -> None:
    ask(page)
    page.get_by_text("unjudged").click()
    expect(heat_button(page)).to_have_count(0)
    grey(page)
    canvas(page).focus()
    page.keyboard.press("h")
    grey(page)


def test_heatmap_that_cannot_be_had_is_not_asked_for_again(page: Page) -> None:
    page.get_by_text("fails").click()
    canvas(page).focus()
    page.keyboard.press("h")
    expect(heat_button(page)).to_be_disabled()
    settle(page)
    start, whole = runs(page), grey(page)
    canvas(page).focus()
    page.keyboard.press("h")
    np.testing.assert_array_equal(grey(page), whole)
    assert runs(page) == start


# Fingers


def touch(session: CDPSession, kind: str, *places: tuple[float, float]) -> None:
    points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
    session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def test_two_fingers_zoom_about_their_middle_and_one_changes_the_window(phone: Page) -> None:
    page = phone
    box = frame(page)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    zoom = int(said(page)["zoom"].split()[1])
    fingers = page.context.new_cdp_session(page)
    touch(fingers, "touchStart", (x - 30, y))
    touch(fingers, "touchMove", (x - 40, y))
    touch(fingers, "touchStart", (x - 40, y), (x + 40, y))
    touch(fingers, "touchMove", (x - 60, y), (x + 60, y))
    touch(fingers, "touchMove", (x - 80, y), (x + 80, y))
    touch(fingers, "touchEnd")
    assert int(said(page)["zoom"].split()[1]) == pytest.approx(2 * zoom, abs=3)
    assert (said(page)["width"], said(page)["level"]) == ("256", "128")
    touch(fingers, "touchStart", (x, y))
    touch(fingers, "touchMove", (x - 50, y + 30))
    touch(fingers, "touchEnd")
    assert int(said(page)["width"]) < 256
    assert int(said(page)["level"]) > 128
    assert runs(page) == 1


# For everyone, everywhere


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_viewer_is_dark_and_fits(page: Page, scheme: Literal["dark", "light"]) -> None:
    page.emulate_media(color_scheme=scheme)
    page.reload()
    settle(page)
    viewer, inner = page.locator(".viewer"), page.locator(".viewer *:visible")
    ground = viewer.evaluate("box => getComputedStyle(box).backgroundColor")
    assert max(map(int, re.findall(r"\d+", ground))) < 40
    for width in (1280, 768, 390):
        page.set_viewport_size({"width": width, "height": 844})
        drawn(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        outer, box = viewer.bounding_box(), canvas(page).bounding_box()
        assert outer
        assert box
        boxes = [inner.nth(place).bounding_box() for place in range(inner.count())]
        right = max(part["x"] + part["width"] for part in boxes if part)
        assert right <= outer["x"] + outer["width"] + 0.5, width
        assert box["height"] <= 0.76 * 844, "the page could not be scrolled beside it"


def test_everything_is_reached_by_tab_and_the_focus_is_seen(page: Page) -> None:
    button(page, "Zoom in").click()
    ask(page)
    page.get_by_role("button", name="again").focus()
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            "() => { const host = document.activeElement; const element ="
            " host.shadowRoot ? host.shadowRoot.activeElement : null; return element ?"
            " [element.ariaLabel ?? element.labels?.[0]?.innerText ?? element.innerText,"
            " getComputedStyle(element).outlineStyle] : ['', '']; }"
        )
        if name:
            seen.append(name.strip())
            assert outline == "solid", name
        elif seen:
            break
    assert seen == [
        *("Zoom out", "Zoom in", "Fit the whole image", "One to one", "Invert", "Reset the view"),
        *("Full screen", "The image under its heatmap", "Show what is further left"),
        *("Show what is further up", "Show what is further down", "Show what is further right"),
        *("Width", "Level", "Where did the model look?", "Opacity of the heatmap in %"),
        "Mouse, fingers and keys",
    ]


def test_keys_and_names_are_told_to_a_screen_reader(page: Page) -> None:
    keys = page.locator("button[aria-keyshortcuts]")
    told = {
        keys.nth(place).get_attribute("title"): keys.nth(place).get_attribute("aria-keyshortcuts")
        for place in range(keys.count())
    }
    assert told == {
        "Zoom out (-)": "-",
        "Zoom in (+)": "+",
        "Fit the whole image (0)": "0",
        "One to one (1)": "1",
        "Invert (I)": "I",
        "Reset the view (R)": "R",
        "Full screen (F)": "F",
        "Heatmap (H)": "H",
    }
    expect(page.get_by_role("img", name="The image as decoded")).to_have_accessible_description(
        re.compile("Drag: window width")
    )


POLICY = (
    "default-src 'none'; script-src 'self' blob:; style-src 'self' 'unsafe-inline'; "
    "connect-src 'self'; img-src 'self' data:; font-src 'self' data:; base-uri 'none'"
)
"""Streamlit itself needs inline styles, and loads a component's script from memory."""

REFUSED = [["script-src-elem", "inline"], ["script-src", "wasm-eval"]]
"""What Streamlit tries under that policy, and does without."""


def test_works_under_a_strict_policy_and_asks_for_nothing(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport=WIDE, permissions=["local-network-access"])

    def answer(route: Route) -> None:
        response = route.fetch()
        headers = response.headers | {"content-security-policy": POLICY}
        route.fulfill(response=response, headers=headers)

    page.route(f"{address}/", answer)
    page.add_init_script(
        "window.refused = []; document.addEventListener('securitypolicyviolation',"
        " event => window.refused.push([event.violatedDirective, event.blockedURI]));"
    )
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    settle(page)
    stored = page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})")
    asked.clear()
    ask(page)
    drag(page, -60, 20)
    for key in "+10ih":
        page.keyboard.press(key)
    grey(page)
    assert [found for found in page.evaluate("window.refused") if found not in REFUSED] == []
    assert [url for url in asked if not url.startswith("blob:")] == []
    assert page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})") == stored
    page.close()


def test_two_tabs_have_their_own_views(page: Page, address: str) -> None:
    whole = grey(page)
    other = page.context.new_page()
    with without_errors(other):
        other.goto(address)
        settle(other)
        button(other, "Invert").click()
        ask(other)
    np.testing.assert_array_equal(grey(page), whole)
    assert runs(page) == 1
