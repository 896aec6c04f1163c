from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import images
from tests.support.pictures import encoded, gradient
from tests.support.places import ROOT
from tests.support.stand_ins import TinyGate
from xray_classifier.models import gate, loading

if TYPE_CHECKING:
    from xray_classifier.models.classifier import Classifier


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No radiographs are there, and what is drawn is small."""
    monkeypatch.setattr(images, "ORIGINALS", tmp_path / "none")
    monkeypatch.setattr(images, "SIZES", ((40, 50), (60, 40)))


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, square_classifier: Classifier) -> None:
    """Let the programs load tiny models."""
    monkeypatch.setattr(loading, "load_classifier", lambda *_, **__: square_classifier)
    monkeypatch.setattr(gate, "load_gate", lambda **_: TinyGate())
    monkeypatch.chdir(ROOT)


@pytest.fixture
def answer(capsys: pytest.CaptureFixture[str]) -> Callable[[], Any]:
    """Gives what a program has answered."""

    def read() -> Any:
        line = capsys.readouterr().out.splitlines()[-1]
        return json.loads(line.removeprefix("answer "))

    return read


@pytest.fixture
def image(tmp_path: Path) -> str:
    path = tmp_path / "images" / "a.png"
    path.parent.mkdir()
    path.write_bytes(encoded(gradient()))
    return str(path)
