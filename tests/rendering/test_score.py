from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xray_classifier.data.datasets import Sample, find_samples, select
from xray_classifier.data.splits import split_by_patient
from xray_classifier.errors import DatasetError, ModelUnavailableError
from xray_classifier.evaluation.metrics import roc_auc
from xray_classifier.records.rendering import HardCutoffs, RenderingFit
from xray_classifier.rendering.bands import Energies
from xray_classifier.rendering.score import (
    Labels,
    balanced_weights,
    energies_of,
    find_cutoffs,
    fit_score,
    hard,
    out_of_fold_scores,
    read_rendering,
    scores_by,
)

N = 4000


def drawn(seed: int = 0) -> tuple[Energies, Labels]:
    """Draw energies of two machines: the second band tells the label with an AUC of about .95."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(N) < 0.75).astype(np.intp)
    energies = rng.normal(-4, 0.3, (N, 5))
    energies[:, 1] += 0.7 * labels
    return energies, labels


FOLDS = [list(range(start, N, 4)) for start in range(4)]
"""Each fourth image is in one fold."""


def plain_auc(labels: Labels, scores: Energies) -> float:
    return roc_auc(labels, scores, np.ones(len(labels), np.intp))


def test_score_by_hand() -> None:
    fit = RenderingFit((-4, 0, 0, 0, 0), (0.5, 1, 1, 1, 1), (2, 0, 0, 0, 1), 1)
    energies = np.array([[-4, 9, 9, 9, -1], [-3.5, 9, 9, 9, -1]])
    # logits 2 * 0 - 1 + 1 and 2 * 1 - 1 + 1
    assert scores_by(fit, energies) == pytest.approx([0.5, 1 / (1 + np.exp(-2))])


def test_score_finds_the_band_that_tells() -> None:
    energies, labels = drawn()
    fit = fit_score(energies, labels)
    assert fit.coefficients[1] > 1
    assert max(abs(fit.coefficients[band]) for band in (0, 2, 3, 4)) < 0.15
    others, their_labels = drawn(seed=1)
    assert plain_auc(their_labels, scores_by(fit, others)) == pytest.approx(0.95, abs=0.01)


def test_unit_of_a_band_does_not_matter() -> None:
    energies, labels = drawn()
    other = energies * [1, 1000, 1, 0.001, 1] + [0, 5, 0, 0, 0]
    ours, its = (scores_by(fit_score(each, labels), each) for each in (energies, other))
    assert its == pytest.approx(ours, abs=1e-6)


def test_band_that_is_alike_everywhere_does_no_harm() -> None:
    energies, labels = drawn()
    energies[:, 4] = np.log(1e-4)
    fit = fit_score(energies, labels)
    energies[:, 4] += 0.1  # a picture of another kind
    assert plain_auc(labels, scores_by(fit, energies)) > 0.9


def test_no_image_takes_part_in_its_own_score() -> None:
    rng = np.random.default_rng(0)
    labels = np.tile([0, 1], 20)
    energies = rng.normal(size=(40, 5))  # nothing to be learned
    folds = [list(range(start, start + 10)) for start in (0, 10, 20, 30)]
    within = scores_by(fit_score(energies, labels), energies)
    outside = out_of_fold_scores(energies, labels, folds)
    assert plain_auc(labels, outside) < plain_auc(labels, within)
    others = np.arange(10, 40)
    of_first = scores_by(fit_score(energies[others], labels[others]), energies[:10])
    assert outside[:10] == pytest.approx(of_first)


def test_cutoffs_make_seven_per_cent_of_each_class_hard() -> None:
    energies, labels = drawn()
    scores = out_of_fold_scores(energies, labels, FOLDS)
    chosen = hard(labels, scores, find_cutoffs(labels, scores))
    for label in (0, 1):
        assert chosen[labels == label].mean() == pytest.approx(0.07, abs=0.002)
    assert scores[chosen & (labels == 0)].min() >= scores[~chosen & (labels == 0)].max()
    assert scores[chosen & (labels == 1)].max() <= scores[~chosen & (labels == 1)].min()


def test_cutoffs_apply_unchanged_to_other_images() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1])
    scores = np.array([0.79, 0.8, 0.9, 0.3, 0.31, 0.9])
    found = hard(labels, scores, HardCutoffs(normal=0.8, pneumonia=0.3))
    assert found.tolist() == [False, True, True, True, False, False]


def test_weights_by_hand() -> None:
    labels, scores = np.array([0, 0, 1, 1]), np.array([0.2, 0.6, 0.4, 0.9])
    # normals .2 and .6, .4 in the mean; pneumonias .6 and .1, .35 in the mean
    assert balanced_weights(labels, scores) == pytest.approx([0.5, 1.5, 0.6 / 0.35, 0.1 / 0.35])


def test_weighted_rendering_tells_nothing() -> None:
    energies, labels = drawn()
    scores = out_of_fold_scores(energies, labels, FOLDS)
    weights = balanced_weights(labels, scores)
    assert plain_auc(labels, scores) == pytest.approx(0.95, abs=0.01)
    assert roc_auc(labels, scores, weights) == pytest.approx(0.5, abs=0.03)


def test_weights_leave_the_classes_as_frequent_as_they_are() -> None:
    energies, labels = drawn()
    weights = balanced_weights(labels, out_of_fold_scores(energies, labels, FOLDS))
    assert weights.min() > 0
    for label in (0, 1):
        assert weights[labels == label].mean() == pytest.approx(1)
    assert np.average(labels, weights=weights) == pytest.approx(labels.mean())


def test_weights_stay_finite_where_rendering_tells_all_or_a_class_is_missing() -> None:
    sure = balanced_weights(np.array([0, 1, 1]), np.array([0.0, 1.0, 1.0]))
    assert sure.tolist() == [1, 1, 1]
    assert balanced_weights(np.array([1, 1]), np.array([0.5, 0.5])).tolist() == [1, 1]


def samples_of(*paths: Path) -> list[Sample]:
    return [Sample(path, 0, "train", path.name) for path in paths]


def test_energies_are_those_of_the_picture_at_224_pixels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (40, 40), np.uint8)).resize((224, 224))
    small.save(tmp_path / "small.png")
    small.resize((896, 448), Image.Resampling.BICUBIC).save(tmp_path / "large.png")
    one, other = energies_of(samples_of(tmp_path / "small.png", tmp_path / "large.png"))
    assert other[1:] == pytest.approx(one[1:], abs=0.1)


def test_unreadable_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"none")
    with pytest.raises(DatasetError, match="broken.png"):
        energies_of(samples_of(tmp_path / "broken.png"))


def test_score_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert read_rendering(tmp_path / "rendering.json") is None


def test_score_of_other_bands_is_refused(tmp_path: Path) -> None:
    found = read_rendering()
    assert found
    path = tmp_path / "rendering.json"
    shipped = json.loads((Path("model") / "rendering" / "rendering.json").read_text())
    shipped["fit"]["mean"] = [0.0]
    shipped["fit"]["deviation"][0] = 1.0
    path.write_text(json.dumps(shipped))
    with pytest.raises(ModelUnavailableError, match="fit: mean has 1 values, wanted are 5"):
        read_rendering(path)
    shipped["fit"]["mean"] = [0.0] * 5
    shipped["fit"]["deviation"][0] = 0.0
    path.write_text(json.dumps(shipped))
    with pytest.raises(ModelUnavailableError, match="deviation of a band is 0.0"):
        read_rendering(path)


@pytest.mark.data
def test_shipped_score_tells_held_out_radiographs_apart_by_rendering_alone(data: Path) -> None:
    facts = read_rendering()
    assert facts
    assert facts.out_of_fold_auc.value == pytest.approx(0.95, abs=0.002)
    samples = select(find_samples(data / "chest_xray"), "train")
    held_out = split_by_patient(samples)[1]
    labels = np.array([sample.label for sample in held_out], np.intp)
    scores = scores_by(facts.fit, energies_of(held_out))
    assert plain_auc(labels, scores) == pytest.approx(0.95, abs=0.02)
    assert roc_auc(labels, scores, balanced_weights(labels, scores)) < 0.6


@pytest.mark.data
def test_upload_at_full_resolution_is_scored_as_its_small_copy_is(data: Path) -> None:
    facts = read_rendering()
    assert facts
    full = find_samples(data / "originals")
    copies = {s.path.name: s for s in find_samples(data / "chest_xray") if s.split == "train"}
    small = [copies[sample.path.name] for sample in full]
    ours, its = (scores_by(facts.fit, energies_of(each)) for each in (full, small))
    assert len(full) == 24
    assert ours == pytest.approx(its, abs=0.08)
    assert np.abs(ours - its).mean() < 0.02
