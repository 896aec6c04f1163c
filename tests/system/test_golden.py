"""The shipped models give the recorded probabilities for real radiographs.

The record is replaced on purpose only, when a model is; for NAME in article, default:
`python -m xray_classifier predict ../shared/data/originals --model NAME --format csv >
tests/golden/NAME.csv`
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.support.places import ROOT
from xray_classifier.inference.pipeline import classify
from xray_classifier.models.loading import load_classifier, model_names


@pytest.mark.data
@pytest.mark.parametrize("name", model_names())
def test_probabilities_are_the_recorded_ones(name: str, data: Path) -> None:
    classifier = load_classifier(name)
    with (ROOT / "tests" / "golden" / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
        recorded = {row["file"]: float(row["probability"]) for row in csv.DictReader(stream)}
    assert len(recorded) == 24
    found = {
        file: classify((data.parents[1] / file.removeprefix("../")).read_bytes(), classifier)
        for file in recorded
    }
    assert {file: result.probability for file, result in found.items()} == pytest.approx(
        recorded, abs=1e-6
    )
