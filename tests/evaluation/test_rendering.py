from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.pictures import encoded
from tests.support.stand_ins import resample_seldom
from xray_classifier.data.datasets import Sample
from xray_classifier.evaluation.evaluate import Evaluation
from xray_classifier.evaluation.metrics import measure, measure_point
from xray_classifier.evaluation.rendering import by_rendering, measure_by_rendering
from xray_classifier.models.operating_point import OperatingPoint
from xray_classifier.records.evaluation import Estimate, RenderingFigures, named_estimates
from xray_classifier.records.json_files import read_record, write_record
from xray_classifier.records.rendering import HardCutoffs
from xray_classifier.rendering.score import balanced_weights, read_rendering

CUTOFFS = HardCutoffs(normal=0.8, pneumonia=0.3)
POINT = OperatingPoint("balanced", 0.5, 0.4, 0.6)


@pytest.fixture(autouse=True, scope="module")
def few_resamples() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        resample_seldom(patch)
        yield


@dataclass(frozen=True)
class Given:
    """Answers to images of a patient each."""

    labels: Any
    probabilities: Any

    @property
    def patients(self) -> list[str]:
        return [str(number) for number in range(len(self.labels))]


# Normals and pneumonias of both renderings; the model says what the rendering says, and once not.
LABELS = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
SCORES = np.array([0.1, 0.2, 0.3, 0.8, 0.9, 0.9, 0.9, 0.7, 0.3, 0.1])
PROBABILITIES = np.array([0.1, 0.1, 0.2, 0.7, 0.45, 0.9, 0.9, 0.8, 0.2, 0.55])
ANSWERS = Given(LABELS, PROBABILITIES)


@pytest.fixture(scope="module")
def found() -> RenderingFigures:
    return measure_by_rendering(ANSWERS, SCORES, CUTOFFS, 0.5, [POINT])


def test_hard_images_are_those_in_the_rendering_of_the_other_class(found: RenderingFigures) -> None:
    hard = found.hard
    assert (hard.normals, hard.pneumonias) == (2, 2)
    assert hard.specificity
    assert hard.sensitivity
    assert hard.accuracy
    assert hard.auc
    assert hard.specificity.value == 0.5  # .7 is called pneumonia, .45 is not
    assert hard.sensitivity.value == 0.5  # .2 is missed, .55 is not
    assert hard.accuracy.value == 0.5
    assert hard.auc.value == 0.25  # of the four pairs only .55 against .45
    assert hard.operating_points["balanced"].undecided.value == 0.5  # .45 and .55


def test_balanced_figures_are_weighted(found: RenderingFigures) -> None:
    weights = balanced_weights(LABELS, SCORES)
    expected = measure(LABELS, PROBABILITIES, 0.5, weights)
    values = {name: each.value for name, each in named_estimates(found.balanced).items()}
    assert values == pytest.approx(expected)
    # normals weigh as their scores, .1 + .2 + .3 + .9 of 2.3 are right
    assert found.balanced.specificity.value == pytest.approx(1.5 / 2.3)
    assert found.balanced.sensitivity.value == pytest.approx(1.4 / 2.1)
    point = found.operating_points["balanced"]
    assert point.undecided.value == pytest.approx(
        measure_point(LABELS, PROBABILITIES, POINT, weights)["undecided"]
    )
    assert found.effective_images == pytest.approx(weights.sum() ** 2 / (weights**2).sum())


def test_rendering_alone_tells_less_once_it_is_balanced() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(4000) < 0.7).astype(np.intp)
    scores = 1 / (1 + np.exp(-rng.normal(np.where(labels, 1, -1) + 0.85, np.sqrt(2))))
    found = measure_by_rendering(Given(labels, scores), scores, CUTOFFS, 0.5, [])
    assert found.rendering_auc.value > 0.8
    assert found.balanced_rendering_auc.value == pytest.approx(0.5, abs=0.03)
    # A model that looks at the rendering and at nothing else is found out.
    assert found.balanced.auc == found.balanced_rendering_auc
    assert found.hard.auc
    assert found.hard.auc.value < 0.01
    assert found.operating_points == {}


def test_every_figure_has_an_interval_around_it(found: RenderingFigures) -> None:
    hard = found.hard
    figures = [found.rendering_auc, *named_estimates(found.balanced).values()]
    for each in (*figures, hard.specificity, hard.sensitivity, hard.auc):
        assert isinstance(each, Estimate)
        assert each.low <= each.value <= each.high
    assert hard.specificity
    assert (hard.specificity.low, hard.specificity.high) == (0, 1)  # two children


@pytest.mark.parametrize(
    ("cutoffs", "normals", "pneumonias"),
    [(HardCutoffs(0.8, 0.05), 2, 0), (HardCutoffs(0.95, 0.3), 0, 2), (HardCutoffs(1, 0), 0, 0)],
)
def test_what_needs_a_class_that_is_missing_is_left_out(
    cutoffs: HardCutoffs, normals: int, pneumonias: int
) -> None:
    hard = measure_by_rendering(ANSWERS, SCORES, cutoffs, 0.5, [POINT]).hard
    assert (hard.normals, hard.pneumonias) == (normals, pneumonias)
    assert (hard.specificity is None) == (normals == 0)
    assert (hard.sensitivity is None) == (pneumonias == 0)
    assert (hard.accuracy, hard.auc, hard.operating_points) == (None, None, {})


def test_scores_of_pictures_that_are_no_radiographs_do_no_harm() -> None:
    for scores in (np.ones(10), np.zeros(10)):
        found = measure_by_rendering(ANSWERS, scores, CUTOFFS, 0.5, [POINT])
        for each in named_estimates(found.balanced).values():
            assert np.isfinite([each.value, each.low, each.high]).all()
        assert found.balanced.specificity.value == pytest.approx(0.8)


def test_figures_survive_their_file(found: RenderingFigures, tmp_path: Path) -> None:
    write_record(found, tmp_path / "found.json")
    assert read_record(tmp_path / "found.json", RenderingFigures) == found


def test_evaluation_is_measured_with_the_score_that_comes_with_the_program(tmp_path: Path) -> None:
    facts = read_rendering()
    assert facts
    rng = np.random.default_rng(0)
    samples = []
    for label in (0, 1):
        path = tmp_path / f"{label}.png"
        path.write_bytes(encoded(rng.integers(0, 256, (60, 60), np.uint8)))
        samples.append(Sample(path, label, "test", str(label)))
    found = by_rendering(Evaluation(samples, np.array([0.2, 0.9]), 0.5), [POINT], facts)
    assert found.hard.normals + found.hard.pneumonias <= 2
    assert (found.balanced.auc.value, found.effective_images) == (1, 2)
