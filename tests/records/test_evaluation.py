from __future__ import annotations

import pytest

from tests.support.recorded import ALL_FIGURES, FIGURES
from xray_classifier.records.evaluation import Confusion, Estimate, named_estimates


def test_complement_swaps_the_ends_of_the_interval() -> None:
    found = Estimate(0.8, 0.7, 0.95).complement()
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.05, 0.3))


def test_confusion_counts_truths_and_what_is_right() -> None:
    confusion = Confusion(true_normal=1, false_pneumonia=2, false_normal=3, true_pneumonia=4)
    assert (confusion.normals, confusion.pneumonias, confusion.right) == (3, 7, 5)
    assert confusion.rows == ((1, 2), (3, 4))


def test_figures_are_named_in_order_and_left_out_where_they_were_not_measured() -> None:
    names = ["loss", "accuracy", "sensitivity", "specificity", "auc"]
    assert [*named_estimates(FIGURES)] == names
    assert [*named_estimates(ALL_FIGURES)] == [*names, "brier", "ece"]
    assert named_estimates(FIGURES)["auc"] == FIGURES.auc
