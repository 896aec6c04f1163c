"""`data download`, `data check`, `data show`."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from tests.support.commands import Captured, flat, said
from tests.support.places import ROOT
from xray_classifier.cli.main import main
from xray_classifier.data import kaggle as kaggle_data

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # Keras
    pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built"),
]


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


def test_augmented_training_images_are_drawn(drawn: Path, tmp_path: Path, capsys: Captured) -> None:
    (drawn / "test/NORMAL/IM-6-1.png").write_bytes(b"")  # the test set is not even opened
    out = tmp_path / "new" / "grid.png"
    assert main(["data", "show", str(drawn), "--recipe", "soft", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    with Image.open(out) as picture:
        picture.load()
        assert picture.format == "PNG"
        assert min(picture.size) > 200


def test_test_set_alone_is_not_shown(tmp_path: Path, capsys: Captured) -> None:
    flat(tmp_path / "test/NORMAL/IM-1-1.png", 10)
    assert main(["data", "show", str(tmp_path), "--out", str(tmp_path / "grid.png")]) == 2
    assert "no split train or val or all; it has: test" in said(capsys)


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
