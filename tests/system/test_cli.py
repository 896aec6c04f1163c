from __future__ import annotations

import argparse
import csv
import io
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sized
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from tests.support.dicom_files import IDENTIFIER, dicom
from tests.support.pictures import encoded, gradient, squares, zipped
from tests.support.places import ROOT
from tests.support.recorded import EXPLANATION
from tests.support.stand_ins import pointed_classifier, resample_seldom, tiny_model
from xray_classifier import progress
from xray_classifier.cli import train as cli_training
from xray_classifier.cli.main import build_parser, main
from xray_classifier.data import kaggle as kaggle_data
from xray_classifier.data.splits import fingerprint
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.evaluation import ledger, saliency_checks
from xray_classifier.evaluation.evaluate import HOLDOUT, samples_of_split
from xray_classifier.evaluation.stress import BORDER_ALONE, PERTURBATIONS
from xray_classifier.files import sha256_of
from xray_classifier.inputs import sources, zip_archive
from xray_classifier.model_card import readme as reporting
from xray_classifier.models import gate, loading
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.loading import model_names
from xray_classifier.models.spec import ModelSpec, read_spec, write_spec
from xray_classifier.records.checks import ExplanationReport
from xray_classifier.records.evaluation import EvaluationReport
from xray_classifier.records.json_files import read_record
from xray_classifier.training import trainer
from xray_classifier.training.recipes import ARTICLE, DEFAULT, RECIPES, Recipe

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # Keras
    pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built"),
]

Captured = pytest.CaptureFixture[str]


def flat(path: Path, grey: int) -> Path:
    """An image of one grey, of which the tiny model thinks sigmoid(8 * grey / 255 - 4)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(np.full((40, 50), grey, np.uint8)))
    return path


def said(capsys: Captured) -> str:
    """What a failed command wrote: nothing on stdout, one line on stderr, no traceback."""
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith("error: ")
    assert written.err.count("\n") == 1
    return written.err.removeprefix("error: ")


@pytest.fixture(scope="module")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as a file with no JSON beside it."""
    path = tmp_path_factory.mktemp("tiny") / "lone.keras"
    tiny_model().save(path)
    return path


@pytest.fixture
def models(tmp_path: Path, tiny_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder that holds the model `tiny` and an empty ledger."""
    folder = tmp_path / "model"
    folder.mkdir()
    monkeypatch.setattr(loading, "MODEL_FOLDER", folder)
    monkeypatch.setattr(loading, "model_names", partial(model_names, folder))
    monkeypatch.setattr(ledger, "record", partial(ledger.record, folder=folder))
    path = folder / "tiny.keras"
    path.write_bytes(tiny_file.read_bytes())
    size = path.stat().st_size
    write_spec(
        ModelSpec("tiny", "Tiny", path.name, sha256=sha256_of(path), bytes=size),
        folder / "tiny.json",
    )
    (folder / ledger.LEDGER).write_text("# Looks\n", encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def open_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let drawn images through, which the real gate rejects."""

    class OpenGate:
        def decide_batch(self, batch: Sized) -> list[gate.GateDecision]:
            return [gate.PASSED] * len(batch)

        def decide(self, tensor: object) -> gate.GateDecision:
            return gate.PASSED

    monkeypatch.setattr(gate, "load_gate", OpenGate)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tiny_classifier: Classifier) -> Classifier:
    """Whatever model a command asks for, it gets the tiny one."""

    def load(model: str, source: str | None = None) -> Classifier:
        return tiny_classifier

    monkeypatch.setattr(loading, "load_classifier", load)
    return tiny_classifier


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """A data set without a fault: four images of train, four of test, each of its own patient."""
    root = tmp_path / "drawn"
    for split, shift in (("train", 0), ("test", 5)):
        for number in (1, 2):
            flat(root / f"{split}/NORMAL/IM-{number + shift}-1.png", 20 * number + shift)
            flat(
                root / f"{split}/PNEUMONIA/person{number + shift}_virus_1.png",
                110 + 20 * number + shift,
            )
    return root


# All commands


def commands(parser: argparse.ArgumentParser, *path: str) -> Iterator[tuple[str, ...]]:
    """Name every command and every group of commands, none by an old name."""
    yield path
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                if inner.prog.endswith(f" {name}"):
                    yield from commands(inner, *path, name)


ALL = sorted(" ".join(path) for path in commands(build_parser()))
GROUPS = {"", "data", "train"}


def test_commands_are_those_of_the_readme() -> None:
    assert {*ALL} == GROUPS | {
        "calibrate",
        "card",
        "cross-validate",
        "data check",
        "data download",
        "data show",
        "evaluate",
        "explain",
        "explain-check",
        "case-report",
        "predict",
        "seeds",
        "stress",
        "summary",
        "train article",
        "train default",
        "train gate",
        "update-docs",
    }


@pytest.mark.parametrize("command", ALL)
def test_each_command_explains_itself(command: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit, match="^0$"):
        main([*command.split(), "--help"])
    assert f"usage: python -m xray_classifier {command}".rstrip() in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new"), [("study", "case-report"), ("spread", "seeds"), ("report", "update-docs")]
)
def test_old_name_of_a_command_answers(old: str, new: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit, match="^0$"):
        main([old, "--help"])
    assert f"usage: python -m xray_classifier {new} " in capsys.readouterr().out


@pytest.mark.parametrize("command", sorted(GROUPS))
def test_group_without_a_command_is_wrong_usage(command: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit, match="^2$"):
        main(command.split())
    written = capsys.readouterr()
    assert "the following arguments are required" in written.err
    assert written.out == ""


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("predict", "required: PATH"),
        ("predict a.png --format xml", "argument --format: invalid choice: 'xml'"),
        ("predict a.png --nonsense", "unrecognized arguments: --nonsense"),
        ("evaluate tiny", "required: --data"),
        ("evaluate --data d", "required: model"),
        ("stress tiny", "required: --data"),
        ("stress --data d", "required: model"),
        ("train article --data d", "required: --out"),
        ("train default --data d", "required: --out"),
        ("train article --data d --out o --seed one", "argument --seed: invalid int value"),
        ("data download", "required: --dest"),
        ("data download --dest d --dataset cats", "argument --dataset: invalid choice: 'cats'"),
        ("data check", "required: DIR"),
        ("diagnose", "invalid choice: 'diagnose'"),
    ],
)
def test_wrong_usage_is_told(command: str, complaint: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit, match="^2$"):
        main(command.split())
    written = capsys.readouterr()
    assert complaint in written.err
    assert written.out == ""


@pytest.mark.parametrize(
    "command",
    [
        "evaluate tiny --data {0}",
        "stress tiny --data {0}",
        "data check {0}",
        "train article --data {0} --out o",
    ],
)
def test_unusable_data_are_one_line_of_error(
    command: str, tmp_path: Path, capsys: Captured
) -> None:
    assert main(command.format(tmp_path / "none").split()) == 2
    assert "none is not a folder" in said(capsys)


def test_missing_patient_table_is_one_line_of_error(drawn: Path, capsys: Captured) -> None:
    assert main(["data", "check", str(drawn), "--patients", "none.csv"]) == 2
    assert "The patient table none.csv cannot be read" in said(capsys)


def test_interruption_ends_a_command_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, tmp_path: Path
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(kaggle_data, "download", interrupted)
    assert main(["data", "download", "--dest", str(tmp_path / "data")]) == 130
    assert capsys.readouterr() == ("", "Interrupted.\n")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_reader_that_has_seen_enough_is_no_error(unbuffered: str, drawn: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    run = subprocess.run(
        [sys.executable, "-m", "xray_classifier", "data", "check", str(drawn)],
        cwd=ROOT,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (run.returncode, run.stderr) == (0, "")


# predict: the contract

Predict = Callable[..., tuple[int, list[dict[str, Any]]]]


@pytest.fixture
def predict(tiny: Classifier, capsys: Captured) -> Predict:
    """Run `predict --format jsonl`; every line on stdout must be a row."""

    def run(*paths: str | Path) -> tuple[int, list[dict[str, Any]]]:
        status = main(["predict", *map(str, paths), "--format", "jsonl"])
        return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, in which dir/ holds two images at different depths."""
    monkeypatch.chdir(tmp_path)
    flat(tmp_path / "dir" / "NORMAL" / "x.jpeg", 51)
    flat(tmp_path / "dir" / "a.png", 204)
    return tmp_path


def test_rows_have_exactly_the_fields_and_types_of_the_contract(
    here: Path, predict: Predict
) -> None:
    (here / "dir" / "b.png").write_bytes(b"")
    status, (normal, ill, bad) = predict("dir")
    assert status == 1
    assert normal == {
        "file": "dir/NORMAL/x.jpeg",
        "status": "ok",
        "probability": pytest.approx(1 / (1 + np.exp(4 - 8 * 0.2)), abs=1e-5),
        "verdict": "normal",
        "threshold": 0.5,
        "model": "tiny",
        "message": "",
        "warnings": [],
        "operating_point": "fixed",
        "post_test_probability": None,
    }
    assert ill == normal | {
        "file": "dir/a.png",
        "probability": pytest.approx(1 / (1 + np.exp(4 - 8 * 0.8)), abs=1e-5),
        "verdict": "pneumonia",
    }
    assert bad == normal | {
        "file": "dir/b.png",
        "status": "unreadable",
        "probability": None,
        "verdict": None,
        "message": "The file is empty. Export the radiograph again and upload that.",
    }


def test_archive_is_judged_as_the_folder_that_was_packed(here: Path, predict: Predict) -> None:
    names = ("NORMAL/x.jpeg", "a.png")
    packed = zipped({name: (here / "dir" / name).read_bytes() for name in names})
    status, of_folder = predict("dir")
    (here / "dir" / "m.zip").write_bytes(packed)
    assert predict("dir/m.zip") == (
        status,
        [row | {"file": row["file"].replace("dir/", "dir/m.zip!/")} for row in of_folder],
    )
    status, rows = predict("dir")
    files = ["dir/NORMAL/x.jpeg", "dir/a.png", "dir/m.zip!/NORMAL/x.jpeg", "dir/m.zip!/a.png"]
    assert (status, [row["file"] for row in rows]) == (0, files)
    assert sorted(path.name for path in here.iterdir()) == ["dir"]  # nothing was unpacked


def test_folder_without_files_has_no_rows(tmp_path: Path, predict: Predict) -> None:
    assert predict(tmp_path) == (0, [])


AWKWARD = [b"two\nlines", b"a,b;c", b"\"double\" 'single'", b"\xff\xfe", "ü 像".encode()]


@pytest.fixture
def awkward(here: Path) -> Path:
    """A folder of images with such names."""
    folder = here / "awkward"
    folder.mkdir()
    for name in AWKWARD:
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(encoded(gradient()))
    return folder


def test_awkward_names_come_back_from_json(awkward: Path, predict: Predict) -> None:
    _, rows = predict("awkward")
    assert {os.fsencode(row["file"]) for row in rows} == {b"awkward/" + name for name in AWKWARD}


def test_awkward_names_come_back_from_csv(
    awkward: Path, tiny: Classifier, capsys: Captured
) -> None:
    assert main(["predict", "awkward", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out, newline="")))
    shown = [os.fsdecode(name).encode(errors="backslashreplace").decode() for name in AWKWARD]
    assert sorted(row["file"] for row in rows) == sorted(f"awkward/{name}" for name in shown)
    assert {row["verdict"] for row in rows} == {"normal"}


def test_awkward_names_keep_to_their_lines_in_the_table(
    awkward: Path, tiny: Classifier, capsys: Captured
) -> None:
    assert main(["predict", "awkward"]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["verdict", "pneumonia", "file"]
    assert [line.split()[0] for line in lines] == ["normal"] * len(AWKWARD)


@pytest.mark.parametrize("kind", ["table", "csv"])
def test_other_formats_show_the_message_and_exit_alike(
    kind: str, here: Path, tiny: Classifier, capsys: Captured
) -> None:
    (here / "b.png").write_bytes(b"")
    assert main(["predict", "b.png", "--format", kind]) == 1
    assert "The file is empty." in capsys.readouterr().out


def test_progress_and_remarks_go_to_stderr(
    here: Path, tiny: Classifier, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    classifier = Classifier(tiny.model, tiny.spec, remarks=("take care",))
    monkeypatch.setattr(loading, "load_classifier", lambda _: classifier)
    monkeypatch.setattr(progress, "SILENT_SECONDS", 0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["predict", "dir", "--format", "jsonl"]) == 0
    written = capsys.readouterr()
    assert [json.loads(line)["status"] for line in written.out.splitlines()] == ["ok", "ok"]
    assert "note: take care\n" in written.err
    assert "Judging" in written.err


@pytest.mark.parametrize(("terminal", "times"), [(False, 1), (True, 2)])
def test_archive_is_opened_to_count_only_where_a_bar_is_shown(
    terminal: bool,
    times: int,
    here: Path,
    tiny: Classifier,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    (here / "a.zip").write_bytes(zipped({"1.png": encoded(gradient()), "2.png": b""}))
    opened: list[object] = []

    class Counted(zip_archive.Archive):
        def __init__(self, file: Path | bytes) -> None:
            opened.append(file)
            super().__init__(file)

    monkeypatch.setattr(sources, "Archive", Counted)
    monkeypatch.setattr(progress, "SILENT_SECONDS", 0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert main(["predict", "a.zip", "--format", "jsonl"]) == 1
    assert len(opened) == times
    assert ("/2" in capsys.readouterr().err) == terminal


@pytest.mark.parametrize("missing", ["none.png", "n" * 300])
def test_missing_path_is_wrong_usage(
    missing: str, here: Path, tiny: Classifier, capsys: Captured
) -> None:
    assert main(["predict", "dir", missing, "--format", "jsonl"]) == 2
    assert missing in said(capsys)


def test_missing_model_is_an_error(here: Path, models: Path, capsys: Captured) -> None:
    assert main(["predict", "dir", "--model", "none", "--format", "jsonl"]) == 2
    assert "There is no model 'none'. Give one of: tiny" in said(capsys)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_file_that_is_no_model_is_an_error(suffix: str, here: Path, capsys: Captured) -> None:
    Path(f"bad.{suffix}").write_bytes(b"no model")
    assert main(["predict", "dir", "--model", f"bad.{suffix}", "--format", "jsonl"]) == 2
    assert f"The model file bad.{suffix} cannot be opened" in said(capsys)


@pytest.mark.filterwarnings("ignore:Do not pass an `input_shape`:UserWarning")
def test_legacy_model_is_used_with_its_doubts_on_stderr(here: Path, capsys: Captured) -> None:
    tiny_model().save("old.h5")
    capsys.readouterr()
    assert main(["predict", "dir/a.png", "--model", "old.h5", "--format", "jsonl"]) == 0
    written = capsys.readouterr()
    (row,) = map(json.loads, written.out.splitlines())
    assert (row["model"], row["threshold"], row["verdict"]) == ("old", 0.5, "pneumonia")
    assert "note: old.h5 has no JSON beside it: its hash is unverified.\n" in written.err
    assert "note: Threshold 0.5 is assumed.\n" in written.err


# operating points


@pytest.fixture
def pointed(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = pointed_classifier()
    monkeypatch.setattr(loading, "load_classifier", lambda model: classifier)


def test_prediction_takes_operating_point_and_pretest_probability(
    pointed: None, tmp_path: Path, capsys: Captured
) -> None:
    path = flat(tmp_path / "a.png", 90)  # sigmoid(8 * 90 / 255 - 4) = .2356
    command = ["predict", str(path), "--format", "jsonl", "--operating-point", "screening"]
    assert main([*command, "--pretest", "0.1"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["operating_point"], row["threshold"]) == ("screening", 0.2)
    assert row["verdict"] == "uncertain"
    # odds .3082 / 2.846 * .1111 = .01203
    assert row["post_test_probability"] == pytest.approx(0.01189, abs=1e-4)


def test_unknown_operating_point_is_an_error_that_names_the_known(
    pointed: None, tmp_path: Path, capsys: Captured
) -> None:
    path = flat(tmp_path / "a.png", 90)
    assert main(["predict", str(path), "--operating-point", "keen"]) == 2
    assert "no operating point 'keen'; it has: balanced, screening." in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "1", "10", "-0.1"])
def test_impossible_pretest_probability_is_wrong_usage(text: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["predict", "a.png", "--pretest", text])
    assert f"{text} is not between 0 and 1" in capsys.readouterr().err


# evaluate


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    resample_seldom(monkeypatch)


def test_evaluation_prints_figures_and_writes_files(
    drawn: Path, tiny: Classifier, few_resamples: None, tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / "results"
    assert main(["evaluate", "tiny", "--data", str(drawn), "--out", str(out)]) == 0
    written = capsys.readouterr()
    first, second, *figures = written.out.splitlines()
    assert first == "4 images of 4 patients, threshold 0.5"
    assert second == "right: 4 of 4 (normal 2 of 2, pneumonia 2 of 2)"
    assert [line.split()[0] for line in figures] == [
        "loss",
        "accuracy",
        "sensitivity",
        "specificity",
        "auc",
        "brier",
        "ece",
        "gate:",
        "accuracy",  # less that of the article's model
    ]
    assert str(out) in written.err
    assert {path.name for path in out.iterdir()} == {
        "metrics.json",
        "predictions.csv",
        "classification_report.txt",
        "confusion_matrix.png",
        "roc.png",
        "grid.png",
    }


def test_evaluation_compares_with_the_baseline_and_spoils_the_images(
    drawn: Path, models: Path, few_resamples: None, tmp_path: Path, capsys: Captured
) -> None:
    spec = replace(read_spec(models / "tiny.json"), name="article")
    write_spec(spec, models / "article.json")
    command = ["evaluate", "tiny", "--data", str(drawn), "--out", str(tmp_path / "out")]
    assert main([*command, "--robustness"]) == 0
    assert "accuracy less that of article: 0.0000" in capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert found["compared"]["mcnemar_p"] == 1
    assert "JPEG quality" in found["robustness"]


def test_evaluation_without_record_leaves_the_model_folder_alone(
    drawn: Path, models: Path, few_resamples: None, tmp_path: Path
) -> None:
    before = {path.name: path.read_bytes() for path in models.iterdir()}
    assert main(["evaluate", "tiny", "--data", str(drawn), "--out", str(tmp_path / "out")]) == 0
    assert {path.name: path.read_bytes() for path in models.iterdir()} == before


def test_recorded_look_is_kept_in_json_and_in_the_ledger(
    drawn: Path, models: Path, few_resamples: None, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = ["evaluate", "tiny", "--data", str(drawn), "--out", str(out), "--record"]
    assert main(command) == 0
    results = read_spec(models / "tiny.json").results
    assert results == {"drawn/test": read_record(out / "metrics.json", EvaluationReport)}
    heading, line = (models / ledger.LEDGER).read_text().splitlines()
    assert heading == "# Looks"
    assert "4 of 4 right" in line
    assert main(["predict", str(drawn), "--model", "tiny"]) == 0  # file and JSON still agree


def test_results_that_cannot_be_written_are_one_line_of_error(
    drawn: Path, tiny: Classifier, few_resamples: None, tmp_path: Path, capsys: Captured
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    assert main(["evaluate", "tiny", "--data", str(drawn), "--out", str(taken)]) == 2
    assert "taken" in capsys.readouterr().err


def test_missing_evaluation_package_is_said(
    drawn: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.delitem(sys.modules, "xray_classifier.evaluation.evaluate", raising=False)
    monkeypatch.delattr("xray_classifier.evaluation.evaluate", raising=False)
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    assert main(["evaluate", "tiny", "--data", str(drawn)]) == 2
    assert "Install it: pip install -r requirements-train.txt" in said(capsys)


# stress


@pytest.fixture
def drawn_holdout(tmp_path: Path) -> Path:
    """A data set large enough to hold one patient of each class back."""
    root = tmp_path / "drawn"
    for number in range(1, 6):
        flat(root / f"train/NORMAL/IM-{number}-1.png", 100 + number)
        flat(root / f"train/PNEUMONIA/person{number}_virus_1.png", 180 + number)
    return root


def test_stress_prints_a_table_and_writes_it_as_json(
    drawn_holdout: Path, tiny: Classifier, few_resamples: None, tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / "new" / "stress.json"
    assert main(["stress", "tiny", "--data", str(drawn_holdout), "--out", str(out)]) == 0
    first, head, *rows = capsys.readouterr().out.splitlines()
    assert first == "2 images"  # of the patients held out
    assert head.split() == ["changed", "mean", "change", "other", "verdicts", "AUC"]
    assert [row[:30].strip() for row in rows[1:]] == [*PERTURBATIONS, *BORDER_ALONE]

    report = json.loads(out.read_text(encoding="utf-8"))
    holdout = samples_of_split(drawn_holdout, HOLDOUT)
    assert report["data_sha256"] == fingerprint(holdout)
    assert {name: report[name] for name in ("model", "sha256", "threshold", "data", "images")} == {
        "model": "tiny",
        "sha256": "ab" * 32,
        "threshold": 0.5,
        "data": "drawn/holdout",
        "images": 2,
    }
    darker = report["perturbations"]["darker by .1"]
    greys = np.array([grey_of(sample.path) for sample in holdout]) / 255
    change = 1 / (1 + np.exp(4 - 8 * greys)) - 1 / (1 + np.exp(4.8 - 8 * greys))
    mean = darker["mean_change"]["value"]
    assert mean == pytest.approx(change.mean(), abs=1e-5)
    assert f"{mean:.4f}" in next(row for row in rows if "darker" in row)
    assert report["border_alone"].keys() == BORDER_ALONE.keys()
    assert "full_resolution" not in report
    assert list(out.parent.iterdir()) == [out]


def grey_of(path: Path) -> int:
    with Image.open(path) as image:
        return int(np.asarray(image)[0, 0])


def test_stress_compares_with_full_resolution(
    drawn: Path, tiny: Classifier, few_resamples: None, tmp_path: Path, capsys: Captured
) -> None:
    for path in (drawn / "train").rglob("*.png"):
        flat(tmp_path / "full" / path.name, grey_of(path) + 10)
    out = tmp_path / "stress.json"
    command = ["stress", "tiny", "--data", str(drawn), "--split", "train", "--out", str(out)]
    assert main([*command, "--full-resolution", str(tmp_path / "full")]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("full resolution, 4 images")
    found = json.loads(out.read_text(encoding="utf-8"))["full_resolution"]
    assert found["images"] == 4
    assert 0 < found["change"]["mean_change"]["value"] < 2 * 10 / 255


def test_stress_does_not_look_at_a_test_split(
    drawn: Path, tiny: Classifier, capsys: Captured
) -> None:
    assert main(["stress", "tiny", "--data", str(drawn), "--split", "test"]) == 2
    assert "A test split is for `evaluate` only" in said(capsys)


def test_missing_stress_package_is_said(
    drawn: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    for name in ("evaluation.stress", "evaluation.evaluate"):
        monkeypatch.delitem(sys.modules, f"xray_classifier.{name}", raising=False)
        monkeypatch.delattr(f"xray_classifier.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    assert main(["stress", "tiny", "--data", str(drawn)]) == 2
    assert "Install it: pip install -r requirements-train.txt" in said(capsys)


# train


@pytest.mark.parametrize(
    ("recipe", "option", "seed"),
    [(ARTICLE, [], 1), (DEFAULT, ["--seed", "7"], 7)],
    ids=["article", "default"],
)
def test_training_gets_what_was_asked_for(
    recipe: Recipe,
    option: list[str],
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: Captured,
) -> None:
    asked: list[Any] = []

    def train(*arguments: Any) -> Path:
        asked.append(arguments)
        return tmp_path / "out" / f"{recipe.name}.keras"

    monkeypatch.setattr(trainer, "train", train)
    table = tmp_path / "patients.csv"
    table.write_text("file,patient\na.png,Ann\n")
    command = ["train", recipe.name, "--data", "d", "--out", "o", "--patients", str(table)]
    assert main([*command, *option]) == 0
    assert asked == [(recipe, Path("d"), Path("o"), seed, {"a.png": "Ann"})]
    assert capsys.readouterr().out == f"{tmp_path / 'out' / recipe.name}.keras\n"


def test_each_recipe_has_its_command() -> None:
    assert cli_training.TRAINABLE.keys() == RECIPES.keys()


def test_weights_that_are_not_installed_are_one_line_of_error(
    drawn_holdout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    command = ["train", "default", "--data", str(drawn_holdout), "--out", str(tmp_path / "out")]
    assert main(command) == 2
    assert "package torch is missing" in said(capsys)


# data check


def check(root: Path, capsys: Captured, *options: str) -> tuple[int, str]:
    status = main(["data", "check", str(root), *options])
    return status, capsys.readouterr().out


def test_sound_data_pass_with_their_counts(drawn: Path, capsys: Captured) -> None:
    status, report = check(drawn, capsys)
    assert status == 0
    assert re.search(r"^train +2 +2 +4$", report, re.MULTILINE)
    assert re.search(r"^test +2 +2 +4$", report, re.MULTILINE)


def test_data_that_leak_do_not_pass(drawn: Path, capsys: Captured) -> None:
    flat(drawn / "test/NORMAL/IM-1-2.png", 77)
    status, report = check(drawn, capsys)
    assert status == 1
    assert "Patients in more than one split: 1\n  IM-1\n" in report


def test_patient_table_finds_the_leak_that_names_hide(
    drawn: Path, tmp_path: Path, capsys: Captured
) -> None:
    table = tmp_path / "patients.csv"
    files = sorted(drawn.rglob("*.png"))
    table.write_text("file,patient\n" + "".join(f"{path.name},Ann\n" for path in files))
    assert check(drawn, capsys)[0] == 0
    status, report = check(drawn, capsys, "--patients", str(table))
    assert status == 1
    assert "Patients in more than one split: 1\n  Ann\n" in report


def test_unknown_patients_are_a_loud_warning_unless_a_table_names_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: Captured
) -> None:
    flat(tmp_path / "data/NORMAL/scan1.png", 10)
    flat(tmp_path / "data/PNEUMONIA/scan2.png", 20)
    table = tmp_path / "patients.csv"
    table.write_text("file,patient\nscan1.png,Ann\nPNEUMONIA/scan2.png,Bob\n")
    with caplog.at_level(logging.WARNING):
        assert check(tmp_path / "data", capsys)[0] == 0
        assert "WARNING: the patient of 2 of 2 images is unknown" in caplog.text
        caplog.clear()
        assert check(tmp_path / "data", capsys, "--patients", str(table))[0] == 0
        assert caplog.text == ""


def test_warning_reaches_stderr_and_only_the_report_stdout(tmp_path: Path) -> None:
    flat(tmp_path / "NORMAL/scan1.png", 10)
    flat(tmp_path / "PNEUMONIA/scan2.png", 20)
    run = subprocess.run(
        [sys.executable, "-m", "xray_classifier", "data", "check", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stderr.startswith("WARNING: the patient of 2 of 2 images is unknown")
    assert "WARNING" not in run.stdout
    assert run.stdout.endswith("Fit for use.\n")


@pytest.mark.data
def test_radiographs_of_kermany_pass(
    data: Path, capsys: Captured, caplog: pytest.LogCaptureFixture
) -> None:
    status, report = check(data / "chest_xray", capsys)
    assert status == 0
    assert re.search(r"^train +1349 +3883 ", report, re.MULTILINE)
    assert re.search(r"^test +234 +390 ", report, re.MULTILINE)
    assert "Groups of identical files: 30\n" in report
    assert "different labels" not in report
    assert caplog.text == ""


# data show


def test_augmented_training_images_are_drawn(drawn: Path, tmp_path: Path, capsys: Captured) -> None:
    (drawn / "test/NORMAL/IM-6-1.png").write_bytes(b"")  # the test set is not even opened
    out = tmp_path / "new" / "grid.png"
    assert main(["data", "show", str(drawn), "--recipe", "default", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    with Image.open(out) as picture:
        picture.load()
        assert picture.format == "PNG"
        assert min(picture.size) > 200


def test_test_set_alone_is_not_shown(tmp_path: Path, capsys: Captured) -> None:
    flat(tmp_path / "test/NORMAL/IM-1-1.png", 10)
    assert main(["data", "show", str(tmp_path), "--out", str(tmp_path / "grid.png")]) == 2
    assert "no split train or val or all; it has: test" in said(capsys)


# data download


def kaggle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a client in the place of Kaggle's."""

    def fetch(dataset: str, output_dir: str) -> str:
        Path(output_dir).mkdir()
        Path(output_dir, "README").write_text(dataset)
        return output_dir

    client, config = ModuleType("kagglehub"), ModuleType("kagglehub.config")
    client.dataset_download = fetch  # type: ignore[attr-defined]
    config.get_kaggle_credentials = lambda: "token"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kagglehub", client)
    monkeypatch.setitem(sys.modules, "kagglehub.config", config)


@pytest.mark.parametrize("number", [0, 1])
def test_data_set_is_downloaded(
    number: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Captured
) -> None:
    kaggle(monkeypatch)
    dest, name = tmp_path / "data", kaggle_data.DATASETS[number]
    option = ["--dataset", name] if number else []
    assert main(["data", "download", "--dest", str(dest), *option]) == 0
    assert (dest / "README").read_text() == name
    assert capsys.readouterr().out == f"{dest}\n"


def test_download_says_what_is_in_its_way(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Captured
) -> None:
    kaggle(monkeypatch)
    flat(tmp_path / "data" / "mine.png", 10)
    before = sorted(tmp_path.rglob("*"))
    assert main(["data", "download", "--dest", str(tmp_path / "data")]) == 2
    assert "data is there already. Choose a new folder with --dest." in said(capsys)
    assert sorted(tmp_path.rglob("*")) == before


# summary


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The article's network as a file, its weights as drawn at first."""
    from xray_classifier.training.architecture import build_article_cnn

    path = tmp_path_factory.mktemp("untrained") / "untrained.keras"
    build_article_cnn().save(path)
    return path


def test_summary_counts_the_parameters(untrained: Path, capsys: Captured) -> None:
    assert main(["summary", "--model", str(untrained)]) == 0
    written = capsys.readouterr().out
    assert "Total params: 1,467,137" in written
    assert "10816" in written
    assert written.count("Conv2D") == 5


def test_architecture_is_drawn(untrained: Path, tmp_path: Path, capsys: Captured) -> None:
    out = tmp_path / "new" / "architecture.png"
    assert main(["summary", "--model", str(untrained), "--plot", str(out)]) == 0
    assert capsys.readouterr().out.endswith(f"{out}\n")
    with Image.open(out) as picture:
        picture.load()
        assert picture.format == "PNG"
        assert min(picture.size) > 200
        assert len(picture.convert("RGB").getcolors(2**24) or []) > 4
    assert list(out.parent.iterdir()) == [out]


def test_missing_drawing_package_is_said(
    tiny: Classifier, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Captured
) -> None:
    monkeypatch.setitem(sys.modules, "visualkeras", None)
    assert main(["summary", "--plot", str(tmp_path / "a.png")]) == 2
    error = (
        "error: The package visualkeras is missing. Install it: pip install -r requirements-train"
    )
    assert error in capsys.readouterr().err


# update-docs


def test_update_docs_writes_the_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr(reporting, "update_docs", lambda: called.append("update_docs"))
    assert main(["update-docs"]) == 0
    assert called == ["update_docs"]


# The gate


def test_rejected_file_is_a_row_and_no_failure(
    tiny: Classifier,
    tiny_gate: gate.Gate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    monkeypatch.setattr(gate, "load_gate", lambda: tiny_gate)
    white = flat(tmp_path / "white.png", 255)
    assert main(["predict", str(white), "--format", "jsonl"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["status"], row["probability"], row["verdict"]) == ("rejected", None, None)
    assert row["message"] == "It is white."


def test_no_gate_gives_the_number_with_a_mark(
    tiny: Classifier,
    tiny_gate: gate.Gate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    monkeypatch.setattr(gate, "load_gate", lambda: tiny_gate)
    white = flat(tmp_path / "white.png", 255)
    assert main(["predict", str(white), "--no-gate", "--format", "jsonl"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["status"], row["verdict"], row["warnings"]) == ("ok", "pneumonia", ["not_valid"])


def test_missing_gate_stops_predict(
    tiny: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def missing() -> gate.Gate:
        raise ModelUnavailableError("The gate is missing.")

    monkeypatch.setattr(gate, "load_gate", missing)
    assert main(["predict", str(flat(tmp_path / "a.png", 90))]) == 2
    assert "error: The gate is missing." in capsys.readouterr().err


# case-report


def test_case_report_writes_a_report_of_the_format_that_its_name_asks_for(
    tiny: Classifier, tmp_path: Path, capsys: Captured
) -> None:
    file = flat(tmp_path / "Zoe.png", 204)
    for ending, start in ((".json", b"{"), (".pdf", b"%PDF-")):
        out = tmp_path / "new" / f"report{ending}"
        assert main(["case-report", str(file), "--out", str(out)]) == 0
        assert capsys.readouterr().out == f"{out}\n"
        assert out.read_bytes().startswith(start)
    values = json.loads((tmp_path / "new" / "report.json").read_text())
    assert values["probability"] == pytest.approx(1 / (1 + np.exp(-2.4)), abs=1e-5)
    assert (values["verdict"], values["model"]["sha256"]) == ("pneumonia", "ab" * 32)
    assert "Zoe" not in str(values)
    assert [path.name for path in (tmp_path / "new").iterdir() if path.name[0] == "."] == []


def test_case_report_names_the_file_if_that_is_wanted(tiny: Classifier, tmp_path: Path) -> None:
    file, out = flat(tmp_path / "Zoe.png", 204), tmp_path / "report.json"
    assert main(["case-report", str(file), "--out", str(out), "--with-file-name"]) == 0
    assert json.loads(out.read_text())["file"] == "Zoe.png"


@pytest.mark.parametrize("name", ["report.dcm", "report.sr.dcm"])
def test_case_report_keeps_the_identity_of_a_dicom_file_only_if_that_is_wanted(
    tiny: Classifier, tmp_path: Path, name: str
) -> None:
    file, out = tmp_path / "IM0001", tmp_path / name
    file.write_bytes(dicom())
    assert main(["case-report", str(file), "--out", str(out)]) == 0
    assert dcmread(out).PatientName == ""
    assert IDENTIFIER.encode() not in out.read_bytes()
    assert main(["case-report", str(file), "--out", str(out), "--keep-identity"]) == 0
    assert dcmread(out).PatientID == IDENTIFIER


def test_case_report_of_what_the_gate_rejects_says_why(
    tiny: Classifier, tiny_gate: gate.Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "load_gate", lambda: tiny_gate)
    white, out = flat(tmp_path / "white.png", 255), tmp_path / "r.json"
    command = ["case-report", str(white), "--out", str(out)]
    assert main(command) == 0
    values = json.loads((tmp_path / "r.json").read_text())
    assert (values["status"], values["probability"]) == ("rejected", None)
    assert main([*command, "--no-gate"]) == 0
    values = json.loads((tmp_path / "r.json").read_text())
    assert [warning["code"] for warning in values["warnings"]] == ["not_valid"]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["missing.png", "--out", "r.pdf"], 2, "There is no file"),
        (["text.png", "--out", "r.pdf"], 1, "not an image that can be read"),
        (["ok.png", "--out", "r.doc"], 2, "r.doc ends in none of .sr.dcm, .dcm, .pdf, .json"),
        (["ok.png", "--out", "r.dcm"], 2, "made of DICOM files only"),
        (["ok.png", "--out", "r.pdf", "--keep-identity"], 2, "never names the patient"),
    ],
)
def test_case_report_that_cannot_be_had_is_said(
    tiny: Classifier,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
    arguments: list[str],
    status: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    flat(tmp_path / "ok.png", 204)
    (tmp_path / "text.png").write_text("no image")
    assert main(["case-report", *arguments]) == status
    assert message in said(capsys)
    assert not list(tmp_path.glob("r.*"))


# explain


@pytest.fixture
def square(monkeypatch: pytest.MonkeyPatch, square_classifier: Classifier, tmp_path: Path) -> Path:
    """A picture that the model at hand calls pneumonia, for its bright square."""
    monkeypatch.setattr(loading, "load_classifier", lambda _: square_classifier)
    path = tmp_path / "square.png"
    path.write_bytes(encoded(squares()))
    return path


def test_explain_draws_the_heatmap_beside_the_image(
    square: Path, tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / "new" / "heat.png"
    assert main(["explain", str(square), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert [*out.parent.iterdir()] == [out]
    with Image.open(out) as image:
        colours = np.asarray(image.convert("RGB")).astype(int)
    assert image.format == "PNG"
    assert (np.ptp(colours, axis=2) > 50).any()  # the heat is the one thing with colours


def test_heatmap_without_opacity_shows_the_image_alone(square: Path, tmp_path: Path) -> None:
    out = tmp_path / "heat.png"
    assert main(["explain", str(square), "--out", str(out), "--opacity", "0"]) == 0
    with Image.open(out) as image:
        colours = np.asarray(image.convert("RGB")).astype(int)
    assert np.ptp(colours, axis=2).max() == 0


def test_explain_notes_what_is_no_valid_image(
    square: Path,
    tiny_gate: gate.Gate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    monkeypatch.setattr(gate, "load_gate", lambda: tiny_gate)
    white = flat(tmp_path / "white.png", 255)
    assert main(["explain", str(white), "--out", str(tmp_path / "heat.png")]) == 0
    assert "note: not_valid" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("broken.png", 1, "broken.png: This is not an image that can be read"),
        ("none.png", 2, "There is no file"),
    ],
)
def test_file_that_cannot_be_explained_is_named(
    name: str, status: int, message: str, square: Path, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "broken.png").write_text("just text")
    out = tmp_path / "heat.png"
    assert main(["explain", str(tmp_path / name), "--out", str(out)]) == status
    assert message in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["explain", "a", "--out", "b", "--opacity", "1.5"], "1.5 is not between 0 and 1"),
        (["explain-check", "--data", "d", "--images", "1"], "1 is too few; give 2 or more"),
    ],
)
def test_number_out_of_range_is_wrong_usage(
    option: list[str], message: str, capsys: Captured
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(option)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(("passed", "status"), [(True, 0), (False, 1)])
def test_check_of_heatmaps_says_whether_they_passed(
    passed: bool,
    status: int,
    drawn_holdout: Path,
    tiny: Classifier,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    asked: list[int] = []
    report = replace(EXPLANATION, passed=passed)

    def check(samples: Any, classifier: Classifier, images: int) -> ExplanationReport:
        asked.append(images)
        return report

    monkeypatch.setattr(saliency_checks, "check", check)
    out = tmp_path / "check.json"
    command = ["explain-check", "--data", str(drawn_holdout), "--images", "7", "--out", str(out)]
    assert main(command) == status
    assert asked == [7]
    assert capsys.readouterr().out == f"{saliency_checks.describe(report)}\n"
    assert read_record(out, ExplanationReport) == report
