from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from xray_classifier.evaluation.comparison import compare, delong, mcnemar

LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 1])
PATIENTS = list("abcdefgh")
PERFECT = np.array([0.1, 0.2, 0.1, 0.2, 0.9, 0.8, 0.9, 0.8])
POOR = np.array([0.9, 0.2, 0.8, 0.2, 0.1, 0.8, 0.9, 0.8])


def test_mcnemar_by_hand() -> None:
    # Ours alone is right three times, the other alone never: p = 2 * .5 ** 3.
    assert mcnemar(LABELS, (PERFECT, 0.5), (POOR, 0.5)) == pytest.approx(0.25)
    assert binomtest(3, 3).pvalue == pytest.approx(0.25)


def test_equal_models_do_not_differ() -> None:
    assert mcnemar(LABELS, (POOR, 0.5), (POOR, 0.5)) == 1
    assert delong(LABELS, POOR, POOR) == 1


def test_delong_variance_by_hand() -> None:
    # Placements of the positives: (2, 3, 4, 3) / 4 ... computed pair by pair here.
    ours = np.array([0.1, 0.4, 0.35, 0.6, 0.3, 0.7, 0.8, 0.9])
    other = np.array([0.5, 0.2, 0.3, 0.6, 0.4, 0.1, 0.7, 0.8])

    def placements(scores: Any) -> tuple[list[float], list[float]]:
        negative, positive = scores[:4, None], scores[4:, None]
        wins = (positive > negative.T) + 0.5 * (positive == negative.T)
        return wins.mean(axis=1).tolist(), wins.mean(axis=0).tolist()

    (a_pos, a_neg), (b_pos, b_neg) = placements(ours), placements(other)
    covariance = np.cov([a_pos, b_pos]) / 4 + np.cov([a_neg, b_neg]) / 4
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    z = (np.mean(a_pos) - np.mean(b_pos)) / np.sqrt(variance)
    from scipy.stats import norm

    assert delong(LABELS, ours, other) == pytest.approx(2 * norm.sf(abs(z)))


def test_delong_p_is_uniform_where_models_are_equally_good() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 60)
    values = [
        delong(labels, labels + rng.normal(0, 1.5, 120), labels + rng.normal(0, 1.5, 120))
        for _ in range(400)
    ]
    assert np.mean(np.array(values) < 0.1) == pytest.approx(0.1, abs=0.05)


def test_comparison_bears_paired_intervals() -> None:
    found = compare(LABELS, PATIENTS, (PERFECT, 0.5), (POOR, 0.5), "poor")
    less = found.difference
    assert less.accuracy.value == pytest.approx(3 / 8)
    assert 0 <= less.accuracy.low < less.accuracy.value < less.accuracy.high <= 1
    assert (less.sensitivity.value, less.specificity.value) == pytest.approx((1 / 4, 1 / 2))
    assert found.mcnemar_p == pytest.approx(0.25)
    assert found.delong_p == delong(LABELS, PERFECT, POOR)
    assert found.model == "poor"
