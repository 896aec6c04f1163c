"""Models and a gate that are quick and whose answers can be worked out by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from xray_classifier.models.network import LOGITS, Network
from xray_classifier.models.operating_point import OperatingPoint

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from numpy.typing import NDArray

    from xray_classifier.models.classifier import Classifier
    from xray_classifier.models.gate import GateDecision


class BrightnessNetwork(Network):
    """Answers as `tiny_model` does, by NumPy."""

    runtime = "NumPy"
    batch_size = 16

    def _run(self, output: str, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        logits = 8 * batch.mean(axis=(1, 2), dtype=np.float64) - 4
        outputs = logits if output == LOGITS else 1 / (1 + np.exp(-logits))
        return outputs.astype(np.float32)

    def _width(self) -> int:
        return 1


def tiny_model() -> Any:
    """A Keras model of two parameters: sigmoid(8 * mean brightness - 4)."""
    import keras

    model = keras.Sequential(
        [
            keras.Input((500, 500, 1)),
            # In steps, since runtimes differ in how exactly they add up 250,000 pixels.
            *(keras.layers.AveragePooling2D(5) for _ in range(3)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.set_weights([np.array([[8.0]]), np.array([-4.0])])
    return model


def save_tiny(folder: Path) -> Path:
    """Write the tiny model with its JSON, and as ONNX: processes start with that in no time."""
    from tests.support.tensors import flat
    from xray_classifier.models.saving import save_model
    from xray_classifier.models.spec import ModelSpec, write_spec
    from xray_classifier.training.onnx_export import export_network

    path = folder / "tiny.keras"
    save_model(tiny_model(), ModelSpec("tiny", "Tiny", path.name), path, write_spec)
    export_network(str(path), flat(0.25, 0.75))
    return path


class TinyGate:
    """Rejects what is white and flags what is black; lets the rest through."""

    def decide(self, tensor: NDArray[np.float32]) -> GateDecision:
        from xray_classifier.models.gate import GateDecision

        return GateDecision("It is white." if tensor.min() == 1 else "", bool(tensor.max() == 0))

    def decide_batch(self, batch: NDArray[np.float32]) -> list[GateDecision]:
        return [self.decide(tensor) for tensor in batch]


POINTS = (
    OperatingPoint("balanced", 0.7, 0.6, 0.8, "equal"),
    OperatingPoint("screening", 0.2, 0.1, 0.3, "99 %"),
)


def pointed_classifier() -> Classifier:
    """The tiny model, as if calibrated for a prevalence of .74, with two operating points."""
    from xray_classifier.models.classifier import Classifier
    from xray_classifier.models.spec import ModelSpec

    spec = ModelSpec(
        "pointed",
        "Pointed",
        "pointed.keras",
        sha256="ef" * 32,
        bytes=1,
        threshold=0.7,
        calibration_prevalence=0.74,
        operating_points=POINTS,
    )
    return Classifier(BrightnessNetwork(), spec)


def square_layers() -> list[Any]:
    """Layers that answer only to what is brighter than .5: see `square_model`."""
    import keras

    bright = keras.layers.Conv2D(1, 3, activation="relu", name="bright")
    return [keras.layers.AveragePooling2D(10), bright, keras.layers.MaxPooling2D(2)]


def square_model(weight: float = 400.0, bias: float = -4.0) -> Any:
    """A small CNN whose score rises by `weight` times the part of the picture that is bright."""
    import keras

    head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1, activation="sigmoid")]
    model = keras.Sequential([keras.Input((500, 500, 1)), *square_layers(), *head])
    set_square_weights(model, weight, bias)
    return model


def set_square_weights(model: Any, weight: float = 400.0, bias: float = -4.0) -> None:
    kernel = np.full((3, 3, 1, 1), 1 / 9)
    model.set_weights([kernel, np.array([-0.5]), np.array([[weight]]), np.array([bias])])


def find_no_model(name: str, source: str | None) -> Classifier:
    """Do what `load_classifier` does where the model's file is missing."""
    from xray_classifier.errors import ModelUnavailableError

    raise ModelUnavailableError("The model file is missing.")


def resample_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw the patients 20 times for an interval instead of 2,000 times."""
    from xray_classifier.evaluation import metrics

    draw = metrics.patient_intervals

    def draw_seldom(figures: Any, labels: Any, patients: Any, *_: int) -> Any:
        return draw(figures, labels, patients, 20)

    monkeypatch.setattr(metrics, "patient_intervals", draw_seldom)
