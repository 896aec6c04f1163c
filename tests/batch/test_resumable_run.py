from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.places import ROOT
from xray_classifier.batch import resumable_run
from xray_classifier.batch.job import to_table, with_next
from xray_classifier.batch.resumable_run import ArchiveRun, count_verdicts
from xray_classifier.batch.scoring import Row
from xray_classifier.errors import DatasetError

RUN = {
    "paths": ["archive"],
    "columns": ["file", "verdict"],
    "classifier": {"sha256": "ab", "threshold": 0.5},
}
NAMES = [f"archive/{number:02}.png" for number in range(23)]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable_run, "PART_ROWS", 5)
    monkeypatch.setattr(resumable_run, "GROUP_ROWS", 8)


def row_of(name: str) -> Row:
    number = int(name[-6:-4])
    if number % 7 == 3:
        return Row(name, "unreadable", None, None, 0.5, "tiny", "It is no image.")
    verdict = "pneumonia" if number % 2 else "normal"
    return Row(name, "ok", number / 100, verdict, 0.5, "tiny", "", ("not_valid",))


def scored(batches: Iterator[pa.Table]) -> Iterator[pa.Table]:
    for batch in batches:
        rows = to_table(row_of(name.as_py().decode()) for name in batch["location"])
        yield with_next(rows, batch["next"][0].as_py())


def execute(out: Path, run: dict[str, Any] | None = None) -> ArchiveRun:
    archive = ArchiveRun(out, run or RUN)
    if not archive.is_whole:
        archive.begin(NAMES)
        archive.write(scored(archive.waiting(2)))
    archive.finish()
    return archive


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def rows_in(out: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(out).to_pylist()
    return rows


WHOLE = to_table(map(row_of, NAMES)).to_pylist()


def test_whole_run_leaves_one_file_with_a_row_for_each(tmp_path: Path) -> None:
    out = tmp_path / "new" / "rows.parquet"
    execute(out)
    assert rows_in(out) == WHOLE
    assert files_in(out.parent) == ["rows.parquet"]


def test_rows_stand_in_parts_until_all_are_there(tmp_path: Path) -> None:
    out = tmp_path / "rows.parquet"
    run = ArchiveRun(out, RUN)
    run.begin(NAMES)
    assert (run.total, run.done, run.is_whole) == (23, 0, False)
    run.write(scored(run.waiting(2)))
    assert (run.total, run.done, run.is_whole) == (23, 23, False)
    assert files_in(tmp_path) == ["rows.parquet.parts"]
    assert [pq.read_metadata(path).num_rows for path in sorted(run.folder.glob("part-*"))] == [
        6,  # three batches of two reach five rows
        6,
        6,
        5,
    ]


def test_archive_without_files_has_no_rows(tmp_path: Path) -> None:
    run = ArchiveRun(tmp_path / "rows.parquet", RUN)
    run.begin([])
    run.write(scored(run.waiting(2)))
    run.finish()
    assert rows_in(run.out) == []
    assert count_verdicts(run.out) == {}


def test_rows_are_counted_by_status_and_verdict(tmp_path: Path) -> None:
    execute(tmp_path / "rows.parquet")
    assert count_verdicts(tmp_path / "rows.parquet") == {
        ("ok", "normal"): 11,
        ("ok", "pneumonia"): 9,
        ("unreadable", ""): 3,
    }


def test_nothing_is_listed_or_judged_twice(tmp_path: Path) -> None:
    out = tmp_path / "rows.parquet"
    run = ArchiveRun(out, RUN)
    run.begin(NAMES)
    first = scored(run.waiting(2))
    run.write(next(first) for _ in range(4))  # parts of 6 rows and of 2
    again = ArchiveRun(out, RUN)
    again.begin(pytest.fail(name) for name in NAMES)
    assert again.done == 8
    waiting = [name.as_py().decode() for batch in again.waiting(4) for name in batch["location"]]
    assert waiting == NAMES[8:]
    again.write(scored(again.waiting(4)))
    again.finish()
    assert rows_in(out) == WHOLE


def test_file_may_have_many_rows_or_none(tmp_path: Path) -> None:
    """As a ZIP archive has: one for each member."""

    def unpack(batches: Iterator[pa.Table]) -> Iterator[pa.Table]:
        for batch in batches:
            names = [name.as_py().decode() for name in batch["location"]]
            members = [name for name in names for _ in range(int(name[-5]) % 4)]
            yield with_next(to_table(map(row_of, members)), batch["next"][0].as_py())

    run = ArchiveRun(tmp_path / "rows.parquet", RUN)
    run.begin(NAMES)
    some = unpack(run.waiting(3))
    run.write(next(some) for _ in range(3))
    assert run.done == 9
    run.write(unpack(run.waiting(1)))
    run.finish()
    expected = [name for name in NAMES for _ in range(int(name[-5]) % 4)]
    assert [row["file"] for row in rows_in(run.out)] == expected


@pytest.mark.parametrize("size", [0, 4, 200])
def test_damaged_part_is_made_anew_with_all_after_it(size: int, tmp_path: Path) -> None:
    out = tmp_path / "rows.parquet"
    run = ArchiveRun(out, RUN)
    run.begin(NAMES)
    run.write(scored(run.waiting(2)))
    os.truncate(run.folder / "part-00001.parquet", size)
    assert run.done == 6
    execute(out)
    assert rows_in(out) == WHOLE


def test_folder_without_a_list_is_begun_afresh(tmp_path: Path) -> None:
    run = ArchiveRun(tmp_path / "rows.parquet", RUN)
    run.begin(NAMES)
    run.write(scored(run.waiting(2)))
    (run.folder / "files.parquet").unlink()
    run.begin(NAMES[:2])
    assert (run.total, run.done) == (2, 0)


def test_listing_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def names() -> Iterator[str]:
        yield "archive/00.png"
        raise FileNotFoundError("none")

    with pytest.raises(FileNotFoundError, match="none"):
        ArchiveRun(tmp_path / "rows.parquet", RUN).begin(names())
    assert files_in(tmp_path) == []


# Killed

PROGRAM = """
import os, signal, sys
from pathlib import Path
import pyarrow.parquet as pq
import tests.batch.test_resumable_run as test
from xray_classifier import files
from xray_classifier.batch import resumable_run
resumable_run.PART_ROWS, resumable_run.GROUP_ROWS = 5, 8

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def half(table, path):
    real_write(table, path)
    if path.name == "part-00002.parquet":
        os.truncate(path, path.stat().st_size // 2)
        die()

class Writer(pq.ParquetWriter):
    def write_table(self, table):
        super().write_table(table)
        if self.where_to == point:
            die()
    def __init__(self, where, schema):
        self.where_to = where.name
        super().__init__(where, schema)

def replace(old, new):
    if point == "before the move":
        die()
    real_replace(old, new)
    die()

out, point = Path(sys.argv[1]), sys.argv[2]
real_write, real_replace = pq.write_table, os.replace
if point == "part":
    pq.write_table = half
elif point in ("files.parquet", "joined.parquet"):
    pq.ParquetWriter = Writer
elif point == "removal":
    resumable_run.shutil.rmtree = lambda *_, **__: die() if out.exists() else None
else:
    finish = resumable_run.ArchiveRun.finish
    def patched(run):
        resumable_run.os.replace = replace
        finish(run)
    resumable_run.ArchiveRun.finish = patched
test.execute(out)
"""


@pytest.mark.parametrize(
    ("point", "left"),
    [
        ("files.parquet", ["rows.parquet.parts"]),
        ("part", ["rows.parquet.parts"]),
        ("joined.parquet", ["rows.parquet.parts"]),
        ("before the move", ["rows.parquet.parts"]),
        ("after the move", ["rows.parquet", "rows.parquet.parts"]),
        ("removal", ["rows.parquet", "rows.parquet.parts"]),
    ],
)
def test_killed_run_is_whole_after_the_next(point: str, left: list[str], tmp_path: Path) -> None:
    out = tmp_path / "rows.parquet"
    command = [sys.executable, "-c", PROGRAM, str(out), point]
    killed = subprocess.run(command, cwd=ROOT, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert files_in(tmp_path) == left
    if point == "part":
        assert ArchiveRun(out, RUN).done == 12
    execute(out)
    assert rows_in(out) == WHOLE
    assert files_in(tmp_path) == ["rows.parquet"]


# Another run


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (RUN | {"paths": ["other"]}, r"paths was \['archive'\], is \['other'\]"),
        (RUN | {"classifier": {"sha256": "ab", "threshold": 0.4}}, "threshold was 0.5, is 0.4"),
        (RUN | {"classifier": {"sha256": "cd", "threshold": 0.5}}, "classifier.sha256 was ab, is"),
        (RUN | {"pretest": 0.1}, "pretest was None, is 0.1"),
        (
            RUN | {"columns": ["file", "verdict", "etiology"]},
            r"columns was \['file', 'verdict'\], is \['file', 'verdict', 'etiology'\]",
        ),
    ],
)
def test_rows_of_another_run_are_refused_and_kept(
    whole: bool, changed: dict[str, Any], message: str, tmp_path: Path
) -> None:
    out = tmp_path / "rows.parquet"
    run = ArchiveRun(out, RUN)
    run.begin(NAMES)
    run.write(scored(run.waiting(2)))
    if whole:
        run.finish()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    place = out if whole else run.folder
    with pytest.raises(
        DatasetError,
        match=rf"{place} holds rows of another run \(.*{message}.*Choose another --out",
    ):
        ArchiveRun(out, changed)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_whole_run_is_not_begun_again(tmp_path: Path) -> None:
    out = tmp_path / "rows.parquet"
    execute(out)
    before = out.stat()
    assert execute(out).is_whole
    after = out.stat()  # reading it counts as an access
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("content", [b"", b"my table", "parquet"])
def test_files_of_others_are_refused_and_kept(content: bytes | str, tmp_path: Path) -> None:
    out = tmp_path / "rows.parquet"
    if isinstance(content, bytes):
        out.write_bytes(content)
    else:
        pq.write_table(pa.table({"a": [1]}), out)
    before = out.read_bytes()
    with pytest.raises(DatasetError, match=r"is there already, and not from `predict`"):
        ArchiveRun(out, RUN)
    assert out.read_bytes() == before


@pytest.mark.parametrize("name", ["rows", "rows.csv", "rows.parquet.gz"])
def test_other_kinds_of_file_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"written as Parquet: .* must end in \.parquet"):
        ArchiveRun(tmp_path / name, RUN)
