from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import visits
from benchmarks.processes import Cost
from tests.support.rendered_page import Seen


def test_first_verdict_of_a_server_is_set_against_the_import(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    costs = {"onnx": Cost(1, 160), "keras": Cost(6, 830)}
    monkeypatch.setattr(visits, "visit", lambda data, runtime: costs[runtime])
    monkeypatch.setattr(visits, "cost_of", lambda program: Cost(4, 700))
    over, resident = visits.compare_first_visits(2)
    assert (over.key, over.value) == ("page_first_verdict", 1 / 4)
    assert over.sides["Keras"].median == 6
    assert (resident.key, resident.value) == ("resident_mb", 160)
    assert resident.sides["Keras"].median == 830


class Page:
    """What stands for a server and a tab in it."""

    seen = Seen(texts=["Normal 98 %"], images=[np.zeros((40, 50), np.uint8)])

    def __init__(self, server: Page | None = None) -> None:
        del server

    def upload(self, name: str, data: bytes) -> Seen:
        return self.seen

    def megabytes(self, field: str) -> float:
        return {"VmRSS": 160.0}[field]

    def leave(self) -> None:
        pass


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, str]]:
    """The environments in which servers were started."""
    environments = []

    @contextmanager
    def serve(folder: Path, environment: Mapping[str, str]) -> Iterator[Page]:
        environments.append(environment)
        yield Page()

    monkeypatch.setattr(visits, "serve", serve)
    monkeypatch.setattr(visits, "Visitor", Page)
    return environments


def test_visit_tells_the_wait_and_the_memory_of_the_server(
    served: list[Mapping[str, str]],
) -> None:
    cost = visits.visit(b"file", "keras")
    assert served == [{"XRAY_CLASSIFIER_RUNTIME": "keras"}]
    assert cost.megabytes == 160
    assert 0 < cost.seconds < 1


def test_page_without_a_picture_is_an_error(
    served: list[Mapping[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Page, "seen", Seen(texts=["The model cannot be used."]))
    with pytest.raises(RuntimeError, match=r"judged nothing: The model cannot be used\."):
        visits.visit(b"file", "onnx")


def test_reruns_of_all_processes_are_taken_together(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: dict[str, Iterator[Any]] = {
        "onnx": iter([[0.1, 0.2], [0.3, 0.4, 0.5]]),
        "keras": iter([[0.9], [0.7]]),
    }
    monkeypatch.setattr(visits, "ask", lambda *_, runtime: next(answers[runtime]))
    figure = visits.compare_reruns(2)
    assert (figure.key, figure.value) == ("page_rerun", 0.3)
    assert (figure.sides["ours"].times, figure.sides["Keras"].median) == (5, 0.8)
