from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from tests.support.pictures import encoded
from tests.support.stand_ins import resample_seldom
from xray_classifier.data.datasets import find_samples, select
from xray_classifier.data.splits import fingerprint, split_by_patient
from xray_classifier.errors import DatasetError
from xray_classifier.evaluation import plots
from xray_classifier.evaluation.evaluate import (
    GRID_IMAGES,
    Evaluation,
    evaluate,
    samples_of_split,
    write_evaluation,
)
from xray_classifier.inference.pipeline import classify
from xray_classifier.models.classifier import Classifier
from xray_classifier.records.evaluation import Confusion, EvaluationReport, named_estimates
from xray_classifier.records.json_files import read_record

# Greys of the test images, each of its own patient. The tiny model calls pneumonia above 127.5.
NORMAL, PNEUMONIA = (20, 100, 150), (50, 160, 180, 240)


@pytest.fixture(autouse=True, scope="module")
def few_resamples() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        resample_seldom(patch)
        yield


def image(path: Path, grey: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(np.full((40, 50), grey, np.uint8)))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with train, val and test; no two images are the same."""
    root = tmp_path_factory.mktemp("drawn")
    for grey in NORMAL:
        image(root / f"test/NORMAL/IM-{grey}-1.png", grey)
    for grey in PNEUMONIA:
        image(root / f"test/PNEUMONIA/person{grey}_virus_1.png", grey)
    for number in range(40):
        image(root / f"train/NORMAL/IM-1{number // 2:03d}-{number}.png", number)
        image(root / f"train/PNEUMONIA/person1{number // 2:03d}_virus_{number}.png", 200 - number)
    image(root / "val/NORMAL/IM-9001-1.png", 66)
    image(root / "val/PNEUMONIA/person9001_virus_1.png", 77)
    return root


@pytest.fixture(scope="module")
def evaluation(drawn: Path, tiny_classifier: Classifier) -> Evaluation:
    return evaluate(samples_of_split(drawn, "test"), tiny_classifier)


@pytest.fixture(scope="module")
def written(
    evaluation: Evaluation,
    drawn: Path,
    tmp_path_factory: pytest.TempPathFactory,
    few_resamples: None,
) -> Path:
    """A folder of results, written over those of an earlier evaluation."""
    out = tmp_path_factory.mktemp("results") / "new"
    out.mkdir()
    for name in ("predictions.csv", "metrics.json", "grid.png"):
        (out / name).write_text("old")
    write_evaluation(evaluation, evaluation.summary, drawn, out)
    return out


@pytest.fixture
def grids(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, int]]:
    """The grey of each image by its title, for each grid drawn; quicker than drawing it."""
    shown: list[dict[str, int]] = []

    def note(images: Sequence[Any], titles: Sequence[str]) -> Figure:
        shown.append(dict(zip(titles, (int(image[250, 250]) for image in images), strict=True)))
        return Figure()

    monkeypatch.setattr(plots, "image_grid", note)
    return shown


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


# Samples


@pytest.mark.parametrize(("split", "images"), [("test", 7), ("train", 80), ("val", 2)])
def test_split_holds_its_own_images_only(split: str, images: int, drawn: Path) -> None:
    samples = samples_of_split(drawn, split)
    assert {sample.split for sample in samples} == {split}
    assert len(samples) == images


def test_holdout_is_what_training_validates_on(drawn: Path) -> None:
    pool = select(find_samples(drawn), "train", "val")
    holdout = samples_of_split(drawn, "holdout")
    assert holdout == split_by_patient(pool)[1]
    assert 10 <= len(holdout) <= 20
    assert not {s.path for s in holdout} & {s.path for s in samples_of_split(drawn, "test")}


def test_holdout_follows_the_patient_table(drawn: Path) -> None:
    table = {s.path.name: f"{s.label} {s.path.name[-5]}" for s in find_samples(drawn)}
    holdout = samples_of_split(drawn, "holdout", table)
    pool = select(find_samples(drawn, table), "train", "val")
    assert holdout == split_by_patient(pool)[1] != samples_of_split(drawn, "holdout")


def test_folder_without_splits_is_measured_as_all(tmp_path: Path) -> None:
    image(tmp_path / "NORMAL/IM-1-1.png", 10)
    image(tmp_path / "opacity/person1_virus_1.png", 20)
    assert len(samples_of_split(tmp_path, "all")) == 2


def test_unknown_split_is_an_error(drawn: Path) -> None:
    with pytest.raises(DatasetError, match="no split tset; it has: test, train, val"):
        samples_of_split(drawn, "tset")


def test_holdout_of_a_test_set_alone_is_an_error(tmp_path: Path) -> None:
    image(tmp_path / "test/NORMAL/IM-1-1.png", 10)
    image(tmp_path / "test/PNEUMONIA/person1_virus_1.png", 20)
    with pytest.raises(DatasetError, match="no split train or val or all; it has: test"):
        samples_of_split(tmp_path, "holdout")


@pytest.mark.parametrize("only", ["NORMAL/IM-1-1.png", "PNEUMONIA/person1_virus_1.png"])
@pytest.mark.parametrize("split", ["train", "holdout"])
def test_one_class_only_is_an_error(split: str, only: str, tmp_path: Path) -> None:
    image(tmp_path / "train" / only, 10)
    with pytest.raises(DatasetError, match=f"Split {split} of .* holds one class only.*need both"):
        samples_of_split(tmp_path, split)


# Figures


def test_probabilities_are_those_of_the_page(
    evaluation: Evaluation, tiny_classifier: Classifier
) -> None:
    page = [
        classify(s.path.read_bytes(), tiny_classifier).probability or 0 for s in evaluation.samples
    ]
    assert evaluation.probabilities.tolist() == page
    greys = np.array([*NORMAL, *PNEUMONIA])
    by_hand = 1 / (1 + np.exp(4 - 8 * greys / 255))
    np.testing.assert_allclose(np.sort(page), np.sort(by_hand), atol=1e-5)
    assert sorted(evaluation.labels) == [0] * 3 + [1] * 4


def test_summary_holds_the_figures_with_their_intervals(evaluation: Evaluation) -> None:
    summary = evaluation.summary
    assert (summary.images, summary.patients, summary.threshold) == (7, 7, 0.5)
    assert summary.data_sha256 == fingerprint(evaluation.samples)
    assert summary.confusion == Confusion(2, 1, 1, 3)
    figures = named_estimates(summary.figures)
    assert [*figures] == [
        "loss",
        "accuracy",
        "sensitivity",
        "specificity",
        "auc",
        "brier",
        "ece",
    ]
    assert figures["accuracy"].value == pytest.approx(5 / 7)
    assert figures["sensitivity"].value == pytest.approx(3 / 4)
    assert figures["specificity"].value == pytest.approx(2 / 3)
    assert figures["auc"].value == pytest.approx(10 / 12)  # 50 < 100, 50 < 150
    for name, figure in figures.items():
        assert figure.low <= figure.value <= figure.high, name


def test_summary_counts_patients_not_images(drawn: Path, tiny_classifier: Classifier) -> None:
    samples = samples_of_split(drawn, "train")[:2] + samples_of_split(drawn, "train")[-2:]
    assert evaluate(samples, tiny_classifier).summary.patients == 2


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "is empty"), (b"text", "not an image"), (None, "No such file")]
)
def test_file_that_cannot_be_read_is_an_error_that_names_it(
    content: bytes | None, reason: str, tiny_classifier: Classifier, tmp_path: Path
) -> None:
    image(tmp_path / "test/NORMAL/IM-1-1.png", 10)
    image(tmp_path / "test/PNEUMONIA/person1_virus_1.png", 20)
    samples = samples_of_split(tmp_path, "test")
    path = samples[1].path
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DatasetError, match=rf"person1_virus_1\.png: .*{reason}.*Remove or replace"):
        evaluate(samples, tiny_classifier)


# Files


def test_evaluation_writes_exactly_its_files(written: Path, evaluation: Evaluation) -> None:
    assert {path.name for path in written.iterdir()} == {
        "metrics.json",
        "predictions.csv",
        "classification_report.txt",
        "confusion_matrix.png",
        "roc.png",
        "grid.png",
    }
    for path in written.glob("*.png"):
        with Image.open(path) as picture:
            picture.load()
            assert picture.format == "PNG"
            assert min(picture.size) > 300
    assert read_record(written / "metrics.json", EvaluationReport) == evaluation.summary


def test_predictions_are_a_table_of_all_images(written: Path) -> None:
    rows = rows_of(written / "predictions.csv")
    assert [list(row) for row in rows] == [["file", "label", "probability", "verdict"]] * 7
    by_file = {row.pop("file"): row for row in rows}
    called = by_file["test/NORMAL/IM-150-1.png"]
    assert (called["label"], called["verdict"]) == ("normal", "pneumonia")
    assert float(called["probability"]) == pytest.approx(0.669490, abs=1e-5)
    missed = by_file["test/PNEUMONIA/person50_virus_1.png"]
    assert (missed["label"], missed["verdict"]) == ("pneumonia", "normal")


def test_report_has_a_line_for_each_class(written: Path) -> None:
    lines = (written / "classification_report.txt").read_text().splitlines()
    table = {words[0]: words[1:] for words in map(str.split, lines) if len(words) == 5}
    # Precision, recall, F1 and images: 2 of 3 called normal are, 3 of 4 called pneumonia are.
    assert table["normal"] == ["0.6667", "0.6667", "0.6667", "3"]
    assert table["pneumonia"] == ["0.7500", "0.7500", "0.7500", "4"]


def test_folder_for_the_results_and_relative_paths_are_understood(
    written: Path,
    evaluation: Evaluation,
    drawn: Path,
    grids: list[dict[str, int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(drawn.parent)
    data, out = Path(drawn.name), tmp_path / "not" / "there yet"
    samples = samples_of_split(data, "test")
    other = Evaluation(samples, evaluation.probabilities, 0.5)
    write_evaluation(other, other.summary, data, out)
    assert rows_of(out / "predictions.csv") == rows_of(written / "predictions.csv")


def test_grid_shows_images_with_label_and_probability(
    evaluation: Evaluation, drawn: Path, grids: list[dict[str, int]], tmp_path: Path
) -> None:
    write_evaluation(evaluation, evaluation.summary, drawn, tmp_path)
    (grid,) = grids
    assert len(grid) == 7
    assert grid["normal\npneumonia 66.9 %"] == 150  # sigmoid(8 * 150 / 255 - 4)
    assert grid["pneumonia\npneumonia 8.1 %"] == 50


def test_grid_shows_a_choice_of_many_images_always_the_same(
    drawn: Path, grids: list[dict[str, int]], tmp_path: Path
) -> None:
    samples = samples_of_split(drawn, "train")
    many = Evaluation(samples, np.linspace(0, 1, len(samples)), 0.5)
    for out in ("a", "b"):
        write_evaluation(many, many.summary, drawn, tmp_path / out)
    assert len(grids[0]) == GRID_IMAGES
    assert grids[0] == grids[1]
