"""Draw the pictures of the README anew: `.venv/bin/python docs/screenshots.py`. Needs Chromium.

They show nothing but the drawn sample: no patient's radiograph belongs in a repository.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

FOLDER = Path(__file__).parent
PORT = 8599
ADDRESS = f"http://127.0.0.1:{PORT}"
PATIENCE_MS = 180_000  # a busy machine may need long
DESKTOP, PHONE = ViewportSize(width=1280, height=1130), ViewportSize(width=390, height=844)


@contextmanager
def server() -> Iterator[None]:
    """Run the app while pictures are taken."""
    command = [sys.executable, "-m", "streamlit", "run", "webapp.py", "--server.headless=true"]
    command += [f"--server.port={PORT}", "--server.address=127.0.0.1"]
    app = subprocess.Popen(command, cwd=FOLDER.parent, stdout=subprocess.DEVNULL)
    try:
        while app.poll() is None:
            try:
                with urllib.request.urlopen(f"{ADDRESS}/_stcore/health"):
                    break
            except urllib.error.URLError:
                time.sleep(0.5)
        yield
    finally:
        app.terminate()
        app.wait()


def open_page(browser: Browser, path: str, size: ViewportSize, scheme: str) -> Page:
    """Open a page in a window of that size, in light or dark."""
    page = browser.new_context(
        viewport=size,
        color_scheme="dark" if scheme == "dark" else "light",
    ).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(ADDRESS + path)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    return page


def take(page: Page, name: str) -> None:
    """Take the picture once everything has arrived."""
    expect(page.locator("[data-test-script-state=notRunning]")).to_be_attached()
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
    page.wait_for_timeout(1000)  # images and charts fade in
    page.screenshot(path=FOLDER / f"{name}.png")


def show_everything(page: Page) -> None:
    """Ask for the output and the heatmap of the refused sample."""
    page.get_by_text("Show the model's output anyway").click()
    page.get_by_role("button", name="Where did the model look?").click()
    expect(page.get_by_role("img", name="The image under its heatmap")).to_be_visible()


def main() -> None:
    """Take all pictures."""
    expect.set_options(timeout=PATIENCE_MS)
    with server(), sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = open_page(browser, "/?sample=drawn", DESKTOP, "dark")
        show_everything(page)
        take(page, "judge")
        page = open_page(browser, "/?sample=drawn", PHONE, "dark")
        expect(page.get_by_text("This is not something I can judge")).to_be_visible()
        take(page, "phone")
        page = open_page(browser, "/model", DESKTOP, "light")
        expect(page.get_by_role("heading", name="How well it does")).to_be_visible()
        take(page, "model")
        browser.close()


if __name__ == "__main__":
    main()
