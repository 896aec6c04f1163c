"""Nothing in the hostile corpus hurts: not the program, not the machine, not the next image."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.measure import Figure
from tests.support.hostile_corpus import MAX_MEGABYTES, MAX_SECONDS, NAMES, corpus
from tests.support.places import ROOT

MIN_FILES = 2000
REDUCED_STEP = 8
OUTCOMES = {"ok", "rejected", "unreadable"}


def judge_corpus(step: int, folder: Path) -> list[dict[str, Any]]:
    """Judge the corpus in a process of its own, all of whose usual places lie in `folder`."""
    places = {name: str(folder) for name in ("HOME", "TMPDIR", "KERAS_HOME", "MPLCONFIGDIR")}
    worker = subprocess.run(
        [sys.executable, ROOT / "tests" / "support" / "hostile_worker.py", str(step)],
        cwd=folder,
        env={**os.environ, **places, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    *lines, last = [json.loads(line) for line in worker.stdout.splitlines()]
    assert worker.returncode == 0, f"stopped at {last}: {worker.stderr[-3000:]}"
    rows = iter([*lines, last])
    return [named | found for named, found in zip(rows, rows, strict=True)]


def assert_harmless(rows: list[dict[str, Any]], folder: Path) -> None:
    assert len({row["name"] for row in rows}) == len(rows)
    assert {row["outcome"] for row in rows} <= OUTCOMES
    assert not [row for row in rows if row["seconds"] > MAX_SECONDS]
    assert not [row for row in rows if row["megabytes"] > MAX_MEGABYTES]
    assert not [row for row in rows if not row["same"]], "the next image has another probability"
    assert not [row for row in rows if not row["message"].strip()]
    assert not [row for row in rows if "Traceback" in row["message"] or "\n" in row["message"]]
    left = {path.name for path in folder.rglob("*") if path.is_file()}
    settings = {name for name in left if name == "keras.json" or name.startswith("fontlist-")}
    assert left == settings, "a file was left"


def test_every_eighth_file_of_the_corpus_hurts_nobody(tmp_path: Path) -> None:
    rows = judge_corpus(REDUCED_STEP, tmp_path)
    assert len(rows) > MIN_FILES / REDUCED_STEP
    assert_harmless(rows, tmp_path)


def test_hostile_files_of_hostile_names_get_a_row_each(tmp_path: Path) -> None:
    files = [file for _, file in corpus(50) if len(file) < 2**20]
    for number, name in enumerate(NAMES):
        (tmp_path / name).write_bytes(files[number % len(files)])
    run = subprocess.run(
        [sys.executable, "-m", "xray_classifier", "predict", tmp_path, "--format", "jsonl"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    visible = {name for name in NAMES if not name.startswith(".")}
    assert {row["file"].rpartition("/")[2] for row in rows} == visible
    assert all(row["message"] or row["probability"] is not None for row in rows)
    assert "Traceback" not in run.stderr
    assert run.returncode == 1


@pytest.mark.long
def test_no_file_of_the_corpus_hurts_anybody(tmp_path: Path, measured: dict[str, Any]) -> None:
    rows = judge_corpus(1, tmp_path)
    slowest, largest = (max(rows, key=lambda row: row[key]) for key in ("seconds", "megabytes"))
    measured["worst"] = {"slowest": slowest["name"], "largest": largest["name"]}
    measured["figures"] += [
        Figure("hostile_files", "hostile files", len(rows), MIN_FILES, at_least=True),
        Figure("hostile_seconds", "seconds for the slowest", slowest["seconds"], MAX_SECONDS),
        Figure(
            "hostile_mb", "MB over baseline for the largest", largest["megabytes"], MAX_MEGABYTES
        ),
    ]
    assert len(rows) >= MIN_FILES
    assert_harmless(rows, tmp_path)
