from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.stand_ins import POINTS, tiny_model
from xray_classifier.errors import DatasetError, ModelUnavailableError
from xray_classifier.files import sha256_of
from xray_classifier.models.loading import load_classifier
from xray_classifier.models.spec import ModelSpec, read_spec, write_spec
from xray_classifier.training.calibration import (
    Scale,
    calibrate,
    fit_band,
    fit_points,
    fit_scale,
    fold_into_last_layer,
    sensitive_threshold,
    specific_threshold,
)
from xray_classifier.training.cross_validation import OutOfFold


def logistic(logits: Any) -> Any:
    return 1 / (1 + np.exp(-logits))


def test_scale_finds_the_logits_that_made_the_labels() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, 200_000)
    labels = (rng.random(logits.size) < logistic(2 * logits + 0.5)).astype(np.intp)
    scale = fit_scale(labels, logistic(logits))
    assert (scale.slope, scale.intercept) == pytest.approx((2, 0.5), abs=0.03)


def test_scale_by_hand() -> None:
    # odds 1 and 4: 2 * 0 + 1 and 2 * log 4 + 1
    scaled = Scale(2, 1).apply(np.array([0.5, 0.8]))
    assert scaled == pytest.approx([np.e / (1 + np.e), 16 * np.e / (1 + 16 * np.e)])


def test_baked_model_gives_the_scaled_probabilities() -> None:
    model, batch = tiny_model(), np.full((1, 500, 500, 1), 0.6, np.float32)
    before = model(batch).numpy().reshape(-1)
    fold_into_last_layer(model, Scale(1.7, -0.4))
    assert model(batch).numpy().reshape(-1) == pytest.approx(Scale(1.7, -0.4).apply(before))


def test_model_without_a_sigmoid_is_refused() -> None:
    import keras

    layers = [keras.Input((500, 500, 1)), keras.layers.GlobalAveragePooling2D()]
    with pytest.raises(ModelUnavailableError, match="last layer is no sigmoid"):
        fold_into_last_layer(keras.Sequential(layers), Scale(1, 0))


NORMALS = np.linspace(0.01, 0.60, 100)  # one below each other, .60 the worst
ILL = np.linspace(0.40, 0.99, 100)
LABELS = np.repeat([0, 1], 100)
PROBABILITIES = np.concatenate([NORMALS, ILL])


def test_sensitive_threshold_misses_one_in_a_hundred_and_not_one_more() -> None:
    threshold = sensitive_threshold(LABELS, PROBABILITIES)
    assert threshold == ILL[1]
    assert (threshold <= ILL).mean() == 0.99


def test_specific_threshold_calls_one_in_a_hundred_and_not_one_more() -> None:
    threshold = specific_threshold(LABELS, PROBABILITIES)
    assert (threshold > NORMALS).mean() == 0.99
    assert NORMALS[-2] < threshold < NORMALS[-1]


def test_band_holds_what_is_judged_wrongly_and_nothing_else() -> None:
    # 5,000 right far away on each side; between them forty in which every second is wrong.
    middle = np.linspace(0.4, 0.6, 40)
    probabilities = np.concatenate([np.full(5000, 0.01), middle, np.full(5000, 0.99)])
    labels = np.concatenate([np.zeros(5000), np.arange(40) % 2, np.ones(5000)]).astype(np.intp)
    low, high = fit_band(labels, probabilities, 0.5)
    assert (low, high) == (0.5, 0.5)  # 20 wrong of 10,040 are few enough

    few = np.concatenate([np.arange(4900, 5000), np.arange(5000, 5140)])  # 100 right, 40, 100 right
    low, high = fit_band(labels[few], probabilities[few], 0.5)
    undecided = (probabilities[few] >= low) & (probabilities[few] < high)
    assert low < 0.5 < high
    assert undecided.sum() == 24  # a tenth of 240, since Wilson's bound cannot be reached


def test_points_bear_what_they_give() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], 500)
    probabilities = logistic(rng.normal(np.where(labels, 3, -3), 1.5))
    patients = tuple(str(number // 2) for number in range(1000))
    points = fit_points(OutOfFold(labels, probabilities, patients, 2))
    assert points.keys() == {"balanced", "screening", "confirming"}
    assert points["balanced"].threshold == 0.5  # the prevalence: a likelihood ratio of 1
    figures = {name: point.out_of_fold for name, point in points.items()}
    screening, confirming = figures["screening"], figures["confirming"]
    assert screening
    assert screening.sensitivity.value >= 0.99
    assert confirming
    assert confirming.specificity.value >= 0.99
    for point in points.values():
        assert point.out_of_fold
        sensitivity = point.out_of_fold.sensitivity
        assert sensitivity.low <= sensitivity.value <= sensitivity.high
        assert point.low <= point.threshold <= point.high


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    path = tmp_path / "run" / "tiny.keras"
    path.parent.mkdir()
    tiny_model().save(path)
    spec = ModelSpec("tiny", "Tiny", path.name, sha256_of(path), path.stat().st_size)
    write_spec(spec, path.with_suffix(".json"))
    return path


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)
    lines = ["file,patient,label,fold,probability"]
    for number in range(400):
        positive = number % 4 > 0
        probability = logistic(rng.normal(1.5 if positive else -1.5, 1))
        label = "pneumonia" if positive else "normal"
        lines.append(f"{number}.png,p{number // 2},{label},{number % 2},{probability:.6f}")
    path = tmp_path / "out_of_fold.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_calibrated_model_is_written_with_its_facts(
    trained: Path, answers: Path, tmp_path: Path
) -> None:
    target = calibrate(str(trained), answers, tmp_path / "model")

    spec = read_spec(target.with_suffix(".json"))
    assert spec.calibration_prevalence == 0.75
    assert spec.point_names == ["balanced", "screening", "confirming"]
    assert spec.threshold == spec.point().threshold == 0.75
    facts = spec.calibration
    assert facts
    assert (facts.images, facts.patients, facts.folds) == (400, 200, 2)
    assert facts.answers_sha256 == sha256_of(answers)
    batch = np.full((1, 500, 500, 1), 0.6, np.float32)
    raw = load_classifier(str(trained)).probabilities(batch)
    scale = Scale(facts.slope, facts.intercept)
    assert load_classifier(str(target)).probabilities(batch) == pytest.approx(scale.apply(raw))


def test_model_is_not_calibrated_twice(trained: Path, answers: Path, tmp_path: Path) -> None:
    target = calibrate(str(trained), answers, tmp_path / "model")
    with pytest.raises(ModelUnavailableError, match="tiny .* is calibrated already"):
        calibrate(str(target), answers, tmp_path / "again")


def test_model_without_json_is_refused(trained: Path, answers: Path, tmp_path: Path) -> None:
    trained.with_suffix(".json").unlink()
    with pytest.raises(ModelUnavailableError, match="has no JSON beside it"):
        calibrate(str(trained), answers, tmp_path / "model")


def test_answers_of_one_class_are_refused(trained: Path, answers: Path, tmp_path: Path) -> None:
    lines = [line for line in answers.read_text().splitlines() if ",normal," not in line]
    answers.write_text("\n".join(lines))
    with pytest.raises(DatasetError, match="holds one class only"):
        calibrate(str(trained), answers, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_points_of_the_tests_are_points() -> None:
    spec = ModelSpec("m", "M", "m.keras", operating_points=POINTS)
    assert spec.point("screening").low == 0.1
