"""Many radiographs in a real browser: the table, its filters, one study, stop, ZIP, folder, CSV."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.pages import tab_to
from tests.support.pictures import encoded, zipped
from tests.support.processes import START_SECONDS
from xray_classifier.inference.pipeline import classify
from xray_classifier.inference.verdict import percent
from xray_classifier.models.gate import load_gate
from xray_classifier.models.loading import load_classifier

pytestmark = [pytest.mark.browser, pytest.mark.data]

FIRST_VERDICT_MS = 300_000  # TensorFlow starts meanwhile, on a busy machine
HEADING, ROW = 36, 72  # pixels: the table is drawn on a canvas
NAMES = ("NORMAL/IM-0324-0001.jpeg", "PNEUMONIA/person536_bacteria_2258.jpeg")


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 1200})
    page.set_default_timeout(START_SECONDS * 1000)
    page.goto(address)
    expect(page.get_by_text("to begin")).to_be_visible(timeout=FIRST_VERDICT_MS)
    yield page
    page.close()


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
    expect(page.get_by_text(counts, exact=True)).to_be_visible(timeout=FIRST_VERDICT_MS)


def expect_rows(page: Page, *files: str) -> None:
    """Read the table that Streamlit keeps for screen readers beside the canvas."""
    cells = page.get_by_test_id("stDataFrame").locator("tbody tr td:last-child")
    expect(cells).to_have_text(list(files), timeout=FIRST_VERDICT_MS)


def open_row(page: Page, row: int) -> None:
    table = page.get_by_test_id("stDataFrame")
    table.scroll_into_view_if_needed()
    table.click(position={"x": 40, "y": HEADING + ROW * row + ROW // 2})
    expect(page.get_by_role("button", name="Back to the table")).to_be_visible(timeout=60_000)


def test_three_files_and_a_broken_one_are_sorted_filtered_and_opened(
    page: Page, originals: dict[str, bytes]
) -> None:
    normal, ill = originals.values()
    white = encoded(np.full((300, 300), 255, np.uint8))
    upload(page, {"n.jpeg": normal, "<i>broken</i>.png": b"text", "w.png": white, "p.jpeg": ill})
    expect_counts(page, "1 pneumonia · 1 normal · 1 rejected · 1 unreadable")
    expect_rows(page, "p.jpeg", "n.jpeg", "w.png", "<i>broken</i>.png")

    page.get_by_test_id("stButtonGroup").get_by_text("normal", exact=True).click()
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
    page.get_by_test_id("stButtonGroup").get_by_text("normal", exact=True).click()
    expect_rows(page, "p.jpeg", "n.jpeg", "w.png", "<i>broken</i>.png")
    open_row(page, 3)
    expect(page.get_by_test_id("stDataFrame")).to_have_count(0)
    expect(page.get_by_text("This is not an image that can be read")).to_be_visible()


def test_study_is_opened_and_left_with_the_keyboard(
    page: Page, originals: dict[str, bytes]
) -> None:
    upload(page, {Path(name).name: content for name, content in originals.items()})
    expect_counts(page, "1 pneumonia · 1 normal")
    expect(page.get_by_role("button", name="Download all as CSV")).to_be_visible()
    tab_to(page, page.get_by_role("combobox", name="Open a study"))
    page.keyboard.type("2")
    expect(page.get_by_role("option")).to_have_text("2: pneumonia")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Study 2")).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile("^Pneumonia 9"))).to_be_visible()
    tab_to(page, page.get_by_role("button", name="Back to the table"))
    page.keyboard.press("Enter")
    expect_rows(page, *(Path(name).name for name in reversed(NAMES)))


def test_table_is_taken_away_with_numbers_and_with_names_only_if_asked(
    page: Page, originals: dict[str, bytes]
) -> None:
    upload(page, {Path(name).name: content for name, content in originals.items()})
    expect_counts(page, "1 pneumonia · 1 normal")
    rows = download(page)
    assert [(row["study"], row["verdict"]) for row in rows] == [
        ("1", "normal"),
        ("2", "pneumonia"),
    ]
    assert "file" not in rows[0]
    page.get_by_text("with file names").click()
    expect(page.get_by_role("checkbox", name="with file names")).to_be_checked()
    for _ in range(30):  # until the page has answered
        rows = download(page)
        if "file" in rows[0]:
            break
        page.wait_for_timeout(1000)
    assert [row["file"] for row in rows] == [Path(name).name for name in originals]


def download(page: Page) -> list[dict[str, str]]:
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download all as CSV").click()
    assert waiting.value.suggested_filename == "studies.csv"
    with Path(waiting.value.path()).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


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
    expect(page.get_by_text(re.compile(r"^\d+ pneumonia ·.* \d+ normal$"))).to_be_visible()
    rows = download(page)
    assert len(rows) == 120
    assert {row["status"] for row in rows} == {"ok"}
    assert [int(row["study"]) for row in rows] == list(range(1, 121))


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
    expect(page.get_by_text(re.compile(r"^\d+ pneumonia ·.* \d+ normal$"))).to_be_visible()


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


def test_table_fits_a_phone(browser: Browser, address: str, originals: dict[str, bytes]) -> None:
    phone = browser.new_page(viewport={"width": 390, "height": 844})
    phone.goto(address)
    expect(phone.get_by_text("to begin")).to_be_visible(timeout=FIRST_VERDICT_MS)
    upload(phone, {"a.zip": zipped(originals)})
    expect_counts(phone, "1 pneumonia · 1 normal")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    first_column = phone.get_by_test_id("stDataFrame").locator("tbody tr td:first-child")
    expect(first_column).to_have_text(["Open 2", "Open 1"])
    open_row(phone, 0)
    expect(phone.get_by_role("heading", name=re.compile("^Pneumonia 9"))).to_be_visible()
    phone.close()
