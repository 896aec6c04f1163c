from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.pictures import encoded
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.imaging.preprocessing import preprocess
from xray_classifier.imaging.radiograph import GreyImage
from xray_classifier.inputs.decoding import decode
from xray_classifier.models.gate import (
    GATE_FILE,
    KINDS,
    REASONS,
    Gate,
    GateSpec,
    decide,
    load_gate,
    read_gate_spec,
    write_gate_spec,
)
from xray_classifier.records.checks import GateShares
from xray_classifier.records.json_files import SCHEMA_VERSION

SPEC = GateSpec("gate.keras", "ab" * 32, 1, 0.5, reject_distance=7.0, outside_distance=4.0)


def outputs(distance: float = 2.0, **chances: float) -> NDArray[np.float64]:
    return np.array([*(chances.get(kind, 0.0) for kind in KINDS), distance])


@pytest.fixture(scope="module")
def gate() -> Gate:
    return load_gate()


# Outputs to decision


def test_child_is_let_through() -> None:
    decision = decide(outputs(child=1.0), SPEC)
    assert (decision.reason, decision.outside_population) == ("", False)


def test_adult_is_let_through_with_a_flag() -> None:
    decision = decide(outputs(child=0.4, adult=0.6), SPEC)
    assert (decision.reason, decision.outside_population) == ("", True)


@pytest.mark.parametrize("kind", REASONS)
def test_reason_is_that_of_the_likeliest_kind(kind: str) -> None:
    decision = decide(outputs(child=0.3, **{kind: 0.7}), SPEC)
    assert (decision.reason, decision.outside_population) == (REASONS[kind], False)


@pytest.mark.parametrize(("chance", "rejected"), [(0.5, True), (0.49, False)])
def test_kinds_that_are_no_chest_count_together(chance: float, rejected: bool) -> None:
    divided = {kind: chance / len(REASONS) for kind in REASONS}
    assert bool(decide(outputs(child=1 - chance, **divided), SPEC).reason) is rejected


@pytest.mark.parametrize(
    ("distance", "rejected", "outside"),
    [(3.9, False, False), (4.0, False, True), (6.9, False, True), (7.0, True, False)],
)
def test_distance_flags_and_then_rejects(distance: float, rejected: bool, outside: bool) -> None:
    decision = decide(outputs(distance, child=1.0), SPEC)
    assert (bool(decision.reason), decision.outside_population) == (rejected, outside)


def test_undefined_distance_is_rejected() -> None:
    assert decide(outputs(np.nan, child=1.0), SPEC).reason == REASONS["other"]


# The description


def test_description_survives_writing_and_reading(tmp_path: Path) -> None:
    spec = replace(SPEC, results={"photos": GateShares(3, 1.0, 0.0)})
    write_gate_spec(spec, tmp_path / "gate.json")
    assert read_gate_spec(tmp_path / "gate.json") == spec


@pytest.mark.parametrize(
    "content", ["", "3", "{}", "[]", '{"schema_version": "new"}', '{"kinds": []}', '{"kinds": 3}']
)
def test_description_that_is_none_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "gate.json").write_text(content)
    with pytest.raises(ModelUnavailableError, match=r"gate\.json .*(repository|same version)"):
        read_gate_spec(tmp_path / "gate.json")


def test_description_states_its_schema_and_one_without_is_read(tmp_path: Path) -> None:
    path = tmp_path / "gate.json"
    write_gate_spec(SPEC, path)
    values = json.loads(path.read_text(encoding="utf-8"))
    assert values.pop("schema_version") == SCHEMA_VERSION
    path.write_text(json.dumps(values))
    assert read_gate_spec(path) == SPEC


def test_description_of_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gate.json"
    path.write_text(json.dumps({"schema_version": SCHEMA_VERSION + 1, "unheard": "of"}))
    with pytest.raises(
        ModelUnavailableError,
        match=rf"gate\.json is of schema version {SCHEMA_VERSION + 1}; this program reads version",
    ):
        read_gate_spec(path)


def test_missing_description_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="No such file"):
        load_gate(tmp_path / "gate.json")


def test_gate_of_other_kinds_is_refused(tmp_path: Path) -> None:
    write_gate_spec(replace(SPEC, kinds=("child", "other")), tmp_path / "gate.json")
    with pytest.raises(ModelUnavailableError, match="Take program and gate from the same version"):
        read_gate_spec(tmp_path / "gate.json")


def test_file_that_is_not_the_described_one_is_refused(tmp_path: Path) -> None:
    write_gate_spec(SPEC, tmp_path / "gate.json")
    (tmp_path / "gate.keras").write_bytes(b"another file")
    with pytest.raises(ModelUnavailableError, match="is not the one that its JSON describes"):
        load_gate(tmp_path / "gate.json")


# The shipped gate


def drawn(kind: str) -> GreyImage:
    rng = np.random.default_rng(0)
    pictures = {
        "black": np.zeros((300, 200), np.uint8),
        "white": np.full((300, 200), 255, np.uint8),
        "noise": rng.integers(0, 256, (256, 256)).astype(np.uint8),
        "ramp": np.tile(np.arange(256, dtype=np.uint8), (256, 1)),
        "stripes": np.tile(np.repeat([0, 255], 16), (400, 20)).astype(np.uint8),
    }
    return decode(encoded(pictures[kind])).image


@pytest.mark.parametrize("kind", ["black", "white", "noise", "ramp", "stripes"])
def test_drawn_image_is_rejected(gate: Gate, kind: str) -> None:
    assert gate.decide(preprocess(drawn(kind))).reason


@pytest.mark.parametrize(
    ("batch", "received"),
    [
        (np.zeros((500, 500, 1), np.float32), r"float32 of shape \(500, 500, 1\)"),
        (np.full((1, 500, 500, 1), 255, np.float32), r"\[255\.0, 255\.0\]"),
    ],
)
def test_what_is_no_batch_of_tensors_is_refused(
    gate: Gate, batch: NDArray[np.float32], received: str
) -> None:
    with pytest.raises(ValueError, match=f"wanted; received {received}"):
        gate.decide_batch(batch)


def test_no_images_get_no_decisions(gate: Gate) -> None:
    assert gate.outputs(np.empty((0, 500, 500, 1), np.float32)).shape == (0, len(KINDS) + 1)


@pytest.mark.data
def test_originals_are_let_through_without_a_flag(gate: Gate, data: Path) -> None:
    files = sorted((data / "originals").rglob("*.jpeg"))
    decisions = [gate.decide(preprocess(decode(file.read_bytes()).image)) for file in files]
    assert len(files) == 24
    assert not [decision for decision in decisions if decision.reason]
    assert sum(decision.outside_population for decision in decisions) <= 1


@pytest.mark.data
def test_photographs_are_rejected_and_adults_flagged(gate: Gate, data: Path) -> None:
    photos = sorted((data / "not_chest" / "photos").iterdir())[1:20:2]  # not used for fitting
    adults = sorted((data / "adult_nih").rglob("*.jpeg"))[1::2]  # nor these
    judged = [gate.decide(preprocess(decode(file.read_bytes()).image)) for file in photos]
    assert all(decision.reason for decision in judged)
    judged = [gate.decide(preprocess(decode(file.read_bytes()).image)) for file in adults]
    assert sum(decision.outside_population for decision in judged) >= 0.9 * len(adults)


@pytest.mark.data
@pytest.mark.parametrize(
    ("change", "reason"),
    [(np.flipud, "turned"), (np.rot90, "turned"), (np.invert, "inverted")],
)
def test_turned_and_inverted_chests_are_rejected_with_the_reason(
    gate: Gate, original: Path, change: object, reason: str
) -> None:
    image = np.ascontiguousarray(change(decode(original.read_bytes()).image))  # type: ignore[operator]
    assert gate.decide(preprocess(image)).reason == REASONS[reason]


@pytest.mark.data
@pytest.mark.parametrize("side", [150, 224, 768, 1500])
def test_size_colour_and_format_do_not_matter(gate: Gate, original: Path, side: int) -> None:
    import io

    from PIL import Image

    stream = io.BytesIO()
    picture = Image.open(original).convert("RGB").resize((side, side))
    picture.save(stream, "WEBP", quality=80)
    decision = gate.decide(preprocess(decode(stream.getvalue()).image))
    assert (decision.reason, decision.outside_population) == ("", False)


def test_facts_of_the_shipped_gate_meet_what_was_asked_of_it() -> None:
    results = json.loads(GATE_FILE.read_text(encoding="utf-8"))["results"]
    assert results["held-out children"]["rejected"] <= 0.01
    assert results["held-out children"]["outside_population"] <= 0.03
    assert results["held-out photos"]["rejected"] >= 0.99
    assert results["held-out adults"]["rejected"] <= 0.05
    assert results["held-out adults"]["outside_population"] >= 0.90
