from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.support.pictures import encoded, squares
from tests.support.stand_ins import square_layers
from xray_classifier.data.datasets import Sample
from xray_classifier.errors import DatasetError
from xray_classifier.evaluation import saliency_checks
from xray_classifier.evaluation.evaluate import HOLDOUT, samples_of_split
from xray_classifier.evaluation.saliency_checks import (
    called_pneumonia,
    check,
    describe,
    filled,
    hottest,
    moved,
    rank_correlation,
    shuffled,
    ssim,
    weighted_layers,
)
from xray_classifier.inference.heatmap import METHOD
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.keras_network import keras_model
from xray_classifier.models.loading import load_classifier
from xray_classifier.records.checks import ExplanationReport
from xray_classifier.records.json_files import read_record, write_record

PLACES = [(20 + 60 * row, 30 + 170 * column) for row in range(6) for column in range(2)]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    """Twelve bright squares at different places, of a patient each, and a dark picture."""
    folder = tmp_path_factory.mktemp("drawn")
    samples = []
    for number, (row, column) in enumerate(PLACES):
        path = folder / f"person{number}_virus_1.png"
        path.write_bytes(encoded(squares(row, column)))
        samples.append(Sample(path, 1, "train", f"person{number}"))
    path = folder / "IM-1-1.png"
    path.write_bytes(encoded(squares(side=0)))
    return [*samples, Sample(path, 0, "train", "IM-1")]


def ramp() -> Any:
    """A heatmap that rises along the diagonal."""
    places = np.linspace(0, 1, 100, dtype=np.float32)
    return np.add.outer(places, places) / 2


@pytest.fixture
def few_shuffles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes as many passes as all heatmaps."""
    monkeypatch.setattr(saliency_checks, "SHUFFLES", 1)
    monkeypatch.setattr(saliency_checks, "STAGES", 1)


@pytest.mark.usefixtures("few_shuffles")
def test_filling_the_bright_squares_lowers_the_score_and_filling_elsewhere_does_not(
    drawn: list[Sample], square_classifier: Classifier
) -> None:
    deletion = check(drawn, square_classifier, 12).deletion_test
    assert deletion.logit.hottest > 4
    assert deletion.logit.random < 1
    assert deletion.logit.p == pytest.approx(2**-12)
    assert deletion.logit.images_hottest_above_random == 1
    assert deletion.probability.hottest > 0.9
    assert deletion.logit.other_image < deletion.logit.hottest
    assert deletion.passed


def test_network_whose_heatmap_outlives_the_randomisation_fails(
    drawn: list[Sample], square_classifier: Classifier
) -> None:
    """All weights of its convolution are equal, so that shuffling changes nothing."""
    report = check(drawn, square_classifier, 4)
    randomisation = report.parameter_randomisation_test
    draws = [draw.rank_correlation for draw in randomisation.all_layers]
    assert draws == pytest.approx([1, 1, 1])
    assert randomisation.cascade[-1].down_to == "bright"
    assert randomisation.cascade[-1].likeness.ssim == pytest.approx(1)
    assert randomisation.other_image.rank_correlation < 0.9
    assert not randomisation.passed
    assert not report.passed
    assert describe(report).endswith("FAILED")


def test_same_seed_gives_the_same_figures_and_the_weights_are_put_back(
    drawn: list[Sample], square_classifier: Classifier
) -> None:
    before = keras_model(square_classifier.network).get_weights()
    assert check(drawn, square_classifier, 3, seed=5) == check(drawn, square_classifier, 3, seed=5)
    for kept, now in zip(before, keras_model(square_classifier.network).get_weights(), strict=True):
        np.testing.assert_array_equal(kept, now)


def test_figures_name_model_method_and_number(
    drawn: list[Sample], square_classifier: Classifier
) -> None:
    report = check(drawn, square_classifier, 3)
    assert (report.model, report.sha256) == ("square", "cd" * 32)
    assert (report.images, report.method) == (3, METHOD)
    text = describe(report)
    assert "square: 3 radiographs called pneumonia" in text
    assert "all weights shuffled" in text
    assert "shuffled down to bright" in text
    assert "Deletion test, 10 % of the pixels filled with the mean: median drop" in text
    assert "Parameter-randomisation test, likeness to the heatmap" in text


def test_report_survives_its_file(
    drawn: list[Sample], square_classifier: Classifier, tmp_path: Path
) -> None:
    report = check(drawn, square_classifier, 3)
    write_record(report, tmp_path / "square.json")
    assert read_record(tmp_path / "square.json", ExplanationReport) == report


def test_only_images_called_pneumonia_are_taken_one_of_each_patient(
    drawn: list[Sample], square_classifier: Classifier
) -> None:
    again = [Sample(s.path, s.label, s.split, s.patient) for s in drawn]
    rng = np.random.default_rng(0)
    tensors = called_pneumonia([*drawn, *again], square_classifier, 12, rng)
    assert len({tensor.tobytes() for tensor in tensors}) == 12
    with pytest.raises(DatasetError, match="calls 12 patients' radiographs pneumonia; 13 are"):
        called_pneumonia([*drawn, *again], square_classifier, 13, rng)


def test_unreadable_file_is_named(tmp_path: Path, square_classifier: Classifier) -> None:
    path = tmp_path / "person1_virus_1.png"
    path.write_bytes(b"no image")
    sample = Sample(path, 1, "train", "person1")
    with pytest.raises(DatasetError, match=r"person1_virus_1\.png: This is not an image"):
        check([sample], square_classifier, 1)


def test_hottest_tenth_is_marked() -> None:
    mask = hottest(ramp())
    assert mask.sum() == 1000
    assert ramp()[mask].min() >= ramp()[~mask].max()


def test_cold_pixels_are_never_among_the_hottest() -> None:
    heatmap = np.zeros((100, 100), np.float32)
    heatmap[3, 4:9] = 0.5
    assert hottest(heatmap).sum() == 5
    assert not hottest(np.zeros((100, 100), np.float32)).any()


def test_moved_mask_keeps_its_size_and_changes_its_place() -> None:
    mask = hottest(ramp())
    rng = np.random.default_rng(0)
    others = [moved(mask, rng) for _ in range(8)]
    assert {other.sum() for other in others} == {mask.sum()}
    assert len({other.tobytes() for other in [mask, *others]}) == 9


def test_filled_pixels_get_the_mean_and_the_others_stay() -> None:
    tensor = np.random.default_rng(0).random((100, 100, 1), np.float32)
    mask = hottest(ramp())
    found = filled(tensor, mask)
    assert np.all(found[mask] == tensor.mean())
    np.testing.assert_array_equal(found[~mask], tensor[~mask])
    assert found.dtype == np.float32


def test_layers_of_nested_models_are_listed_from_first_to_last() -> None:
    inner = keras.Sequential(square_layers(), name="inner")
    model = keras.Sequential(
        [keras.Input((500, 500, 1)), inner, keras.layers.Flatten(), keras.layers.Dense(1, name="d")]
    )
    assert [layer.name for layer in weighted_layers(model)] == ["bright", "d"]


def test_weights_are_shuffled_within_their_array_and_restored_after_an_error() -> None:
    layer = keras.layers.Dense(50)
    layer.build((None, 40))
    kernel = layer.get_weights()[0]

    def fail() -> None:
        np.testing.assert_array_equal(np.sort(layer.get_weights()[0], None), np.sort(kernel, None))
        assert not np.array_equal(layer.get_weights()[0], kernel)
        raise RuntimeError("on purpose")

    with (
        pytest.raises(RuntimeError, match="on purpose"),
        shuffled([layer], np.random.default_rng(0)),
    ):
        fail()
    np.testing.assert_array_equal(layer.get_weights()[0], kernel)


def test_a_map_is_like_itself_and_unlike_its_negative_and_noise() -> None:
    noise = np.random.default_rng(0).random((100, 100), np.float32)
    assert rank_correlation(ramp(), ramp()) == pytest.approx(1)
    assert ssim(ramp(), ramp()) == pytest.approx(1)
    assert rank_correlation(ramp(), 1 - ramp()) == pytest.approx(-1, abs=1e-4)  # float32 ties
    assert ssim(noise, 1 - noise) < -0.5
    assert abs(rank_correlation(ramp(), noise)) < 0.05
    assert ssim(ramp(), noise) < 0.1


def test_blank_map_is_like_none() -> None:
    assert rank_correlation(ramp(), np.zeros((100, 100), np.float32)) == 0


def assert_shipped_model_passes(data: Path, images: int) -> None:
    samples = samples_of_split(data / "chest_xray", HOLDOUT)
    report = check(samples, load_classifier(runtime="keras"), images)
    assert report.passed, describe(report)
    randomisation = report.parameter_randomisation_test
    other = randomisation.other_image.rank_correlation
    assert all(draw.rank_correlation < other for draw in randomisation.all_layers)


@pytest.mark.data
@pytest.mark.usefixtures("few_shuffles")
def test_heatmaps_of_the_shipped_model_pass_on_a_few_held_out_radiographs(data: Path) -> None:
    assert_shipped_model_passes(data, 8)


@pytest.mark.long
@pytest.mark.data
def test_heatmaps_of_the_shipped_model_pass_with_all_shuffles(data: Path) -> None:
    assert_shipped_model_passes(data, 12)
