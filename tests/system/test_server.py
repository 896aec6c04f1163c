"""What the server itself refuses, and that nothing from outside becomes HTML."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator

import numpy as np
import pytest

from tests.support.dicom_files import dataset, written
from tests.support.pictures import encoded, gradient
from tests.support.places import ROOT
from tests.support.visitors import Server, Visitor, assert_calm, form, serve
from xray_classifier.inputs.decoding import MAX_BYTES

MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("server")) as server:
        yield server
    assert_calm(server.log)


@pytest.fixture
def visitor(server: Server) -> Iterator[Visitor]:
    visitor = Visitor(server)
    yield visitor
    visitor.leave()


def test_upload_over_the_limit_is_refused_by_the_server(visitor: Visitor) -> None:
    url, _ = visitor.place("large.png")
    status = visitor.put(url, bytes(MAX_BYTES + 1), "large.png")
    assert status == http.client.REQUEST_ENTITY_TOO_LARGE


def test_upload_that_does_not_tell_its_length_is_refused_over_the_limit(visitor: Visitor) -> None:
    url, _ = visitor.place("large.png")
    body, kind = form("large.png", bytes(MAX_BYTES + 2 * 2**20))
    pieces = (body[start : start + 2**20] for start in range(0, len(body), 2**20))
    headers = {**visitor.headers, "Content-Type": kind, "Transfer-Encoding": "chunked"}
    try:
        status = visitor.server.ask("PUT", url, pieces, headers)[0]
    except ConnectionError:
        return  # it was hung up on
    assert status == http.client.REQUEST_ENTITY_TOO_LARGE


@pytest.mark.parametrize("token", ["", "forged"])
def test_upload_without_the_token_of_the_page_is_refused(visitor: Visitor, token: str) -> None:
    url, _ = visitor.place("x.png")
    visitor.headers["X-Xsrftoken"] = token
    assert visitor.put(url, encoded(gradient()), "x.png") == http.client.FORBIDDEN


def test_upload_for_nobody_is_refused(visitor: Visitor) -> None:
    status = visitor.put("/_stcore/upload_file/nobody/1", encoded(gradient()), "x.png")
    assert status == http.client.BAD_REQUEST


@pytest.mark.parametrize("name", [MARKUP + ".png", "**b** :red[x] $x$.png"])
def test_markup_in_a_file_name_never_comes_back(visitor: Visitor, name: str) -> None:
    seen = visitor.upload(name, b"no image")
    assert "not an image that can be read" in seen.text
    assert name[:8] not in seen.text
    assert seen.markup == []


def test_markup_in_dicom_tags_never_comes_back(visitor: Visitor) -> None:
    tags = ("BodyPartExamined", "Modality", "ViewPosition", "PatientName", "PatientID")
    made = dataset(np.full((60, 80), 9, np.uint8))
    for keyword in tags:
        setattr(made, keyword, MARKUP)
    seen = visitor.upload("x.dcm", written(made))
    assert "onerror" not in seen.text.lower()
    assert seen.markup == []


def test_page_lets_no_html_through() -> None:
    """Read from the source: nothing in the pages asks Streamlit to interpret HTML.

    The viewer's is a file as it is; what it does with what it is sent, see `test_viewer.py`.
    """
    pages = [ROOT / "webapp.py", *(ROOT / "xray_classifier" / "app").glob("*.py")]
    assert ROOT / "xray_classifier" / "app" / "judge.py" in pages
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    assert "unsafe_allow_html" not in text
    assert "st.html" not in text
    assert re.findall(r"components[\w.]+\(?", text) == ["components.v2.component("] * 2
    assert re.findall(r"\b(?:html|css|js)=([^,\n]+?)(?=,|\)\n|\n)", text) == [
        *('_read("viewer.html")', '_read("viewer.css")', "_SCRIPT", "_SCRIPT")
    ]
