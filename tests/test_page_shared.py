"""Choices are read from the address of the page; that they are written there takes a browser."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import ROOT
from streamlit.testing.v1 import AppTest

from xray_classifier import loading


def script() -> None:
    import streamlit as st

    from xray_classifier.page_shared import choose_model

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


def test_uploads_up_to_the_limit_never_touch_the_disk() -> None:
    program = """
import asyncio
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartParser
from xray_classifier.decoding import MAX_BYTES
from xray_classifier.page_shared import keep_uploads_in_memory

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
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["True", "False"]
