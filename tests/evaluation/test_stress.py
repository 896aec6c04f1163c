from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.pictures import encoded
from xray_classifier.data.datasets import Sample
from xray_classifier.data.splits import fingerprint
from xray_classifier.errors import DatasetError
from xray_classifier.evaluation import metrics, stress
from xray_classifier.evaluation.stress import (
    BORDER_ALONE,
    PERTURBATIONS,
    compare_resolutions,
    describe,
)
from xray_classifier.imaging import perturbations
from xray_classifier.imaging.preprocessing import Tensor
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.keras_network import KerasNetwork
from xray_classifier.models.spec import ModelSpec
from xray_classifier.records.checks import OTHER_RENDERING, Change, ResolutionChange, StressReport
from xray_classifier.records.evaluation import Estimate
from xray_classifier.records.json_files import read_record, write_record

DATA = "drawn/holdout"
PERFECT = Estimate(1, 1, 1)

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module", autouse=True)
def few_resamples() -> Iterator[None]:
    """Enough for intervals, and quick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stress, "with_intervals", partial(metrics.with_intervals, resamples=100))
        yield


def think(brightness: Any) -> Any:
    """What the tiny classifier makes of a mean brightness; pneumonia from .5 on."""
    return 1 / (1 + np.exp(4 - 8 * np.asarray(brightness)))


def flat(path: Path, grey: int, label: int = 0) -> Sample:
    """A radiograph of one grey, whose brightness no resize changes."""
    return drawn(path, np.full((50, 60), grey, np.uint8), label)


def drawn(path: Path, image: Any, label: int) -> Sample:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(image))
    return Sample(path, label, "train", path.stem)


NORMAL, PNEUMONIA = 115, 178  # .451 and .698: the first is just under the threshold


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    root = tmp_path_factory.mktemp("samples")
    return [flat(root / "normal.png", NORMAL, 0), flat(root / "pneumonia.png", PNEUMONIA, 1)]


@pytest.fixture(scope="module")
def report(samples: list[Sample], tiny_classifier: Classifier) -> StressReport:
    return stress.stress(samples, tiny_classifier, DATA)


GREYS = np.array([NORMAL, PNEUMONIA]) / 255
PLAIN = think(GREYS)


def change(brightness: Any) -> float:
    return float(np.abs(think(brightness) - PLAIN).mean())


@pytest.mark.parametrize(
    ("name", "brightness", "verdicts"),
    [
        ("outer 10 % of another image", 0.64 * GREYS + 0.36 * GREYS[::-1], 0.5),
        ("cropped by 5 % a side", GREYS, 0),
        ("brighter by .1", GREYS + 0.1, 0.5),
        ("darker by .1", GREYS - 0.1, 0),
        ("contrast .75", 0.5 + 0.75 * (GREYS - 0.5), 0),
        ("contrast 1.25", 0.5 + 1.25 * (GREYS - 0.5), 0),
        ("gamma .75", GREYS**0.75, 0.5),
        ("gamma 1.33", GREYS**1.33, 0),
        ("blur, 2 pixels of 500", GREYS, 0),
        ("112 pixels a side", GREYS, 0),
    ],
)
def test_changes_are_those_worked_out_by_hand(
    name: str, brightness: Any, verdicts: float, report: StressReport
) -> None:
    found = report.perturbations[name]
    assert found.mean_change.value == pytest.approx(change(brightness), abs=1e-4)
    assert found.verdicts_changed.value == verdicts
    assert found.auc == PERFECT


def test_other_changes_of_brightness_are_as_small_as_they_should_be(
    report: StressReport,
) -> None:
    steepest = 2  # of the tiny classifier, a unit of brightness
    mean = {name: found.mean_change.value for name, found in report.perturbations.items()}
    assert 0 < mean["text in a corner"] < steepest * 0.02
    assert mean["noise, sigma .03"] < steepest * 0.001
    assert mean["JPEG quality 25"] < steepest * 2.5 / 255
    assert 0 < mean["outer 10 % erased"] < steepest * 0.36 * 0.7


def test_a_border_that_tells_is_found_out(report: StressReport) -> None:
    """Flat images: border and lungs are of one grey."""
    assert report.border_alone == dict.fromkeys(BORDER_ALONE, PERFECT)
    assert report.auc == PERFECT


def test_report_says_which_model_met_which_radiographs(
    samples: list[Sample], report: StressReport
) -> None:
    assert (report.model, report.sha256, report.threshold) == ("tiny", "ab" * 32, 0.5)
    assert (report.data, report.data_sha256) == (DATA, fingerprint(samples))
    assert (report.images, report.full_resolution) == (2, None)
    assert report.perturbations.keys() == {*PERTURBATIONS, OTHER_RENDERING}


def test_report_survives_its_file(report: StressReport, tmp_path: Path) -> None:
    write_record(report, tmp_path / "stress.json")
    assert read_record(tmp_path / "stress.json", StressReport) == report


def test_same_radiographs_give_the_same_report(
    samples: list[Sample], tiny_classifier: Classifier, report: StressReport
) -> None:
    assert stress.stress(samples, tiny_classifier, DATA) == report


@pytest.mark.parametrize("name", [*PERTURBATIONS, *BORDER_ALONE])
def test_a_classifier_takes_what_a_perturbation_gives(
    name: str, tiny_classifier: Classifier
) -> None:
    batch = np.random.default_rng(1).random((2, 500, 500, 1), np.float32)
    batch[1] = 1
    changed = {**PERTURBATIONS, **BORDER_ALONE}[name](batch, np.random.default_rng(2))
    assert tiny_classifier.probabilities(changed).shape == (2,)


# A model that looks at the centre only


@pytest.fixture(scope="module")
def centre_classifier() -> Classifier:
    """sigmoid(8 * mean brightness of the inner 300 pixels - 4)."""
    import keras

    model = keras.Sequential(
        [
            keras.Input((500, 500, 1)),
            keras.layers.Cropping2D(100),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.set_weights([np.array([[8.0]]), np.array([-4.0])])
    return Classifier(KerasNetwork(model), ModelSpec("centre", "Centre", "centre.keras"))


def framed(root: Path, centre: int, border: int, label: int) -> Sample:
    image = np.full((500, 500), border, np.uint8)
    image[80:420, 80:420] = centre
    return drawn(root / f"{centre}-{border}.png", image, label)


@pytest.fixture(scope="module")
def framed_samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    """The centre tells the classes apart; the borders are the same in both."""
    root = tmp_path_factory.mktemp("framed")
    return [
        framed(root, centre, border, label)
        for label, centre in ((0, 70), (1, 190))
        for border in (20, 120, 220)
    ]


@pytest.fixture(scope="module")
def framed_report(framed_samples: list[Sample], centre_classifier: Classifier) -> StressReport:
    return stress.stress(framed_samples, centre_classifier, DATA)


def test_border_alone_tells_a_model_nothing_that_looks_at_the_centre(
    framed_report: StressReport,
) -> None:
    assert framed_report.auc == PERFECT
    assert framed_report.border_alone.keys() == BORDER_ALONE.keys()
    for auc in framed_report.border_alone.values():
        assert auc.low < 0.5 < auc.high
        assert auc.value == pytest.approx(0.5)


@pytest.mark.parametrize(
    "name", ["text in a corner", "outer 10 % of another image", "outer 10 % erased"]
)
def test_what_happens_at_the_border_does_not_reach_such_a_model(
    name: str, framed_report: StressReport
) -> None:
    found = framed_report.perturbations[name]
    assert astuple(found.mean_change) == pytest.approx((0, 0, 0), abs=1e-7)
    assert (found.verdicts_changed, found.auc) == (Estimate(0, 0, 0), PERFECT)


# Rendering of the other class


def test_rendering_comes_from_the_other_class(report: StressReport) -> None:
    """Flat images have nothing but a grey level, which is the donor's then."""
    found = report.perturbations[OTHER_RENDERING]
    assert found.mean_change.value == pytest.approx(abs(PLAIN[1] - PLAIN[0]), abs=1e-4)
    assert found.verdicts_changed == PERFECT
    assert found.auc == Estimate(0, 0, 0)


def test_rendering_does_not_reach_a_model_that_looks_at_what_is_where(tmp_path: Path) -> None:
    """The brighter half tells the classes; grey levels and contrast are exchanged."""
    import keras

    halves = keras.Sequential(
        [
            keras.Input((500, 500, 1)),
            keras.layers.AveragePooling2D((500, 250)),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    halves.set_weights([np.array([[40.0], [-40.0]]), np.array([0.0])])
    classifier = Classifier(KerasNetwork(halves), ModelSpec("halves", "Halves", "halves.keras"))
    rng = np.random.default_rng(0)
    many = []
    for number in range(8):
        label = number % 2
        image = rng.normal(60 + 90 * label, 3 + 9 * label, (100, 100))
        image[:, 50 * (1 - label) : 50 * (2 - label)] += 30
        path = tmp_path / f"{number}.png"
        many.append(drawn(path, image.clip(0, 255).astype(np.uint8), label))
    found = stress.stress(many, classifier, DATA)
    assert found.auc == found.perturbations[OTHER_RENDERING].auc == PERFECT
    assert found.perturbations[OTHER_RENDERING].verdicts_changed == Estimate(0, 0, 0)


# Batches


def test_batches_and_order_change_nothing_that_is_not_random(
    framed_samples: list[Sample], tiny_classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stress, "BATCH_SIZE", 4)  # 4 and 2
    monkeypatch.setattr(
        stress,
        "PERTURBATIONS",
        {"darker": lambda batch, _: perturbations.shift_grey(batch, -0.1, 1)},
    )
    monkeypatch.setattr(stress, "BORDER_ALONE", {})
    found = stress.stress(framed_samples, tiny_classifier, DATA)
    backwards = stress.stress(framed_samples[::-1], tiny_classifier, DATA)
    areas = np.array([(centre, border) for centre in (70, 190) for border in (20, 120, 220)])
    share = 340**2 / 500**2
    grey = (share * areas[:, 0] + (1 - share) * areas[:, 1]) / 255
    darker = share * np.maximum(areas[:, 0] / 255 - 0.1, 0) + (1 - share) * np.maximum(
        areas[:, 1] / 255 - 0.1, 0
    )
    for one in (found, backwards):
        mean = one.perturbations["darker"].mean_change
        assert mean.low < mean.value < mean.high
        assert mean.value == pytest.approx(np.abs(think(grey) - think(darker)).mean(), abs=1e-5)
        assert one.images == 6


def test_a_batch_mixes_the_classes(
    tmp_path: Path, tiny_classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a border would be swapped with one of the same class, which changes nothing."""
    many = [flat(tmp_path / f"{n}.png", 250 if n < 8 else 5, int(n < 8)) for n in range(16)]
    seen: list[Any] = []

    def watch(batch: Tensor, _rng: np.random.Generator) -> Tensor:
        seen.append(batch[:, 0, 0, 0] > 0.5)
        return batch

    monkeypatch.setattr(stress, "BATCH_SIZE", 8)
    monkeypatch.setattr(stress, "PERTURBATIONS", {"none": watch})
    monkeypatch.setattr(stress, "BORDER_ALONE", {})
    found = stress.stress(many, tiny_classifier, DATA)
    assert all(1 <= bright.sum() <= 7 for bright in seen)
    assert (len(seen), found.auc) == (2, PERFECT)


def test_a_file_that_cannot_be_read_is_named(
    samples: list[Sample], tmp_path: Path, tiny_classifier: Classifier
) -> None:
    gone = Sample(tmp_path / "gone.png", 1, "train", "gone")
    with pytest.raises(DatasetError, match=r"gone\.png: .*Remove or replace the file"):
        stress.stress([*samples, gone], tiny_classifier, DATA)


# Full resolution


def test_radiographs_are_paired_by_name_at_any_depth(
    samples: list[Sample], tmp_path: Path, tiny_classifier: Classifier
) -> None:
    alone = flat(tmp_path / "small" / "alone.png", 200, 1)
    flat(tmp_path / "full" / "train" / "NORMAL" / "normal.png", NORMAL + 20)
    flat(tmp_path / "full" / "pneumonia.png", PNEUMONIA - 10)
    flat(tmp_path / "full" / "unknown.png", 3)
    flat(tmp_path / "full" / "train" / "unknown.png", 4)
    (tmp_path / "full" / "alone.png").mkdir()
    found = compare_resolutions([alone, *samples], tmp_path / "full", tiny_classifier)
    mean = change(GREYS + np.array([20, -10]) / 255)
    assert found.images == 2  # of two patients of two classes every sample holds both:
    assert astuple(found.change.mean_change) == pytest.approx([mean] * 3, abs=1e-5)
    half = Estimate(0.5, 0.5, 0.5)  # the normal one is now called pneumonia
    assert (found.change.verdicts_changed, found.change.auc) == (half, PERFECT)


def test_resolution_itself_changes_nothing_for_the_mean_brightness(
    tmp_path: Path, tiny_classifier: Classifier
) -> None:
    pairs = []
    for label, grey in enumerate((60, 160)):
        image = np.full((40, 40), grey, np.uint8)
        image[:10] += 40
        pairs.append(drawn(tmp_path / "small" / f"{label}.png", image, label))
        drawn(tmp_path / "full" / f"{label}.png", image.repeat(20, 0).repeat(30, 1), label)
    found = compare_resolutions(pairs, tmp_path / "full", tiny_classifier)
    assert found.change.mean_change.value < 1e-3
    assert found.change.verdicts_changed.value == 0


@pytest.mark.parametrize("present", [[], ["pneumonia.png"]])
def test_a_folder_without_partners_of_both_classes_is_refused(
    present: list[str], samples: list[Sample], tmp_path: Path, tiny_classifier: Classifier
) -> None:
    for name in present:
        flat(tmp_path / "full" / name, 9)
    message = rf"full holds {len(present)} files with the name of one of the 2 radiographs; wanted"
    with pytest.raises(DatasetError, match=message):
        compare_resolutions(samples, tmp_path / "full", tiny_classifier)


def test_two_partners_of_one_name_are_refused(
    samples: list[Sample], tmp_path: Path, tiny_classifier: Classifier
) -> None:
    for folder in ("NORMAL", "PNEUMONIA"):
        flat(tmp_path / folder / "pneumonia.png", 9)
    with pytest.raises(
        DatasetError,
        match=r"NORMAL/pneumonia\.png and .*PNEUMONIA/pneumonia\.png have the same name",
    ):
        compare_resolutions(samples, tmp_path, tiny_classifier)


# For people


def test_report_is_a_table_for_people(report: StressReport) -> None:
    figures = (Estimate(value, 0, 1) for value in (0.01234, 0.005, 0.98765))
    full = ResolutionChange(2, Change(*figures))
    first, head, nothing, *rows = describe(replace(report, full_resolution=full)).splitlines()
    assert first == "2 images"
    assert head.split() == ["changed", "mean", "change", "other", "verdicts", "AUC"]
    assert nothing.split() == ["nothing", "1.0000"]
    assert len({len(line) for line in (head, nothing, *rows)}) == 1
    assert [row[:30].strip() for row in rows] == [
        *PERTURBATIONS,
        OTHER_RENDERING,
        *BORDER_ALONE,
        "full resolution, 2 images",
    ]
    brighter = rows[list(PERTURBATIONS).index("brighter by .1")]
    assert brighter.split()[-4:] == [f"{change(GREYS + 0.1):.4f}", "50.0", "%", "1.0000"]
    assert rows[-1].split()[-4:] == ["0.0123", "0.5", "%", "0.9877"]


def test_table_comes_without_full_resolution_too(report: StressReport) -> None:
    assert "full resolution" not in describe(report)
    assert len(describe(report).splitlines()) == 4 + len(PERTURBATIONS) + len(BORDER_ALONE)
