from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tests.support.drawn_training import tiny_extractor
from tests.support.pictures import gradient
from xray_classifier.imaging.preprocessing import resize
from xray_classifier.models.gate import KINDS, GateSpec
from xray_classifier.records.checks import GateShares
from xray_classifier.training import gate_training
from xray_classifier.training.gate_training import (
    assemble,
    cut_part,
    degrade,
    extract,
    make_kinds,
    measure_gate,
)

IMAGE = resize(gradient())


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def as_they_are() -> keras.Model:
    inputs = keras.Input((16,))
    return keras.Model(inputs, keras.layers.Identity()(inputs))


def clouds(sigma: float = 0.001) -> dict[str, Any]:
    """Features of each kind around a corner of its own; the children's vary in three directions."""
    draw = rng()
    features = {
        kind: (draw.normal(0, sigma, (60, 16)) + 5 * np.eye(16)[index]).astype(np.float32)
        for index, kind in enumerate(KINDS)
    }
    features["child"] = draw.normal(0, 1, (60, 16)).astype(np.float32) * (
        np.arange(16) < 3
    ) + features["child"] * np.float32(0.1)
    return features


@pytest.fixture
def three_components(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_training, "COMPONENTS", 3)


# Random changes


def test_degraded_image_keeps_shape_and_type() -> None:
    changed = degrade(IMAGE, rng())
    assert changed.shape == (500, 500)
    assert changed.dtype == np.uint8


def test_degraded_images_differ_and_follow_from_the_seed() -> None:
    draw = rng()
    first, second = degrade(IMAGE, draw), degrade(IMAGE, draw)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, degrade(IMAGE, rng()))


def test_part_shows_under_half_of_the_area() -> None:
    steps = np.tile(np.arange(500) // 2, (500, 1)).astype(np.uint8)  # column as grey
    for seed in range(50):
        wide = cut_part(steps, np.random.default_rng(seed))
        tall = cut_part(steps.T.copy(), np.random.default_rng(seed))
        assert wide.shape == tall.shape == (500, 500)
        assert (np.ptp(wide) + 1) / 250 * (np.ptp(tall) + 1) / 250 < 0.5


def test_every_kind_gets_its_examples() -> None:
    kinds = make_kinds([IMAGE] * 24, {"adult": [IMAGE] * 2, "other": [IMAGE] * 3}, rng())
    counts = {kind: len(images) for kind, images in kinds.items()}
    # chests that are changed: 24 / 12 children and both adults
    assert counts == {
        "child": 24,
        "adult": 10,
        "other": 12,
        "inverted": 4,
        "turned": 8,
        "part": 4,
    }
    assert {image.shape for images in kinds.values() for image in images} == {(500, 500)}


# The network


def test_features_are_those_of_the_extractor() -> None:
    grey = np.full((500, 500), 51, np.uint8)
    np.testing.assert_allclose(extract(tiny_extractor(), [grey, grey]), 0.2, atol=1e-4)


def test_assembled_gate_knows_the_kinds(three_components: None) -> None:
    features = clouds()
    extractor = as_they_are()
    outputs = np.asarray(assemble(extractor, features)(np.concatenate([*features.values()])))
    assert outputs.shape == (60 * len(KINDS), len(KINDS) + 1)
    np.testing.assert_allclose(outputs[:, :-1].sum(axis=1), 1, atol=1e-5)
    assert (outputs[:, :-1].argmax(axis=1) == np.repeat(range(len(KINDS)), 60)).mean() > 0.9


def test_distance_of_a_child_is_about_two_and_of_an_alien_large(three_components: None) -> None:
    features = clouds()
    extractor = as_they_are()
    gate = assemble(extractor, features)
    children = np.asarray(gate(features["child"]))[:, -1]
    alien = np.asarray(gate(np.full((1, 16), 50, np.float32)))[0, -1]
    assert 1.5 < np.median(children) < 2.5  # each part has the median 1
    assert alien > 100 * children.max()


def test_measured_shares_are_those_of_the_decisions(three_components: None) -> None:
    spec = GateSpec("gate.keras", "", 0, reject_from=0.5, reject_distance=7, outside_distance=4)
    answers = np.zeros((4, len(KINDS) + 1), np.float32)
    answers[:, 0] = 1
    answers[:, -1] = [2, 5, 8, 9]  # let through, flagged, rejected twice

    def gate(batch: Any, training: bool) -> Any:
        return answers[: len(batch)]

    assert measure_gate(gate, spec, [IMAGE] * 4) == GateShares(
        images=4, rejected=0.5, outside_population=0.25
    )
