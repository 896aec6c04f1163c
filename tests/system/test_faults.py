"""Disks that are full or read-only, and processes killed at any moment.

A model file that is missing, cut off, altered or of another architecture, and a JSON that is out of
date, are tested in tests/models.
"""

from __future__ import annotations

import hashlib
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.config import disable_op_determinism

from tests.support import fault_worker
from tests.support.drawn_training import draw_radiographs
from tests.support.pictures import encoded, gradient
from tests.support.places import FAULT_WORKER, ROOT
from tests.support.stand_ins import tiny_model
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.models.download import fetch
from xray_classifier.models.gate import load_gate
from xray_classifier.models.spec import ModelSpec

TRAIN_SECONDS = 300
FEW_KILLS, MANY_KILLS = 1, 12
WHOLE = 4_000_000  # bytes of a model file


def start(*command: str | Path, full_at: int | None = None) -> subprocess.Popen[str]:
    """Start Python; as if the disk were full at files of `full_at` bytes."""
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if full_at is not None:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (full_at, full_at))
    return process


def last_words(process: subprocess.Popen[str]) -> str:
    """The line of error with which a process ends, which is all that it says of its end."""
    _, said = process.communicate(timeout=TRAIN_SECONDS)
    assert process.returncode == 2, said
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    return said.splitlines()[-1]


@pytest.fixture(scope="module")
def radiographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_radiographs(tmp_path_factory.mktemp("radiographs"))


@pytest.fixture(scope="module", autouse=True)
def deterministic() -> Iterator[None]:
    tf.config.experimental.enable_op_determinism()
    yield
    disable_op_determinism()


@pytest.fixture(scope="module")
def whole(radiographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run writes that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole")
    finish(radiographs, out)
    return out


def finish(radiographs: Path, out: Path) -> None:
    """Train to the end, right here: a process of its own would begin by importing TensorFlow."""
    assert fault_worker.train(radiographs, out) == 0


def assert_same_weights(out: Path, whole: Path) -> None:
    import keras

    found, wanted = (
        keras.models.load_model(folder / "article-as-published.keras").get_weights()
        for folder in (out, whole)
    )
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# --- disks


def test_rows_that_find_the_disk_full_are_one_line_of_error(radiographs: Path) -> None:
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(
            [sys.executable, "-m", "xray_classifier", "data", "check", radiographs],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1] == "error: [Errno 28] No space left on device"
    assert "Exception ignored" not in run.stderr


def test_drawing_that_finds_the_disk_full_leaves_nothing(radiographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "grid.png"
    command = ("-m", "xray_classifier", "data", "show", radiographs, "--out", out)
    assert "File too large" in last_words(start(*command, full_at=1000))
    assert files_in(tmp_path) == set()


def test_training_that_finds_the_disk_full_is_one_line_of_error_and_goes_on_later(
    radiographs: Path, whole: Path, tmp_path: Path
) -> None:
    said = last_words(start(FAULT_WORKER, radiographs, tmp_path, full_at=1000))
    assert said.startswith("error: ")
    finish(radiographs, tmp_path)
    assert_same_weights(tmp_path, whole)


# --- kills


def kill_at_random_moments(
    radiographs: Path, out: Path, kills: int, ready: Callable[[], bool]
) -> None:
    """Kill a training run again and again, each time some moments after it began to write."""
    moments = random.Random(kills)  # noqa: S311 - the same moments each time
    for _ in range(kills):
        process = start(FAULT_WORKER, radiographs, out)
        deadline = time.monotonic() + TRAIN_SECONDS
        while not ready() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 1))
        process.send_signal(signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize(
    "kills", [FEW_KILLS, pytest.param(MANY_KILLS, marks=pytest.mark.long)], ids="{} kills".format
)
def test_training_killed_at_any_moment_ends_as_if_it_had_not_been(
    radiographs: Path, whole: Path, tmp_path: Path, kills: int
) -> None:
    def writing() -> bool:
        return any(tmp_path.rglob("epoch-*"))

    kill_at_random_moments(radiographs, tmp_path, kills, writing)
    finish(radiographs, tmp_path)
    assert_same_weights(tmp_path, whole)
    kept = {name for name in files_in(tmp_path) if not name.startswith(".partial-")}
    assert kept == files_in(whole)


FIT_GATE = """
import os, signal, sys
from pathlib import Path
import keras
from tests.support.drawn_training import tiny_extractor
from xray_classifier import files
from xray_classifier.training import gate_training

folder, out, *moments = sys.argv[1:]
folder, out = Path(folder), Path(out)
save, replace = keras.Model.save, os.replace

def save_half(model, path):
    save(model, path)
    os.truncate(path, path.stat().st_size // 2)
    os.kill(os.getpid(), signal.SIGKILL)

def replace_unless_killed(old, new):
    if new.name == moment:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(old, new)

gate_training.build_extractor, gate_training.COMPONENTS = tiny_extractor, 3
files.os.replace = replace_unless_killed
for moment in moments:
    keras.Model.save = save_half if moment == "saving" else save
    if not (child := os.fork()):  # before TensorFlow has begun to work
        gate_training.train_gate(folder, adults=folder, other=folder, unseen=[], out=out)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    sys.stdin.readline()
"""


def test_gate_killed_while_it_is_written_is_refused_until_it_is_fitted_anew(
    radiographs: Path, tmp_path: Path
) -> None:
    """At the end of each run the description moves into place, and then the network."""
    moments = {
        "saving": "gate.json cannot be read",
        "gate.json": "gate.json cannot be read",
        "gate.keras": "gate.keras cannot be read",
    }
    process = start("-c", FIT_GATE, radiographs, tmp_path, *moments, "never")
    assert process.stdin is not None
    assert process.stdout is not None
    for message in moments.values():
        assert process.stdout.readline() == f"{-signal.SIGKILL}\n"
        with pytest.raises(ModelUnavailableError, match=message):
            load_gate(tmp_path / "gate.json")
        process.stdin.write("go on\n")
        process.stdin.flush()
    last, said = process.communicate(timeout=TRAIN_SECONDS)
    assert last == "0\n", said
    outputs = load_gate(tmp_path / "gate.json").outputs(np.zeros((1, 500, 500, 1), np.float32))
    assert outputs[0, :-1].sum() == pytest.approx(1, abs=1e-5)


class Whole(BaseHTTPRequestHandler):
    """Sends the file that the killed download had asked for."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(WHOLE))
        self.end_headers()
        self.wfile.write(bytes(WHOLE))


def fetched_anew(path: Path) -> bytes:
    digest = hashlib.sha256(bytes(WHOLE)).hexdigest()
    spec = ModelSpec("x", "X", "x.keras", sha256=digest, bytes=WHOLE)
    with ThreadingHTTPServer(("127.0.0.1", 0), Whole) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        fetch(spec, path, f"http://127.0.0.1:{server.server_port}/")
        server.shutdown()
    return path.read_bytes()


def test_download_killed_in_the_middle_leaves_no_model_file(tmp_path: Path) -> None:
    """The stand-in sends half of the file and then nothing more; the next try gets the whole."""
    program = f"""
import http.server, threading, time
from pathlib import Path
from xray_classifier.models.download import fetch
from xray_classifier.models.spec import ModelSpec

class Half(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "{WHOLE}")
        self.end_headers()
        self.wfile.write(bytes({WHOLE // 2}))
        self.wfile.flush()
        print("half", flush=True)
        time.sleep(600)

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Half)
threading.Thread(target=server.serve_forever, daemon=True).start()
spec = ModelSpec("x", "X", "x.keras", sha256="ab" * 32, bytes={WHOLE})
fetch(spec, Path({str(tmp_path)!r}) / "x.keras", f"http://127.0.0.1:{{server.server_port}}/")
"""
    process = start("-c", program)
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    time.sleep(1)
    process.kill()
    process.communicate()
    assert [path.stat().st_size for path in tmp_path.rglob("dl*")], "nothing had come"
    assert not (tmp_path / "x.keras").exists()
    assert fetched_anew(tmp_path / "x.keras") == bytes(WHOLE)


def test_file_of_a_model_that_was_cut_off_is_never_taken_for_whole(tmp_path: Path) -> None:
    file = tmp_path / "cut.keras"
    tiny_model().save(file)
    file.write_bytes(file.read_bytes()[:-100])
    image = tmp_path / "x.png"
    image.write_bytes(encoded(gradient()))
    said = last_words(start("-m", "xray_classifier", "predict", image, "--model", file))
    assert said.startswith(f"error: The model file {file} cannot be opened by Keras")
