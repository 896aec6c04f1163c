"""A trained network run by ONNX Runtime: the answers that Keras gives, without TensorFlow."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xray_classifier.errors import ModelUnavailableError
from xray_classifier.imaging.preprocessing import Tensor
from xray_classifier.models.network import ANSWERS, COMPUTING, NO_SIGMOID, Network, check_batch
from xray_classifier.models.spec import INPUT_SHAPE

TENSORS = "tensors"
"""The name of what a network takes."""

MAPS, KERNELS, VECTOR, DENSE = "maps", "kernels", "vector", "dense"
"""Names of what lies within a network of blocks like the article's; all but the vector with a
number, from 1. They cost a verdict of the article's network, which does not ask for them, .6 ms of
10."""


CALLERS = 2
"""Passes at once where several tensors wait, each on its part of the cores.

Threads of one pass wait for each other after every layer, and for whatever else a core is busy
with: two passes side by side get a sixth more done, four would need four times the memory.
"""


class OnnxNetwork(Network):
    """A network in an ONNX file, ready to be shared by threads.

    One tensor gets all cores; of several, two at a time half of them each.

    Args:
        path: the file.
        outputs: how many answers it must give to each tensor.

    Raises:
        ModelUnavailableError: ONNX Runtime is not installed or cannot run the file, or the
            network takes or gives something else.
    """

    def __init__(self, path: Path, outputs: int) -> None:
        # Else it keeps a database of its use in the home folder, and reports it to its makers.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        try:
            import onnxruntime
        except ImportError as error:
            raise ModelUnavailableError(
                f"ONNX Runtime cannot be loaded ({error}). Install requirements.txt."
            ) from error
        onnxruntime.disable_telemetry_events()
        self.runtime = f"ONNX Runtime {onnxruntime.__version__}"
        self._path, self._stamp = path, _stamp(path)
        self._threads = _threads()
        self.batch_size = min(CALLERS, self._threads)
        self._session = self._open(self._threads)
        self._outputs = outputs
        self._check_shapes(path)
        self._only_what_is_asked = onnxruntime.RunOptions()
        self._only_what_is_asked.only_execute_path_to_fetches = True

    def _open(self, threads: int) -> Any:
        import onnxruntime

        options = _options(onnxruntime, threads)
        try:
            return onnxruntime.InferenceSession(
                self._path, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors have no class in common
            raise ModelUnavailableError(
                f"The model file {self._path} cannot be opened by {self.runtime}: "
                f"{str(error).splitlines()[0]}"
            ) from error

    @cached_property
    def _shared(self) -> tuple[Any, ThreadPoolExecutor] | None:
        """A session for several callers, and the callers; made where they are first needed.

        None if another file, which nobody has checked, has taken the place of the opened one.
        """
        if _stamp(self._path) != self._stamp:
            return None
        session = self._open(self._threads // self.batch_size)
        return session, ThreadPoolExecutor(self.batch_size, thread_name_prefix="passes")

    def inside(self, tensor: Tensor) -> dict[str, NDArray[np.float32]]:
        """Give what lies within the network, for one tensor, and its logit and answer.

        Args:
            tensor: shape (500, 500, 1), float32 in [0, 1].

        Returns:
            By name, if the network was exported with it: "maps_1" and so on after each block,
            (filters, rows, columns); "kernels_1" and so on, (filters, channels, 3, 3); "vector",
            "dense_1" and so on, each of one axis. And "logits" and "answers", shape (1,).

        Raises:
            ValueError: the tensor has another shape, type or range.
        """
        check_batch(tensor[np.newaxis])
        names = sorted(self._names)
        with COMPUTING:
            found = self._session.run(names, {TENSORS: tensor[np.newaxis]})
        return {
            name: values if name.startswith(KERNELS) else values[0]
            for name, values in zip(names, found, strict=True)
        }

    def _check_shapes(self, path: Path) -> None:
        taken = {entry.name: tuple(entry.shape[1:]) for entry in self._session.get_inputs()}
        given = {entry.name: tuple(entry.shape[1:]) for entry in self._session.get_outputs()}
        if taken != {TENSORS: INPUT_SHAPE} or given.get(ANSWERS) != (self._outputs,):
            raise ModelUnavailableError(
                f"The network in {path} takes {taken} and gives {given}; wanted is one from "
                f"{TENSORS} of {INPUT_SHAPE} to {ANSWERS} of {(self._outputs,)}. Export it anew."
            )
        self._names = set(given)

    def _run(self, output: str, batch: Tensor) -> NDArray[np.float32]:
        if output not in self._names:
            raise ModelUnavailableError(NO_SIGMOID)
        # Each in a pass of its own: so the memory that is kept for the next pass never depends on
        # the batch.
        tensors = [batch[i : i + 1] for i in range(len(batch))]
        if min(len(tensors), self.batch_size) == 1 or not self._shared:
            return np.concatenate([self._run_one(self._session, output, one) for one in tensors])
        session, callers = self._shared
        passes = callers.map(partial(self._run_one, session, output), tensors)
        return np.concatenate(list(passes))

    def _run_one(self, session: Any, output: str, tensors: Tensor) -> NDArray[np.float32]:
        return session.run([output], {TENSORS: tensors}, self._only_what_is_asked)[0]

    def _width(self) -> int:
        return self._outputs


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What tells a file from one that has taken its place; None if it is gone."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _options(onnxruntime: Any, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors; they are raised, too
    # Its threads wait busily for more work, but not once a pass has ended: another network may
    # follow, or the next picture be decoded.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


def _threads() -> int:
    """As many as there are cores for this process, or as the usual variable says."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted):
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
