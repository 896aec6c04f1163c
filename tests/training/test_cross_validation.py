from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.stand_ins import tiny_model
from xray_classifier.calibration.out_of_fold import read_out_of_fold
from xray_classifier.data.datasets import find_samples
from xray_classifier.data.splits import split_by_patient
from xray_classifier.errors import DatasetError
from xray_classifier.rendering.score import (
    energies_of,
    find_cutoffs,
    fit_score,
    read_rendering,
    scores_by,
)
from xray_classifier.training import cross_validation
from xray_classifier.training.cross_validation import (
    cross_validate,
    cross_validate_average,
    split_into_folds,
    train_rendering,
)
from xray_classifier.training.recipes import Average, Recipe


def build(_steps: int) -> object:
    model = tiny_model()
    model.compile("sgd", "binary_crossentropy")
    return model


RECIPE = Recipe(
    name="tiny",
    title="Tiny",
    build=build,
    pool=1,
    batch_size=8,
    epochs=1,
    answers=("pneumonia",),
    targets=lambda sample: (float(sample.label),),
    augment=lambda batch, labels, rng: batch,
    callbacks=list,
    finish=lambda trained, _batches: trained,
    keep_best=False,
    facts={},
)


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """Twenty-four patients with two images each, half with pneumonia; the test split is broken."""
    root = tmp_path / "data"
    for label, folder in enumerate(("NORMAL", "PNEUMONIA")):
        (root / "train" / folder).mkdir(parents=True)
        for patient in range(12):
            for image in (1, 2):
                name = f"person{patient + 20 * label}_bacteria_{image}.png"
                rng = np.random.default_rng(100 * label + 2 * patient + image)  # no file twice
                mean, grain = 60 + 100 * label, 12 - 6 * label
                grey = rng.normal(mean, grain + rng.normal(0, 2), (40, 40)).clip(0, 255)
                Image.fromarray(grey.astype(np.uint8)).save(root / "train" / folder / name)
    (root / "test" / "NORMAL").mkdir(parents=True)
    (root / "test" / "NORMAL" / "IM-0001-0001.png").write_bytes(b"never opened")
    return root


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_each_training_image_is_answered_once_and_no_held_out_one(
    drawn: Path, tmp_path: Path
) -> None:
    path = cross_validate(RECIPE, drawn, tmp_path / "out", seed=1, folds=3)

    samples = [s for s in find_samples(drawn) if s.split == "train"]
    training, held_out = split_by_patient(samples)
    found = rows(path)
    assert sorted(row["file"] for row in found) == sorted(s.path.name for s in training)
    assert not {row["patient"] for row in found} & {s.patient for s in held_out}


def test_patients_stay_in_one_fold_and_both_classes_are_in_each(
    drawn: Path, tmp_path: Path
) -> None:
    found = rows(cross_validate(RECIPE, drawn, tmp_path / "out", seed=1, folds=3))
    folds = {(row["patient"], row["fold"]) for row in found}
    assert len(folds) == len({patient for patient, _ in folds})
    for fold in "012":
        assert {row["label"] for row in found if row["fold"] == fold} == {"normal", "pneumonia"}


def test_finished_folds_are_not_trained_again(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    first = cross_validate(RECIPE, drawn, out, seed=1, folds=2).read_text()
    (out / "fold-1" / "answers.csv").unlink()  # as if killed before it was written
    trained = []
    original = cross_validation._train_fold
    monkeypatch.setattr(
        cross_validation,
        "_train_fold",
        lambda *args: trained.append(args[3].name) or original(*args),  # type: ignore[func-returns-value]
    )
    assert cross_validate(RECIPE, drawn, out, seed=1, folds=2).read_text() == first
    assert trained == ["fold-1"]


def test_recipe_whose_teacher_knows_all_patients_is_refused(drawn: Path, tmp_path: Path) -> None:
    taught = replace(RECIPE, teacher="default")
    with pytest.raises(DatasetError, match="tiny is taught by the model default, which may have"):
        cross_validate(taught, drawn, tmp_path / "out", seed=1)
    assert not (tmp_path / "out").exists()


def test_folds_are_the_same_each_time(drawn: Path) -> None:
    samples = [s for s in find_samples(drawn) if s.split == "train"]
    assert split_into_folds(samples, 3) == split_into_folds(samples, 3)


def test_answers_survive_the_table(drawn: Path, tmp_path: Path) -> None:
    path = cross_validate(RECIPE, drawn, tmp_path / "out", seed=1, folds=2)
    answers = read_out_of_fold(path)
    found = rows(path)
    assert answers.labels.tolist() == [int(row["label"] == "pneumonia") for row in found]
    assert answers.folds == 2
    assert answers.patients == tuple(row["patient"] for row in found)
    assert answers.probabilities == pytest.approx([float(row["probability"]) for row in found])


def test_rendering_scores_come_from_the_other_folds(drawn: Path, tmp_path: Path) -> None:
    path = cross_validate(RECIPE, drawn, tmp_path / "out", seed=1, folds=3)
    training = split_by_patient(s for s in find_samples(drawn) if s.split == "train")[0]
    named = {sample.path.name: number for number, sample in enumerate(training)}
    energies, labels = energies_of(training), np.array([s.label for s in training])
    found = rows(path)
    first = [named[row["file"]] for row in found if row["fold"] == "0"]
    others = np.delete(np.arange(len(training)), first)
    expected = scores_by(fit_score(energies[others], labels[others]), energies[first])
    scores = [float(row["rendering"]) for row in found if row["fold"] == "0"]
    assert scores == pytest.approx(expected.tolist(), rel=1e-4)
    answers = read_out_of_fold(path)
    assert answers.rendering is not None
    assert answers.rendering[: len(scores)].tolist() == scores


def test_finished_run_of_before_gets_its_rendering_scores(drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    path = cross_validate(RECIPE, drawn, out, seed=1, folds=2)
    complete = path.read_text()
    before = [line.rsplit(",", 1)[0] for line in complete.splitlines()]
    path.write_text("\n".join(before) + "\n")
    assert read_out_of_fold(path).rendering is None
    for model in out.glob("fold-*/*.keras"):
        model.unlink()  # nothing is trained or asked again
    assert cross_validate(RECIPE, drawn, out, seed=1, folds=2).read_text() == complete


def test_answers_to_other_radiographs_are_not_mixed_in(drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    whole = cross_validate(RECIPE, drawn, out, seed=1, folds=2).read_text()
    training = split_by_patient(s for s in find_samples(drawn) if s.split == "train")[0]
    training[0].path.rename(training[0].path.with_name("person0_bacteria_9.png"))
    with pytest.raises(DatasetError, match="answers to other radiographs .* another folder"):
        cross_validate(RECIPE, drawn, out, seed=1, folds=2)
    assert (out / "out_of_fold.csv").read_text() == whole


def test_average_is_that_of_the_logits_of_its_networks(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables stand in for the networks: rows that differ in their answers only."""
    answers = {"one": ("0.9", "0.2"), "other": ("0.5", "0.5")}
    asked = []

    def answered(recipe: Recipe, data: Path, out: Path, *how: Any) -> Path:
        asked.append((recipe.name, data, out, *how))
        out.mkdir(parents=True)
        probability, bacterial = answers[recipe.name]
        lines = ["file,patient,label,fold,probability,bacterial,rendering"]
        lines.append(f"a.png,Ann,pneumonia,0,{probability},{bacterial},0.25")
        (out / "out_of_fold.csv").write_text("\n".join(lines) + "\n")
        return out / "out_of_fold.csv"

    monkeypatch.setattr(cross_validation, "cross_validate", answered)
    members = tuple(replace(RECIPE, name=name) for name in answers)
    average = Average("both", "Both", members, (0.25, 0.75))
    path = cross_validate_average(average, drawn, tmp_path, 5, 3, {"a.png": "Ann"}, Path("full"))
    assert asked == [
        (name, drawn, tmp_path / name, 5, 3, {"a.png": "Ann"}, Path("full")) for name in answers
    ]
    assert path == tmp_path / "out_of_fold.csv"
    (row,) = rows(path)
    assert [row[name] for name in ("file", "patient", "label", "fold", "rendering")] == [
        "a.png",
        "Ann",
        "pneumonia",
        "0",
        "0.25",
    ]
    assert float(row["probability"]) == pytest.approx(1 / (1 + 9**-0.25))
    assert float(row["bacterial"]) == pytest.approx(1 / (1 + 4**0.25))


def test_rendering_score_is_written_with_what_it_was_fitted_to(drawn: Path, tmp_path: Path) -> None:
    path = train_rendering(drawn, tmp_path / "out", folds=3)
    facts = read_rendering(path)
    assert facts
    training = split_by_patient(s for s in find_samples(drawn) if s.split == "train")[0]
    energies, labels = energies_of(training), np.array([s.label for s in training])
    assert (facts.data, facts.images, facts.folds) == ("data", len(training), 3)
    assert facts.patients == len({sample.patient for sample in training})
    assert facts.fit == fit_score(energies, labels)
    answers = read_out_of_fold(cross_validate(RECIPE, drawn, tmp_path / "run", seed=1, folds=3))
    assert answers.rendering is not None
    cutoffs = find_cutoffs(answers.labels, answers.rendering)
    assert cutoffs.normal == pytest.approx(facts.cutoffs.normal, rel=1e-3)
    assert cutoffs.pneumonia == pytest.approx(facts.cutoffs.pneumonia, rel=1e-3)
    auc = facts.out_of_fold_auc
    assert 0.5 < auc.low <= auc.value <= auc.high
