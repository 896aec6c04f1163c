"""Nothing in the hostile corpus hurts: not the program, not the machine, not the next image."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from hostile_corpus import corpus

MAX_SECONDS = 2
MAX_MEGABYTES = 300
REDUCED_STEP = 8
OUTCOMES = {"ok", "rejected", "unreadable"}


def judge_corpus(step: int, folder: Path) -> list[dict[str, Any]]:
    """Judge the corpus in a process of its own, all of whose usual places lie in `folder`."""
    places = {name: str(folder) for name in ("HOME", "TMPDIR", "KERAS_HOME", "MPLCONFIGDIR")}
    worker = subprocess.run(
        [sys.executable, Path(__file__).with_name("hostile_worker.py"), str(step)],
        cwd=folder,
        env={**os.environ, **places, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    *lines, last = [json.loads(line) for line in worker.stdout.splitlines()]
    assert worker.returncode == 0, f"stopped at {last}: {worker.stderr[-3000:]}"
    rows = iter([*lines, last])
    return [named | found for named, found in zip(rows, rows, strict=True)]


def assert_harmless(rows: list[dict[str, Any]], folder: Path) -> None:
    worst = {key: max(rows, key=lambda row: row[key]) for key in ("seconds", "megabytes")}
    print(f"{len(rows)} files; {worst}")  # noqa: T201 - figures for the README
    assert {row["outcome"] for row in rows} <= OUTCOMES
    assert not [row for row in rows if row["seconds"] > MAX_SECONDS]
    assert not [row for row in rows if row["megabytes"] > MAX_MEGABYTES]
    assert not [row for row in rows if not row["same"]], "the next image has another probability"
    assert not [row for row in rows if not row["message"].strip()]
    assert not [row for row in rows if "Traceback" in row["message"] or "\n" in row["message"]]
    left = {path.name for path in folder.rglob("*") if path.is_file()}
    assert left <= {"keras.json"}, "a file was left"


def test_corpus_is_large_and_the_same_each_time() -> None:
    names = [name for name, _ in corpus(REDUCED_STEP)]
    assert len(set(names)) == len(names)
    assert names == [name for name, _ in corpus(REDUCED_STEP)]


def test_every_eighth_file_of_the_corpus_hurts_nobody(tmp_path: Path) -> None:
    rows = judge_corpus(REDUCED_STEP, tmp_path)
    assert len(rows) > 2000 / REDUCED_STEP
    assert_harmless(rows, tmp_path)


@pytest.mark.long
def test_no_file_of_the_corpus_hurts_anybody(tmp_path: Path) -> None:
    rows = judge_corpus(1, tmp_path)
    assert len(rows) > 2000
    assert_harmless(rows, tmp_path)
