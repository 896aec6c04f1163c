"""Recorded facts become rows and sentences; what was not measured is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.support.etiologies import FACTS, WEAK
from tests.support.etiologies import FIGURES as SECOND
from tests.support.recorded import (
    CHANGE,
    EXPLANATION,
    FIGURES,
    POINT_FIGURES,
    STRESS,
    SUMMARY,
    trained,
)
from xray_classifier.model_card.facts import (
    ADULTS,
    HOLDOUT,
    TEST,
    adults_sentence,
    border_sentence,
    comparison_sentence,
    confusion_at,
    etiology_sentence,
    figure_rows,
    frequencies_sentence,
    gate_rows,
    heatmap_sentence,
    point_rows,
    shift_sentence,
    stress_rows,
    training_sentences,
)
from xray_classifier.models.loading import model_names
from xray_classifier.models.operating_point import OperatingPoint
from xray_classifier.models.spec import ModelSpec, read_report, read_spec
from xray_classifier.paths import MODEL_FOLDER
from xray_classifier.records.checks import (
    OTHER_RENDERING,
    ExplanationReport,
    GateShares,
    StressReport,
)
from xray_classifier.records.evaluation import Comparison, Confusion, Difference, Estimate

SPEC = ModelSpec("tiny", "Tiny", "tiny.keras", sha256="ab" * 32, bytes=1)


def test_training_is_told_with_counts_source_licence_and_size() -> None:
    text = training_sentences(replace(SPEC, training=trained()))
    for part in ("1,081 normal and 3,111 pneumonia", "1 to 5 years", "CC BY 4.0", "224 x 200"):
        assert part in text


def test_training_that_is_not_recorded_is_said() -> None:
    assert "not recorded" in training_sentences(SPEC)


def test_fractions_are_percent_and_the_rest_are_decimals() -> None:
    figures = replace(FIGURES, accuracy=Estimate(0.9663, 0.95, 1))
    assert figure_rows(figures) == [
        {"figure": "loss (cross-entropy)", "value": "0.512", "95 % interval": "0.400 to 0.600"},
        {"figure": "accuracy", "value": "96.6 %", "95 % interval": "95.0 % to 100.0 %"},
        {"figure": "sensitivity", "value": "66.7 %", "95 % interval": "50.0 % to 80.0 %"},
        {"figure": "specificity", "value": "75.0 %", "95 % interval": "60.0 % to 90.0 %"},
        {"figure": "AUC", "value": "0.812", "95 % interval": "0.700 to 0.900"},
    ]


def test_operating_points_show_threshold_band_and_what_was_measured() -> None:
    points = (
        OperatingPoint("balanced", 0.6, 0.4, 0.75),
        OperatingPoint("screening", 0.2, 0.1, 0.3),
    )
    assert point_rows(points, {"balanced": POINT_FIGURES, "screening": None}) == [
        {
            "operating point": "balanced",
            "threshold": "60.0 %",
            "uncertain": "40.0 % to 75.0 %",
            "sensitivity": "95.0 % (90.0 % to 98.0 %)",
            "specificity": "80.0 % (70.0 % to 90.0 %)",
            "undecided": "5.0 % (1.0 % to 9.0 %)",
            "decided right": "99.0 % (98.0 % to 100.0 %)",
        }
    ]
    found = point_rows(points, {"screening": POINT_FIGURES})
    assert [row["operating point"] for row in found] == ["screening"]


def test_verdicts_at_a_point_follow_from_its_figures() -> None:
    found = replace(
        SUMMARY,
        confusion=Confusion(90, 10, 5, 1095),
        operating_points={"balanced": POINT_FIGURES},
    )
    assert confusion_at(found, "balanced") == Confusion(80, 20, 55, 1045)


def test_stress_lists_every_change_and_full_resolution() -> None:
    change = {
        "mean change of the probability": "0.012 (0.010 to 0.020)",
        "verdicts that turned": "2.5 % (1.0 % to 5.0 %)",
    }
    assert stress_rows(STRESS) == [
        {"what was changed": "blur"} | change,
        {
            "what was changed": OTHER_RENDERING,
            "mean change of the probability": "-",
            "verdicts that turned": "not measured",  # of before it was
        },
        {"what was changed": "full resolution"} | change,
    ]
    without = replace(
        STRESS, full_resolution=None, perturbations={OTHER_RENDERING: CHANGE, "blur": CHANGE}
    )
    assert stress_rows(without) == [
        {"what was changed": OTHER_RENDERING} | change,
        {"what was changed": "blur"} | change,
    ]


def test_border_is_told_by_its_auc() -> None:
    assert (
        "This one's, on 1,040 held-out images: outer 10\u00a0% alone 0.661 (0.600 to 0.700)."
        in border_sentence(STRESS)
    )


def test_what_was_not_measured_is_said() -> None:
    assert stress_rows(None) == []
    assert "not measured" in border_sentence(None)
    assert "not measured" in heatmap_sentence(None)


def test_gate_shows_what_it_did_with_each_kind() -> None:
    found = GateShares(images=1040, rejected=0.0, outside_population=0.0096)
    assert gate_rows({"mr_slices": found}) == [
        {
            "kind of image": "mr slices",
            "images": "1,040",
            "refused": "0.0 % (0.0 % to 0.4 %)",
            "warned of": "1.0 % (0.5 % to 1.8 %)",
        }
    ]


def measured(**results: Any) -> ModelSpec:
    names = {"test": TEST, "holdout": HOLDOUT, "adults": ADULTS}
    return replace(SPEC, results={names[name]: found for name, found in results.items()})


def test_comparison_is_told_with_its_intervals() -> None:
    none = Estimate(0, 0, 0)
    less = Difference(
        accuracy=Estimate(0.08, 0.05, 0.1),
        sensitivity=none,
        specificity=none,
        auc=Estimate(-0.01, -0.02, 0.004),
    )
    spec = measured(test=replace(SUMMARY, compared=Comparison("article", less, 0.1, 0.2)))
    assert comparison_sentence(spec) == (
        "On the official test set `tiny` less `article` is 0.080 (0.050 to 0.100) in accuracy and "
        "-0.010 (-0.020 to 0.004) in AUC, by a paired bootstrap over patients."
    )


def test_false_alarms_are_one_less_the_specificity() -> None:
    harder = replace(FIGURES, specificity=Estimate(0.8, 0.7, 0.9), ece=Estimate(0.1, 0.05, 0.2))
    easier = replace(harder, specificity=Estimate(0.96, 0.94, 0.99))
    spec = measured(test=replace(SUMMARY, figures=harder), holdout=replace(SUMMARY, figures=easier))
    assert shift_sentence(spec) == (
        "Of the normals it calls 20.0 % (10.0 % to 30.0 %) pneumonia on the official test set, and "
        "4.0 % (1.0 % to 6.0 %) on held-out patients; its calibration error is 0.100 (0.050 to "
        "0.200) and 0.100 (0.050 to 0.200)."
    )


@pytest.mark.parametrize(("low", "chance"), [(0.5, True), (0.51, False)])
def test_chance_on_adults_is_told_by_the_interval(low: float, chance: bool) -> None:
    figures = replace(FIGURES, auc=Estimate(0.6, low, 0.7))
    text = adults_sentence(measured(adults=replace(SUMMARY, images=200, figures=figures)))
    assert "On 200 images of adults" in text
    assert text.endswith(", no better than chance.") == chance


@pytest.mark.parametrize("sentence", [comparison_sentence, shift_sentence, adults_sentence])
def test_sentence_without_a_measurement_says_so(sentence: Callable[[ModelSpec], str]) -> None:
    assert sentence(SPEC) == "Not measured yet."


@pytest.mark.parametrize("passed", [True, False])
def test_heatmaps_are_told_with_their_check(passed: bool) -> None:
    randomisation = replace(EXPLANATION.parameter_randomisation_test, passed=passed)
    text = heatmap_sentence(
        replace(EXPLANATION, passed=passed, parameter_randomisation_test=randomisation)
    )
    assert ("**failed**" in text) == (not passed)
    assert ("were **not** lost" in text) == (not passed)
    assert "50 held-out images" in text
    assert "by 2.20, patches of the same shape elsewhere by 0.68 (p = 6e-15)" in text


@pytest.mark.parametrize("name", model_names())
def test_shipped_models_have_all_of_it(name: str) -> None:
    spec = read_spec(MODEL_FOLDER / f"{name}.json")
    stress, explanation = read_report(StressReport, spec), read_report(ExplanationReport, spec)
    sentences = [training_sentences(spec), border_sentence(stress), heatmap_sentence(explanation)]
    assert not [text for text in sentences if "not measured" in text or "not recorded" in text]
    assert len(stress_rows(stress)) == 17


@pytest.mark.parametrize(
    ("specificity", "sensitivity", "said"),
    [
        (0.8, 0.95, "20 were called ill; of 100 ill ones, 5 were missed"),
        (0.99, 0.99, "1 was called ill; of 100 ill ones, 1 was missed"),
        (0.996, 1.0, "fewer than 1 was called ill; of 100 ill ones, fewer than 1 was missed"),
        (0.0, 0.001, "more than 99 were called ill; of 100 ill ones, more than 99 were missed"),
    ],
)
def test_errors_are_counted_in_a_hundred_and_never_none(
    specificity: float, sensitivity: float, said: str
) -> None:
    figures = replace(
        POINT_FIGURES,
        specificity=Estimate(specificity, 0, 1),
        sensitivity=Estimate(sensitivity, 0, 1),
    )
    assert frequencies_sentence(figures, "of a made-up town") == (
        f"Of 100 healthy children of a made-up town, {said} (no verdict left uncertain)."
    )


def test_second_answer_is_told_beside_what_others_report() -> None:
    spec = replace(SPEC, etiology=FACTS)
    text = etiology_sentence(spec)
    assert "right on 83.0 % (81.0 % to 85.0 %) of 3,111 pneumonias out of fold, if it must" in text
    assert "report 90.7 % for their network." in text
    told = replace(SUMMARY, bacterial_or_viral=SECOND)
    assert (
        "out of fold and on 82.0 % (78.0 % to 86.0 %) of 390 pneumonias of the official test set, "
        in etiology_sentence(replace(spec, results={TEST: told}))
    )
    assert etiology_sentence(replace(spec, results={TEST: SUMMARY})) == text


def test_second_answer_that_is_not_shown_is_said_to_be_too_weak() -> None:
    text = etiology_sentence(replace(SPEC, etiology=WEAK))
    assert "not well enough for that to be shown (AUC 0.840 (0.820 to 0.860) out of fold" in text
    assert "0.85 being wanted): right on 83.0 % (81.0 % to 85.0 %) of 3,111 pneumonias" in text


def test_model_that_does_not_tell_bacterial_from_viral_has_no_sentence_on_it() -> None:
    assert etiology_sentence(SPEC) == ""
    told = replace(SUMMARY, bacterial_or_viral=SECOND)
    assert etiology_sentence(replace(SPEC, results={TEST: told})) == ""
