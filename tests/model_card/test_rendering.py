from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.recorded import CALIBRATION, PLAIN, POINT_FIGURES, RENDERING, SUMMARY
from tests.support.stand_ins import POINTS
from xray_classifier.model_card.facts import HOLDOUT, TEST
from xray_classifier.model_card.rendering import (
    both_ways,
    image_rows,
    points_by_rendering,
    rendering_alone,
    rendering_caption,
    rendering_rows,
    rendering_sentence,
    rendering_table,
)
from xray_classifier.models.spec import ModelSpec
from xray_classifier.records.evaluation import Estimate, HardFigures

BARE = ModelSpec("m", "M", "m.keras")
MEASURED = replace(SUMMARY, rendering=RENDERING)
SPEC = replace(
    BARE,
    calibration=replace(CALIBRATION, rendering=RENDERING, plain=PLAIN),
    operating_points=tuple(replace(point, out_of_fold=POINT_FIGURES) for point in POINTS),
    results={HOLDOUT: MEASURED, TEST: SUMMARY},
)


def rows_of(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_sentence_says_what_rendering_does_with_counts_and_intervals() -> None:
    text = rendering_sentence(replace(BARE, results={HOLDOUT: MEASURED}))
    for part in (
        "the AUC of that alone is 0.950 (0.940 to 0.960)",
        "On held-out patients, the model is right on 75.0 % (60.0 % to 85.0 %) of the 76 normals "
        "rendered as most pneumonias are",
        "and on 80.0 % (70.0 % to 90.0 %) of the 218 pneumonias rendered as most normals are",
        "weighted so that rendering tells nothing, its AUC is 0.970 (0.950 to 0.990)",
    ):
        assert part in text


def test_sentence_rests_on_the_most_images() -> None:
    assert "Out of fold, the model is right" in rendering_sentence(SPEC)


def test_sentence_leaves_out_a_group_that_is_empty() -> None:
    alone = replace(RENDERING, hard=HardFigures(0, 9, sensitivity=Estimate(0.5, 0.2, 0.8)))
    text = rendering_sentence(replace(BARE, results={TEST: replace(SUMMARY, rendering=alone)}))
    assert (
        "On the official test set, the model is right on 50.0 % (20.0 % to 80.0 %) of the 9" in text
    )
    assert "normals rendered as most pneumonias" not in text
    nobody = replace(RENDERING, hard=HardFigures(0, 0))
    text = rendering_sentence(replace(BARE, results={TEST: replace(SUMMARY, rendering=nobody)}))
    assert "On the official test set, weighted so that rendering tells nothing" in text


@pytest.mark.parametrize(
    "spec", [BARE, replace(BARE, calibration=CALIBRATION, results={TEST: SUMMARY})]
)
def test_model_that_was_measured_before_says_so(spec: ModelSpec) -> None:
    assert rendering_sentence(spec) == (
        "What the rendering of the picture does to this model was not measured."
    )
    assert rendering_alone(spec) == points_by_rendering(spec) == "Not measured yet."
    assert image_rows(None) == (
        ["hard", *["not measured"] * 4],
        ["balanced", *["not measured"] * 4],
    )


def test_table_says_what_is_missing() -> None:
    assert rendering_table(BARE) == "Not measured yet."
    _, *rows = rows_of(rendering_table(SPEC))
    assert [row[:2] for row in rows[1:]] == [
        ["out of fold", "hard (76 + 218)"],
        ["out of fold", "balanced (as 289)"],
        ["on held-out patients", "hard (76 + 218)"],
        ["on held-out patients", "balanced (as 289)"],
        ["on the official test set", "hard"],
        ["on the official test set", "balanced"],
    ]
    assert rows[2][-2:] == ["0.512 (0.400 to 0.600)", "0.020 (0.010 to 0.030)"]
    assert rows[6][2:] == ["not measured"] * 6


def test_rows_of_the_page_name_images_figure_and_interval() -> None:
    rows = rendering_rows(RENDERING)
    assert rows[0] == {
        "figure": "specificity, 76 hard normals",
        "value": "75.0 %",
        "95 % interval": "60.0 % to 85.0 %",
    }
    assert rows[3] == {"figure": "AUC, hard", "value": "0.880", "95 % interval": "0.800 to 0.950"}
    assert rows[-1] == {
        "figure": "loss (cross-entropy), balanced",
        "value": "0.512",
        "95 % interval": "0.400 to 0.600",
    }
    nobody = rendering_rows(replace(RENDERING, hard=HardFigures(0, 0)))
    assert [row["value"] for row in nobody[:4]] == ["not measured"] * 4
    assert "worth 289 images" in rendering_caption(RENDERING)


def test_points_stand_on_hard_and_on_balanced_images() -> None:
    _, _, *rows = rows_of(points_by_rendering(SPEC))
    assert [row[:3] for row in rows] == [
        ["balanced", place, images]
        for place in ("out of fold", "on held-out patients")
        for images in ("hard", "balanced")
    ]
    assert rows[0][3] == "95.0 % (90.0 % to 98.0 %)"


def test_both_ways_stand_beside_each_other() -> None:
    _, _, ours, its, _, _, *rows = rows_of(both_ways(SPEC))
    assert ours[:3] == ["weighted, as shipped", "1.500", "-0.500"]
    assert its == ["every image once", "1.400", "1.600", "0.8569", "0.3300 to 0.9000"]
    assert [row[:3] for row in rows] == [
        ["weighted, as shipped", "patients as they are", "0.512 (0.400 to 0.600)"],
        ["weighted, as shipped", "balanced", "0.512 (0.400 to 0.600)"],
        ["every image once", "patients as they are", "0.512 (0.400 to 0.600)"],
        ["every image once", "balanced", "0.250 (0.200 to 0.300)"],
    ]


def test_way_that_was_not_fitted_is_said() -> None:
    assert both_ways(BARE) == "Not measured yet."
    once = replace(BARE, calibration=CALIBRATION)
    assert "without such weights: every image counted once" in both_ways(once)
