"""Is this a chest radiograph at all, and one like those that the models were trained on?

The gate comes before the verdict, for every model. It sees the same tensor, averaged down to 125
pixels a side, so that neither sharpness nor size, colour or format of the file can decide.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xray_classifier.errors import ModelUnavailableError
from xray_classifier.imaging.preprocessing import Tensor
from xray_classifier.models.loading import collector_paused, open_network
from xray_classifier.models.network import Network
from xray_classifier.paths import MODEL_FOLDER
from xray_classifier.records.checks import GateShares
from xray_classifier.records.export import OnnxFacts
from xray_classifier.records.json_files import read_record, write_record

GATE_FILE = MODEL_FOLDER / "gate" / "gate.json"
OUTSIDE_POPULATION = "outside_population"

CHILD, ADULT = "child", "adult"
REASONS = {
    "other": "This does not look like a chest radiograph.",
    "inverted": "The grey levels look inverted: bones should be bright and air dark.",
    "turned": "The chest looks turned or upside down: the head should be at the top.",
    "part": "Only a part of a chest is to be seen: both lungs should be in the picture.",
}
ADVICE = "Upload one frontal chest radiograph, upright and uncropped."
KINDS = (CHILD, ADULT, *REASONS)


@dataclass(frozen=True)
class GateSpec:
    """The facts about a gate.

    Attributes:
        file: name of the model file, in the folder of the JSON.
        sha256: of the model file, hexadecimal.
        bytes: size of the model file.
        reject_from: rejected if the probability of all kinds but chests is at least this.
        reject_distance: rejected if farther than this from the training children.
        outside_distance: of another population if farther than this from them.
        kinds: what the outputs stand for, before the distance.
        onnx: the same network for ONNX Runtime, None where it was not exported.
        training: data and versions.
        results: what was measured, by kind of image.
    """

    file: str
    sha256: str
    bytes: int
    reject_from: float
    reject_distance: float
    outside_distance: float
    kinds: tuple[str, ...] = KINDS
    onnx: OnnxFacts | None = None
    training: dict[str, Any] = field(default_factory=dict)
    results: dict[str, GateShares] = field(default_factory=dict)


@dataclass(frozen=True)
class GateDecision:
    """What the gate says of an image.

    Attributes:
        reason: why it is rejected; empty if it is let through.
        outside_population: let through, but unlike the chests of the training children.
    """

    reason: str
    outside_population: bool


PASSED = GateDecision("", outside_population=False)


class Gate:
    """A loaded gate, ready to be shared by threads.

    Args:
        network: from (n, 500, 500, 1) to (n, kinds + 1): the probability of each kind, and the
            distance from the training children (about 2 for one of them).
        spec: its facts.
    """

    def __init__(self, network: Network, spec: GateSpec) -> None:
        self.network = network
        self.spec = spec

    def outputs(self, batch: Tensor) -> NDArray[np.float64]:
        """Give kind probabilities and distance for tensors (n, 500, 500, 1): (n, kinds + 1)."""
        return self.network.answers(batch)

    def decide(self, tensor: Tensor) -> GateDecision:
        """Decide on one tensor, shape (500, 500, 1), float32 in [0, 1]."""
        return self.decide_batch(tensor[np.newaxis])[0]

    def decide_batch(self, batch: Tensor) -> list[GateDecision]:
        """Decide on tensors, shape (n, 500, 500, 1)."""
        return [decide(outputs, self.spec) for outputs in self.outputs(batch)]


def decide(outputs: NDArray[np.float64], spec: GateSpec) -> GateDecision:
    """Turn the outputs for one image into a decision."""
    chances = dict(zip(spec.kinds, outputs[:-1], strict=True))
    distance = outputs[-1]
    worst = max(REASONS, key=lambda kind: chances[kind])
    if sum(chances[kind] for kind in REASONS) >= spec.reject_from:
        return GateDecision(REASONS[worst], outside_population=False)
    if not distance < spec.reject_distance:
        return GateDecision(REASONS["other"], outside_population=False)
    outside = chances[ADULT] > chances[CHILD] or distance >= spec.outside_distance
    return GateDecision("", outside_population=bool(outside))


@collector_paused()
def load_gate(description: Path = GATE_FILE, runtime: str | None = None) -> Gate:
    """Load the gate, once its file is proven to be the one that its JSON describes.

    Args:
        description: its JSON.
        runtime: as for `load_classifier`.

    Raises:
        ModelUnavailableError: file or JSON are missing, damaged or do not fit each other.
    """
    spec = read_gate_spec(description)
    return Gate(open_network(spec, description.parent, len(KINDS) + 1, runtime), spec)


def read_gate_spec(path: Path) -> GateSpec:
    """Read a gate's JSON.

    Raises:
        ModelUnavailableError: it is missing, of a newer schema, or not one that this program
            understands.
    """
    # No name has changed since the first version: `dict` takes one for what it is.
    spec = read_record(path, GateSpec, dict, "The description of the gate")
    if spec.kinds != KINDS:
        raise ModelUnavailableError(
            f"The gate in {path} knows {spec.kinds}; this program wants {KINDS}. Take program and "
            "gate from the same version."
        )
    return spec


def write_gate_spec(spec: GateSpec, path: Path) -> None:
    """Write a gate's JSON in one step."""
    write_record(spec, path)
