"""A folder that nothing can be written to: one line of error, and nothing half-written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.drawn_training import draw_radiographs
from tests.support.pictures import encoded, gradient
from tests.support.places import FAULT_WORKER, ROOT, skip
from xray_classifier.models.spec import ModelSpec, write_spec

CLI = ("-m", "xray_classifier")
NOBODY = "http://127.0.0.1:9/"


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A folder without the permission to write, with a file in it."""
    folder = tmp_path / "closed"
    folder.mkdir()
    (folder / "kept.txt").write_text("kept")
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "x.png"
    path.write_bytes(encoded(gradient()))
    return path


def error_of(*command: str | Path) -> str:
    """Run Python as somebody whom permissions bind, which root is not; its one line of error."""
    bound: list[str] = []
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            skip("no setpriv is installed (Debian: apt-get install util-linux)")
        bound = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    run = subprocess.run(
        [*bound, sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert run.returncode == 2, run.stderr
    assert run.stdout == ""
    assert "Traceback" not in run.stderr
    said = run.stderr.splitlines()[-1]
    assert "(Permission denied). " in said
    return said


def assert_as_it_was(folder: Path) -> None:
    assert [path.name for path in folder.rglob("*")] == ["kept.txt"]
    assert (folder / "kept.txt").read_text() == "kept"


@pytest.mark.parametrize("inside", ["rows.parquet", "new/rows.parquet"])
def test_rows_of_an_archive(closed: Path, image: Path, inside: str) -> None:
    said = error_of(*CLI, "predict", image, "--out", closed / inside)
    assert said.startswith(f"error: {closed}/")
    assert said.endswith("Choose a place that takes files and has room.")
    assert_as_it_was(closed)


def test_report(closed: Path, image: Path) -> None:
    out = closed / "report.json"
    error = error_of(*CLI, "case-report", image, "--no-gate", "--out", out)
    assert error.startswith(f"error: {out} ")
    assert_as_it_was(closed)


def test_training(closed: Path, tmp_path: Path) -> None:
    said = error_of(FAULT_WORKER, draw_radiographs(tmp_path / "data"), closed)
    assert said.startswith(f"error: {closed / 'checkpoint'} cannot be written")
    assert_as_it_was(closed)


def test_download_of_a_model(closed: Path, image: Path) -> None:
    closed.chmod(0o755)
    spec = ModelSpec("tiny", "Tiny", "tiny.keras", sha256="ab" * 32, bytes=9, download=NOBODY)
    write_spec(spec, closed / "tiny.json")
    closed.chmod(0o555)
    said = error_of(*CLI, "predict", image, "--model", closed / "tiny.keras")
    assert said.startswith(f"error: Model tiny must be fetched, and {closed}/")
    assert said.endswith(f"or put the file {closed / 'tiny.keras'} there yourself.")
    assert {path.name for path in closed.rglob("*")} == {"kept.txt", "tiny.json"}
