from __future__ import annotations

import io
import os
import subprocess
import time
from typing import Any

import pytest

from benchmarks import child, processes
from benchmarks.processes import Cost
from tests.support.pages import draw_app


def test_page_runs_in_a_process_of_its_own() -> None:
    start = time.perf_counter()
    assert processes.ask("page", str(child.PAGE)) == len(draw_app().main)
    assert 0 < processes.seconds_to_answer("page", str(child.PAGE)) < time.perf_counter() - start


def test_process_without_an_answer_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="ended without an answer, status 1"):
        processes.ask("page", "no-such-page.py")


def test_runtime_is_chosen_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[dict[str, str]] = []

    class Process:
        def __init__(self, command: list[str], env: dict[str, str], **_: Any) -> None:
            started.append(env)
            self.stdout = io.StringIO("a row\nanswer 150.5\n")

        def __enter__(self) -> Process:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def wait(self, limit: float) -> None:
            pass

    monkeypatch.setattr(subprocess, "Popen", Process)
    monkeypatch.setitem(os.environ, "XRAY_CLASSIFIER_RUNTIME", "auto")
    cost = processes.cost_of("predict", "a.png", runtime="keras")
    assert cost == Cost(cost.seconds, 150.5)
    assert 0 < cost.seconds < 1
    processes.ask("predict", "a.png")
    assert [env["XRAY_CLASSIFIER_RUNTIME"] for env in started] == ["keras", "onnx"]
