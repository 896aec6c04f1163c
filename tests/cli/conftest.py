"""What the tests of the commands share: a model folder and drawn data."""

from __future__ import annotations

from collections.abc import Sized
from functools import partial
from pathlib import Path

import pytest

from tests.support.commands import flat
from tests.support.stand_ins import resample_seldom, tiny_model
from xray_classifier.evaluation import ledger
from xray_classifier.files import sha256_of
from xray_classifier.models import gate, loading
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.keras_network import KerasNetwork
from xray_classifier.models.loading import model_names
from xray_classifier.models.spec import ModelSpec, write_spec


@pytest.fixture(scope="module")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as a file with no JSON beside it."""
    path = tmp_path_factory.mktemp("tiny") / "lone.keras"
    tiny_model().save(path)
    return path


@pytest.fixture
def models(tmp_path: Path, tiny_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder that holds the model `tiny` and an empty ledger."""
    folder = tmp_path / "model"
    folder.mkdir()
    monkeypatch.setattr(loading, "MODEL_FOLDER", folder)
    monkeypatch.setattr(loading, "model_names", partial(model_names, folder))
    monkeypatch.setattr(ledger, "record", partial(ledger.record, folder=folder))
    path = folder / "tiny.keras"
    path.write_bytes(tiny_file.read_bytes())
    size = path.stat().st_size
    write_spec(
        ModelSpec("tiny", "Tiny", path.name, sha256=sha256_of(path), bytes=size),
        folder / "tiny.json",
    )
    (folder / ledger.LEDGER).write_text("# Looks\n", encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def open_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let drawn images through, which the real gate rejects."""

    class OpenGate:
        def decide_batch(self, batch: Sized) -> list[gate.GateDecision]:
            return [gate.PASSED] * len(batch)

        def decide(self, tensor: object) -> gate.GateDecision:
            return gate.PASSED

    monkeypatch.setattr(gate, "load_gate", lambda **_: OpenGate())


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tiny_classifier: Classifier) -> Classifier:
    """Whatever model a command asks for, it gets the tiny one."""

    def load(model: str, source: str | None = None, runtime: str | None = None) -> Classifier:
        if runtime == "keras":
            return Classifier(KerasNetwork(tiny_model()), tiny_classifier.spec)
        return tiny_classifier

    monkeypatch.setattr(loading, "load_classifier", load)
    return tiny_classifier


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """A data set without a fault: four images of train, four of test, each of its own patient."""
    root = tmp_path / "drawn"
    for split, shift in (("train", 0), ("test", 5)):
        for number in (1, 2):
            flat(root / f"{split}/NORMAL/IM-{number + shift}-1.png", 20 * number + shift)
            flat(
                root / f"{split}/PNEUMONIA/person{number + shift}_virus_1.png",
                110 + 20 * number + shift,
            )
    return root


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    resample_seldom(monkeypatch)


@pytest.fixture
def drawn_holdout(tmp_path: Path) -> Path:
    """A data set large enough to hold one patient of each class back."""
    root = tmp_path / "drawn"
    for number in range(1, 6):
        flat(root / f"train/NORMAL/IM-{number}-1.png", 100 + number)
        flat(root / f"train/PNEUMONIA/person{number}_virus_1.png", 180 + number)
    return root
