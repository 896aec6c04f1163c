"""Many radiographs in a real browser: the table, its filters, one study, stop, ZIP, folder, CSV."""

from __future__ import annotations

import csv
import re
import zipfile
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.dicom_files import dicom
from tests.support.pages import tab_to
from tests.support.pictures import encoded, zipped
from tests.support.viewer_page import button, canvas, drag, said, screen
from xray_classifier.inference.pipeline import classify
from xray_classifier.inference.verdict import percent
from xray_classifier.inputs.decoding import decode
from xray_classifier.models.gate import load_gate
from xray_classifier.models.loading import load_classifier

pytestmark = [pytest.mark.browser, pytest.mark.data]

FIRST_VERDICT_MS = 300_000  # a busy machine is slow, not wrong
HEADING, ROW = 36, 128  # pixels: the table is drawn on a canvas
NAMES = ("NORMAL/IM-0324-0001.jpeg", "PNEUMONIA/person536_bacteria_2258.jpeg")


@pytest.fixture
def page(tab: Page, address: str) -> Page:
    tab.set_viewport_size({"width": 1280, "height": 1200})
    tab.goto(address)
    expect(tab.get_by_text("to begin")).to_be_visible(timeout=FIRST_VERDICT_MS)
    return tab


@pytest.fixture(scope="module")
def originals(data: Path) -> dict[str, bytes]:
    return {name: (data / "originals" / name).read_bytes() for name in NAMES}


@pytest.fixture(scope="module")
def all_originals(data: Path) -> dict[str, bytes]:
    folder = data / "originals"
    files = sorted(folder.glob("*/*.jpeg"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def small_ones(data: Path) -> dict[str, bytes]:
    """So many that there is time to stop half-way."""
    folder = data / "chest_xray" / "train"
    kinds = ("NORMAL", "PNEUMONIA")
    files = [path for kind in kinds for path in sorted((folder / kind).iterdir())[:60]]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def upload(page: Page, files: dict[str, bytes]) -> None:
    payloads = [
        {"name": name, "mimeType": "application/octet-stream", "buffer": content}
        for name, content in files.items()
    ]
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(payloads)  # type: ignore[arg-type]


def expect_counts(page: Page, counts: str) -> None:
    """Read the strip, once all are judged."""
    for count in counts.split(" · "):
        expect(strip(page, count)).to_be_visible(timeout=FIRST_VERDICT_MS)
    expect(page.get_by_role("button", name="Download all as CSV")).to_be_visible()


def strip(page: Page, count: str) -> Locator:
    return page.get_by_test_id("stButtonGroup").get_by_role("button", name=count, exact=True)


def expect_rows(page: Page, *files: str) -> None:
    """Read the table that Streamlit keeps for screen readers beside the canvas."""
    cells = page.get_by_test_id("stDataFrame").locator("tbody tr td:last-child")
    expect(cells).to_have_text(list(files), timeout=FIRST_VERDICT_MS)


def open_row(page: Page, row: int) -> None:
    table = page.get_by_test_id("stDataFrame")
    table.scroll_into_view_if_needed()
    table.click(position={"x": 40, "y": HEADING + ROW * row + ROW // 2})
    expect(page.get_by_role("button", name="Back to the table")).to_be_visible(timeout=60_000)
    expect(table).to_have_count(0)  # until then the arrows are its own


def test_three_files_and_a_broken_one_are_sorted_filtered_and_opened(
    page: Page, originals: dict[str, bytes]
) -> None:
    normal, ill = originals.values()
    white = encoded(np.full((300, 300), 255, np.uint8))
    upload(page, {"n.jpeg": normal, "<i>broken</i>.png": b"text", "w.png": white, "p.jpeg": ill})
    expect_counts(page, "1 pneumonia · 1 normal · 1 rejected · 1 unreadable")
    expect_rows(page, "p.jpeg", "n.jpeg", "w.png", "<i>broken</i>.png")

    strip(page, "1 normal").click()
    expect_rows(page, "n.jpeg")
    open_row(page, 0)
    result = classify(normal, load_classifier(), load_gate())
    assert result.probability is not None
    expect(page.get_by_role("heading", name="Study 1")).to_be_visible()
    line = page.get_by_text(f"Probability of pneumonia {percent(result.probability)}")
    expect(line).to_be_visible(timeout=60_000)
    expect(page.get_by_role("img", name="The image as decoded")).to_be_visible()

    page.get_by_role("button", name="Back to the table").click()
    expect_rows(page, "n.jpeg")
    strip(page, "1 normal").click()
    expect_rows(page, "p.jpeg", "n.jpeg", "w.png", "<i>broken</i>.png")
    open_row(page, 3)
    expect(page.get_by_test_id("stDataFrame")).to_have_count(0)
    expect(page.get_by_text("This is not an image that can be read")).to_be_visible()


def test_study_is_opened_and_left_with_the_keyboard(
    page: Page, originals: dict[str, bytes]
) -> None:
    upload(page, {Path(name).name: content for name, content in originals.items()})
    expect_counts(page, "1 pneumonia · 1 normal")
    tab_to(page, page.get_by_role("combobox", name="Open a study"))
    page.keyboard.type("2")
    expect(page.get_by_role("option")).to_have_text("2: pneumonia")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Study 2")).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile("^Pneumonia (over )?9"))).to_be_visible()
    box = page.get_by_role("combobox", name="Open a study")
    expect(box).to_have_count(0)  # until then it has the focus, and the arrows are its own
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("heading", name="Study 1")).to_be_visible()
    expect(page.get_by_role("button", name="Next")).to_be_disabled()
    tab_to(page, page.get_by_role("button", name="Back to the table"))
    page.keyboard.press("Enter")
    expect_rows(page, *(Path(name).name for name in reversed(NAMES)))
    page.wait_for_timeout(1500)  # in which the box once opened its study again
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile("^Study "))).to_have_count(0)


def shape(page: Page) -> float:
    found: float = canvas(page).evaluate("canvas => canvas.width / canvas.height")
    return found


def expect_shape(page: Page, first: float, *, same: bool) -> None:
    """Wait for the image of that shape, or of another."""
    for _ in range(100):
        if (shape(page) == first) is same:
            return
        page.wait_for_timeout(100)
    pytest.fail(f"the image has not changed its shape: {shape(page)}")


def test_window_and_zoom_are_kept_from_image_to_image(
    page: Page, originals: dict[str, bytes]
) -> None:
    upload(page, {Path(name).name: content for name, content in originals.items()})
    expect_counts(page, "1 pneumonia · 1 normal")
    open_row(page, 0)
    first = shape(page)
    drag(page, -60, 20)
    button(page, "Invert").click()
    button(page, "Zoom in").click()
    button(page, "Zoom in").click()
    window = {name: said(page)[name] for name in ("width", "level")}
    assert window != {"width": "256", "level": "128"}
    before = screen(page)
    page.get_by_role("slider", name="Level").focus()
    page.keyboard.press("ArrowLeft")  # turns the level, and not the page
    page.keyboard.press("ArrowRight")
    canvas(page).focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("heading", name="Study 1")).to_be_visible(timeout=60_000)
    expect(button(page, "Invert")).to_have_attribute("aria-pressed", "true")
    expect_shape(page, first, same=False)
    assert {name: said(page)[name] for name in ("width", "level")} == window
    expect(page.get_by_role("group", name="Move the image")).to_be_visible()  # zoomed in
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("heading", name="Study 2")).to_be_visible(timeout=60_000)
    expect_shape(page, first, same=True)
    np.testing.assert_array_equal(screen(page), before)


def test_table_is_taken_away_with_numbers_and_with_names_only_if_asked(
    page: Page, originals: dict[str, bytes]
) -> None:
    files = {Path(name).name: content for name, content in originals.items()}
    files["d.dcm"] = dicom(decode(originals[NAMES[0]]).image)
    upload(page, files)
    expect_counts(page, "1 pneumonia · 2 normal")
    rows = download(page)
    assert [(row["study"], row["verdict"]) for row in rows] == [
        ("1", "normal"),
        ("2", "pneumonia"),
        ("3", "normal"),
    ]
    assert "file" not in rows[0]
    page.get_by_text("with file names").click()
    expect(page.get_by_role("checkbox", name="with file names")).to_be_checked()
    for _ in range(30):  # until the page has answered
        rows = download(page)
        if "file" in rows[0]:
            break
        page.wait_for_timeout(1000)
    assert [row["file"] for row in rows] == list(files)
    with pypdfium2.PdfDocument(taken(page, "All as one PDF", "studies.pdf")) as document:
        assert len(document) == 4  # the list, and a report on each
    with zipfile.ZipFile(taken(page, "DICOM reports as ZIP", "studies.zip")) as archive:
        assert archive.namelist() == ["study-3.sr.dcm"]


def download(page: Page) -> list[dict[str, str]]:
    path = taken(page, "Download all as CSV", "studies.csv")
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def taken(page: Page, label: str, name: str) -> Path:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=label).click()
    assert waiting.value.suggested_filename == name
    return Path(waiting.value.path())


def test_archive_is_judged_stopped_half_way_and_finished(
    page: Page, small_ones: dict[str, bytes]
) -> None:
    upload(page, {"many.zip": zipped(small_ones)})
    begun = page.get_by_text(re.compile(r"^[1-9]\d* of 120 judged$"))
    expect(begun).to_be_visible(timeout=FIRST_VERDICT_MS)
    expect(page.get_by_text("What to upload")).to_have_count(0)
    page.get_by_role("button", name="Stop judging").click()
    expect(page.get_by_role("button", name="Go on")).to_be_visible(timeout=60_000)
    progress = page.get_by_text(re.compile(r"^\d+ of 120 judged$"))
    done = progress.inner_text()
    page.wait_for_timeout(3000)
    expect(progress).to_have_text(done)
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()

    page.get_by_role("button", name="Go on").click()
    expect(progress).to_have_count(0, timeout=FIRST_VERDICT_MS)
    rows = download(page)
    assert len(rows) == 120
    assert {row["status"] for row in rows} == {"ok"}
    assert [int(row["study"]) for row in rows] == list(range(1, 121))
    called = sum(row["verdict"] == "pneumonia" for row in rows)
    expect(strip(page, f"{called} pneumonia")).to_be_visible()

    suspicious = sorted(rows, key=lambda row: -float(row["probability"]))
    open_row(page, 0)  # and the next two are a key away
    for row in suspicious[:3]:
        expect(
            page.get_by_role("heading", name=f"Study {row['study']}", exact=True)
        ).to_be_visible()
        page.keyboard.press("ArrowRight")


def test_study_is_opened_while_the_rest_is_judged_behind_it(
    page: Page, all_originals: dict[str, bytes]
) -> None:
    upload(page, {Path(name).name: content for name, content in all_originals.items()})
    expect(page.get_by_test_id("stDataFrame")).to_be_visible(timeout=FIRST_VERDICT_MS)
    open_row(page, 0)
    expect(page.get_by_role("heading", name=re.compile("^Study "))).to_be_visible()
    progress = page.get_by_text(re.compile(r"^\d+ of 24 judged$"))
    expect(progress).to_have_count(0, timeout=FIRST_VERDICT_MS)
    page.get_by_role("button", name="Back to the table").click()
    expect(page.get_by_role("button", name="Download all as CSV")).to_be_visible()
    table = page.get_by_test_id("stDataFrame").bounding_box()
    assert table
    assert table["y"] < 800 - HEADING - ROW, "the upload leaves it room on a small screen"


def test_folder_is_chosen_as_a_whole(
    page: Page, originals: dict[str, bytes], tmp_path: Path
) -> None:
    for name, content in (originals | {".DS_Store": b"x"}).items():
        path = tmp_path / "xrays" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    page.get_by_text("Choose a whole folder").click()
    expect(page.get_by_text("Upload directories")).to_be_visible()
    dropzone = page.get_by_test_id("stFileUploaderDropzoneInput")
    expect(dropzone).to_have_count(1)  # for a moment there is the old one, too
    dropzone.set_input_files(tmp_path / "xrays")
    expect_counts(page, "1 pneumonia · 1 normal")
    expect_rows(page, *(f"xrays/{name}" for name in reversed(NAMES)))


def test_table_goes_with_its_upload(page: Page, originals: dict[str, bytes]) -> None:
    upload(page, {"a.zip": zipped(originals)})
    expect_counts(page, "1 pneumonia · 1 normal")
    page.get_by_test_id("stFileChipDeleteBtn").get_by_role("button").first.click()
    expect(page.get_by_text("to begin")).to_be_visible()
    expect(page.get_by_test_id("stDataFrame")).to_have_count(0)


def test_table_fits_a_phone(tab: Page, address: str, originals: dict[str, bytes]) -> None:
    phone = tab
    phone.set_viewport_size({"width": 390, "height": 844})
    phone.goto(address)
    expect(phone.get_by_text("to begin")).to_be_visible(timeout=FIRST_VERDICT_MS)
    upload(phone, {"a.zip": zipped(originals)})
    expect_counts(phone, "1 pneumonia · 1 normal")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    first_column = phone.get_by_test_id("stDataFrame").locator("tbody tr td:first-child")
    expect(first_column).to_have_text(["Open 2", "Open 1"])
    open_row(phone, 0)
    expect(phone.get_by_role("heading", name=re.compile("^Pneumonia (over )?9"))).to_be_visible()
