from __future__ import annotations

import math

import pytest

from xray_classifier.errors import ModelUnavailableError
from xray_classifier.inference.prevalence import likelihood_ratio, post_test
from xray_classifier.models.spec import ModelSpec

CALIBRATED = ModelSpec("m", "M", "m.keras", calibration_prevalence=0.74)


def test_likelihood_ratio_by_hand() -> None:
    # odds(.9) = 9, odds(.74) = 2.846, 9 / 2.846 = 3.162
    assert likelihood_ratio(0.9, 0.74) == pytest.approx(3.162, abs=5e-4)


def test_probability_at_the_prevalence_says_nothing() -> None:
    assert likelihood_ratio(0.74, 0.74) == pytest.approx(1)
    assert post_test(0.74, CALIBRATED, 0.05) == pytest.approx(0.05)


def test_post_test_probability_by_hand() -> None:
    # odds(.1) * 3.162 = .3513; .3513 / 1.3513 = .26
    assert post_test(0.9, CALIBRATED, 0.10) == pytest.approx(0.26, abs=5e-4)


def test_pretest_probability_equal_to_the_prevalence_changes_nothing() -> None:
    assert post_test(0.9, CALIBRATED, 0.74) == pytest.approx(0.9)


@pytest.mark.parametrize(("probability", "after"), [(0.0, 0.0), (1.0, 1.0)])
def test_certainty_stays_certain(probability: float, after: float) -> None:
    assert post_test(probability, CALIBRATED, 0.1) == after


@pytest.mark.parametrize("pretest", [0.0, 1.0, -0.1, 10.0, math.nan])
def test_impossible_pretest_probability_is_refused(pretest: float) -> None:
    with pytest.raises(ValueError, match=f"between 0 and 1 is wanted; received {pretest}"):
        post_test(0.9, CALIBRATED, pretest)


def test_model_that_is_not_calibrated_is_named() -> None:
    with pytest.raises(ModelUnavailableError, match="Model m is not calibrated"):
        post_test(0.9, ModelSpec("m", "M", "m.keras"), 0.1)
