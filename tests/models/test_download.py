from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import multiprocessing
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.stand_ins import tiny_model
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.models import download as fetching
from xray_classifier.models.download import fetch
from xray_classifier.models.spec import ModelSpec, write_spec

CONTENT = bytes(range(256)) * 8192  # 2 MiB: several of gdown's chunks
CHUNK = 64 * 1024


class Server(ThreadingHTTPServer):
    """Answers with whole, broken or wrong files, by the path that is asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.asked: list[str] = []
        self.sent = 0
        self.both_there = threading.Barrier(2)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of these tests."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        content = self.server.content
        half = content[: len(content) // 2]
        answers: dict[str, Callable[[], None]] = {
            "/whole": lambda: self.answer(content),
            "/together": lambda: self.answer_together(content),
            "/breaks-off": lambda: self.answer(half, announced=len(content)),
            "/breaks-off-unannounced": lambda: self.answer(half, announced=None),
            "/altered": lambda: self.answer(content[:-1] + b"?"),
            "/shorter": lambda: self.answer(content[:-1]),
            "/longer": lambda: self.answer(content + b"?"),
            "/endless": self.answer_endlessly,
            "/page": lambda: self.answer(b"<html>Sign in</html>", kind="text/html"),
            "/moved": self.answer_that_it_moved,
        }
        answers.get(self.path, lambda: self.send_error(404))()

    def answer_together(self, content: bytes) -> None:
        """Wait until a second client has asked too."""
        self.server.both_there.wait(timeout=30)
        self.answer(content)

    def answer_that_it_moved(self) -> None:
        self.send_response(302)
        self.send_header("Location", "/whole")
        self.end_headers()

    def answer(
        self, content: bytes, announced: int | None = -1, kind: str = "application/octet-stream"
    ) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        if announced is not None:
            self.send_header("Content-Length", str(len(content) if announced < 0 else announced))
        self.end_headers()
        self.wfile.write(content)

    def answer_endlessly(self) -> None:
        self.send_response(200)
        self.end_headers()
        while True:
            self.server.sent += self.wfile.write(bytes(CHUNK))


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def own_home(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Keep gdown's lock out of the real home, and proxies out of the way."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))  # for other processes
    module = importlib.import_module("gdown.cached_download")
    monkeypatch.setattr(module, "cache_root", str(home / ".cache" / "gdown"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield
    assert not list(home.rglob("cookies.txt"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model" / "tiny.keras"


def spec_of(content: bytes = CONTENT) -> ModelSpec:
    digest = hashlib.sha256(content).hexdigest()
    return ModelSpec("tiny", "Tiny", "tiny.keras", digest, len(content))


def everything_beside(path: Path) -> list[Path]:
    """What lies in the folder of a file, hidden or not; nothing if there is no folder."""
    return sorted(path.parent.iterdir()) if path.parent.is_dir() else []


def test_a_whole_file_arrives_whole_and_alone(server: Server, path: Path) -> None:
    fetch(spec_of(), path, server.url("whole"))

    assert path.read_bytes() == CONTENT
    assert everything_beside(path) == [path]


def test_a_redirect_is_followed(server: Server, path: Path) -> None:
    fetch(spec_of(), path, server.url("moved"))

    assert path.read_bytes() == CONTENT
    assert server.asked == ["/moved", "/whole"]


@pytest.mark.parametrize(
    ("served", "message"),
    [
        ("breaks-off", "could not be fetched from .* then try again"),
        ("breaks-off-unannounced", "serves another file than model tiny"),
        ("altered", "serves another file than model tiny"),
        ("shorter", "serves another file than model tiny"),
        ("longer", "serves more than the 2097152 bytes of model tiny. Check the id or URL"),
        ("page", "serves another file than model tiny"),
        ("gone", "could not be fetched from .*404.* then try again"),
    ],
)
def test_anything_else_leaves_no_file_and_no_part_of_one(
    server: Server, path: Path, served: str, message: str
) -> None:
    with pytest.raises(ModelUnavailableError, match=message) as caught:
        fetch(spec_of(), path, server.url(served))

    assert server.url(served) in str(caught.value)
    assert everything_beside(path) == []


def test_a_download_that_broke_off_succeeds_the_next_time(server: Server, path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="could not be fetched"):
        fetch(spec_of(), path, server.url("breaks-off"))

    fetch(spec_of(), path, server.url("whole"))

    assert path.read_bytes() == CONTENT
    assert everything_beside(path) == [path]


def test_an_endless_answer_is_given_up_soon(server: Server, path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="serves more than the 1000 bytes"):
        fetch(spec_of(CONTENT[:1000]), path, server.url("endless"))

    assert server.sent < 50 * 2**20
    assert everything_beside(path) == []


def test_a_server_that_falls_silent_is_given_up(
    server: Server, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "TIMEOUT_SECONDS", 0.3)

    with pytest.raises(ModelUnavailableError, match="could not be fetched .*timed out"):
        fetch(spec_of(), path, server.url("together"))

    server.both_there.abort()
    assert everything_beside(path) == []


def test_a_place_where_nobody_listens_is_named(path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        source = f"http://127.0.0.1:{nobody.getsockname()[1]}/whole"

    with pytest.raises(ModelUnavailableError, match=f"could not be fetched from {source}: .*"):
        fetch(spec_of(), path, source)
    assert everything_beside(path) == []


@pytest.mark.parametrize("source", ["http://", "http://[::1", "https://127.0.0.1:70000/tiny"])
def test_a_malformed_url_is_named(path: Path, source: str) -> None:
    with pytest.raises(ModelUnavailableError, match="could not be fetched from http"):
        fetch(spec_of(), path, source)


@pytest.mark.parametrize("source", [None, ""])
def test_without_a_source_the_message_leads_to_the_page(path: Path, source: str | None) -> None:
    with pytest.raises(ModelUnavailableError, match=r"tiny\.keras is missing.*docs/deployment\.md"):
        fetch(spec_of(), path, source)


@pytest.mark.parametrize(
    ("source", "url"),
    [
        ("1AbC-d_9", "https://drive.google.com/uc?id=1AbC-d_9"),
        ("https://example.org/m.keras", "https://example.org/m.keras"),
        ("http://127.0.0.1:8000/m.keras", "http://127.0.0.1:8000/m.keras"),
        (
            "https://drive.google.com/file/d/1AbC-d_9/view?usp=sharing",
            "https://drive.google.com/file/d/1AbC-d_9/view?usp=sharing",
        ),
    ],
)
def test_an_id_becomes_a_url_of_google_drive_and_a_url_stays(source: str, url: str) -> None:
    assert fetching._url(source) == url


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("1AbC-d_9", "https://drive.google.com/uc?id=1AbC-d_9"),
        (
            "https://drive.google.com/file/d/1AbC-d_9/view",
            "https://drive.google.com/uc?id=1AbC-d_9",
        ),
    ],
)
def test_gdown_asks_google_drive_for_the_file(
    path: Path, monkeypatch: pytest.MonkeyPatch, source: str, expected: str
) -> None:
    import requests

    asked: list[str] = []

    def get(_session: Any, url: str, **_options: Any) -> None:
        asked.append(url)
        raise requests.ConnectionError("no network in tests")

    monkeypatch.setattr(requests.Session, "get", get)

    with pytest.raises(ModelUnavailableError, match="no network in tests"):
        fetch(spec_of(), path, source)
    assert asked == [expected]


def test_a_page_of_google_drive_instead_of_the_file_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import requests

    def get(_session: Any, _url: str, **_options: Any) -> requests.Response:
        response = requests.Response()
        response.status_code = 404
        response.url = "https://drive.google.com/uc?id=1AbC-d_9"
        response.headers["Content-Type"] = "text/html; charset=utf-8"
        response.raw = io.BytesIO(
            b"<html>Sorry, the file you have requested does not exist.</html>"
        )
        return response

    monkeypatch.setattr(requests.Session, "get", get)

    with pytest.raises(ModelUnavailableError, match="could not be fetched .*permission"):
        fetch(spec_of(), path, "1AbC-d_9")
    assert everything_beside(path) == []


def test_a_file_in_place_of_the_folder_is_an_error_with_a_message(
    server: Server, path: Path
) -> None:
    path.parent.write_text("a file", encoding="utf-8")

    with pytest.raises(ModelUnavailableError, match=r"must be fetched, .*\(Not a directory\)"):
        fetch(spec_of(), path, server.url("whole"))
    assert path.parent.read_text(encoding="utf-8") == "a file"


def test_a_damaged_file_is_not_trusted_because_it_is_there(server: Server, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"damaged")

    fetch(spec_of(), path, server.url("whole"))

    assert path.read_bytes() == CONTENT


def test_two_processes_that_start_at_once_both_get_the_whole_file(
    server: Server, path: Path
) -> None:
    """The server answers neither before both have asked, so neither can find the other's file."""
    spawn = multiprocessing.get_context("spawn")
    arguments = (spec_of(), path, server.url("together"))
    processes = [spawn.Process(target=_fetch_and_check, args=arguments) for _ in range(2)]
    with contextlib.ExitStack() as cleanup:
        for process in processes:
            process.start()
            cleanup.callback(process.close)
        for process in processes:
            process.join(timeout=60)

        assert [process.exitcode for process in processes] == [0, 0]
    assert server.asked == ["/together", "/together"]
    assert path.read_bytes() == CONTENT
    assert everything_beside(path) == [path]


def _fetch_and_check(spec: ModelSpec, path: Path, url: str) -> None:
    """Run in a process of its own, whose exit code tells how it went."""
    fetch(spec, path, url)
    if path.read_bytes() != CONTENT:
        raise SystemExit("another file")


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_model_that_is_not_there_is_fetched_and_answers(
    server: Server, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    from xray_classifier.files import sha256_of
    from xray_classifier.models.loading import load_classifier

    monkeypatch.delenv("XRAY_CLASSIFIER_TINY_URL", raising=False)
    path.parent.mkdir()
    tiny_model().save(path)
    server.content = path.read_bytes()
    spec = ModelSpec(
        "tiny",
        "Tiny",
        "tiny.keras",
        sha256_of(path),
        len(server.content),
        download=server.url("whole"),
    )
    write_spec(spec, path.with_suffix(".json"))
    path.unlink()

    classifier = load_classifier(str(path))

    assert path.read_bytes() == server.content
    batch = np.full((1, 500, 500, 1), 0.75, np.float32)
    assert classifier.probabilities(batch) == pytest.approx([1 / (1 + np.exp(-2))], abs=1e-5)
    assert server.asked == ["/whole"]
