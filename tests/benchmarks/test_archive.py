from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from benchmarks import archive


@pytest.mark.parametrize(("workers", "rate"), [(0, 3 * 10 / 6), (1, 3 * 10 / 6), (2, 2 * 10 / 4)])
def test_clock_runs_from_the_first_table_of_each_worker(
    workers: int, rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def tables() -> Iterator[pa.Table]:
        for seconds in (50, 2, 2, 2):
            clock[0] += seconds
            yield pa.table({"a": range(10)})

    figures = archive.images_per_second(tables(), workers)
    assert figures == {"workers": workers, "images_per_second": pytest.approx(rate)}


@pytest.mark.data
def test_folder_is_filled_over_and_over(data: Path, tmp_path: Path) -> None:
    archive.fill(tmp_path / "images", 30)
    files = sorted((tmp_path / "images").iterdir())
    assert len(files) == 30
    assert files[0].read_bytes() == files[24].read_bytes() != files[1].read_bytes()


def test_missing_radiographs_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "ORIGINALS", tmp_path / "none")
    with pytest.raises(SystemExit, match="There are no radiographs in"):
        archive.fill(tmp_path / "images", 3)
