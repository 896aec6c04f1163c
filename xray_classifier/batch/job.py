"""Batches of locations to batches of rows, in this process or in an actor of a cluster.

What crosses between processes are Arrow tables of names and of rows, never an image.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

import pyarrow as pa

import xray_classifier
from xray_classifier.batch.scoring import Row, score
from xray_classifier.errors import ModelUnavailableError, XrayClassifierError
from xray_classifier.files import sha256_of
from xray_classifier.inference.pipeline import Choices
from xray_classifier.inputs.locations import open_location
from xray_classifier.models import gate, loading
from xray_classifier.models.spec import read_spec

BATCH_ROWS = 200
_FAILURE = "failure"
NEXT = "next"
LOCATIONS = pa.schema([("location", pa.binary())])  # a name need not be text

_ARROW_TYPES = {
    str: pa.string(),
    float: pa.float64(),
    tuple[str, ...]: pa.list_(pa.string()),
}


def _arrow_type(annotation: Any) -> pa.DataType:
    if isinstance(annotation, UnionType):  # float | None
        (annotation,) = set(get_args(annotation)) - {type(None)}
    return _ARROW_TYPES[annotation]


ROWS = pa.schema([(name, _arrow_type(hint)) for name, hint in get_type_hints(Row).items()])
"""The columns are the fields of a row."""


@dataclass(frozen=True)
class PredictionJob:
    """What is asked of every file alike.

    Attributes:
        model: name or path, as in `load_classifier`.
        use_gate: as in `Choices`.
        operating_point: as in `Choices`.
        pretest: as in `Choices`.
        runtime: as in `load_classifier`.
    """

    model: str
    use_gate: bool = True
    operating_point: str | None = None
    pretest: float | None = None
    runtime: str | None = None

    @property
    def choices(self) -> Choices:
        """What the user chose, as `score` takes it."""
        return Choices(self.operating_point, self.pretest, self.use_gate)


class Scorer:
    """Model and gate, loaded once, for batch after batch.

    Args:
        job: what is asked.

    Raises:
        ModelUnavailableError: model or gate are missing, damaged or do not fit their JSON.
    """

    def __init__(self, job: PredictionJob) -> None:
        self.job = job
        self.classifier = loading.load_classifier(job.model, runtime=job.runtime)
        self.gate = gate.load_gate(runtime=job.runtime)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Judge the files of a batch.

        Args:
            batch: of the schema `LOCATIONS`, and `next`, the number of the first file after it.

        Returns:
            Their rows in the same order, of the schema `ROWS`, and the same `next` for each.
        """
        names = [os.fsdecode(name.as_py()) for name in batch["location"]]
        files = {name: open_location(name) for name in names}
        rows = to_table(score(files, self.classifier, self.gate, self.job.choices))
        return with_next(rows, batch[NEXT][0].as_py())


class Actor:
    """A Scorer in another process: its failure is a table, too, not a traceback of that process."""

    def __init__(self, job: PredictionJob) -> None:
        self._failure: XrayClassifierError | None = None
        try:
            self._scorer = Scorer(job)
        except XrayClassifierError as error:
            self._failure = error

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Judge as a Scorer does; `unwrap` is for who receives the table."""
        if self._failure is None:
            try:
                return self._scorer(batch)
            except XrayClassifierError as error:
                self._failure = error
        return pa.table({_FAILURE: [str(self._failure)]})


def unwrap(table: pa.Table) -> pa.Table:
    """Give the rows that an actor sent.

    Raises:
        ModelUnavailableError: it sent its failure.
    """
    if _FAILURE in table.column_names:
        raise ModelUnavailableError(table[_FAILURE][0].as_py())
    return table


def with_next(table: pa.Table, number: int) -> pa.Table:
    """Say in each line at which file of the list work goes on after this table."""
    return table.append_column(NEXT, pa.array([number] * len(table), pa.int64()))


def to_table(rows: Iterable[Row]) -> pa.Table:
    """Gather rows in a table of the schema `ROWS`; what is no text in a name is escaped."""
    values = [asdict(row) | {"file": _as_text(row.file)} for row in rows]
    return pa.Table.from_pylist(values, ROWS)


def describe_job(job: PredictionJob) -> dict[str, Any]:
    """State all that a row depends on beside its file, without opening a model.

    Returns:
        Facts by name, fit for JSON: two runs with the same facts give the same rows.

    Raises:
        ModelUnavailableError: no such model or gate.
    """
    return {
        "program": xray_classifier.__version__,
        "columns": [entry.name for entry in fields(Row)],
        **asdict(job),
        "classifier": _describe_classifier(job.model),
        "gate": _deciding(asdict(gate.read_gate_spec(gate.GATE_FILE))),
    }


def _describe_classifier(model: str) -> dict[str, Any]:
    description = loading.describe_model(model)
    if description is None:
        return {"sha256": sha256_of(Path(model))}
    return _deciding(asdict(read_spec(description)))


def _deciding(facts: dict[str, Any]) -> dict[str, Any]:
    """Leave out the facts about a model that change nothing in its answers."""
    told = {"title", "download", "training", "results"}
    return {name: value for name, value in facts.items() if name not in told}


def _as_text(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")
