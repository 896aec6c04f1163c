"""Fixtures that several test modules share."""

from __future__ import annotations

import gc
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from benchmarks import machine, results
from tests.support.pages import draw_app
from tests.support.places import DATA, ROOT, skip
from tests.support.processes import START_SECONDS, wait_until_healthy
from tests.support.stand_ins import BrightnessNetwork, TinyGate, square_model
from tests.support.visitors import assert_calm
from xray_classifier.files import write_json

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

    from xray_classifier.models.classifier import Classifier
    from xray_classifier.models.gate import Gate

CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SCREEN = ViewportSize(width=1280, height=720)


WORKERS = 3
"""Processes for the whole suite: one waits for a browser, or for what it has started, while two
work. Each may hold TensorFlow. With a fourth one two cores are no sooner done."""

BROWSER = "tests/system/test_browser"
"""How the files begin that share a browser, a tab in it and a server of the page."""

LONGEST_FIRST = (
    BROWSER,
    "tests/batch/test_ray_backend.py",
    "tests/system/",
    "tests/project/test_quality.py",
    "tests/project/test_tutorial.py",
    "tests/evaluation/test_saliency_checks.py",
    "tests/training/",
)
"""What is begun first, so that no process waits for the other ones at the end."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Share the whole suite out; single files and long tests, which are timed, run right here."""
    whole = config.args_source is config.ArgsSource.TESTPATHS
    if not whole or config.option.markexpr != "not long":
        return 0
    for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # each process, and what it starts, has a core
    return WORKERS


class ByFile(LoadFileScheduling):
    """Gives each file to one process, and all that need a browser to the same one."""

    def _split_scope(self, nodeid: str) -> str:
        return BROWSER if nodeid.startswith(BROWSER) else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    return ByFile(config, log) if config.option.dist == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        """Which of `LONGEST_FIRST` comes first in it; the others are last."""
        begun = [item.nodeid.startswith(begin) for begin in LONGEST_FIRST]
        return [*begun, True].index(True)

    items.sort(key=place)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--measured", type=Path, metavar="FILE", help="write what long tests measured as JSON"
    )


@pytest.fixture(scope="module", autouse=True)
def nothing_of_before_to_search() -> None:
    """Leave what was imported, and what other tests left, out of every search for garbage.

    Streamlit searches after each run of a page, which takes longer than the run where TensorFlow
    is there, too.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def measured(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """What long tests measured: `figures`, and whatever else is told of them by name.

    It is written only if no test has failed.
    """
    facts = machine.describe()
    found: dict[str, Any] = {"figures": []}
    yield found
    target = request.config.getoption("measured")
    if target and not request.session.testsfailed:
        command = " ".join(["python -m pytest", *request.config.invocation_params.args])
        figures = found.pop("figures")
        write_json(results.collect(figures, facts, command, **found), target)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real radiographs; tests that ask for it carry the mark `data`."""
    if not DATA.is_dir():
        skip(f"{DATA} is missing: this test needs real radiographs")
    return DATA


@pytest.fixture(scope="session")
def original(data: Path) -> Path:
    """One radiograph as a user would upload it."""
    return data / "originals" / "NORMAL" / "IM-0324-0001.jpeg"


@pytest.fixture(autouse=True)
def own_main() -> Iterator[None]:
    """Give Python its main module back: Streamlit's test client puts the page in its place.

    Processes that `multiprocessing` spawns later would otherwise begin by running the page.
    """
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(scope="session")
def tiny_gate() -> Gate:
    """A stand-in for the gate, whose decision can be worked out by hand."""
    return cast("Gate", TinyGate())


@pytest.fixture(scope="session")
def tiny_classifier() -> Classifier:
    """A classifier that is quick and whose answers can be worked out by hand."""
    from xray_classifier.models.classifier import Classifier
    from xray_classifier.models.spec import ModelSpec

    spec = ModelSpec("tiny", "Tiny", "tiny.keras", sha256="ab" * 32, bytes=1)
    return Classifier(BrightnessNetwork(), spec)


@pytest.fixture
def tiny_models(
    monkeypatch: pytest.MonkeyPatch, tiny_classifier: Classifier, tiny_gate: Gate
) -> None:
    """Have the pages use the tiny model and gate, whatever is asked for."""
    import streamlit as st

    from xray_classifier.models import gate, loading

    st.cache_resource.clear()
    st.cache_data.clear()
    monkeypatch.setattr(loading, "load_classifier", lambda *_, **__: tiny_classifier)
    monkeypatch.setattr(loading, "read_facts", lambda name: tiny_classifier.spec)
    monkeypatch.setattr(gate, "load_gate", lambda **_: tiny_gate)


@pytest.fixture
def page(tiny_models: None) -> AppTest:
    """The app with the tiny model, in Streamlit's own test client."""
    return draw_app()


@pytest.fixture(scope="session")
def square_classifier() -> Classifier:
    """A classifier with a convolution, that calls bright squares pneumonia."""
    from xray_classifier.models.classifier import Classifier
    from xray_classifier.models.keras_network import KerasNetwork
    from xray_classifier.models.spec import ModelSpec

    spec = ModelSpec("square", "Square", "square.keras", sha256="cd" * 32, bytes=1)
    return Classifier(KerasNetwork(square_model()), spec)


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log.txt"
    flags = [
        *("--server.port", str(port), "--server.address", "127.0.0.1"),
        *("--server.headless", "true", "--server.fileWatcherType", "none"),
    ]
    with log.open("w") as stream:
        server = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "webapp.py", *flags],
            cwd=ROOT,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until_healthy(f"http://127.0.0.1:{port}", log)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait()
    assert_calm(log)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        skip("no Chromium is installed (Debian: apt-get install chromium)")
    expect.set_options(timeout=2 * START_SECONDS * 1000)  # a busy machine is slow, not wrong
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def only_tab(browser: Browser) -> Page:
    window = browser.new_context(viewport=SCREEN)
    window.set_default_timeout(START_SECONDS * 1000)
    return window.new_page()


@pytest.fixture
def tab(only_tab: Page) -> Iterator[Page]:
    """One tab for all tests, emptied after each: a new one would compile Streamlit anew.

    A test may open others beside it, change its viewport and emulate other media.
    """
    yield only_tab
    for other in only_tab.context.pages:
        if other is not only_tab:
            other.close()
    if only_tab.url.startswith("http"):
        only_tab.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
    only_tab.goto("about:blank")
    only_tab.context.clear_cookies()
    only_tab.emulate_media(color_scheme="light")
    only_tab.set_viewport_size(SCREEN)
    only_tab.mouse.move(0, 0)
