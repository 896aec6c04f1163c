"""Rows of `predict` to lines of text."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, fields

from xray_classifier.batch.scoring import Row
from xray_classifier.inference.etiology import etiology_mark
from xray_classifier.inference.verdict import percent

ETIOLOGY = ("etiology", "bacterial_probability")
"""Columns that most models have nothing to say in."""

Lines = Iterator[tuple[str, Row | None]]
"""Each line with the row that it shows, None for a heading."""


def json_lines(rows: Iterable[Row]) -> Lines:
    """Write each row as a JSON object."""
    for row in rows:
        yield json.dumps(asdict(row), allow_nan=False), row


def csv_lines(rows: Iterable[Row]) -> Lines:
    """Write a heading, then each row as comma-separated values; warnings joined with ";"."""
    names = [entry.name for entry in fields(Row)]
    yield _csv_line(names), None
    for row in rows:
        yield _csv_line(_csv_values(row, names)), row


def csv_of_cases(rows: Mapping[int, Row], file_names: bool = False) -> str:
    """Write rows as comma-separated values, each under the number of its case.

    The columns `ETIOLOGY` are left out if no row has one.

    Args:
        rows: by the number, which stands in the column `study`.
        file_names: whether to write the names of the files, too.
    """
    left_out = set() if any(row.etiology for row in rows.values()) else set(ETIOLOGY)
    if not file_names:
        left_out.add("file")
    names = [entry.name for entry in fields(Row) if entry.name not in left_out]
    lines = [_csv_line(["study", *names])]
    lines += [_csv_line([number, *_csv_values(rows[number], names)]) for number in sorted(rows)]
    return "".join(f"{line}\r\n" for line in lines)


def table_lines(rows: Iterable[Row]) -> Lines:
    """Write each row for people: verdict, probability of pneumonia, file, remarks or failure.

    In brackets stand the etiology, where there is one, and the warnings.
    """
    yield f"{'verdict':12}{'pneumonia':>12}  file", None
    for row in rows:
        file = "".join(_shown(sign) for sign in row.file)
        if row.probability is None:
            yield f"{row.status:12}{'':12}  {file}: {row.message}", row
        else:
            looks = etiology_mark(row.etiology, row.bacterial_probability)
            marks = [*([f"if so, {looks}"] if looks else []), *row.warnings]
            shown = f"  ({', '.join(marks)})" if marks else ""
            yield f"{row.verdict:12}{percent(row.probability):>12}  {file}{shown}", row


FORMATS: dict[str, Callable[[Iterable[Row]], Lines]] = {
    "jsonl": json_lines,
    "csv": csv_lines,
    "table": table_lines,
}


def _shown(sign: str) -> str:
    """Escape what would break a line, and the sign that escapes."""
    return sign if sign.isprintable() and sign != "\\" else ascii(sign)[1:-1]


def _csv_values(row: Row, names: list[str]) -> list[object]:
    values = asdict(row) | {"warnings": ";".join(row.warnings)}
    return ["" if values[name] is None else values[name] for name in names]


def _csv_line(values: list[object] | list[str]) -> str:
    stream = io.StringIO()
    # Until Python 3.13 line breaks in a name are quoted only if the terminator holds them.
    csv.writer(stream, lineterminator="\r\n").writerow(values)
    return stream.getvalue().removesuffix("\r\n")
