from __future__ import annotations

from typing import Any

import numpy as np

from xray_classifier.calibration.out_of_fold import OutOfFold
from xray_classifier.calibration.points import (
    fit_band,
    fit_points,
    sensitive_threshold,
    specific_threshold,
)


def logistic(logits: Any) -> Any:
    return 1 / (1 + np.exp(-logits))


NORMALS = np.linspace(0.01, 0.60, 100)  # one below each other, .60 the worst
ILL = np.linspace(0.40, 0.99, 100)
LABELS = np.repeat([0, 1], 100)
PROBABILITIES = np.concatenate([NORMALS, ILL])


def test_sensitive_threshold_misses_one_in_a_hundred_and_not_one_more() -> None:
    threshold = sensitive_threshold(LABELS, PROBABILITIES)
    assert threshold == ILL[1]
    assert (threshold <= ILL).mean() == 0.99


def test_specific_threshold_calls_one_in_a_hundred_and_not_one_more() -> None:
    threshold = specific_threshold(LABELS, PROBABILITIES)
    assert (threshold > NORMALS).mean() == 0.99
    assert NORMALS[-2] < threshold < NORMALS[-1]


def test_band_holds_what_is_judged_wrongly_and_nothing_else() -> None:
    # 5,000 right far away on each side; between them forty in which every second is wrong.
    middle = np.linspace(0.4, 0.6, 40)
    probabilities = np.concatenate([np.full(5000, 0.01), middle, np.full(5000, 0.99)])
    labels = np.concatenate([np.zeros(5000), np.arange(40) % 2, np.ones(5000)]).astype(np.intp)
    low, high = fit_band(labels, probabilities, 0.5)
    assert (low, high) == (0.5, 0.5)  # 20 wrong of 10,040 are few enough

    few = np.concatenate([np.arange(4900, 5000), np.arange(5000, 5140)])  # 100 right, 40, 100 right
    low, high = fit_band(labels[few], probabilities[few], 0.5)
    undecided = (probabilities[few] >= low) & (probabilities[few] < high)
    assert low < 0.5 < high
    assert undecided.sum() == 24  # a tenth of 240, since Wilson's bound cannot be reached


def test_band_of_weights_that_are_alike_is_the_plain_one() -> None:
    rng = np.random.default_rng(3)
    labels = (rng.random(500) < 0.7).astype(np.intp)
    probabilities = logistic(rng.normal(np.where(labels, 2, -2), 1.5))
    plain = fit_band(labels, probabilities, 0.6)
    assert fit_band(labels, probabilities, 0.6, np.full(500, 1.0)) == plain
    assert plain[0] < plain[1]


def test_weighted_band_lies_where_the_weighty_images_are_wrong() -> None:
    # Two patches of images of which half are wrong: .3 to .4, and .6 to .7.
    probabilities = np.concatenate(
        [np.full(200, 0.1), np.linspace(0.3, 0.4, 20), np.linspace(0.6, 0.7, 20), np.full(200, 0.9)]
    )
    labels = np.concatenate([np.zeros(200), np.tile([0, 1], 20), np.ones(200)]).astype(np.intp)
    weights = np.ones(440)
    weights[200:220] = 0.01
    low, high = fit_band(labels, probabilities, 0.5, weights)
    assert (low, high > 0.6) == (0.5, True)
    weights[200:220], weights[220:240] = 1, 0.01
    low, high = fit_band(labels, probabilities, 0.5, weights)
    assert (low < 0.4, high) == (True, 0.5)


def test_weighted_band_leaves_a_tenth_of_the_weight() -> None:
    rng = np.random.default_rng(4)
    labels = (rng.random(1000) < 0.7).astype(np.intp)
    probabilities = logistic(rng.normal(np.where(labels, 0.7, -0.7), 1))  # far from 98.5 % right
    weights = rng.uniform(0.1, 2, 1000)
    low, high = fit_band(labels, probabilities, 0.5, weights)
    inside = (probabilities >= low) & (probabilities < high)
    assert 0.09 < weights[inside].sum() / weights.sum() <= 0.1


def test_points_bear_what_they_give() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], 500)
    probabilities = logistic(rng.normal(np.where(labels, 3, -3), 1.5))
    patients = tuple(str(number // 2) for number in range(1000))
    points = fit_points(OutOfFold(labels, probabilities, patients, 2))
    assert points.keys() == {"balanced", "screening", "confirming"}
    assert points["balanced"].threshold == 0.5  # the prevalence: a likelihood ratio of 1
    figures = {name: point.out_of_fold for name, point in points.items()}
    screening, confirming = figures["screening"], figures["confirming"]
    assert screening
    assert screening.sensitivity.value >= 0.99
    assert confirming
    assert confirming.specificity.value >= 0.99
    for point in points.values():
        assert point.out_of_fold
        sensitivity = point.out_of_fold.sensitivity
        assert sensitivity.low <= sensitivity.value <= sensitivity.high
        assert point.low <= point.threshold <= point.high
