from __future__ import annotations

import sys
from functools import partial
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks.measure import Figure


def test_growth_is_measured_first_while_this_process_is_small(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Afterwards it holds TensorFlow and its threads."""
    order = []

    def measured(name: str, *_: int) -> tuple[list[Figure], dict[str, Any]]:
        order.append(name)
        return [Figure(name, name, 1, 2)], {f"table of {name}": ["row"]}

    monkeypatch.setattr(sys, "argv", ["benchmarks", "--scaling"])
    monkeypatch.setattr(command, "measure_scaling", partial(measured, "growth"))
    monkeypatch.setattr(command, "measure", partial(measured, "rest"))
    command.main()
    assert order == ["growth", "rest"]
    said = capsys.readouterr().out
    assert all(word in said for word in ("table of growth", "table of rest"))
