from __future__ import annotations

import inspect
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.etiologies import FIGURES
from tests.support.recorded import SUMMARY, trained
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.evaluation.ledger import LEDGER, describe, record
from xray_classifier.models.spec import ModelSpec, read_spec, write_spec
from xray_classifier.paths import MODEL_FOLDER

HEADING = "# Looks\n\n| date | ... |\n| --- | --- |\n"
SPEC = ModelSpec("tiny", "Tiny", "tiny.keras", sha256="ab" * 32, bytes=1)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with the JSON of one model, and an empty ledger."""
    write_spec(SPEC, tmp_path / "tiny.json")
    (tmp_path / LEDGER).write_text(HEADING, encoding="utf-8")
    return tmp_path


def ledger(folder: Path) -> list[list[str]]:
    """The cells of each line below the heading, which stays as it was."""
    text = (folder / LEDGER).read_text(encoding="utf-8")
    assert text.startswith(HEADING)
    lines = text.removeprefix(HEADING).splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_description_counts_what_was_right_and_gives_intervals() -> None:
    assert describe(SUMMARY).splitlines() == [
        "10 images of 7 patients, threshold 0.5",
        "right: 7 of 10 (normal 3 of 4, pneumonia 4 of 6)",
        "loss         0.5123  (95 % interval over patients 0.4000 to 0.6000)",
        "accuracy     0.7000  (95 % interval over patients 0.5500 to 0.8500)",
        "sensitivity  0.6667  (95 % interval over patients 0.5000 to 0.8000)",
        "specificity  0.7500  (95 % interval over patients 0.6000 to 0.9000)",
        "auc          0.8124  (95 % interval over patients 0.7000 to 0.9000)",
    ]


def test_description_of_the_second_answer_stands_in_a_line() -> None:
    *before, last = describe(replace(SUMMARY, bacterial_or_viral=FIGURES)).splitlines()
    assert before == describe(SUMMARY).splitlines()
    assert last == (
        "bacterial or viral, 390 pneumonias (242 bacterial) of 260 patients: AUC 0.8800 (0.8400 to "
        "0.9200), accuracy 0.8200 (0.7800 to 0.8600), undecided 0.0500 (0.0100 to 0.0900), "
        "decided_right 0.9900 (0.9800 to 1.0000)"
    )


def test_figures_of_the_second_answer_come_back_from_the_json(models: Path) -> None:
    found = replace(SUMMARY, bacterial_or_viral=FIGURES)
    record(SPEC, Path("some/chest_xray"), "holdout", found, models)
    assert read_spec(models / "tiny.json").results == {"chest_xray/holdout": found}


def test_figures_are_kept_in_the_models_json(models: Path) -> None:
    record(SPEC, Path("some/chest_xray"), "holdout", SUMMARY, models)
    assert read_spec(models / "tiny.json") == replace(SPEC, results={"chest_xray/holdout": SUMMARY})


def test_figures_of_other_data_stay(models: Path) -> None:
    spec = replace(SPEC, results={"chest_xray/val": SUMMARY})
    write_spec(spec, models / "tiny.json")
    record(spec, Path("chest_xray"), "train", SUMMARY, models)
    results = read_spec(models / "tiny.json").results
    assert results.keys() == {"chest_xray/val", "chest_xray/train"}


def test_figures_of_the_same_data_are_replaced(models: Path) -> None:
    spec = replace(SPEC, results={"chest_xray/val": SUMMARY})
    record(spec, Path("chest_xray"), "val", replace(SUMMARY, images=11), models)
    assert read_spec(models / "tiny.json").results == {
        "chest_xray/val": replace(SUMMARY, images=11)
    }


def test_data_are_called_by_the_name_of_their_folder(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "chest_xray").mkdir()
    monkeypatch.chdir(tmp_path / "chest_xray")
    record(SPEC, Path(), "val", SUMMARY, models)
    assert read_spec(models / "tiny.json").results.keys() == {"chest_xray/val"}


# The ledger


def test_look_at_a_test_set_is_a_line_in_the_ledger(models: Path) -> None:
    record(SPEC, Path("chest_xray"), "test", SUMMARY, models)
    ((date, commit, *rest),) = ledger(models)
    assert len(date) == len("2026-11-24")
    assert re.fullmatch(r"[0-9a-f]{7,40}(-dirty)?|v.+", commit)
    assert rest == [
        "tiny, seed ?",
        "abababababab",
        "cdcdcdcdcdcd",
        "0.5",
        "`evaluate tiny --data chest_xray --split test`",
        "7 of 10 right, sensitivity 0.6667, specificity 0.7500, AUC 0.8124, loss 0.5123",
    ]


@pytest.mark.parametrize("split", ["train", "val", "holdout", "all"])
def test_other_splits_are_not_in_the_ledger(split: str, models: Path) -> None:
    record(SPEC, Path("chest_xray"), split, SUMMARY, models)
    assert ledger(models) == []


def test_same_model_data_and_threshold_are_in_the_ledger_once(models: Path) -> None:
    for data in ("chest_xray", "chest_xray", "elsewhere/copy"):
        record(SPEC, Path(data), "test", SUMMARY, models)
    assert len(ledger(models)) == 1


@pytest.mark.parametrize("change", ["model", "data", "threshold"])
def test_another_model_data_or_threshold_is_a_line_of_its_own(change: str, models: Path) -> None:
    record(SPEC, Path("chest_xray"), "test", SUMMARY, models)
    spec, summary = SPEC, SUMMARY
    if change == "model":
        spec = replace(spec, sha256="ef" * 32)
        write_spec(spec, models / "tiny.json")
    elif change == "data":
        summary = replace(SUMMARY, data_sha256="01" * 32)
    else:
        spec, summary = replace(spec, threshold=0.25), replace(SUMMARY, threshold=0.25)
        write_spec(spec, models / "tiny.json")
    record(spec, Path("chest_xray"), "test", summary, models)
    assert len(ledger(models)) == 2


def test_threshold_is_not_mistaken_for_one_that_begins_alike(models: Path) -> None:
    record(replace(SPEC, threshold=0.55), Path("chest_xray"), "test", SUMMARY, models)
    record(SPEC, Path("chest_xray"), "test", SUMMARY, models)
    assert [line[5] for line in ledger(models)] == ["0.55", "0.5"]


@pytest.mark.parametrize(
    "failure", [FileNotFoundError("git"), subprocess.CalledProcessError(128, "git")]
)
def test_commit_is_unknown_outside_a_repository(
    failure: Exception, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise failure

    monkeypatch.setattr(subprocess, "run", fail)
    record(SPEC, Path("chest_xray"), "test", SUMMARY, models)
    assert ledger(models)[0][1] == "unknown"


# Models whose figures have no place


@pytest.mark.parametrize(
    "spec",
    [
        replace(SPEC, name="other"),
        replace(SPEC, sha256="ef" * 32),  # a fresh training run that bears the same name
    ],
    ids=["unknown name", "same name, other weights"],
)
def test_candidate_that_does_not_ship_is_in_the_ledger_only(spec: ModelSpec, models: Path) -> None:
    record(spec, Path("chest_xray"), "test", SUMMARY, models)
    assert read_spec(models / "tiny.json") == SPEC
    assert len(ledger(models)) == 1


def test_candidate_is_known_by_its_seed(models: Path) -> None:
    candidate = replace(SPEC, sha256="ef" * 32, training=trained(seed=3))
    record(candidate, Path("chest_xray"), "test", SUMMARY, models)
    assert ledger(models)[0][2] == "tiny, seed 3"


def test_model_without_a_json_is_refused(models: Path) -> None:
    with pytest.raises(ModelUnavailableError, match=r"tiny\.h5 has no JSON beside it"):
        record(ModelSpec("tiny", "tiny.h5", "tiny.h5"), Path("chest_xray"), "test", SUMMARY, models)
    assert ledger(models) == []


def test_models_of_the_program_are_meant_by_default() -> None:
    assert inspect.signature(record).parameters["folder"].default == MODEL_FOLDER
    assert (MODEL_FOLDER / LEDGER).is_file()
