from __future__ import annotations

import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.support.etiologies import (
    CHANCES,
    FACTS,
    PICTURES,
    TWO_ANSWERS,
    two_answer_classifier,
)
from tests.support.pictures import encoded
from xray_classifier.batch import job
from xray_classifier.batch.job import (
    LOCATIONS,
    ROWS,
    Actor,
    PredictionJob,
    Scorer,
    describe_job,
    to_table,
    unwrap,
    with_next,
)
from xray_classifier.batch.scoring import Row, score
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.inference.pipeline import Choices
from xray_classifier.inputs.listing import list_files
from xray_classifier.models import gate, loading
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.gate import Gate


@pytest.fixture
def scorer(
    tiny_classifier: Classifier, tiny_gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> type[Scorer]:
    """Scorers with the tiny model and the tiny gate."""
    monkeypatch.setattr(loading, "load_classifier", lambda *_, **__: tiny_classifier)
    monkeypatch.setattr(gate, "load_gate", lambda **_: tiny_gate)
    return Scorer


def batch_of(*names: str) -> pa.Table:
    return with_next(pa.table([[os.fsencode(name) for name in names]], LOCATIONS), 7)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    for name, grey in (("dark", 51), ("light", 204), ("white", 255), ("black", 0)):
        (tmp_path / f"{name}.png").write_bytes(encoded(np.full((40, 50), grey, np.uint8)))
    (tmp_path / "text.png").write_text("no image")
    return tmp_path


def test_columns_are_the_fields_of_a_row() -> None:
    assert ROWS.names == [entry.name for entry in fields(Row)]
    types = dict(zip(ROWS.names, ROWS.types, strict=True))
    assert types["file"] == types["verdict"] == pa.string()
    assert types["probability"] == types["threshold"] == pa.float64()
    assert types["warnings"] == pa.list_(pa.string())
    assert types["etiology"] == pa.string()
    assert types["bacterial_probability"] == pa.float64()


@pytest.mark.parametrize("use_gate", [True, False])
def test_rows_are_those_of_predict(use_gate: bool, scorer: type[Scorer], archive: Path) -> None:
    loaded = scorer(PredictionJob("tiny", use_gate))
    names = [*list_files([str(archive)]), str(archive / "gone.png")]
    files = {name: Path(name) for name in names}
    table = loaded(batch_of(*names))
    rows = list(score(files, loaded.classifier, loaded.gate, Choices(use_gate=use_gate)))
    assert table.drop(["next"]).schema.equals(ROWS)
    assert table["next"].to_pylist() == [7] * len(rows)
    table = table.drop(["next"])
    assert [Row(**row | {"warnings": tuple(row["warnings"])}) for row in table.to_pylist()] == rows
    statuses = [row.status for row in rows]
    assert statuses.count("unreadable") == 2
    assert statuses.count("rejected") == use_gate


def test_remote_files_are_judged_like_local_ones(scorer: type[Scorer], archive: Path) -> None:
    loaded = scorer(PredictionJob("tiny"))
    names = [str(archive / name) for name in ("dark.png", "light.png", "text.png")]
    local, remote = (loaded(batch_of(*(f"{at}{one}" for one in names))) for at in ("", "file://"))
    assert remote.drop(["file"]).equals(local.drop(["file"]))
    assert remote["file"].to_pylist() == [f"file://{name}" for name in names]


def test_remote_file_that_is_gone_becomes_a_row(scorer: type[Scorer], tmp_path: Path) -> None:
    (row,) = scorer(PredictionJob("tiny"))(batch_of(f"file://{tmp_path}/gone.png")).to_pylist()
    assert row["status"] == "unreadable"
    assert row["message"].startswith("The file cannot be read: ")
    assert "None" not in row["message"]


def test_name_that_is_no_text_is_escaped(scorer: type[Scorer], archive: Path) -> None:
    name = f"{archive}/{os.fsdecode(b'x-' + bytes([255]))}.png"
    (archive / "light.png").rename(name)
    (row,) = scorer(PredictionJob("tiny"))(batch_of(name)).to_pylist()
    assert row["file"] == f"{archive}/x-\\xff.png"
    assert row["status"] == "ok"


def test_table_without_rows_has_the_columns() -> None:
    assert to_table([]).schema.equals(ROWS)


def test_etiology_stands_in_its_columns_and_is_null_where_there_is_none(
    scorer: type[Scorer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, picture in PICTURES.items():
        (tmp_path / f"{name}.png").write_bytes(picture)
    batch = batch_of(*(str(tmp_path / f"{name}.png") for name in PICTURES))
    plain = scorer(PredictionJob("tiny"))(batch)
    monkeypatch.setattr(loading, "load_classifier", lambda *_, **__: two_answer_classifier())
    told = scorer(PredictionJob("second"))(batch)
    assert told["etiology"].to_pylist() == ["bacterial", "viral", "uncertain", None]
    assert told["bacterial_probability"].to_pylist() == [
        *(pytest.approx(CHANCES[name], abs=1e-5) for name in ("bacterial", "viral", "uncertain")),
        None,
    ]
    for column in ("etiology", "bacterial_probability"):
        assert plain[column].to_pylist() == [None] * 4
    assert plain.schema.equals(told.schema)


# In another process


def test_actor_sends_the_rows_of_a_scorer(scorer: type[Scorer], archive: Path) -> None:
    batch = batch_of(str(archive / "dark.png"))
    assert unwrap(Actor(PredictionJob("tiny"))(batch)).equals(scorer(PredictionJob("tiny"))(batch))


def test_actor_without_a_model_sends_why(
    scorer: type[Scorer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(**_: object) -> Any:
        raise ModelUnavailableError("The gate is missing.")

    monkeypatch.setattr(gate, "load_gate", missing)
    sent = Actor(PredictionJob("tiny"))(batch_of("a.png"))
    with pytest.raises(ModelUnavailableError, match=r"^The gate is missing\.$"):
        unwrap(sent)


def test_actor_whose_model_fails_sends_why(
    scorer: type[Scorer], archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise ModelUnavailableError("It answered with nan.")

    actor = Actor(PredictionJob("tiny"))
    monkeypatch.setattr(job, "score", fail)
    with pytest.raises(ModelUnavailableError, match=r"^It answered with nan\.$"):
        unwrap(actor(batch_of(str(archive / "dark.png"))))


# What a row depends on


def test_job_is_described_without_its_history() -> None:
    facts = describe_job(PredictionJob("default", use_gate=False))
    assert (facts["model"], facts["use_gate"]) == ("default", False)
    assert facts["columns"] == ROWS.names
    assert facts["classifier"].keys() >= {"sha256", "threshold", "name"}
    assert facts["gate"].keys() >= {"sha256", "reject_from"}
    assert not {"training", "results"} & (facts["classifier"].keys() | facts["gate"].keys())


def test_another_threshold_is_another_job(tmp_path: Path, tiny_classifier: Classifier) -> None:
    from xray_classifier.models.spec import write_spec

    facts = []
    for threshold in (0.5, 0.4):
        spec = replace(tiny_classifier.spec, threshold=threshold)
        write_spec(spec, tmp_path / "tiny.json")
        facts.append(describe_job(PredictionJob(str(tmp_path / "tiny.keras"))))
    assert facts[0].pop("classifier") != facts[1].pop("classifier")
    assert facts[0] == facts[1]


def test_another_band_of_the_second_answer_is_another_job(tmp_path: Path) -> None:
    from xray_classifier.models.spec import write_spec

    facts = []
    for etiology in (FACTS, replace(FACTS, low=0.3), None):
        write_spec(replace(TWO_ANSWERS, etiology=etiology), tmp_path / "second.json")
        facts.append(describe_job(PredictionJob(str(tmp_path / "second.keras")))["classifier"])
    assert facts[0] != facts[1]
    assert facts[0] != facts[2]


def test_model_without_description_is_known_by_its_hash(tmp_path: Path) -> None:
    (tmp_path / "old.h5").write_bytes(b"abc")
    facts = describe_job(PredictionJob(str(tmp_path / "old.h5")))
    assert facts["classifier"]["sha256"].startswith("ba7816bf8f01cfea")  # of "abc", by FIPS 180


def test_unknown_model_is_an_error() -> None:
    with pytest.raises(ModelUnavailableError, match="There is no model 'none'"):
        describe_job(PredictionJob("none"))
