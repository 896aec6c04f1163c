"""The shipped models give the recorded probabilities for real radiographs.

The record is replaced on purpose only, when a model is; for NAME in article, default:
`python -m xray_classifier predict ../shared/data/originals --model NAME --format csv >
tests/golden/NAME.csv`
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.support.places import ROOT
from xray_classifier.cli.main import main
from xray_classifier.inference.pipeline import classify
from xray_classifier.models.loading import load_classifier, model_names


def golden(name: str) -> dict[str, float]:
    """Read the recorded probabilities of a model, by file."""
    with (ROOT / "tests" / "golden" / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
        return {row["file"]: float(row["probability"]) for row in csv.DictReader(stream)}


@pytest.mark.data
@pytest.mark.parametrize("name", model_names())
def test_probabilities_are_the_recorded_ones(name: str, data: Path) -> None:
    classifier = load_classifier(name)
    recorded = golden(name)
    assert len(recorded) == 24
    found = {
        file: classify((data.parents[1] / file.removeprefix("../")).read_bytes(), classifier)
        for file in recorded
    }
    assert {file: result.probability for file, result in found.items()} == pytest.approx(
        recorded, abs=1e-6
    )


@pytest.mark.data
def test_command_gives_them_for_a_folder_and_the_gate_lets_all_through(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(data / "originals"), "--format", "jsonl"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {(row["status"], row["model"]) for row in rows} == {("ok", "default")}
    found = {f"../{Path(row['file']).relative_to(data.parents[1])}": row for row in rows}
    assert {file: row["probability"] for file, row in found.items()} == pytest.approx(
        golden("default"), abs=1e-6
    )
