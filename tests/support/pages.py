"""The app in Streamlit's own test client and in a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Locator, Page

from tests.support.places import ROOT

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest


def draw_app() -> AppTest:
    """Draw the app for a new visitor."""
    from streamlit.testing.v1 import AppTest

    return AppTest.from_file(str(ROOT / "webapp.py"), default_timeout=60).run()


def tab_to(page: Page, target: Locator, presses: int = 40) -> None:
    """Press Tab until an element has the focus."""
    for _ in range(presses):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"{target} is not reached by {presses} presses of Tab")
