from __future__ import annotations

import numpy as np
import pytest

from xray_classifier.evaluation.curves import coverage, curves_of, roc
from xray_classifier.records.evaluation import CoveragePoint, RocPoint

LABELS = np.array([0, 0, 1, 1])
PROBABILITIES = np.array([0.1, 0.6, 0.4, 0.9])


def test_roc_by_hand() -> None:
    corners = [(0, 0), (0, 0.5), (0.5, 0.5), (0.5, 1), (1, 1)]
    assert roc(LABELS, PROBABILITIES) == tuple(RocPoint(*corner) for corner in corners)


def test_roc_has_at_most_a_hundred_points_and_keeps_its_ends() -> None:
    rng = np.random.default_rng(0)
    points = roc(rng.integers(0, 2, 3000), rng.random(3000))
    assert len(points) <= 100
    assert (points[0], points[-1]) == (RocPoint(0, 0), RocPoint(1, 1))


def test_coverage_leaves_the_nearest_to_the_threshold_out_first() -> None:
    points = coverage(LABELS, PROBABILITIES, 0.5)
    assert points[0] == CoveragePoint(1, 0.5)  # .4 and .6 are wrong
    assert points[-1] == CoveragePoint(0.5, 1)


def test_certain_probabilities_break_nothing() -> None:
    points = coverage(np.array([0, 1]), np.array([0.0, 1.0]), 0.5)
    assert points[0] == CoveragePoint(1, 1)


def test_all_curves_come_together() -> None:
    found = curves_of(LABELS, PROBABILITIES, 0.5)
    assert found.roc == roc(LABELS, PROBABILITIES)
    assert found.coverage == coverage(LABELS, PROBABILITIES, 0.5)
    assert sum(each.images for each in found.reliability) == pytest.approx(4)
