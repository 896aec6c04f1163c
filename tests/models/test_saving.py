from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.stand_ins import tiny_model
from xray_classifier.files import sha256_of
from xray_classifier.models.gate import GateSpec, read_gate_spec, write_gate_spec
from xray_classifier.models.loading import load_classifier
from xray_classifier.models.saving import save_model
from xray_classifier.models.spec import ModelSpec, write_spec

SPEC = ModelSpec("tiny", "Tiny", "elsewhere.keras", sha256="00" * 32, bytes=3, threshold=0.7)
GATE = GateSpec("", "", 0, 0.5, reject_distance=7.0, outside_distance=4.0)


def vouched(file: Path) -> dict[str, str | int]:
    return {"file": file.name, "sha256": sha256_of(file), "bytes": file.stat().st_size}


def test_model_and_json_vouch_for_each_other(tmp_path: Path) -> None:
    target = tmp_path / "new" / "tiny.keras"
    spec = save_model(tiny_model(), SPEC, target, write_spec)
    assert spec == ModelSpec("tiny", "Tiny", threshold=0.7, **vouched(target))  # type: ignore[arg-type]
    assert load_classifier(str(target)).spec == spec
    assert {path.name for path in target.parent.iterdir()} == {"tiny.keras", "tiny.json"}


def test_gate_is_saved_alike(tmp_path: Path) -> None:
    target = tmp_path / "gate.keras"
    spec = save_model(tiny_model(), GATE, target, write_gate_spec)
    assert spec == replace(GATE, **vouched(target))  # type: ignore[arg-type]
    assert read_gate_spec(tmp_path / "gate.json") == spec


def test_model_without_json_is_described_all_the_same(tmp_path: Path) -> None:
    target = tmp_path / "tiny.keras"
    assert save_model(tiny_model(), SPEC, target) == replace(SPEC, **vouched(target))  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.keras"]


def test_model_is_not_there_before_its_json(tmp_path: Path) -> None:
    def fail(spec: ModelSpec, path: Path) -> None:
        raise RuntimeError(f"{path.name} of {spec.bytes} bytes")

    with pytest.raises(RuntimeError, match=r"tiny\.json of \d{4,} bytes"):
        save_model(tiny_model(), SPEC, tmp_path / "tiny.keras", fail)
    assert list(tmp_path.iterdir()) == []
