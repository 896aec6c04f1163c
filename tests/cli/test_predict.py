"""`predict`: its rows, its options, its exit status."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.commands import Captured, flat, said
from tests.support.etiologies import FACTS, PICTURES, two_answer_classifier
from tests.support.pictures import encoded, gradient, zipped
from tests.support.stand_ins import pointed_classifier, tiny_model
from xray_classifier import progress
from xray_classifier.cli.main import main
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.inference.etiology import NO_PROOF, etiology_evidence
from xray_classifier.inputs import sources, zip_archive
from xray_classifier.models import gate, loading
from xray_classifier.models.classifier import Classifier

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # Keras
    pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built"),
]


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
        "etiology": None,
        "bacterial_probability": None,
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
    classifier = Classifier(tiny.network, tiny.spec, remarks=("take care",))
    monkeypatch.setattr(loading, "load_classifier", lambda *_, **__: classifier)
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


@pytest.fixture
def pointed(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = pointed_classifier()
    monkeypatch.setattr(loading, "load_classifier", lambda *_, **__: classifier)


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


def test_rejected_file_is_a_row_and_no_failure(
    tiny: Classifier,
    tiny_gate: gate.Gate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    monkeypatch.setattr(gate, "load_gate", lambda **_: tiny_gate)
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
    monkeypatch.setattr(gate, "load_gate", lambda **_: tiny_gate)
    white = flat(tmp_path / "white.png", 255)
    assert main(["predict", str(white), "--no-gate", "--format", "jsonl"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["status"], row["verdict"], row["warnings"]) == ("ok", "pneumonia", ["not_valid"])


def test_missing_gate_stops_predict(
    tiny: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def missing(**_: object) -> gate.Gate:
        raise ModelUnavailableError("The gate is missing.")

    monkeypatch.setattr(gate, "load_gate", missing)
    assert main(["predict", str(flat(tmp_path / "a.png", 90))]) == 2
    assert "error: The gate is missing." in capsys.readouterr().err


def test_model_that_tells_bacterial_from_viral_fills_its_columns_and_says_what_they_are_worth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(loading, "load_classifier", lambda *_, **__: two_answer_classifier())
    for name, picture in PICTURES.items():
        (tmp_path / f"{name}.png").write_bytes(picture)
    assert main(["predict", str(tmp_path), "--format", "csv"]) == 0
    written = capsys.readouterr()
    rows = {Path(row["file"]).stem: row for row in csv.DictReader(io.StringIO(written.out))}
    assert {name: row["etiology"] for name, row in rows.items()} == {
        **{name: name for name in ("bacterial", "viral", "uncertain")},
        "normal": "",
    }
    assert rows["normal"]["bacterial_probability"] == ""
    assert f"note: bacterial or viral: {NO_PROOF} {etiology_evidence(FACTS)}\n" in written.err
    assert main(["predict", str(tmp_path / "viral.png")]) == 0
    (_, line) = capsys.readouterr().out.splitlines()
    assert line.endswith("viral.png  (if so, viral 88.1 %)")


def test_other_models_have_no_note_on_bacteria(
    here: Path, tiny: Classifier, capsys: Captured
) -> None:
    assert main(["predict", "dir"]) == 0
    written = capsys.readouterr()
    assert "bacterial" not in written.out + written.err
    assert "if so" not in written.out
