from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.stand_ins import POINTS, resample_seldom, tiny_model
from xray_classifier.calibration.calibrate import calibrate
from xray_classifier.calibration.scaling import Scale, fit_scale
from xray_classifier.errors import DatasetError, ModelUnavailableError
from xray_classifier.evaluation.metrics import measure
from xray_classifier.files import sha256_of
from xray_classifier.models.loading import load_classifier
from xray_classifier.models.spec import ModelSpec, read_spec, write_spec
from xray_classifier.rendering.score import balanced_weights


def logistic(logits: Any) -> Any:
    return 1 / (1 + np.exp(-logits))


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
    with pytest.MonkeyPatch.context() as patch:
        resample_seldom(patch)
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
