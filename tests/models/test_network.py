from __future__ import annotations

import ast
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.source_tree import TREES, libraries, room_of
from tests.support.stand_ins import BrightnessNetwork
from tests.support.tensors import flat


def test_answers_and_logits_are_those_worked_out_by_hand() -> None:
    network = BrightnessNetwork()
    answers, logits = network.answers(flat(0.25, 0.5)), network.logits(flat(0.25, 0.5))
    assert (answers.shape, logits.shape) == ((2, 1), (2,))
    assert answers.dtype == logits.dtype == np.float64
    np.testing.assert_allclose(logits, [-2, 0], atol=1e-6)
    np.testing.assert_allclose(answers[:, 0], 1 / (1 + np.exp([2, 0])), atol=1e-6)


def test_no_tensors_have_no_answers_and_no_logits() -> None:
    assert BrightnessNetwork().answers(flat()).shape == (0, 1)
    assert BrightnessNetwork().logits(flat()).shape == (0,)


@pytest.mark.parametrize(
    ("batch", "received"),
    [
        (flat(0.5)[0], r"float32 of shape \(500, 500, 1\)"),
        (flat(0.5).astype(np.float64), r"float64 of shape \(1, 500, 500, 1\)"),
        (flat(0.5, 1.5), r"\[0\.5, 1\.5\]"),
        (flat(0.5, float("nan")), r"\[nan, nan\]"),
    ],
)
def test_what_is_no_batch_of_scaled_tensors_is_refused(batch: NDArray[Any], received: str) -> None:
    for ask in (BrightnessNetwork().answers, BrightnessNetwork().logits):
        with pytest.raises(ValueError, match=f"wanted; received {received}"):
            ask(batch)


def test_only_one_network_computes_at_a_time() -> None:
    """Of several networks, asked by several threads at once."""
    inside: list[int] = []
    most: list[int] = []

    class Watched(BrightnessNetwork):
        def _run(self, output: str, batch: NDArray[np.float32]) -> NDArray[np.float32]:
            inside.append(1)
            most.append(len(inside))
            answers = super()._run(output, batch)
            inside.pop()
            return answers

    together = Barrier(4)

    def ask(network: Watched) -> None:
        together.wait(timeout=30)
        for _ in range(5):
            network.answers(flat(0.5))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, [Watched() for _ in range(4)]))
    assert most == [1] * 20


def test_judging_meets_tensorflow_in_one_file() -> None:
    judging = {"imaging", "dicom", "inputs", "models", "inference", "batch", "reports", "app"}
    users = {
        path
        for path, tree in TREES.items()
        if room_of(path) in judging and {"keras", "tensorflow"} & libraries(ast.walk(tree))
    }
    assert users == {"models/keras_network.py"}
