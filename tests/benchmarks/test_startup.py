from __future__ import annotations

import pytest

from benchmarks import child, startup
from benchmarks.processes import Cost


def test_copy_of_the_page_differs_by_one_import() -> None:
    script = child.PAGE.read_text(encoding="utf-8")
    extra = set(startup.eager(script).splitlines()) - set(script.splitlines())
    assert extra == {"import tensorflow"}
    compile(startup.eager(script), "eager.py", "exec")


def test_page_of_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match="is expected to hold"):
        startup.eager("import streamlit")


def test_command_is_set_against_the_import_with_time_and_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def cost_of(program: str, *arguments: str, runtime: str = "onnx") -> Cost:
        asked.append((program, runtime))
        return {"predict": Cost(1, 150), "import_tensorflow": Cost(5, 700)}[program]

    monkeypatch.setattr(startup, "cost_of", cost_of)
    over, peak = startup.compare_predict(1)
    assert asked == 2 * [("predict", "onnx"), ("predict", "keras"), ("import_tensorflow", "onnx")]
    assert (over.key, over.value) == ("predict_over_import", 1 / 5)
    assert (peak.key, peak.value) == ("predict_mb", 150)
    assert over.sides.keys() == peak.sides.keys() == {"ours", "Keras", "import tensorflow"}
