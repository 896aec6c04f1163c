from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from tests.support.places import ROOT
from tests.support.tensors import flat
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.models import onnx_network
from xray_classifier.models.onnx_network import OnnxNetwork


def write_network(
    path: Path,
    side: int = 500,
    logits: bool = True,
    taken: str = "tensors",
    kind: str = "Sigmoid",
) -> Path:
    """Write a network that gives the sigmoid of the mean brightness."""
    shape: list[str | int | None] = ["n", side, side, 1]
    outputs = [helper.make_tensor_value_info("answers", TensorProto.FLOAT, ["n", 1])]
    if logits:
        outputs.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 1]))
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", [taken, "axes"], ["logits"], keepdims=0),
            helper.make_node(kind, ["logits"], ["answers"]),
        ],
        "mean",
        [helper.make_tensor_value_info(taken, TensorProto.FLOAT, shape)],
        outputs,
        [helper.make_tensor("axes", TensorProto.INT64, [2], [1, 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> OnnxNetwork:
    return OnnxNetwork(write_network(tmp_path_factory.mktemp("onnx") / "mean.onnx"), 1)


def test_answers_and_logits_are_those_worked_out_by_hand(network: OnnxNetwork) -> None:
    batch = flat(0.25, 0.5, 0.75)
    np.testing.assert_allclose(network.logits(batch), [0.25, 0.5, 0.75], rtol=1e-5)
    wanted = 1 / (1 + np.exp([-0.25, -0.5, -0.75]))
    np.testing.assert_allclose(network.answers(batch)[:, 0], wanted, rtol=1e-6)
    assert network.answers(batch).dtype == network.logits(batch).dtype == np.float64


def test_no_tensors_have_no_outputs(network: OnnxNetwork) -> None:
    assert network.answers(flat()).shape == (0, 1)
    assert network.logits(flat()).shape == (0,)


def test_what_lies_within_comes_by_name(network: OnnxNetwork) -> None:
    found = network.inside(flat(0.25)[0])
    assert found.keys() == {"answers", "logits"}
    assert found["logits"] == pytest.approx([0.25])


def test_nothing_lies_within_what_is_no_tensor(network: OnnxNetwork) -> None:
    with pytest.raises(ValueError, match=r"received \[2.0, 2.0\]"):
        network.inside(flat(2.0)[0])


def test_runtime_is_named_with_its_version(network: OnnxNetwork) -> None:
    assert network.runtime == f"ONNX Runtime {onnxruntime.__version__}"


def test_network_without_a_sigmoid_has_no_logits(tmp_path: Path) -> None:
    network = OnnxNetwork(write_network(tmp_path / "mean.onnx", logits=False), 1)
    assert network.answers(flat(0.5)).shape == (1, 1)
    with pytest.raises(ModelUnavailableError, match="does not end in a sigmoid"):
        network.logits(flat(0.5))


@pytest.mark.parametrize(
    ("changes", "outputs", "found"),
    [
        ({"side": 224}, 1, r"takes \{'tensors': \(224, 224, 1\)\}"),
        ({"taken": "pixels"}, 1, r"takes \{'pixels': \(500, 500, 1\)\}"),
        ({}, 7, r"wanted is one from tensors of \(500, 500, 1\) to answers of \(7,\)"),
    ],
)
def test_network_of_other_shapes_is_refused(
    tmp_path: Path, changes: dict[str, object], outputs: int, found: str
) -> None:
    path = write_network(tmp_path / "other.onnx", **changes)  # type: ignore[arg-type]
    with pytest.raises(ModelUnavailableError, match=f"{found}.*Export it anew") as caught:
        OnnxNetwork(path, outputs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no network", b"PK\x03\x04"])
def test_file_that_is_no_network_is_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelUnavailableError, match=r"bad\.onnx cannot be opened by ONNX Runtime"):
        OnnxNetwork(path, 1)


def test_operator_that_the_runtime_does_not_know_is_refused(tmp_path: Path) -> None:
    path = write_network(tmp_path / "new.onnx", kind="Sigmoid2030")
    with pytest.raises(ModelUnavailableError, match=r"cannot be opened by .*Sigmoid2030"):
        OnnxNetwork(path, 1)


@pytest.mark.parametrize(("variable", "threads"), [("1", 1), ("3", 3), ("0", None), ("x", None)])
def test_threads_are_as_many_as_the_variable_says_or_cores(
    monkeypatch: pytest.MonkeyPatch, variable: str, threads: int | None
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", variable)
    cores = len(os.sched_getaffinity(0))
    assert onnx_network._threads() == (threads or cores)


class Watched:
    """Notes of each session how many threads it got, and of its passes how many went at once."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.threads: list[int] = []
        self.passes: list[tuple[int, int]] = []
        """Threads of the session and tensors of the pass."""
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()
        real = onnxruntime.InferenceSession
        patch.setattr(onnxruntime, "InferenceSession", partial(self._open, real))

    def _open(self, real: Any, path: Path, options: Any, **others: Any) -> Any:
        session = real(path, options, **others)
        self.threads.append(options.intra_op_num_threads)

        def run(names: list[str], tensors: dict[str, Any], *rest: Any) -> Any:
            with self._lock:
                self._now += 1
                self.most = max(self.most, self._now)
                self.passes.append((options.intra_op_num_threads, len(tensors["tensors"])))
            time.sleep(0.05)  # so that the other one has begun
            found = session.run(names, tensors, *rest)
            with self._lock:
                self._now -= 1
            return found

        stand_in = SimpleNamespace(run=run)
        stand_in.get_inputs, stand_in.get_outputs = session.get_inputs, session.get_outputs
        return stand_in


@pytest.mark.parametrize(
    ("cores", "size", "each", "most"), [(1, 1, 1, 1), (2, 2, 1, 2), (3, 2, 1, 2), (8, 2, 4, 2)]
)
def test_several_tensors_share_the_cores_two_at_a_time(
    cores: int, size: int, each: int, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each pass is of one tensor, so that memory does not grow with the batch."""
    monkeypatch.setenv("OMP_NUM_THREADS", str(cores))
    watched = Watched(monkeypatch)
    network = OnnxNetwork(write_network(tmp_path / "mean.onnx"), 1)
    assert network.batch_size == size
    found = network.logits(flat(0.25, 0.5, 0.75, 1.0, 0.125))
    np.testing.assert_allclose(found, [0.25, 0.5, 0.75, 1.0, 0.125], rtol=1e-5)
    assert watched.passes == [(each, 1)] * 5
    assert watched.most == most


@pytest.mark.parametrize("now", ["replaced", "gone"])
def test_file_that_has_changed_since_is_not_opened_again(
    now: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was checked when the network was loaded, and a session of it is there."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    watched = Watched(monkeypatch)
    path = write_network(tmp_path / "mean.onnx")
    network = OnnxNetwork(path, 1)
    if now == "gone":
        path.unlink()
    else:
        write_network(tmp_path / "other.onnx", kind="Neg").replace(path)
    np.testing.assert_allclose(network.answers(flat(0.0, 0.0))[:, 0], [0.5, 0.5])
    assert watched.threads == [2]
    assert watched.passes == [(2, 1)] * 2


def test_one_tensor_gets_all_cores_and_no_second_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    watched = Watched(monkeypatch)
    network = OnnxNetwork(write_network(tmp_path / "mean.onnx"), 1)
    for _ in range(3):
        network.answers(flat(0.5))
    assert watched.threads == [4]
    assert watched.passes == [(4, 1)] * 3


def test_runtime_reports_its_use_to_nobody(tmp_path: Path) -> None:
    """Left alone it keeps a database in the home folder, and sends what is in it."""
    path = write_network(tmp_path / "mean.onnx")
    home = tmp_path / "home"
    home.mkdir()
    program = f"""
import time
from pathlib import Path
from xray_classifier.models.onnx_network import OnnxNetwork
OnnxNetwork(Path({str(path)!r}), 1)
time.sleep(1)
"""
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(ROOT)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    environment.pop("XDG_CACHE_HOME", None)
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, env=environment)
    assert [file for file in home.rglob("*") if file.is_file()] == []
