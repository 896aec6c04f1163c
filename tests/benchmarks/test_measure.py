from __future__ import annotations

import pytest

from benchmarks.measure import Figure, Quartiles, ask_in_turns, quartiles, ratio, take_turns


def test_median_and_quartiles_are_in_milliseconds() -> None:
    assert quartiles([0.005, 0.001, 0.003, 0.002, 0.004]) == Quartiles(3, 2, 4, 5, "ms")


def test_quartiles_of_one_value_are_that_value() -> None:
    assert quartiles([2.5], "s", 1) == Quartiles(2.5, 2.5, 2.5, 1, "s")


def test_ratio_is_that_of_the_medians() -> None:
    assert ratio(Quartiles(30, 0, 99, 3), Quartiles(12, 0, 99, 3)) == 2.5


@pytest.mark.parametrize(
    ("value", "at_least", "met"),
    [(2.9, True, False), (3, True, True), (3, False, True), (3.1, False, False)],
)
def test_figure_is_met_at_its_target_and_beyond(value: float, at_least: bool, met: bool) -> None:
    assert Figure("key", "what", value, 3, at_least).met is met


def test_sides_take_turns_and_the_warm_up_does_not_count() -> None:
    calls: list[str] = []
    seconds = take_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 3, 1)
    assert calls == ["a", "b"] * 4
    assert [len(values) for values in seconds.values()] == [3, 3]
    assert all(value >= 0 for values in seconds.values() for value in values)


def test_sides_are_asked_in_turns_for_what_they_measured() -> None:
    answers = iter(range(8))
    found = ask_in_turns({"a": lambda: next(answers), "b": lambda: next(answers)}, 3, warm_up=1)
    assert found == {"a": [2, 4, 6], "b": [3, 5, 7]}
