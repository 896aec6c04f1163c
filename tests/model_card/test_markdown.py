from __future__ import annotations

from xray_classifier.model_card.markdown import decimals, percents, proportion, table
from xray_classifier.records.evaluation import Estimate


def test_table_has_a_rule_below_its_heading() -> None:
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_figures_stand_with_their_intervals() -> None:
    figure = Estimate(0.9123, 0.9012, 1)
    assert percents(figure) == "91.2 % (90.1 % to 100.0 %)"
    assert decimals(figure) == "0.912 (0.901 to 1.000)"
    assert decimals(figure, 4) == "0.9123 (0.9012 to 1.0000)"


def test_figure_that_was_not_measured_is_a_dash() -> None:
    assert decimals(None) == "-"


def test_proportion_has_wilsons_interval() -> None:
    assert proportion(569, 624) == "91.2 % (88.7 % to 93.2 %)"
