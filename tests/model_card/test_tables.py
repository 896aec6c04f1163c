from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.stand_ins import POINTS
from xray_classifier.model_card import tables
from xray_classifier.model_card.tables import HOLDOUT, TEST
from xray_classifier.models.spec import ModelSpec

FIGURES: dict[str, Any] = {
    "loss": [0.1, 0.05, 0.2],
    "accuracy": [0.9, 0.8, 0.95],
    "sensitivity": [0.9, 0.8, 0.95],
    "specificity": [0.8, 0.7, 0.9],
    "auc": [0.95, 0.9, 0.99],
    "brier": [0.05, 0.04, 0.06],
    "ece": [0.02, 0.01, 0.03],
}
POINT = FIGURES | {"undecided": [0.05, 0.01, 0.09], "decided_right": [0.99, 0.98, 1.0]}
FOUND: dict[str, Any] = {
    "images": 10,
    "confusion": [[4, 1], [0, 5]],
    "figures": FIGURES,
    "operating_points": {"balanced": POINT, "screening": POINT},
    "curves": {"coverage": [[1, 0.9], [0.9, 0.95], [0.8, 1.0]]},
    "errors": [{"file": "IM-1-1.jpeg", "label": "normal", "probability": 0.91234}],
}
SPEC = ModelSpec(
    "m",
    "M",
    "m.keras",
    calibration={"images": 100, "out_of_fold": FIGURES},
    calibration_prevalence=0.74,
    operating_points={name: {**point, "out_of_fold": POINT} for name, point in POINTS.items()},
    results={TEST: FOUND},
)
BARE = ModelSpec("m", "M", "m.keras")
NOWHERE = Path()


def cells(text: str, start: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {start}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_performance_stands_for_each_place_with_intervals() -> None:
    text = tables.performance(SPEC, NOWHERE)
    assert cells(text, "**test**")[:3] == ["**test**", "10", "90.0% (80.0% to 95.0%)"]
    assert cells(text, "out of fold")[1] == "100"
    assert cells(text, "normal") == ["normal", "4", "1"]
    assert "hold-out" not in text


def test_predictive_values_by_hand() -> None:
    text = tables.predictive(SPEC, NOWHERE)
    # prevalence .1, sensitivity .9, specificity .8: 90 / 270 and 720 / 730
    assert cells(text, "10%")[1].startswith("33.3%")
    assert cells(text, "10%")[2].startswith("98.6%")
    assert cells(text, "74%")[1].startswith("92.8%")  # where it is calibrated: 666 / 718


def test_points_stand_out_of_fold_and_on_the_test() -> None:
    text = tables.points(SPEC, NOWHERE)
    rows = [line for line in text.splitlines() if line.startswith("| screening")]
    assert [row.split("|")[2].strip() for row in rows] == ["out of fold", "**test**"]


def test_thresholds_stand_with_their_bands_and_criteria() -> None:
    text = tables.thresholds(SPEC, NOWHERE)
    assert cells(text, "balanced") == ["balanced", "equal", "0.7000", "0.6000 to 0.8000"]


def test_errors_are_named_with_their_probability() -> None:
    assert cells(tables.errors(SPEC, NOWHERE), "`IM-1-1.jpeg`") == [
        "`IM-1-1.jpeg`",
        "normal",
        "0.912",
    ]


def test_coverage_takes_the_nearest_measured_step_with_wilsons_interval() -> None:
    """90 of 100, 86 of 90 and 80 of 80 right; the last one's lower end is 80 / (80 + 1.96**2)."""
    spec = replace(SPEC, results={TEST: {**FOUND, "images": 100}})
    text = tables.coverage(spec, NOWHERE)
    assert cells(text, "100%") == ["100%", "90.0% (82.6% to 94.5%)"]
    assert cells(text, "92%")[1].startswith("95.6% (")
    assert cells(text, "80%") == ["80%", "100.0% (95.4% to 100.0%)"]


@pytest.mark.parametrize(
    "part", ["predictive", "spread", "compared", "subgroups", "robustness", "coverage", "errors"]
)
def test_what_was_not_measured_is_said(part: str) -> None:
    assert getattr(tables, part)(BARE, NOWHERE) == "Not measured yet."


def test_gate_has_wilsons_intervals(tmp_path: Path) -> None:
    kinds = {"photos": {"images": 120, "rejected": 1.0, "outside_population": 0.0}}
    (tmp_path / "gate").mkdir()
    (tmp_path / "gate" / "gate.json").write_text(json.dumps({"results": kinds}))
    assert cells(tables.gate(BARE, tmp_path), "photos") == [
        "photos",
        "120",
        "100.0% (96.9% to 100.0%)",
        "0.0% (0.0% to 3.1%)",
    ]


def test_both_places_stand_beside_each_other() -> None:
    spec = ModelSpec("m", "M", "m.keras", results={TEST: FOUND, HOLDOUT: FOUND})
    heading = tables.coverage(spec, NOWHERE).splitlines()[0]
    assert heading == "| decided | right, hold-out (10 images) | right, test (10 images) |"
