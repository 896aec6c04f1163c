from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from tests.support.stand_ins import resample_seldom
from xray_classifier.evaluation.metrics import (
    calibration_bins,
    calibration_error,
    confusion,
    effective_images,
    estimate,
    estimate_point,
    measure,
    measure_point,
    patient_intervals,
    predictive_values,
    wilson_interval,
    wilson_intervals,
    with_intervals,
)
from xray_classifier.models.operating_point import OperatingPoint
from xray_classifier.records.evaluation import Confusion, Estimate, named_estimates

# Six images: called pneumonia at .5 are numbers 2, 3, 5 and 6; right are 1, 5 and 6.
LABELS = np.array([0, 0, 0, 1, 1, 1])
PROBABILITIES = np.array([0.1, 0.5, 0.7, 0.2, 0.5, 0.9])


@pytest.mark.parametrize(
    ("figure", "value"),
    [
        # -(ln .9 + ln .5 + ln .3 + ln .2 + ln .5 + ln .9) / 6
        ("loss", 0.7350710),
        ("accuracy", 3 / 6),
        ("sensitivity", 2 / 3),
        ("specificity", 1 / 3),
        # Of nine pairs the pneumonia is higher in five, level in one.
        ("auc", 5.5 / 9),
    ],
)
def test_figure_is_what_it_is_by_hand(figure: str, value: float) -> None:
    assert measure(LABELS, PROBABILITIES, 0.5)[figure] == pytest.approx(value, abs=1e-6)


def test_pneumonia_is_called_at_the_threshold_itself() -> None:
    at, above = (measure(LABELS, PROBABILITIES, threshold) for threshold in (0.5, 0.5000001))
    assert (at["sensitivity"], above["sensitivity"]) == pytest.approx((2 / 3, 1 / 3))
    assert (at["specificity"], above["specificity"]) == pytest.approx((1 / 3, 2 / 3))


def test_a_weight_counts_an_image_that_often() -> None:
    weights = np.array([2, 1, 0, 1, 3, 1])
    repeated = measure(np.repeat(LABELS, weights), np.repeat(PROBABILITIES, weights), 0.5)
    assert measure(LABELS, PROBABILITIES, 0.5, weights) == pytest.approx(repeated)
    assert repeated["accuracy"] == 6 / 8


def test_confusion_has_truth_in_rows_and_verdict_in_columns() -> None:
    labels = np.array([0] * 3 + [1] * 7)
    probabilities = np.array([0.1, 0.8, 0.5, 0.2, 0.3, 0.4, 0.9, 0.9, 0.9, 0.5])
    assert confusion(labels, probabilities, 0.5).rows == ((1, 2), (3, 4))


def test_confusion_has_four_cells_where_some_are_empty() -> None:
    assert confusion(np.array([0, 0]), np.array([0.1, 0.2]), 0.5) == Confusion(2, 0, 0, 0)


# Intervals


def sixty_images() -> tuple[Any, Any, list[str]]:
    """Ten images each of six patients; one patient of each class is judged wrongly throughout."""
    labels = np.repeat([0, 0, 0, 1, 1, 1], 10)
    probabilities = np.repeat([0.2, 0.3, 0.6, 0.4, 0.7, 0.9], 10)
    return labels, probabilities, [f"child {number // 10}" for number in range(60)]


def intervals_of(
    labels: Any, probabilities: Any, patients: Sequence[str], threshold: float, **options: int
) -> dict[str, tuple[float, float]]:
    return patient_intervals(
        lambda weights: measure(labels, probabilities, threshold, weights),
        labels,
        patients,
        **options,
    )


def test_intervals_follow_from_the_seed() -> None:
    labels, probabilities, patients = sixty_images()
    first, same, other = (
        intervals_of(labels, probabilities, patients, 0.5, resamples=50, seed=seed)
        for seed in (1, 1, 2)
    )
    assert first == same
    assert first != other


def test_intervals_contain_the_value() -> None:
    labels, probabilities, patients = sixty_images()
    intervals = intervals_of(labels, probabilities, patients, 0.5, resamples=200)
    figures = measure(labels, probabilities, 0.5)
    assert intervals.keys() == figures.keys()
    for name, (low, high) in intervals.items():
        assert low < figures[name] < high


def test_intervals_are_wider_where_images_are_of_few_patients() -> None:
    labels, probabilities, patients = sixty_images()
    images = [str(number) for number in range(60)]
    few, many = (
        intervals_of(labels, probabilities, who, 0.5, resamples=200) for who in (patients, images)
    )
    for name in ("loss", "accuracy", "sensitivity", "specificity", "auc"):
        assert few[name][1] - few[name][0] > 1.5 * (many[name][1] - many[name][0])


def test_order_of_the_images_does_not_matter_to_patients() -> None:
    labels, probabilities, patients = sixty_images()
    order = np.random.default_rng(0).permutation(60)
    mixed = [patients[index] for index in order]
    straight = intervals_of(labels, probabilities, patients, 0.5, resamples=50)
    shuffled = intervals_of(labels[order], probabilities[order], mixed, 0.5, resamples=50)
    for name, interval in straight.items():
        assert shuffled[name] == pytest.approx(interval)


def test_draws_that_lack_a_class_are_drawn_again() -> None:
    # Half of all draws of two children are one child twice; what is left is both, once each.
    labels, probabilities = np.array([0, 1]), np.array([0.3, 0.4])
    intervals = intervals_of(labels, probabilities, ["a", "b"], 0.5, resamples=30)
    for name, value in measure(labels, probabilities, 0.5).items():
        assert intervals[name] == pytest.approx((value, value))


def test_one_patient_with_images_of_both_classes_has_an_interval_without_width() -> None:
    labels, probabilities = np.array([0, 1]), np.array([0.3, 0.4])
    intervals = intervals_of(labels, probabilities, ["a", "a"], 0.5, resamples=3)
    assert intervals["accuracy"] == (0.5, 0.5)


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [
        (569, 624, 0.887, 0.932),  # the article
        (0, 10, 0, 0.278),
        (10, 10, 0.722, 1),
        (5, 10, 0.237, 0.763),
    ],
)
def test_wilson_interval_is_the_published_one(right: int, n: int, low: float, high: float) -> None:
    assert wilson_interval(right, n) == pytest.approx((low, high), abs=5e-4)


def test_wilson_intervals_are_those_of_one_at_a_time() -> None:
    right, n = np.array([0.0, 81.0, 5.0]), np.array([20.0, 263.0, 5.0])
    lows, highs = wilson_intervals(right, n)
    each = [wilson_interval(int(r), int(of)) for r, of in zip(right, n, strict=True)]
    assert np.stack([lows, highs], axis=1) == pytest.approx(np.array(each))


def test_effective_images_by_hand() -> None:
    assert effective_images(np.array([2.0, 2.0, 2.0])) == pytest.approx(3)
    assert effective_images(np.array([3.0, 1.0])) == pytest.approx(16 / 10)
    assert effective_images(np.array([1.0, 0.0, 0.0])) == pytest.approx(1)


def test_images_of_one_class_have_intervals_of_what_one_class_tells() -> None:
    labels, right = np.zeros(4, np.intp), np.array([1, 1, 1, 0])
    found = with_intervals(
        lambda weights: {"specificity": float(np.average(right, weights=weights))},
        labels,
        ["a", "b", "c", "d"],
        200,
    )
    assert found["specificity"].value == 0.75
    assert found["specificity"].low < 0.75 < found["specificity"].high


@dataclass(frozen=True)
class Given:
    labels: Any
    probabilities: Any
    patients: tuple[str, ...]


def test_estimates_keep_the_weights_of_their_images(monkeypatch: pytest.MonkeyPatch) -> None:
    resample_seldom(monkeypatch)
    labels = np.array([0, 0, 1, 1])
    probabilities = np.array([0.2, 0.7, 0.4, 0.9])
    given = Given(labels, probabilities, ("a", "b", "c", "d"))
    weights = np.array([3.0, 1.0, 0.5, 1.5])
    found = estimate(given, 0.5, weights)
    values = {name: each.value for name, each in named_estimates(found).items()}
    assert values == pytest.approx(measure(labels, probabilities, 0.5, weights))
    assert found.specificity.value == 0.75
    point = OperatingPoint("balanced", 0.5, 0.3, 0.6)
    assert estimate_point(given, point, weights).sensitivity.value == 0.75
    assert estimate_point(given, point).sensitivity.value == 0.5
    assert estimate(given, 0.5) == estimate(given, 0.5, np.ones(4))


def test_figures_are_scikit_learns() -> None:
    from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 300)
    probabilities = rng.random(300).round(1)  # many ties, and some of exactly 0 and 1
    weights = rng.integers(0, 4, 300)
    found = measure(labels, probabilities, 0.5, weights)
    for name, function in (
        ("loss", log_loss),
        ("auc", roc_auc_score),
        ("brier", brier_score_loss),
    ):
        expected = function(labels, probabilities, sample_weight=weights)
        assert found[name] == pytest.approx(expected), name


def test_calibration_error_by_hand() -> None:
    # 15 bins of two: in one of them .9 is promised and one of two is positive.
    probabilities = np.repeat(np.linspace(0, 0.9, 15), 2)
    labels = np.zeros(30, np.intp)
    labels[-1] = 1
    expected = (sum(np.linspace(0, 0.9, 15)[:-1]) + abs(0.9 - 0.5)) / 15
    assert calibration_error(labels, probabilities) == pytest.approx(expected)


def test_calibration_bins_hold_equal_mass_and_know_weights() -> None:
    probabilities = np.linspace(0, 1, 30)
    labels = (probabilities > 0.5).astype(np.intp)
    bins = calibration_bins(labels, probabilities)
    assert [each.images for each in bins] == [2] * 15
    doubled = calibration_bins(labels, probabilities, np.full(30, 2))
    assert [replace(each, images=each.images / 2) for each in doubled] == bins
    # An image that counts not at all is not there.
    without = np.ones(30, np.intp)
    without[7] = 0
    assert sum(each.images for each in calibration_bins(labels, probabilities, without)) == 29


def test_point_by_hand() -> None:
    point = OperatingPoint("balanced", 0.5, 0.4, 0.6)
    labels = np.array([0, 0, 0, 1, 1])
    probabilities = np.array([0.1, 0.45, 0.55, 0.59, 0.9])
    assert measure_point(labels, probabilities, point) == pytest.approx(
        {
            "accuracy": 4 / 5,  # .55 is called pneumonia
            "sensitivity": 1,
            "specificity": 2 / 3,
            "undecided": 3 / 5,
            "decided_right": 1,
        }
    )


def test_band_that_holds_everything_decides_nothing_wrongly() -> None:
    point = OperatingPoint("balanced", 0.5, 0, 1)
    found = measure_point(np.array([0, 1]), np.array([0.7, 0.3]), point)
    assert (found["undecided"], found["decided_right"], found["accuracy"]) == (1, 1, 0)


def test_predictive_values_by_hand() -> None:
    # Of 1,000: 100 positive, 90 called; 900 negative, 180 called. 90 / 270 and 720 / 730.
    assert predictive_values(0.9, 0.8, 0.1) == pytest.approx((1 / 3, 720 / 730))


def test_intervals_come_with_their_value() -> None:
    labels, patients = np.array([0, 1, 0, 1]), ["a", "b", "c", "d"]
    found = with_intervals(
        lambda weights: {"share": float(np.average(labels, weights=weights))}, labels, patients
    )
    assert found == {"share": Estimate(0.5, 0.25, 0.75)}
