from __future__ import annotations

import ast
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.source_tree import TREES, libraries, room_of
from xray_classifier.models.network import Network


def flat(*values: float) -> NDArray[np.float32]:
    """A batch of one even grey each."""
    return np.repeat(np.array(values, np.float32), 500 * 500).reshape(-1, 500, 500, 1)


@pytest.fixture(scope="module")
def network() -> Network:
    """Answers with the grey of a picture's first pixel, and with its double."""

    def model(batch: Any, training: bool) -> Any:
        assert not training
        return batch[:, 0, 0, :] * np.array([[1.0, 2.0]], np.float32)

    return Network(model)


def test_each_tensor_has_its_outputs(network: Network) -> None:
    answers = network.answers(flat(0.25, 0.5, 1.0))
    assert answers.dtype == np.float64
    np.testing.assert_array_equal(answers, [[0.25, 0.5], [0.5, 1.0], [1.0, 2.0]])


def test_no_tensors_have_no_outputs(network: Network) -> None:
    assert network.answers(flat()).shape == (0, 2)


@pytest.mark.parametrize(
    ("batch", "received"),
    [
        (flat(0.5)[0], r"float32 of shape \(500, 500, 1\)"),
        (flat(0.5).astype(np.float64), r"float64 of shape \(1, 500, 500, 1\)"),
        (flat(0.5, 1.5), r"\[0\.5, 1\.5\]"),
        (flat(0.5, float("nan")), r"\[nan, nan\]"),
    ],
)
def test_what_is_no_batch_of_scaled_tensors_is_refused(
    network: Network, batch: NDArray[Any], received: str
) -> None:
    with pytest.raises(ValueError, match=f"wanted; received {received}"):
        network.answers(batch)


def test_verdicts_meet_tensorflow_in_one_file() -> None:
    """Two more read its graphs, for heatmaps only."""
    judging = {"imaging", "dicom", "inputs", "models", "inference", "batch", "reports", "app"}
    users = {
        path
        for path, tree in TREES.items()
        if room_of(path) in judging and {"keras", "tensorflow"} & libraries(ast.walk(tree))
    }
    heatmaps = {"inference/heatmap.py", "inference/receptive_field.py"}
    assert users - heatmaps == {"models/network.py"}
