from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.dicom_files import dicom
from tests.support.etiologies import CHANCES, PICTURES, WEAK, two_answer_classifier
from tests.support.pictures import encoded, gradient
from tests.support.stand_ins import pointed_classifier
from xray_classifier.errors import ModelUnavailableError, UnreadableImageError
from xray_classifier.imaging.radiograph import Radiograph
from xray_classifier.inference.pipeline import (
    Choices,
    Result,
    classify,
    classify_radiograph,
    read,
)
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.gate import Gate
from xray_classifier.records.training import EtiologyFacts

# tiny_classifier answers sigmoid(8 * mean brightness - 4)
BLACK, WHITE = 1 / (1 + np.exp(4)), 1 / (1 + np.exp(-4))


def flat(value: int) -> bytes:
    return encoded(np.full((40, 50), value, np.uint8))


def with_threshold(classifier: Classifier, threshold: float) -> Classifier:
    return Classifier(classifier.network, replace(classifier.spec, threshold=threshold))


@pytest.mark.parametrize(
    ("grey", "probability", "verdict"),
    [
        (0, BLACK, "normal"),
        (255, WHITE, "pneumonia"),
        (102, 1 / (1 + np.exp(0.8)), "normal"),
        (153, 1 / (1 + np.exp(-0.8)), "pneumonia"),
    ],
)
def test_a_file_gets_the_probability_worked_out_by_hand(
    tiny_classifier: Classifier, grey: int, probability: float, verdict: str
) -> None:
    result = classify(flat(grey), tiny_classifier)

    assert result.probability == pytest.approx(probability, abs=1e-5)
    assert isinstance(result.probability, float)
    assert result.verdict == verdict
    assert result.threshold == 0.5
    assert result.warnings == ()


def test_the_result_shows_the_image_as_decoded(tiny_classifier: Classifier) -> None:
    result = classify(encoded(gradient()), tiny_classifier)

    np.testing.assert_array_equal(result.image, gradient())


def test_a_decoded_image_is_judged_as_its_file_is(tiny_classifier: Classifier) -> None:
    by_file = classify(encoded(gradient()), tiny_classifier)

    by_image = classify_radiograph(Radiograph(gradient()), tiny_classifier)

    assert by_image.probability == by_file.probability


def test_warnings_are_handed_on(tiny_classifier: Classifier) -> None:
    result = classify_radiograph(Radiograph(gradient(), ("view_not_frontal",)), tiny_classifier)

    assert result.warnings == ("view_not_frontal",)


def test_the_threshold_itself_is_pneumonia(tiny_classifier: Classifier) -> None:
    probability = classify(flat(90), tiny_classifier).probability
    assert probability is not None

    def judged(threshold: float) -> Result:
        return classify(flat(90), with_threshold(tiny_classifier, threshold))

    assert judged(probability).verdict == "pneumonia"
    assert judged(float(np.nextafter(probability, 1))).verdict == "normal"
    assert judged(probability).threshold == probability


def test_an_unreadable_file_gets_no_answer(tiny_classifier: Classifier) -> None:
    with pytest.raises(UnreadableImageError, match="not an image that can be read"):
        classify(b"no image", tiny_classifier)


def test_an_answer_that_is_no_probability_passes_as_an_error(
    tiny_classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = with_threshold(tiny_classifier, 0.5)
    monkeypatch.setattr(classifier.network, "_run", lambda *_: np.array([[np.nan]], np.float32))

    with pytest.raises(ModelUnavailableError, match=r"\[nan\], which is no probability"):
        classify(flat(90), classifier)


@pytest.mark.data
def test_a_real_radiograph_gets_the_probability_of_its_mean_brightness(
    tiny_classifier: Classifier, original: Path
) -> None:
    result = classify(original.read_bytes(), tiny_classifier)

    # Squeezing keeps the mean to within rounding.
    expected = 1 / (1 + np.exp(4 - 8 * result.image.mean() / 255))
    assert result.probability == pytest.approx(expected, abs=2e-3)
    assert result.image.ndim == 2


# Few grey levels


@pytest.fixture(params=["PNG", "JPEG", "DICOM"])
def write(request: pytest.FixtureRequest) -> Callable[[NDArray[np.uint8]], bytes]:
    """Write a picture as a file of each of these kinds."""
    if request.param == "DICOM":
        return dicom
    return partial(encoded, kind=request.param)


def test_a_near_black_picture_gets_no_answer(
    write: Callable[[NDArray[np.uint8]], bytes], tiny_classifier: Classifier
) -> None:
    with pytest.raises(UnreadableImageError, match="drawn in so few grey levels"):
        classify(write(gradient(300, 400) // 16), tiny_classifier)


def test_a_narrow_picture_is_judged_and_shown_as_stretched(
    write: Callable[[NDArray[np.uint8]], bytes], tiny_classifier: Classifier
) -> None:
    result = classify(write(gradient(300, 400) // 4), tiny_classifier)
    whole = classify(write(gradient(300, 400)), tiny_classifier)
    assert (result.warnings, whole.warnings) == (("grey_range_stretched",), ())
    assert result.probability == pytest.approx(whole.probability, abs=0.02)
    assert np.abs(result.image.astype(int) - whole.image).mean() < 3


@pytest.mark.data
def test_a_narrow_radiograph_keeps_its_verdict(data: Path) -> None:
    from xray_classifier.models.gate import load_gate
    from xray_classifier.models.loading import load_classifier

    classifier, gate = load_classifier(), load_gate()
    for path in sorted((data / "originals").rglob("*.jpeg"))[::4]:
        image = read(path.read_bytes()).image
        result = classify(encoded(image // 4), classifier, gate)
        whole = classify(encoded(image), classifier, gate)
        assert result.verdict == whole.verdict
        assert result.probability == pytest.approx(whole.probability, abs=0.01)
        assert result.warnings == ("grey_range_stretched",)


def test_a_picture_of_one_grey_is_refused_by_the_gate(tiny_classifier: Classifier) -> None:
    from xray_classifier.models.gate import load_gate

    gate = load_gate()
    for grey in range(0, 256, 17):
        result = classify(flat(grey), tiny_classifier, gate)
        assert (result.status, result.probability) == ("rejected", None)


# The gate


def test_rejected_image_gets_the_reason_and_no_number(
    tiny_classifier: Classifier, tiny_gate: Gate
) -> None:
    result = classify(flat(255), tiny_classifier, tiny_gate)
    assert (result.status, result.message) == ("rejected", "It is white.")
    assert (result.probability, result.verdict, result.warnings) == (None, None, ())


def test_rejected_image_gets_a_number_with_a_mark_if_that_is_wanted(
    tiny_classifier: Classifier, tiny_gate: Gate
) -> None:
    result = classify(flat(255), tiny_classifier, tiny_gate, Choices(use_gate=False))
    assert (result.status, result.verdict, result.warnings) == ("ok", "pneumonia", ("not_valid",))
    assert result.probability == pytest.approx(WHITE, abs=1e-5)


def test_image_of_another_population_is_judged_with_a_warning(
    tiny_classifier: Classifier, tiny_gate: Gate
) -> None:
    result = classify(flat(0), tiny_classifier, tiny_gate)
    assert (result.status, result.verdict) == ("ok", "normal")
    assert result.warnings == ("outside_population",)


@pytest.mark.parametrize("use_gate", [True, False])
def test_gate_changes_nothing_for_an_image_that_it_lets_through(
    tiny_classifier: Classifier, tiny_gate: Gate, use_gate: bool
) -> None:
    behind = classify(flat(90), tiny_classifier, tiny_gate, Choices(use_gate=use_gate))
    alone = classify(flat(90), tiny_classifier)
    assert (behind.probability, behind.warnings) == (alone.probability, ())


# Choices


@pytest.mark.parametrize(
    ("choice", "name", "threshold", "verdict"),
    [(None, "balanced", 0.7, "normal"), ("screening", "screening", 0.2, "uncertain")],
)
def test_operating_point_decides_the_verdict(
    choice: str | None, name: str, threshold: float, verdict: str
) -> None:
    result = classify(flat(90), pointed_classifier(), None, Choices(choice))  # .2356
    assert (result.operating_point, result.threshold) == (name, threshold)
    assert result.verdict == verdict


def test_pretest_probability_changes_neither_probability_nor_verdict() -> None:
    classifier = pointed_classifier()
    plain = classify(flat(200), classifier)
    informed = classify(flat(200), classifier, None, Choices(pretest=0.01))
    assert (informed.probability, informed.verdict) == (plain.probability, plain.verdict)
    assert plain.post_test_probability is None
    assert informed.post_test_probability is not None
    assert informed.post_test_probability < 0.2 < 0.9 < (informed.probability or 0)


def test_pretest_probability_of_a_model_that_is_not_calibrated_is_refused(
    tiny_classifier: Classifier,
) -> None:
    with pytest.raises(ModelUnavailableError, match="tiny is not calibrated, so no post-test"):
        classify(flat(90), tiny_classifier, None, Choices(pretest=0.1))


def test_rejected_image_has_no_post_test_probability(tiny_gate: Gate) -> None:
    result = classify(flat(255), pointed_classifier(), tiny_gate, Choices(pretest=0.1))
    assert (result.status, result.post_test_probability) == ("rejected", None)


# The second answer


@pytest.mark.parametrize("etiology", ["bacterial", "viral", "uncertain"])
def test_pneumonia_gets_the_second_answer_worked_out_by_hand(etiology: str) -> None:
    result = classify(PICTURES[etiology], two_answer_classifier())
    assert (result.verdict, result.etiology) == ("pneumonia", etiology)
    assert result.bacterial == pytest.approx(CHANCES[etiology], abs=1e-5)
    assert isinstance(result.bacterial, float)


def test_normal_has_no_etiology() -> None:
    result = classify(PICTURES["normal"], two_answer_classifier())
    assert (result.verdict, result.etiology) == ("normal", None)


def test_uncertain_verdict_has_no_etiology() -> None:
    second = two_answer_classifier()
    point = replace(pointed_classifier().spec.points[0], low=0.0, high=1.0)
    classifier = Classifier(second.network, replace(second.spec, operating_points=(point,)))
    result = classify(PICTURES["bacterial"], classifier)
    assert (result.verdict, result.etiology) == ("uncertain", None)


def test_rejected_image_has_no_second_answer_and_one_that_is_not_valid_no_etiology(
    tiny_gate: Gate,
) -> None:
    white, classifier = flat(255), two_answer_classifier()
    result = classify(white, classifier, tiny_gate)
    assert (result.status, result.bacterial, result.etiology) == ("rejected", None, None)
    judged = classify(white, classifier, tiny_gate, Choices(use_gate=False))
    assert (judged.verdict, judged.warnings) == ("pneumonia", ("not_valid",))
    assert judged.etiology is None


@pytest.mark.parametrize("facts", [None, WEAK], ids=["not measured", "weak"])
def test_second_answer_that_is_not_good_enough_is_never_shown(facts: EtiologyFacts | None) -> None:
    result = classify(PICTURES["bacterial"], two_answer_classifier(facts))
    assert (result.verdict, result.etiology) == ("pneumonia", None)


def test_second_answer_leaves_the_first_as_it_is(tiny_classifier: Classifier) -> None:
    for picture in PICTURES.values():
        one, two = (classify(picture, each) for each in (tiny_classifier, two_answer_classifier()))
        assert (one.probability, one.verdict) == (two.probability, two.verdict)
        assert (one.bacterial, one.etiology) == (None, None)
