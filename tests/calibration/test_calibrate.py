from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.stand_ins import POINTS, tiny_model
from xray_classifier.errors import DatasetError, ModelUnavailableError
from xray_classifier.evaluation.metrics import measure
from xray_classifier.files import sha256_of
from xray_classifier.models.loading import load_classifier
from xray_classifier.models.spec import ModelSpec, read_spec, write_spec
from xray_classifier.rendering.score import balanced_weights
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


def test_weights_count_like_copies_of_an_image() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, 300)
    labels = (rng.random(300) < logistic(logits)).astype(np.intp)
    times = rng.integers(1, 4, 300)
    weighted = fit_scale(labels, logistic(logits), times)
    copied = fit_scale(labels.repeat(times), logistic(logits.repeat(times)))
    assert (weighted.slope, weighted.intercept) == pytest.approx(
        (copied.slope, copied.intercept), abs=1e-4
    )


def test_scale_is_undone() -> None:
    scale = Scale(1.7, -0.4)
    assert scale.apply(np.array([scale.undo(0.3)])) == pytest.approx([0.3])


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


def test_band_of_weights_that_are_alike_is_the_plain_one() -> None:
    rng = np.random.default_rng(3)
    labels = (rng.random(500) < 0.7).astype(np.intp)
    probabilities = logistic(rng.normal(np.where(labels, 2, -2), 1.5))
    plain = fit_band(labels, probabilities, 0.6)
    assert fit_band(labels, probabilities, 0.6, np.full(500, 1.0)) == plain
    assert plain[0] < plain[1]


def test_weighted_band_lies_where_the_weighty_images_are_wrong() -> None:
    # Two patches of images of which half are wrong: .3 to .4, and .6 to .7.
    probabilities = np.concatenate(
        [np.full(200, 0.1), np.linspace(0.3, 0.4, 20), np.linspace(0.6, 0.7, 20), np.full(200, 0.9)]
    )
    labels = np.concatenate([np.zeros(200), np.tile([0, 1], 20), np.ones(200)]).astype(np.intp)
    weights = np.ones(440)
    weights[200:220] = 0.01
    low, high = fit_band(labels, probabilities, 0.5, weights)
    assert (low, high > 0.6) == (0.5, True)
    weights[200:220], weights[220:240] = 1, 0.01
    low, high = fit_band(labels, probabilities, 0.5, weights)
    assert (low < 0.4, high) == (True, 0.5)


def test_weighted_band_leaves_a_tenth_of_the_weight() -> None:
    rng = np.random.default_rng(4)
    labels = (rng.random(1000) < 0.7).astype(np.intp)
    probabilities = logistic(rng.normal(np.where(labels, 0.7, -0.7), 1))  # far from 98.5 % right
    weights = rng.uniform(0.1, 2, 1000)
    low, high = fit_band(labels, probabilities, 0.5, weights)
    inside = (probabilities >= low) & (probabilities < high)
    assert 0.09 < weights[inside].sum() / weights.sum() <= 0.1


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
    return write_trained(tmp_path / "run")


def write_trained(folder: Path) -> Path:
    path = folder / "tiny.keras"
    folder.mkdir()
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
    assert (facts.rendering, facts.plain) == (None, None)  # the table does not tell
    batch = np.full((1, 500, 500, 1), 0.6, np.float32)
    raw = load_classifier(str(trained)).probabilities(batch)
    scale = Scale(facts.slope, facts.intercept)
    assert load_classifier(str(target)).probabilities(batch) == pytest.approx(scale.apply(raw))


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelSpec, ModelSpec]:
    """One model, calibrated with weights, and with every image counted once."""
    folder = tmp_path_factory.mktemp("ways")
    trained, answers = write_trained(folder / "run"), write_rendered(folder / "rendered.csv")
    weighted = calibrate(str(trained), answers, folder / "weighted")
    plain = calibrate(str(trained), answers, folder / "plain", plain=True)
    return read_spec(weighted.with_suffix(".json")), read_spec(plain.with_suffix(".json"))


def write_rendered(path: Path) -> Path:
    """Answers that follow the rendering more than the picture, and how it is rendered."""
    rng = np.random.default_rng(2)
    lines = ["file,patient,label,fold,probability,rendering"]
    for number in range(800):
        positive = number % 4 > 0
        rendered_ill = positive if rng.random() < 0.9 else not positive
        logit = rng.normal(1 if positive else -1, 1) + (1.5 if rendered_ill else -1.5)
        rendering = logistic(rng.normal(2.2 if rendered_ill else -2.2, 0.3) + 1.1)
        label = "pneumonia" if positive else "normal"
        answer = f"{logistic(logit):.6f},{rendering:.6f}"
        lines.append(f"{number}.png,p{number // 2},{label},{number % 2},{answer}")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_answers_are_weighted_where_their_rendering_is_told(
    ways: tuple[ModelSpec, ModelSpec],
) -> None:
    spec, _ = ways
    facts = spec.calibration
    assert facts
    assert facts.rendering
    assert facts.plain
    assert "tells nothing" in facts.method
    assert "tells nothing" in spec.point("balanced").criterion
    # less sure than every image counted once would make it, and right to be so
    assert facts.slope < facts.plain.slope
    assert facts.rendering.balanced.loss.value < facts.plain.rendering_balanced.loss.value
    assert facts.out_of_fold.loss.value > facts.plain.out_of_fold.loss.value
    assert facts.rendering.balanced_rendering_auc.value < facts.rendering.rendering_auc.value
    assert facts.rendering.hard.auc
    assert facts.rendering.hard.auc.value < facts.rendering.balanced.auc.value
    # the prevalence, and with it the threshold, is that of the patients as they are
    assert spec.calibration_prevalence == spec.threshold == 0.75
    assert facts.rendering.operating_points.keys() == {"balanced", "screening", "confirming"}


def test_plain_point_is_told_in_the_probabilities_of_the_model(
    ways: tuple[ModelSpec, ModelSpec],
) -> None:
    weighted, plain = ways
    facts, its = weighted.calibration, plain.calibration
    assert facts
    assert facts.plain
    assert its
    assert its.rendering
    assert its.plain is None
    assert "tells nothing" not in its.method + plain.point("balanced").criterion
    assert (facts.plain.slope, facts.plain.intercept) == (its.slope, its.intercept)
    assert facts.plain.out_of_fold == its.out_of_fold
    assert facts.plain.rendering_balanced == its.rendering.balanced
    # the same images are called pneumonia, and the same ones left undecided
    assert facts.plain.balanced.out_of_fold == plain.point("balanced").out_of_fold
    assert facts.plain.balanced.threshold != plain.threshold


def test_screening_and_confirming_promise_the_same_with_weights_and_without(
    ways: tuple[ModelSpec, ModelSpec],
) -> None:
    weighted, plain = ways
    for name in ("screening", "confirming"):
        assert weighted.point(name).out_of_fold == plain.point(name).out_of_fold


def test_weighted_scale_is_calibrated_on_weighted_answers() -> None:
    rng = np.random.default_rng(5)
    labels = (rng.random(20_000) < 0.7).astype(np.intp)
    scores = logistic(rng.normal(np.where(labels, 1, -1), 1.5) + 0.85)
    probabilities = logistic(rng.normal(np.where(labels, 1, -1), 1) + np.log(scores / (1 - scores)))
    weights = balanced_weights(labels, scores)
    threshold = float(labels.mean())
    ece = [
        measure(labels, scale.apply(probabilities), threshold, weights)["ece"]
        for scale in (fit_scale(labels, probabilities), fit_scale(labels, probabilities, weights))
    ]
    assert ece[1] < ece[0] / 2


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
