"""What the pages share.

Choices are read from the address of the page; that they are written there takes a browser.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.support.pages import draw_app
from tests.support.pictures import encoded, zipped
from tests.support.processes import printed
from xray_classifier.app import many, one_image
from xray_classifier.app.session import TURNS
from xray_classifier.models import loading


def script() -> None:
    import streamlit as st

    from xray_classifier.app.session import choose_model

    st.text(choose_model())


@pytest.fixture
def page() -> AppTest:
    return AppTest.from_function(script)


def test_default_model_is_chosen_and_leaves_the_address_alone(page: AppTest) -> None:
    assert page.run().text[0].value == "default"
    assert not page.query_params


def test_address_chooses_the_model(page: AppTest) -> None:
    page.query_params["model"] = "article"
    assert page.run().text[0].value == "article"


@pytest.mark.parametrize("rubbish", ["", "no-such-model", "../default", "Article", "1"])
def test_rubbish_in_the_address_means_the_default(page: AppTest, rubbish: str) -> None:
    page.query_params["model"] = rubbish
    page.run()
    assert page.text[0].value == "default"
    assert not page.exception


def test_without_any_model_the_default_is_named(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "model_names", list)
    assert page.run().text[0].value == "default"


# Uploads


def test_uploads_up_to_the_limit_never_touch_the_disk() -> None:
    program = """
import asyncio
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartParser
from xray_classifier.inputs.decoding import MAX_BYTES
from xray_classifier.app.session import keep_uploads_in_memory

async def body():
    yield b'--x\\r\\nContent-Disposition: form-data; name="f"; filename="f"\\r\\n\\r\\n'
    yield bytes(MAX_BYTES)
    yield b"\\r\\n--x--\\r\\n"

def on_disk():
    headers = Headers({"content-type": "multipart/form-data; boundary=x"})
    form = asyncio.run(MultiPartParser(headers, body()).parse())
    return form["f"].file._rolled

before = on_disk()
keep_uploads_in_memory()
print(before, on_disk())
"""
    assert printed(program).split() == ["True", "False"]


# Turns


class Turns:
    """Counts who holds a turn."""

    def __init__(self) -> None:
        self.held = 0

    def __enter__(self) -> None:
        self.held += 1

    def __exit__(self, *_: object) -> None:
        self.held -= 1


def square(grey: int) -> bytes:
    return encoded(np.full((60, 60), grey, np.uint8))


@pytest.mark.parametrize(
    "file", [square(90), zipped({"a.png": square(90), "b.png": square(160)})], ids=["one", "ZIP"]
)
def test_images_are_judged_in_a_turn_that_is_given_back(
    file: bytes, tiny_models: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns, held = Turns(), []
    for module, name in ((one_image, "classify_radiograph"), (many, "score_source")):
        real = getattr(module, name)

        def watched(*given: Any, real: Any = real, **named: Any) -> Any:
            held.append(turns.held)
            return real(*given, **named)

        monkeypatch.setattr(module, "TURNS", turns)
        monkeypatch.setattr(module, name, watched)
    draw_app().file_uploader[0].upload("a", file, "application/octet-stream").run()
    assert set(held) == {1}
    assert turns.held == 0


def test_two_visitors_have_a_turn_at_once() -> None:
    with TURNS, TURNS:
        assert not TURNS.acquire(blocking=False)
