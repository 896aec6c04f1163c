"""No verdict, heatmap or report starts TensorFlow or Keras: they cannot be imported here.

Nor does Ray: batch/test_ray_backend.py.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.dicom_files import dicom
from tests.support.places import ROOT
from tests.support.processes import without_frameworks
from tests.support.visitors import Visitor, serve
from xray_classifier.inputs.decoding import decode

NOTE = r"note: default \([0-9a-f]{8}\) is run by ONNX Runtime [\d.]+\.\n"

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which both frameworks cannot be imported."""
    return without_frameworks(tmp_path_factory.mktemp("blocked"))


def python(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def command(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    return python(environment, "-m", "xray_classifier", *arguments)


def test_frameworks_cannot_be_imported_there(environment: dict[str, str]) -> None:
    done = command(environment, "predict", "--runtime", "keras", "README.md")
    assert done.returncode != 0
    assert "was imported" in done.stderr


def test_predict_of_one_file(environment: dict[str, str], original: Path) -> None:
    done = command(environment, "predict", original)
    assert (done.returncode, done.stdout.splitlines()[-1].split()[0]) == (0, "normal")
    assert re.fullmatch(NOTE, done.stderr), "nothing but our own line"


def test_predict_of_a_folder_with_what_is_unreadable(
    environment: dict[str, str], original: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.jpeg").symlink_to(original)
    (tmp_path / "b.jpeg").write_bytes(b"no image")
    done = command(environment, "predict", tmp_path)
    assert done.returncode == 1
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == ["normal", "unreadable"]
    assert re.fullmatch(NOTE, done.stderr)


def test_predict_of_an_archive(environment: dict[str, str], original: Path, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.jpeg").symlink_to(original)
    out = tmp_path / "rows.parquet"
    done = command(environment, "predict", tmp_path / "files", "--out", out)
    assert done.returncode == 0, done.stderr
    assert re.search(r"ok +normal +1$", done.stdout)


def test_case_report_without_a_picture(
    environment: dict[str, str], original: Path, tmp_path: Path
) -> None:
    done = command(environment, "case-report", original, "--out", tmp_path / "case.json")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "case.json").read_text())["verdict"] == "normal"
    assert re.fullmatch(NOTE, done.stderr)


@pytest.mark.parametrize(
    ("name", "out", "start"),
    [
        ("explain", "heat.png", b"\x89PNG"),
        ("case-report", "case.pdf", b"%PDF"),
    ],
)
def test_heatmap_alone_and_in_a_report(
    environment: dict[str, str], original: Path, tmp_path: Path, name: str, out: str, start: bytes
) -> None:
    done = command(environment, name, original, "--out", tmp_path / out)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / out).read_bytes().startswith(start)
    assert re.fullmatch(NOTE, done.stderr)


def test_heatmap_in_a_dicom_report(
    environment: dict[str, str], original: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / "a.dcm", tmp_path / "case.dcm"
    source.write_bytes(dicom(decode(original.read_bytes()).image))
    done = command(environment, "case-report", source, "--out", out)
    assert done.returncode == 0, done.stderr
    assert out.read_bytes()[128:132] == b"DICM"
    assert all(line.startswith("note: ") for line in done.stderr.splitlines())


def test_page_from_first_visit_to_report(
    environment: dict[str, str], original: Path, tmp_path: Path
) -> None:
    with serve(tmp_path, environment=environment) as server:
        visitor = Visitor(server)
        text = visitor.upload("a.jpeg", original.read_bytes()).text
        assert "Normal 95.8 %" in text
        assert re.search(r"run by ONNX Runtime [\d.]+", text)
        assert len(visitor.seen.images) == 1
        assert len(visitor.ask_for_heatmap().images) == 2
        assert visitor.download("PDF").startswith(b"%PDF")
        visitor.leave()
        lines = server.log.read_text().split("\n")
    known = ("URL", "Uvicorn", "You can")  # Streamlit's own
    assert [
        line for line in lines if line.strip() and not any(word in line for word in known)
    ] == []


def test_network_is_opened_to_learn_from(environment: dict[str, str]) -> None:
    program = """
from streamlit.testing.v1 import AppTest
script = "from xray_classifier.app import learn; learn.show_learn_page('default')"
page = AppTest.from_string(script, default_timeout=60).run()
for toggle in page.toggle:
    toggle.set_value(True)
page.run()
print(len(page.exception), len(page.error), *(text.value for text in page.markdown))
"""
    done = python(environment, "-c", program)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("0 0 ")
    assert "32 maps of 249 x 249 cells" in done.stdout
    assert "On this picture `default` goes from" in done.stdout
