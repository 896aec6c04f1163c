"""The app in Streamlit's own test client and in a browser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Locator, Page
from streamlit.proto.Element_pb2 import Element

from tests.support.places import ROOT
from tests.support.rendered_page import Seen, read

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest


def draw_app() -> AppTest:
    """Draw the app for a new visitor."""
    from streamlit.testing.v1 import AppTest

    return AppTest.from_file(str(ROOT / "webapp.py"), default_timeout=60).run()


def viewed(page: AppTest) -> Seen:
    """What the viewer of the page is sent."""
    parts = page.get("bidi_component")
    return read([Element(bidi_component=part.proto) for part in parts])


def ask_for_heatmap(page: AppTest) -> AppTest:
    """Click on the viewer's button, which Streamlit's test client knows nothing of."""
    seen = viewed(page)
    states = page._tree.get_widget_states()
    states.widgets.add(id=seen.viewer, json_value=json.dumps({"heatmap": seen.question}))
    return page._run(states)


def tab_to(page: Page, target: Locator, presses: int = 40) -> None:
    """Press Tab until an element has the focus."""
    for _ in range(presses):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === element.getRootNode().activeElement"):
            return
    pytest.fail(f"{target} is not reached by {presses} presses of Tab")
