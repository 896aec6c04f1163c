"""Rows of an archive to a Parquet file, resumably, with nothing half-written taken for whole.

Beside `results.parquet` stands, until it is whole, the folder `results.parquet.parts`. It holds
`files.parquet`, the list of all files as it was when the run began, and `part-00000.parquet`,
`part-00001.parquet`, ... with the rows of the first files of that list. Each of them is moved into
place in one step, and so is, in the end, the file joined of the parts.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from xray_classifier.batch.job import LOCATIONS, NEXT, ROWS, with_next
from xray_classifier.errors import DatasetError
from xray_classifier.files import replace_atomically

SUFFIX = ".parquet"
PART_ROWS = 1000
"""A killed run has to judge fewer files than that again, beside those that were in work."""
GROUP_ROWS = 100_000
"""Rows in memory at once where files are listed and parts are joined."""

_METADATA = b"xray_classifier"
_DONE = b"files_done"


class ArchiveRun:
    """A run that has perhaps begun, and perhaps ended, before.

    Args:
        out: the file to be written.
        run: what makes two runs the same, fit for JSON; a stored run that differs is refused.

    Raises:
        DatasetError: `out` is not named `.parquet`, or it or its parts belong to another run.
    """

    def __init__(self, out: Path, run: dict[str, Any]) -> None:
        if out.suffix != SUFFIX:
            raise DatasetError(f"Rows are written as Parquet: {out} must end in {SUFFIX}.")
        self.out = out
        self.folder = out.with_name(f"{out.name}.parts")
        self._list = self.folder / "files.parquet"
        self._run: dict[str, Any] = json.loads(json.dumps(run))
        self._metadata = {_METADATA: json.dumps(self._run)}
        for path in (self.out, self._list):
            if path.exists():
                self._compare(path)

    @property
    def is_whole(self) -> bool:
        """Whether every file has its row in `out`."""
        return self.out.exists()

    @property
    def total(self) -> int:
        """How many files are listed."""
        return int(pq.read_metadata(self._list).num_rows)

    @property
    def done(self) -> int:
        """How many of the files, from the first on, have their rows in a part."""
        return max((done for _, done in self._parts()), default=0)

    def begin(self, locations: Iterable[str]) -> None:
        """Write down which files are to be judged, unless that was done when the run began."""
        if self._list.exists():
            return
        shutil.rmtree(self.folder, ignore_errors=True)  # parts without a list belong to nothing
        try:
            self._write_list(iter(locations))
        except Exception:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def waiting(self, rows: int) -> Iterator[pa.Table]:
        """Give the listed files without a row, so many at a time, as a Scorer takes them."""
        done, seen = self.done, 0
        for batch in pq.ParquetFile(self._list).iter_batches(rows):
            table = pa.Table.from_batches([batch]).slice(max(0, done - seen))
            seen += len(batch)
            if len(table):
                yield with_next(table, seen)

    def write(self, tables: Iterable[pa.Table]) -> None:
        """Write the rows of the waiting files as parts, in the order and form of a Scorer."""
        begun = len(list(self._parts()))
        for number, part in enumerate(_gather(tables, PART_ROWS), begun):
            facts = self._metadata | {_DONE: str(part[NEXT][-1].as_py())}
            with replace_atomically(self._part(number)) as temporary:
                pq.write_table(part.drop([NEXT]).replace_schema_metadata(facts), temporary)

    def finish(self) -> None:
        """Join the parts and remove them."""
        if not self.is_whole:
            joined = self.folder / "joined.parquet"
            parts = (pq.read_table(path) for path, _ in self._parts())
            schema = ROWS.with_metadata(self._metadata)
            with pq.ParquetWriter(joined, schema) as writer:
                for group in _gather(parts, GROUP_ROWS):
                    writer.write_table(group.cast(schema))
            os.replace(joined, self.out)
        self._list.unlink(missing_ok=True)  # first: a list would promise that its parts are there
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write_list(self, names: Iterator[str]) -> None:
        schema = LOCATIONS.with_metadata(self._metadata)
        with (
            replace_atomically(self._list) as temporary,
            pq.ParquetWriter(temporary, schema) as writer,
        ):
            while some := [os.fsencode(name) for name in islice(names, GROUP_ROWS)]:
                writer.write_table(pa.table([some], schema))

    def _part(self, number: int) -> Path:
        return self.folder / f"part-{number:05}.parquet"

    def _parts(self) -> Iterator[tuple[Path, int]]:
        """Name the parts, and how many files are done with each, up to a missing or damaged one."""
        for path in map(self._part, count()):
            try:
                yield path, int(pq.read_schema(path).metadata[_DONE])
            except (FileNotFoundError, pa.ArrowInvalid):
                return

    def _compare(self, path: Path) -> None:
        try:
            stored = json.loads((pq.read_schema(path).metadata or {})[_METADATA])
        except (pa.ArrowInvalid, KeyError) as error:
            raise DatasetError(
                f"{path} is there already, and not from `predict`. Choose another --out."
            ) from error
        before, now = _flat(stored), _flat(self._run)
        changes = [
            f"{name} was {before.get(name)}, is {now.get(name)}"
            for name in sorted(before.keys() | now.keys())
            if before.get(name) != now.get(name)
        ]
        if changes:
            raise DatasetError(
                f"{path if path == self.out else self.folder} holds rows of another run "
                f"({'; '.join(changes)}). Choose another --out, or delete it to begin afresh."
            )


def count_verdicts(out: Path) -> Counter[tuple[str, str]]:
    """Count the rows of a whole file by status and verdict, "" where there is none."""
    counts: Counter[tuple[str, str]] = Counter()
    for batch in pq.ParquetFile(out).iter_batches(GROUP_ROWS, columns=["status", "verdict"]):
        columns = (batch[name].to_pylist() for name in ("status", "verdict"))
        counts.update((status, verdict or "") for status, verdict in zip(*columns, strict=True))
    return counts


def _gather(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Join small tables until they hold so many rows; the last may hold fewer, but not none."""
    held: list[pa.Table] = []
    for table in tables:
        held += [table] if len(table) else []
        if sum(map(len, held)) >= rows:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)


def _flat(run: dict[str, Any]) -> dict[str, Any]:
    """Name the facts inside of facts by both names."""
    flat: dict[str, Any] = {}
    for name, value in run.items():
        inside = value if isinstance(value, dict) else {}
        flat |= {f"{name}.{inner}": fact for inner, fact in inside.items()}
        if not inside:
            flat[name] = value
    return flat
