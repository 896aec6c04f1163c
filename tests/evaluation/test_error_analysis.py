from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.etiologies import FACTS
from tests.support.stand_ins import pointed_classifier
from xray_classifier.data.datasets import Sample
from xray_classifier.evaluation.error_analysis import (
    against,
    bacterial_or_viral,
    by_etiology,
    byte_size_auc,
    curves,
    errors,
    operating_points,
    rejections,
    review,
)
from xray_classifier.evaluation.evaluate import Evaluation
from xray_classifier.models.gate import Gate
from xray_classifier.records.evaluation import GateCounts, Misjudged

PROBABILITIES = np.array([0.1, 0.75, 0.2, 0.9, 0.65, 0.95])


@pytest.fixture
def evaluation(tmp_path: Path) -> Evaluation:
    """Three normals; two bacterial pneumonias, one of them missed; one viral."""
    names = [
        "IM-0001-0001.png",
        "IM-0002-0001.png",
        "IM-0003-0001.png",
        "person1_bacteria_1.png",
        "person2_bacteria_2.png",
        "person3_virus_3.png",
    ]
    samples = []
    for number, name in enumerate(names):
        path = tmp_path / name
        side = 60 if number < 3 else 40  # noise, so that the size of the file follows the side
        pixels = np.random.default_rng(number).integers(0, 255, (side, side), np.uint8)
        if number == 5:
            pixels[:] = 255  # the tiny gate rejects white
        if number == 2:
            pixels[:] = 0  # and flags black
        Image.fromarray(pixels).save(path)
        samples.append(Sample(path, int(number >= 3), "test", name.split("_")[0]))
    return Evaluation(samples, PROBABILITIES, 0.7)


def test_operating_points_are_measured_by_name(evaluation: Evaluation) -> None:
    found = operating_points(evaluation, pointed_classifier().spec.operating_points)
    assert found.keys() == {"balanced", "screening"}
    assert found["balanced"].sensitivity.value == pytest.approx(2 / 3)
    assert found["balanced"].specificity.value == pytest.approx(2 / 3)
    assert found["balanced"].undecided.value == pytest.approx(2 / 6)  # .75 and .65
    assert found["balanced"].decided_right.value == 1
    assert found["screening"].sensitivity.value == 1


def test_kinds_of_pneumonia_are_measured_apart(evaluation: Evaluation) -> None:
    found = by_etiology(evaluation)
    assert found["bacteria"].images == 2
    assert found["bacteria"].sensitivity.value == 0.5
    assert found["virus"].images == 1
    assert found["virus"].sensitivity.value == 1
    assert found["virus"].auc.value == 1


def test_kinds_are_left_out_where_names_do_not_tell(evaluation: Evaluation) -> None:
    samples = [
        Sample(s.path.with_name(f"{n}.png"), s.label, "test", str(n))
        for n, s in enumerate(evaluation.samples)
    ]
    assert by_etiology(Evaluation(samples, PROBABILITIES, 0.7)) == {}


def test_size_of_the_files_alone_tells_the_classes_of_this_set(evaluation: Evaluation) -> None:
    sizes = [sample.path.stat().st_size for sample in evaluation.samples]
    wins = [(s > other) + 0.5 * (s == other) for s in sizes[:3] for other in sizes[3:]]
    assert byte_size_auc(evaluation) == pytest.approx(np.mean(wins))


def test_errors_are_listed_by_file_name(evaluation: Evaluation) -> None:
    assert errors(evaluation) == (
        Misjudged("IM-0002-0001.png", "normal", 0.75),
        Misjudged("person2_bacteria_2.png", "pneumonia", 0.65),
    )


def test_rejections_are_counted_apart(evaluation: Evaluation, tiny_gate: Gate) -> None:
    assert rejections(evaluation, tiny_gate) == GateCounts(1, 1, ("person3_virus_3.png",))


def test_baseline_is_compared_at_its_own_threshold(evaluation: Evaluation) -> None:
    baseline = Evaluation(evaluation.samples, np.full(6, 0.6), 0.5)  # calls all of them
    found = against(evaluation, baseline, "article")
    assert found.model == "article"
    assert found.difference.accuracy.value == pytest.approx(4 / 6 - 3 / 6)


def test_review_answers_everything(evaluation: Evaluation, tiny_gate: Gate) -> None:
    found = review(evaluation, pointed_classifier().spec, tiny_gate)
    assert found.figures == evaluation.summary.figures
    assert found.operating_points.keys() == {"balanced", "screening"}
    assert found.etiology.keys() == {"bacteria", "virus"}
    assert found.byte_size_auc == byte_size_auc(evaluation)
    assert found.gate == rejections(evaluation, tiny_gate)
    assert found.errors == errors(evaluation)
    assert found.curves == curves(evaluation)


# The second answer


@pytest.fixture
def second(tmp_path: Path) -> Evaluation:
    """Two normals; four bacterial pneumonias of three patients, three viral; one of neither."""
    kinds = ["", "", *["bacteria"] * 4, *["virus"] * 3, ""]
    bacterial = np.array([0.99, 0.01, 0.9, 0.8, 0.7, 0.3, 0.1, 0.2, 0.78, 0.5])
    patients = ["n1", "n2", "b1", "b1", "b2", "b3", "v1", "v2", "v3", "x"]
    samples = [
        Sample(tmp_path / f"p{n}_{kind}_{n}.png", int(n > 1), "test", patient)
        for n, (kind, patient) in enumerate(zip(kinds, patients, strict=True))
    ]
    return Evaluation(samples, np.full(10, 0.9), 0.5, bacterial)


def test_second_answer_is_measured_on_pneumonias_of_known_etiology(second: Evaluation) -> None:
    found = bacterial_or_viral(second, FACTS)  # threshold .65, band from .4 to .75
    assert found is not None
    assert (found.images, found.bacterial, found.patients) == (7, 4, 6)
    assert found.auc.value == pytest.approx(10 / 12)  # .7 and .3 below .78, .3 above .1 and .2
    assert found.point.accuracy.value == pytest.approx(5 / 7)
    assert found.point.sensitivity.value == pytest.approx(3 / 4)
    assert found.point.specificity.value == pytest.approx(2 / 3)
    assert found.point.undecided.value == pytest.approx(1 / 7)
    assert found.point.decided_right.value == pytest.approx(4 / 6)
    for figure in (found.auc, found.point.accuracy):
        assert 0 <= figure.low < figure.value < figure.high <= 1


def test_second_answer_does_not_depend_on_the_first(second: Evaluation) -> None:
    missed = replace(second, probabilities=np.full(10, 0.1))
    assert bacterial_or_viral(missed, FACTS) == bacterial_or_viral(second, FACTS)


def test_second_answer_is_not_measured_where_it_is_not_told(
    second: Evaluation, evaluation: Evaluation
) -> None:
    assert bacterial_or_viral(second, None) is None
    assert bacterial_or_viral(evaluation, FACTS) is None  # the model has one answer
    assert second.bacterial is not None
    for left_out in ("bacteria", "virus"):
        kept = [n for n, one in enumerate(second.samples) if left_out not in one.path.name]
        part = Evaluation(
            [second.samples[n] for n in kept], np.full(len(kept), 0.9), 0.5, second.bacterial[kept]
        )
        assert bacterial_or_viral(part, FACTS) is None


def test_review_measures_the_second_answer_of_a_model_that_tells_it(
    evaluation: Evaluation, tiny_gate: Gate
) -> None:
    told = replace(evaluation, bacterial=np.array([0.5, 0.5, 0.5, 0.9, 0.3, 0.1]))
    spec = pointed_classifier().spec
    assert review(told, spec, tiny_gate).bacterial_or_viral is None
    found = review(told, replace(spec, etiology=FACTS), tiny_gate).bacterial_or_viral
    assert found == bacterial_or_viral(told, FACTS)
    assert found is not None
    assert (found.images, found.bacterial) == (3, 2)
