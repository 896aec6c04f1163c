"""Recorded facts become rows and sentences; what is about another file counts as not measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from xray_classifier.model_card.facts import (
    adults_sentence,
    border_sentence,
    comparison_sentence,
    confusion_rows,
    figure_rows,
    gate_rows,
    heatmap_sentence,
    point_rows,
    shift_sentence,
    stress_rows,
    training_sentences,
)
from xray_classifier.model_card.tables import ADULTS, HOLDOUT, TEST
from xray_classifier.models.spec import ModelSpec, read_spec
from xray_classifier.paths import MODEL_FOLDER

SPEC = ModelSpec("tiny", "Tiny", "tiny.keras", sha256="ab" * 32, bytes=1)


def write_report(folder: Path, **values: Any) -> Path:
    report = {"sha256": SPEC.sha256} | values
    (folder / "tiny.json").write_text(json.dumps(report), encoding="utf-8")
    return folder


def test_training_is_told_with_counts_source_licence_and_size() -> None:
    training = {
        "training_images": {"normal": 1081, "pneumonia": 3111},
        "median_source_size": [224, 224],
    }
    text = training_sentences(ModelSpec("tiny", "Tiny", "tiny.keras", training=training))
    for part in ("1,081 normal and 3,111 pneumonia", "1 to 5 years", "CC BY 4.0", "224 x 224"):
        assert part in text


def test_training_that_is_not_recorded_is_said() -> None:
    assert "not recorded" in training_sentences(SPEC)


def test_fractions_are_percent_and_the_rest_are_decimals() -> None:
    figures = {"accuracy": [0.9663, 0.95, 1], "auc": [0.9957, 0.993, 0.9978], "new": [1.0, 0, 2]}
    assert figure_rows(figures) == [
        {"figure": "accuracy", "value": "96.6 %", "95 % interval": "95.0 % to 100.0 %"},
        {"figure": "AUC", "value": "0.996", "95 % interval": "0.993 to 0.998"},
        {"figure": "new", "value": "1.000", "95 % interval": "0.000 to 2.000"},
    ]


def test_confusion_names_truth_and_verdict() -> None:
    assert confusion_rows([[259, 9], [26, 1746]]) == [
        {"in truth": "normal", "called normal": "259", "called pneumonia": "9"},
        {"in truth": "pneumonia", "called normal": "26", "called pneumonia": "1,746"},
    ]


def test_operating_points_show_threshold_band_and_what_was_measured() -> None:
    figures = {
        "sensitivity": [0.95, 0.9, 0.98],
        "specificity": [0.8, 0.7, 0.9],
        "accuracy": [1] * 3,
        "decided_right": [0.99, 0.98, 1],
    }
    points = {
        "balanced": {"threshold": 0.6, "band": [0.4, 0.75], "out_of_fold": figures},
        "screening": {"threshold": 0.2, "band": [0.1, 0.3], "test": figures},
    }
    assert point_rows(points, "out_of_fold") == [
        {
            "operating point": "balanced",
            "threshold": "60.0 %",
            "uncertain": "40.0 % to 75.0 %",
            "sensitivity": "95.0 % (90.0 % to 98.0 %)",
            "specificity": "80.0 % (70.0 % to 90.0 %)",
            "decided right": "99.0 % (98.0 % to 100.0 %)",
        }
    ]
    assert [row["operating point"] for row in point_rows(points, "test")] == ["screening"]


def test_stress_lists_every_change_and_full_resolution(tmp_path: Path) -> None:
    found = {"mean_change": [0.0123, 0.01, 0.02], "verdicts_changed": [0.025, 0.01, 0.05]}
    folder = write_report(tmp_path, perturbations={"blur": found}, full_resolution=found)
    change = {
        "mean change of the probability": "0.012 (0.010 to 0.020)",
        "verdicts that turned": "2.5 % (1.0 % to 5.0 %)",
    }
    assert stress_rows(SPEC, folder) == [
        {"what was changed": "blur"} | change,
        {"what was changed": "full resolution"} | change,
    ]


def test_border_is_told_by_its_auc(tmp_path: Path) -> None:
    folder = write_report(
        tmp_path, images=1040, border_alone={"outer 10 % alone": [0.6606, 0.6, 0.7]}
    )
    text = border_sentence(SPEC, folder)
    assert (
        "This one's, on 1,040 held-out images: outer 10\u00a0% alone 0.661 (0.600 to 0.700)."
        in text
    )


@pytest.mark.parametrize("sha256", [None, "cd" * 32], ids=["no report", "another file's"])
def test_what_was_not_measured_is_said(tmp_path: Path, sha256: str | None) -> None:
    if sha256:
        write_report(
            tmp_path,
            sha256=sha256,
            border_alone={"outer": [0.5, 0.4, 0.6]},
            perturbations={"x": {}},
        )
    assert stress_rows(SPEC, tmp_path) == []
    assert "not measured" in border_sentence(SPEC, tmp_path)
    assert "not measured" in heatmap_sentence(SPEC, tmp_path)


def test_gate_shows_what_it_did_with_each_kind() -> None:
    found = {"images": 1040, "rejected": 0.0, "outside_population": 0.0096}
    assert gate_rows({"mr_slices": found}) == [
        {
            "kind of image": "mr slices",
            "images": "1,040",
            "refused": "0.0 % (0.0 % to 0.4 %)",
            "warned of": "1.0 % (0.5 % to 1.8 %)",
        }
    ]


FIGURES = {"specificity": [0.8, 0.7, 0.9], "ece": [0.1, 0.05, 0.2], "auc": [0.6, 0.5, 0.7]}


def measured(**results: Any) -> ModelSpec:
    names = {"test": TEST, "holdout": HOLDOUT, "adults": ADULTS}
    return replace(SPEC, results={names[name]: found for name, found in results.items()})


def test_comparison_is_told_with_its_intervals() -> None:
    difference = {"accuracy": [0.08, 0.05, 0.1], "auc": [-0.01, -0.02, 0.004]}
    spec = measured(test={"compared": {"model": "article", "difference": difference}})
    assert comparison_sentence(spec) == (
        "On the official test set `tiny` less `article` is 0.080 (0.050 to 0.100) in accuracy and "
        "-0.010 (-0.020 to 0.004) in AUC, by a paired bootstrap over patients."
    )


def test_false_alarms_are_one_less_the_specificity() -> None:
    easier = FIGURES | {"specificity": [0.96, 0.94, 0.99]}
    spec = measured(test={"figures": FIGURES}, holdout={"figures": easier})
    assert shift_sentence(spec) == (
        "Of the normals it calls 20.0 % (10.0 % to 30.0 %) pneumonia on the official test set, and "
        "4.0 % (1.0 % to 6.0 %) on held-out patients; its calibration error is 0.100 (0.050 to "
        "0.200) and 0.100 (0.050 to 0.200)."
    )


@pytest.mark.parametrize(("low", "chance"), [(0.5, True), (0.51, False)])
def test_chance_on_adults_is_told_by_the_interval(low: float, chance: bool) -> None:
    figures = FIGURES | {"auc": [0.6, low, 0.7]}
    text = adults_sentence(measured(adults={"images": 200, "figures": figures}))
    assert "On 200 images of adults" in text
    assert text.endswith(", no better than chance.") == chance


@pytest.mark.parametrize("sentence", [comparison_sentence, shift_sentence, adults_sentence])
def test_sentence_without_a_measurement_says_so(sentence: Callable[[ModelSpec], str]) -> None:
    assert sentence(SPEC) == "Not measured yet."


@pytest.mark.parametrize("passed", [True, False])
def test_heatmaps_are_told_with_their_check(tmp_path: Path, passed: bool) -> None:
    folder = write_report(
        tmp_path,
        images=50,
        passed=passed,
        filling={"logit": {"hottest": 2.204, "random": 0.679, "p": 6.2e-15}},
        shuffling={"passed": passed},
    )
    text = heatmap_sentence(SPEC, folder)
    assert ("**failed**" in text) == (not passed)
    assert ("were **not** lost" in text) == (not passed)
    assert "50 held-out images" in text
    assert "by 2.20, patches of the same shape elsewhere by 0.68 (p = 6e-15)" in text


@pytest.mark.parametrize("name", ["default", "article"])
def test_shipped_models_have_all_of_it(name: str) -> None:
    spec = read_spec(MODEL_FOLDER / f"{name}.json")
    sentences = [training_sentences(spec), border_sentence(spec), heatmap_sentence(spec)]
    assert not [text for text in sentences if "not measured" in text or "not recorded" in text]
    assert len(stress_rows(spec)) > 10
