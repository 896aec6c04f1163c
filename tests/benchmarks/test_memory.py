from __future__ import annotations

from typing import Any

import pytest

from benchmarks import memory

STEPS = {"Python": 14.0, "first verdict": 150.0}


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs answer at once; Keras's need five times as much memory."""

    def ask(program: str, *arguments: str, runtime: str) -> Any:
        factor = {"onnx": 1, "keras": 5}[runtime]
        if program == "verdicts":
            early, late = arguments[1:]
            return {early: 160 * factor, late: 168 * factor}
        return {step: factor * size for step, size in STEPS.items()}

    monkeypatch.setattr(memory, "ask", ask)


def test_growth_is_ours_beside_that_of_keras(drawn: None, fresh: None) -> None:
    figure = memory.growth(3, 30)
    assert figure.value == pytest.approx(0.05)
    assert {name: side.median for name, side in figure.sides.items()} == {
        "ours, after 3 verdicts": 160,
        "ours, after 30 verdicts": 168,
        "Keras, after 3 verdicts": 800,
        "Keras, after 30 verdicts": 840,
    }


def test_steps_stand_beside_those_of_keras(fresh: None) -> None:
    assert memory.steps() == {
        "Python": {"ours": 14, "Keras": 70},
        "first verdict": {"ours": 150, "Keras": 750},
    }
