"""The same rows from Ray, without TensorFlow.

The engine starts and ends Ray, so each test pays for one of its own.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest

from tests.support.pictures import encoded
from tests.support.places import ROOT, skip
from tests.support.processes import without_frameworks

MODEL = ROOT / "model" / "article.json"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty drawn images, and some that are none."""
    if importlib.util.find_spec("ray") is None:
        skip("Ray is missing: pip install -r requirements-ray.txt")
    folder = tmp_path_factory.mktemp("archive")
    for number in range(40):
        path = folder / "files" / f"{number % 3}" / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(np.full((40, 50), 6 * number, np.uint8)))
    (folder / "files" / "0" / "empty.png").write_bytes(b"")
    (folder / "files" / os.fsdecode(b"\xff.png")).write_text("no image")
    return folder


def predict(
    archive: Path, out: Path, *options: str, program: tuple[str, ...] = ("-m", "xray_classifier")
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own: Ray and its warnings stay out of this one."""
    model = ["--model", MODEL.stem, "--no-gate"]
    return subprocess.run(
        [
            *(sys.executable, *program, "predict", str(archive / "files")),
            *(*model, "--out", str(out), *options),
        ],
        cwd=ROOT,
        env=without_frameworks(archive / "blocked"),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def rows_in(out: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(out).to_pylist()
    return rows


def test_rows_are_those_of_the_local_engine(archive: Path, tmp_path: Path) -> None:
    local, ray = tmp_path / "local.parquet", tmp_path / "ray.parquet"
    runs = [
        predict(archive, local),
        predict(archive, ray, "--engine", "ray", "--workers", "2"),
    ]
    assert [run.returncode for run in runs] == [1, 1], runs[1].stderr  # for what is no image
    assert "Traceback" not in runs[0].stderr + runs[1].stderr
    assert runs[0].stdout.partition("\n")[2] == runs[1].stdout.partition("\n")[2]
    assert pq.read_schema(local).equals(pq.read_schema(ray), check_metadata=True)
    expected, rows = rows_in(local), rows_in(ray)
    assert len(rows) == 42
    for row, wanted in zip(rows, expected, strict=True):
        if wanted["probability"] is not None:  # one thread adds in another order than two
            wanted["probability"] = pytest.approx(wanted["probability"], abs=1e-6)
        assert row == wanted
    assert [path.name for path in tmp_path.iterdir()] == [local.name, ray.name]


KILLED = """
import os, signal, sys
import pyarrow.parquet as pq
from xray_classifier.batch import resumable_run
from xray_classifier.cli.main import main

resumable_run.PART_ROWS = 8
write = pq.write_table

def write_or_die(table, path):
    if path.name == "part-00001.parquet":
        os.kill(os.getpid(), signal.SIGKILL)
    write(table, path)

pq.write_table = write_or_die
sys.exit(main(sys.argv[1:]))
"""


def raylets() -> set[int]:
    # Names are read while the list is made: a process may end before it is asked for its own.
    return {p.pid for p in psutil.process_iter(["name"]) if p.info["name"] == "raylet"}


def test_killed_run_leaves_no_ray_behind_and_goes_on_where_it_stopped(
    archive: Path, tmp_path: Path
) -> None:
    others, out = raylets(), tmp_path / "rows.parquet"
    options = ("--engine", "ray", "--workers", "1")
    killed = predict(archive, out, *options, program=("-c", KILLED))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not out.exists()
    assert pq.read_metadata(tmp_path / "rows.parquet.parts" / "part-00000.parquet").num_rows >= 8
    deadline = time.monotonic() + 60
    while raylets() - others and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not raylets() - others
    resumed = predict(archive, out, *options)
    assert resumed.returncode == 1, resumed.stderr  # for what is no image
    names = [row["file"] for row in rows_in(out)]
    assert len(set(names)) == len(names) == 42
    assert not (tmp_path / "rows.parquet.parts").exists()


def test_damaged_model_is_one_line_and_no_file(archive: Path, tmp_path: Path) -> None:
    shutil.copy(MODEL, tmp_path)
    damaged = tmp_path / "article.keras"
    damaged.write_bytes(b"damaged")
    options = ("--engine", "ray", "--workers", "1", "--model", str(damaged))
    run = predict(archive, tmp_path / "rows.parquet", *options)
    assert run.returncode == 2
    assert run.stderr.count("error: ") == 1
    assert "article.keras is not the one that its JSON describes" in run.stderr
    assert "Traceback" not in run.stderr + run.stdout
    assert not (tmp_path / "rows.parquet").exists()


def test_cluster_that_is_not_there_is_one_line(archive: Path, tmp_path: Path) -> None:
    options = ("--engine", "ray", "--address", "127.0.0.1:1")
    run = predict(archive, tmp_path / "rows.parquet", *options)
    assert run.returncode == 2
    assert "No Ray cluster answers at 127.0.0.1:1" in run.stderr
    assert "Traceback" not in run.stderr
