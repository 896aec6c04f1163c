from __future__ import annotations

import json
from pathlib import Path

from benchmarks import machine, results
from benchmarks.measure import Figure, Quartiles
from xray_classifier.files import write_json

ONE = Quartiles(1, 1, 1, 1)


def test_table_says_what_is_missed() -> None:
    figures = [
        Figure("fast", "what", 3.2, 3, at_least=True, sides={"ours": Quartiles(1, 0.5, 2, 30)}),
        Figure("light", "what", 0.5, 0.05),
    ]
    first, side, second = results.describe(figures).splitlines()
    assert first.split() == ["fast", "3.2", "at", "least", "3", "met"]
    assert side.split() == ["ours", "1", "ms", "(0.5", "to", "2)", "of", "30"]
    assert second.split() == ["light", "0.5", "at", "most", "0.05", "MISSED"]


def test_json_holds_each_key_with_its_value(tmp_path: Path) -> None:
    figure = Figure("fast", "what", 3.2, 3, at_least=True, sides={"ours": ONE})
    target = tmp_path / "results.json"
    collected = results.collect([figure], machine.describe(), "the command", memory_mb={"a": 1})
    write_json(collected, target)
    found = json.loads(target.read_text(encoding="utf-8"))
    assert found["fast"] == 3.2
    assert found["command"] == "the command"
    assert found["memory_mb"] == {"a": 1}
    (entry,) = found["figures"]
    assert entry["met"] is True
    assert entry["sides"] == {"ours": {"median": 1, "low": 1, "high": 1, "times": 1, "unit": "ms"}}
    assert {"cpu", "cores", "memory_gb", "versions"} <= found["machine"].keys()
