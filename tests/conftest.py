"""What several test modules share: the radiographs, drawn images and a tiny model."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from benchmarks import machine, results

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from streamlit.testing.v1 import AppTest

    from xray_classifier.models.classifier import Classifier
    from xray_classifier.models.gate import Gate, Opinion

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"

START_SECONDS = 60
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def skip(reason: str) -> NoReturn:
    """Skip a test for want of a browser or of radiographs; where CI has both, fail instead."""
    if os.environ.get("CI") == "true" and DATA.is_dir():
        pytest.fail(f"CI may not skip this test, but {reason}")
    pytest.skip(reason)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--measured", type=Path, metavar="FILE", help="write what long tests measured as JSON"
    )


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
        results.write(results.collect(figures, facts, command, **found), target)


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


def gradient(height: int = 60, width: int = 80) -> NDArray[np.uint8]:
    """A drawn image: brighter from left to right, with a dark bar at the top."""
    image = np.tile(np.linspace(0, 255, width), (height, 1)).astype(np.uint8)
    image[: height // 6] = 10
    return image


def encoded(image: Image.Image | NDArray[Any], kind: str = "PNG", **options: Any) -> bytes:
    """Write an image as the bytes of a file."""
    if not isinstance(image, Image.Image):
        image = Image.fromarray(image)
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def zipped(contents: Mapping[Any, bytes], kind: int = ZIP_DEFLATED) -> bytes:
    """Write a ZIP archive of members by name or `ZipInfo`."""
    stream = io.BytesIO()
    with ZipFile(stream, "w", kind) as archive:
        for name, content in contents.items():
            archive.writestr(name, content, compress_type=kind)
    return stream.getvalue()


def printed(program: str, folder: Path = ROOT) -> str:
    """Run Python code in a process of its own and a folder; give what it prints."""
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return run.stdout.strip()


def tiny_model() -> Any:
    """A Keras model of two parameters: sigmoid(8 * mean brightness - 4)."""
    import keras

    model = keras.Sequential(
        [
            keras.Input((500, 500, 1)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.set_weights([np.array([[8.0]]), np.array([-4.0])])
    return model


class TinyGate:
    """Rejects what is white and flags what is black; lets the rest through."""

    def judge(self, tensor: NDArray[np.float32]) -> Opinion:
        from xray_classifier.models.gate import Opinion

        return Opinion("It is white." if tensor.min() == 1 else "", bool(tensor.max() == 0))

    def judge_batch(self, batch: NDArray[np.float32]) -> list[Opinion]:
        return [self.judge(tensor) for tensor in batch]


@pytest.fixture(scope="session")
def tiny_gate() -> Gate:
    """A stand-in for the gate, whose opinion can be worked out by hand."""
    return cast("Gate", TinyGate())


@pytest.fixture(scope="session")
def tiny_classifier() -> Classifier:
    """A classifier that is quick and whose answers can be worked out by hand."""
    from xray_classifier.models.classifier import Classifier
    from xray_classifier.models.spec import ModelSpec

    spec = ModelSpec("tiny", "Tiny", "tiny.keras", sha256="ab" * 32, bytes=1)
    return Classifier(tiny_model(), spec)


@pytest.fixture
def tiny_models(
    monkeypatch: pytest.MonkeyPatch, tiny_classifier: Classifier, tiny_gate: Gate
) -> None:
    """Have the pages use the tiny model and gate, whatever is asked for."""
    import streamlit as st

    from xray_classifier.models import gate, loading

    st.cache_resource.clear()
    monkeypatch.setattr(loading, "load_classifier", lambda name, source: tiny_classifier)
    monkeypatch.setattr(loading, "read_facts", lambda name: tiny_classifier.spec)
    monkeypatch.setattr(gate, "load_gate", lambda: tiny_gate)


def draw_app() -> AppTest:
    """Draw the app for a new visitor."""
    from streamlit.testing.v1 import AppTest

    return AppTest.from_file(str(ROOT / "webapp.py"), default_timeout=60).run()


@pytest.fixture
def page(tiny_models: None) -> AppTest:
    """The app with the tiny model, in Streamlit's own test client."""
    return draw_app()


def find_no_model(name: str, source: str | None) -> Classifier:
    """Do what `load_classifier` does where the model's file is missing."""
    from xray_classifier.errors import ModelUnavailableError

    raise ModelUnavailableError("The model file is missing.")


POINTS = {
    "balanced": {"threshold": 0.7, "band": [0.6, 0.8], "criterion": "equal", "out_of_fold": {}},
    "screening": {"threshold": 0.2, "band": [0.1, 0.3], "criterion": "99 %", "out_of_fold": {}},
}


def pointed_classifier() -> Classifier:
    """The tiny model, as if calibrated for a prevalence of .74, with two operating points."""
    from xray_classifier.models.classifier import Classifier
    from xray_classifier.models.spec import ModelSpec

    spec = ModelSpec(
        "pointed",
        "Pointed",
        "pointed.keras",
        sha256="ef" * 32,
        bytes=1,
        threshold=0.7,
        calibration_prevalence=0.74,
        operating_points=POINTS,
    )
    return Classifier(tiny_model(), spec)


def square_layers() -> list[Any]:
    """Layers that answer only to what is brighter than .5: see `square_model`."""
    import keras

    bright = keras.layers.Conv2D(1, 3, activation="relu", name="bright")
    return [keras.layers.AveragePooling2D(10), bright, keras.layers.MaxPooling2D(2)]


def square_model(weight: float = 400.0, bias: float = -4.0) -> Any:
    """A small CNN whose score rises by `weight` times the part of the picture that is bright."""
    import keras

    head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1, activation="sigmoid")]
    model = keras.Sequential([keras.Input((500, 500, 1)), *square_layers(), *head])
    set_square_weights(model, weight, bias)
    return model


def set_square_weights(model: Any, weight: float = 400.0, bias: float = -4.0) -> None:
    kernel = np.full((3, 3, 1, 1), 1 / 9)
    model.set_weights([kernel, np.array([-0.5]), np.array([[weight]]), np.array([bias])])


def squares(row: int = 300, column: int = 100, side: int = 100) -> NDArray[np.uint8]:
    """A dark picture of 500 x 500 pixels with a bright square, by its first row and column."""
    image = np.full((500, 500), 50, np.uint8)
    image[row : row + side, column : column + side] = 255
    return image


@pytest.fixture(scope="session")
def square_classifier() -> Classifier:
    """A classifier with a convolution, that calls bright squares pneumonia."""
    from xray_classifier.models.classifier import Classifier
    from xray_classifier.models.spec import ModelSpec

    spec = ModelSpec("square", "Square", "square.keras", sha256="cd" * 32, bytes=1)
    return Classifier(square_model(), spec)


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
    assert "Traceback" not in log.read_text()


def wait_until_healthy(address: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health"):  # noqa: S310
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    pytest.fail(f"The server did not start:\n{log.read_text()}")


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


def tab_to(page: Page, target: Locator, presses: int = 40) -> None:
    """Press Tab until an element has the focus."""
    for _ in range(presses):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"{target} is not reached by {presses} presses of Tab")
