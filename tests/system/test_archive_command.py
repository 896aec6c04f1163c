"""`predict --out`: from the command line to a file of rows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.support.pictures import encoded
from tests.support.places import ROOT
from tests.support.stand_ins import save_tiny
from xray_classifier.batch import scoring
from xray_classifier.cli.main import main
from xray_classifier.inputs.listing import list_files
from xray_classifier.models import gate, loading
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.gate import Gate

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # Keras
    pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built"),
]

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def here(
    tmp_path: Path,
    tiny_classifier: Classifier,
    tiny_gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """The current folder with an archive in it; whatever model is asked for, it is the tiny one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loading, "load_classifier", lambda *_, **__: tiny_classifier)
    monkeypatch.setattr(gate, "load_gate", lambda **_: tiny_gate)
    draw(tmp_path / "archive" / "a" / "dark.png", 51)
    draw(tmp_path / "archive" / "light.png", 204)
    draw(tmp_path / "archive" / "white.png", 255)
    return tmp_path


RAN = "note: tiny (abababab) is run by NumPy.\n"


def draw(path: Path, grey: int) -> None:
    """An image of one grey, of which the tiny model thinks sigmoid(8 * grey / 255 - 4)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(np.full((40, 50), grey, np.uint8)))


def rows_in(path: str | Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def test_rows_go_to_the_file_and_their_counts_to_stdout(here: Path, capsys: Captured) -> None:
    assert main(["predict", "archive", "--out", "rows.parquet"]) == 0
    assert [(row["file"], row["status"], row["verdict"]) for row in rows_in("rows.parquet")] == [
        ("archive/light.png", "ok", "pneumonia"),
        ("archive/white.png", "rejected", None),
        ("archive/a/dark.png", "ok", "normal"),
    ]
    written = capsys.readouterr()
    assert written.out.splitlines() == [
        "rows.parquet: 3 rows",
        "ok          normal                 1",
        "ok          pneumonia              1",
        "rejected                           1",
    ]
    assert written.err == RAN


def test_file_that_cannot_be_read_is_a_row_and_the_status(here: Path, capsys: Captured) -> None:
    (here / "archive" / "b.txt").write_text("no image")
    assert main(["predict", "archive/*", "--out", "rows.parquet"]) == 1
    first = rows_in("rows.parquet")[0]
    assert (first["file"], first["status"]) == ("archive/b.txt", "unreadable")
    assert "not an image that can be read" in first["message"]
    assert "unreadable                         1\n" in capsys.readouterr().out


def test_gate_can_be_left_out(here: Path) -> None:
    assert main(["predict", "archive/white.png", "--no-gate", "--out", "rows.parquet"]) == 0
    (row,) = rows_in("rows.parquet")
    assert (row["verdict"], row["warnings"]) == ("pneumonia", ["not_valid"])


def test_uri_is_judged(here: Path) -> None:
    assert main(["predict", f"file://{here}/archive/**/*.png", "--out", "rows.parquet"]) == 0
    assert len(rows_in("rows.parquet")) == 3


def test_whole_file_is_kept_and_said_to_be_whole(here: Path, capsys: Captured) -> None:
    command = ["predict", "archive", "--out", "rows.parquet"]
    main(command)
    first = capsys.readouterr()
    before = Path("rows.parquet").stat()
    assert main(command) == 0
    again = capsys.readouterr()
    assert again.out == first.out
    assert again.err == "note: rows.parquet was whole; delete it to judge the files anew.\n"
    after = Path("rows.parquet").stat()  # reading it counts as an access
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("archive --out rows.csv", "rows.csv must end in .parquet"),
        ("archive --engine ray", "give --out results.parquet"),
        ("archive --workers 2", "--workers and --address are for --engine ray"),
        ("archive --out rows.parquet --address host:1", "are for --engine ray"),
        ("none --out rows.parquet", "There is no file or folder none"),
        ("archive/*.dcm --out rows.parquet", "There is no file or folder archive/*.dcm"),
        ("https://host/a --out rows.parquet", "a URI of file, s3, gs, abfs or hdfs"),
        ("archive --out rows.parquet --model none", "There is no model 'none'"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    options: str, message: str, here: Path, capsys: Captured
) -> None:
    assert main(["predict", *options.split()]) == 2
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith("error: ")
    assert message in written.err
    assert written.err.count("\n") == 1
    assert [path.name for path in here.iterdir()] == ["archive"]


def test_another_order_for_the_same_file_is_refused(here: Path, capsys: Captured) -> None:
    main(["predict", "archive", "--out", "rows.parquet"])
    capsys.readouterr()
    assert main(["predict", "archive", "--out", "rows.parquet", "--no-gate"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: rows.parquet holds rows of another run (use_gate was True, is")


def test_missing_ray_is_said(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.delitem(sys.modules, "xray_classifier.batch.ray_backend", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["predict", "archive", "--engine", "ray", "--out", "rows.parquet"]) == 2
    error = capsys.readouterr().err
    assert "ray is missing. Install it: pip install -r requirements-ray.txt" in error


@pytest.mark.parametrize("workers", ["0", "-1"])
def test_workers_are_at_least_one(workers: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["predict", "archive", f"--workers={workers}"])
    assert f"{workers} is too few; give 1 or more" in capsys.readouterr().err


def test_full_disk_is_one_line_and_the_run_goes_on_later(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    command = ["predict", "archive", "--out", "rows.parquet"]
    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", full)
        assert main(command) == 2
    assert capsys.readouterr().err == f"{RAN}error: [Errno 28] No space left on device\n"
    assert not Path("rows.parquet").exists()
    assert main(command) == 0
    assert len(rows_in("rows.parquet")) == 3


SLOW = """
import sys, time
from xray_classifier.batch import resumable_run, job
from xray_classifier.cli import main as cli
from xray_classifier.inputs import sources
resumable_run.PART_ROWS, job.BATCH_ROWS = 5, 4
read = sources.read_image_file
def slow(path):
    sys.stderr.write(f"{path}\\n")  # in one piece: several threads read
    time.sleep(float(sys.argv[1]))
    return read(path)
sources.read_image_file = slow
sys.exit(cli.main(sys.argv[2:]))
"""


def test_run_killed_midway_goes_on_where_it_stopped(
    tmp_path: Path, tiny_classifier: Classifier
) -> None:
    """A process of its own is killed by the system; the next judges what is left, no more."""
    for number in range(60):
        draw(tmp_path / "archive" / f"{number:02}.png", 4 * number)
    (tmp_path / "archive" / "17.png").write_text("no image")
    save_tiny(tmp_path)
    out = tmp_path / "rows.parquet"
    options = ["--model", str(tmp_path / "tiny.keras"), "--no-gate", "--out", str(out)]
    command = [sys.executable, "-c", SLOW, "{}", "predict", str(tmp_path / "archive"), *options]

    killed = subprocess.Popen(
        [*command[:3], ".1", *command[4:]], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    fourth = tmp_path / "rows.parquet.parts" / "part-00003.parquet"
    deadline = time.monotonic() + 300
    while not fourth.exists() and killed.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    done = sum(pq.read_metadata(path).num_rows for path in fourth.parent.glob("part-*"))
    assert 20 <= done < 60
    assert not out.exists()

    resumed = subprocess.run(
        [*command[:3], "0", *command[4:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert resumed.returncode == 1  # for the file that is no image
    judged = [line for line in resumed.stderr.splitlines() if line.endswith(".png")]
    assert len(judged) == 60 - done
    files = list_files([str(tmp_path / "archive")])
    expected = list(scoring.score(files, tiny_classifier))
    rows = rows_in(out)
    assert [row["file"] for row in rows] == list(files)
    assert [row["status"] for row in rows] == [row.status for row in expected]
    for row, wanted in zip(rows, expected, strict=True):
        assert row["probability"] == (
            None if wanted.probability is None else pytest.approx(wanted.probability, abs=1e-6)
        )
    assert not fourth.parent.exists()
