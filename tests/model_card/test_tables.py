from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.etiologies import FACTS
from tests.support.etiologies import FIGURES as SECOND
from tests.support.recorded import CALIBRATION, POINT_FIGURES, SUMMARY
from tests.support.stand_ins import POINTS
from xray_classifier.model_card import tables
from xray_classifier.model_card.facts import HOLDOUT, TEST
from xray_classifier.models.spec import ModelSpec
from xray_classifier.records.checks import GateShares, SeedRun, SeedsReport
from xray_classifier.records.evaluation import (
    Confusion,
    CoveragePoint,
    Curves,
    Estimate,
    Figures,
    GateCounts,
    Misjudged,
)

FIGURES = Figures(
    loss=Estimate(0.1, 0.05, 0.2),
    accuracy=Estimate(0.9, 0.8, 0.95),
    sensitivity=Estimate(0.9, 0.8, 0.95),
    specificity=Estimate(0.8, 0.7, 0.9),
    auc=Estimate(0.95, 0.9, 0.99),
    brier=Estimate(0.05, 0.04, 0.06),
    ece=Estimate(0.02, 0.01, 0.03),
)
COVERAGE = (CoveragePoint(1, 0.9), CoveragePoint(0.9, 0.95), CoveragePoint(0.8, 1.0))
FOUND = replace(
    SUMMARY,
    confusion=Confusion(4, 1, 0, 5),
    figures=FIGURES,
    operating_points={"balanced": POINT_FIGURES, "screening": POINT_FIGURES},
    curves=Curves((), (), COVERAGE),
    errors=(Misjudged("IM-1-1.jpeg", "normal", 0.91234),),
)
SPEC = ModelSpec(
    "m",
    "M",
    "m.keras",
    calibration=replace(CALIBRATION, out_of_fold=FIGURES),
    calibration_prevalence=0.74,
    operating_points=tuple(replace(point, out_of_fold=POINT_FIGURES) for point in POINTS),
    results={TEST: FOUND},
)
BARE = ModelSpec("m", "M", "m.keras")


def cells(text: str, start: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {start}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_performance_stands_for_each_place_with_intervals() -> None:
    text = tables.performance(SPEC)
    assert cells(text, "**test**")[:3] == ["**test**", "10", "90.0 % (80.0 % to 95.0 %)"]
    assert cells(text, "out of fold")[1] == "100"
    assert cells(text, "normal") == ["normal", "4", "1"]
    assert "hold-out" not in text


def test_predictive_values_by_hand() -> None:
    text = tables.predictive(SPEC)
    # prevalence .1, sensitivity .9, specificity .8: 90 / 270 and 720 / 730
    assert cells(text, "10 %")[1].startswith("33.3 %")
    assert cells(text, "10 %")[2].startswith("98.6 %")
    assert cells(text, "74 %")[1].startswith("92.8 %")  # where it is calibrated: 666 / 718


def test_points_stand_out_of_fold_and_on_the_test() -> None:
    text = tables.points(SPEC)
    rows = [line for line in text.splitlines() if line.startswith("| screening")]
    assert [row.split("|")[2].strip() for row in rows] == ["out of fold", "**test**"]


def test_thresholds_stand_with_their_bands_and_criteria() -> None:
    text = tables.thresholds(SPEC)
    assert cells(text, "balanced") == ["balanced", "equal", "0.7000", "0.6000 to 0.8000"]


def test_errors_are_named_with_their_probability() -> None:
    assert cells(tables.errors(SPEC), "`IM-1-1.jpeg`") == [
        "`IM-1-1.jpeg`",
        "normal",
        "0.912",
    ]


def test_coverage_takes_the_nearest_measured_step_with_wilsons_interval() -> None:
    """90 of 100, 86 of 90 and 80 of 80 right; the last one's lower end is 80 / (80 + 1.96**2)."""
    spec = replace(SPEC, results={TEST: replace(FOUND, images=100)})
    text = tables.coverage(spec)
    assert cells(text, "100 %") == ["100 %", "90.0 % (82.6 % to 94.5 %)"]
    assert cells(text, "92 %")[1].startswith("95.6 % (")
    assert cells(text, "80 %") == ["80 %", "100.0 % (95.4 % to 100.0 %)"]


@pytest.mark.parametrize(
    "part", ["predictive", "compared", "subgroups", "robustness", "coverage", "errors"]
)
def test_what_was_not_measured_is_said(part: str) -> None:
    assert getattr(tables, part)(BARE) == "Not measured yet."


def test_seeds_have_a_row_each() -> None:
    assert tables.seeds(None) == "Not measured yet."
    text = tables.seeds(SeedsReport(10, "cd" * 32, {"1": SeedRun("ab" * 32, FIGURES)}))
    assert text.startswith("The same recipe on the 10 images of the hold-out, calibrated alike:")
    assert cells(text, "1")[:2] == ["1", "90.0 % (80.0 % to 95.0 %)"]
    assert cells(text, "1")[-1] == "0.0200 (0.0100 to 0.0300)"


def test_gate_has_wilsons_intervals() -> None:
    kinds = {"photos": GateShares(images=120, rejected=1.0, outside_population=0.0)}
    assert cells(tables.gate(kinds, BARE), "photos") == [
        "photos",
        "120",
        "100.0 % (96.9 % to 100.0 %)",
        "0.0 % (0.0 % to 3.1 %)",
    ]


def test_both_places_stand_beside_each_other() -> None:
    spec = ModelSpec("m", "M", "m.keras", results={TEST: FOUND, HOLDOUT: FOUND})
    heading = tables.coverage(spec).splitlines()[0]
    assert heading == "| decided | right, hold-out (10 images) | right, test (10 images) |"


def test_gate_counts_what_it_did_with_the_test_set() -> None:
    found = replace(FOUND, images=100, gate=GateCounts(3, 20, ("a", "b", "c")))
    text = tables.gate({}, replace(SPEC, results={TEST: found}))
    assert cells(text, "official test set")[:2] == ["official test set", "100"]
    assert [cell.split(" (")[0] for cell in cells(text, "official test set")[2:]] == [
        "3.0 %",
        "20.0 %",
    ]


def test_figures_that_the_first_models_lack_are_a_dash() -> None:
    old = replace(FOUND, figures=replace(FIGURES, brier=None, ece=None))
    text = tables.performance(replace(SPEC, results={TEST: old}))
    assert cells(text, "**test**")[-2:] == ["-", "-"]


def test_second_answer_stands_for_each_place_with_intervals() -> None:
    told = replace(FOUND, bacterial_or_viral=SECOND)
    text = tables.etiology(replace(SPEC, etiology=FACTS, results={TEST: told, HOLDOUT: FOUND}))
    heading, _, *rows = text.splitlines()
    assert [row.split(" | ")[0] for row in rows] == ["| out of fold", "| **test**"]
    assert heading.startswith("| on | pneumonias | AUC | accuracy | of bacterial | of viral |")
    assert cells(text, "out of fold")[1:4] == [
        "3111",
        "0.900 (0.880 to 0.920)",
        "83.0 % (81.0 % to 85.0 %)",
    ]
    assert cells(text, "out of fold")[-1] == "91.0 % (90.0 % to 92.0 %)"
    assert cells(text, "**test**")[1:4] == [
        "390",
        "0.880 (0.840 to 0.920)",
        "82.0 % (78.0 % to 86.0 %)",
    ]
