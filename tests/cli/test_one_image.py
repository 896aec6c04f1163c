"""Commands on one image: reports and heatmaps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from tests.support.commands import Captured, flat, said
from tests.support.dicom_files import IDENTIFIER, dicom
from tests.support.pictures import encoded, shaded_square
from xray_classifier.cli.main import main
from xray_classifier.models import gate, loading
from xray_classifier.models.classifier import Classifier

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # Keras
    pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built"),
]


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
    monkeypatch.setattr(gate, "load_gate", lambda **_: tiny_gate)
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


@pytest.fixture
def square(monkeypatch: pytest.MonkeyPatch, square_classifier: Classifier, tmp_path: Path) -> Path:
    """A picture that the model at hand calls pneumonia, for its bright square."""
    monkeypatch.setattr(loading, "load_classifier", lambda *_, **__: square_classifier)
    path = tmp_path / "square.png"
    path.write_bytes(encoded(shaded_square()))
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
    monkeypatch.setattr(gate, "load_gate", lambda **_: tiny_gate)
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
