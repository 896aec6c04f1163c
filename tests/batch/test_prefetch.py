from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from xray_classifier.batch.prefetch import map_ahead


class Items:
    """The numbers 0 to 99, and how many of them were drawn."""

    def __init__(self) -> None:
        self.drawn = 0

    def __iter__(self) -> Iterator[int]:
        for number in range(100):
            self.drawn += 1
            yield number


@pytest.mark.parametrize(("workers", "ahead"), [(1, 1), (2, 1), (2, 4), (4, 200)])
def test_results_come_in_the_order_of_the_items(workers: int, ahead: int) -> None:
    last_done = threading.Event()

    def square(number: int) -> int:
        if number == 0 and workers > 1:  # the first is done only after the second
            assert last_done.wait(60)
        if number == 1:
            last_done.set()
        return number * number

    found = [(item, future.result()) for item, future in map_ahead(square, Items(), workers, ahead)]
    assert found == [(number, number**2) for number in range(100)]


@pytest.mark.parametrize("ahead", [1, 3])
def test_no_more_items_are_drawn_than_asked_for(ahead: int) -> None:
    items = Items()
    for number, (item, _) in enumerate(map_ahead(str, items, workers=2, ahead=ahead)):
        assert item == number
        assert items.drawn == min(number + 1 + ahead, 100)


def test_nothing_is_drawn_before_the_first_result_is_asked_for() -> None:
    items = Items()
    results = map_ahead(str, items)
    assert items.drawn == 0
    next(results)
    results.close()


def test_error_is_raised_where_its_result_is_asked_for() -> None:
    futures = [future for _, future in map_ahead(int, ["1", "x", "3"])]
    assert (futures[0].result(), futures[2].result()) == (1, 3)
    with pytest.raises(ValueError, match="'x'"):
        futures[1].result()


def test_work_goes_on_while_the_caller_is_busy() -> None:
    second = threading.Event()
    results = map_ahead(lambda number: second.set() if number == 1 else None, range(3))
    next(results)
    assert second.wait(60)
    assert [item for item, _ in results] == [1, 2]


def test_several_items_are_worked_on_at_once() -> None:
    together = threading.Barrier(2, timeout=60)
    for _, future in map_ahead(lambda _: together.wait(), range(4), workers=2, ahead=2):
        future.result()


def test_no_thread_is_left_behind_when_the_caller_stops_early() -> None:
    before = threading.active_count()
    results = map_ahead(str, Items(), workers=3, ahead=5)
    next(results)
    assert threading.active_count() > before
    results.close()
    assert threading.active_count() == before


def test_no_items_give_no_results() -> None:
    assert list(map_ahead(str, [])) == []
