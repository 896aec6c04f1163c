from __future__ import annotations

from pathlib import Path

from benchmarks import machine


def test_machine_is_named_by_family_and_model_too(tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text("cpu family\t: 6\nmodel\t\t: 207\nmodel name\t: Some CPU\n", encoding="utf-8")
    assert machine.cpu_model(path) == "Some CPU, family 6, model 207"
    assert machine.cpu_model(tmp_path / "none")


def test_versions_name_both_runtimes() -> None:
    versions = machine.describe()["versions"]
    assert isinstance(versions, dict)
    assert {"onnxruntime", "tensorflow", "keras"} <= versions.keys()
