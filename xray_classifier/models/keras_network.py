"""A trained network run by Keras and TensorFlow: the truth that other ways are held against."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xray_classifier.errors import ModelUnavailableError
from xray_classifier.imaging.preprocessing import Tensor
from xray_classifier.models.legacy_keras import HDF5_SUFFIXES, open_hdf5
from xray_classifier.models.network import ANSWERS, LOGITS, NO_SIGMOID, Network
from xray_classifier.models.spec import INPUT_SHAPE

Shape = tuple[int | None, ...]

MAX_BATCH = 16  # larger ones are no faster

MAX_MAP = 32 * 2**20
"""Bytes; glibc gives a larger block back to the system after each use, and clears it anew."""

_NOISE = (b"I0000 ", b"W0000 ", b"E0000 ", b"WARNING: All log messages", b"To enable the following")
_importing = threading.Lock()  # the standard error is turned aside by one thread at a time
_TRANSPARENT = {"Identity", "Reshape", "Cast"}


class KerasNetwork(Network):
    """A Keras model, ready to be shared by threads.

    Args:
        model: from (n, 500, 500, 1) to (n, outputs).

    Attributes:
        model: the same.
        function: the model as a `tf.function` from a batch to the outputs by name.
    """

    def __init__(self, model: Any) -> None:
        keras, tf = import_keras()
        self.model = model
        self.runtime = f"Keras {keras.__version__}, TensorFlow {tf.__version__}"
        # AutoGraph would write temporary files, and rewrite the messages of our errors.
        self.function = tf.function(
            self._trace,
            input_signature=[tf.TensorSpec((None, *INPUT_SHAPE), tf.float32, name="tensors")],
            autograph=False,
        )
        self._traced = self.function.get_concrete_function()  # now, not for the first image
        self.batch_size = self._best_batch_size()

    def _run(self, output: str, batch: Tensor) -> NDArray[np.float32]:
        if output not in self._traced.structured_outputs:
            raise ModelUnavailableError(NO_SIGMOID)
        return self.function(batch)[output].numpy()

    def _width(self) -> int:
        return int(self._traced.structured_outputs[ANSWERS].shape[-1])

    def _trace(self, batch: Any) -> dict[str, Any]:
        answers = self.model(batch, training=False)
        outputs = {ANSWERS: answers}
        last = _last_operation(answers)
        if last.type == "Sigmoid":
            outputs[LOGITS] = last.inputs[0]
        return outputs

    def _best_batch_size(self) -> int:
        """Choose so many images that no feature map of theirs outgrows `MAX_MAP`."""
        sizes = [
            tensor.dtype.size * math.prod(tensor.shape[1:])
            for operation in self._traced.graph.get_operations()
            for tensor in operation.outputs
            if tensor.shape.rank and tensor.shape[1:].is_fully_defined() and tensor.shape[0] is None
        ]
        return max(1, min(MAX_BATCH, MAX_MAP // max(sizes)))


def open_model(path: Path, output_shape: Shape) -> Any:
    """Open a Keras file whose network takes (n, 500, 500, 1) tensors.

    Raises:
        ModelUnavailableError: the file is missing, damaged, or its network has other shapes; or
            Keras is not installed.
    """
    keras, _ = import_keras()
    try:
        if path.suffix.lower() in HDF5_SUFFIXES:
            model = open_hdf5(path, keras)
        else:
            model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever a damaged archive leads it into
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelUnavailableError(
            f"The model file {path} cannot be opened by Keras {keras.__version__}: {reason}"
        ) from error
    shapes = tuple(getattr(model, name, None) for name in ("input_shape", "output_shape"))
    if shapes != ((None, *INPUT_SHAPE), output_shape):
        raise ModelUnavailableError(
            f"The model in {path} takes {shapes[0]} and gives {shapes[1]}; wanted is a classifier "
            f"from {(None, *INPUT_SHAPE)} to {output_shape}."
        )
    return model


def keras_model(network: Network) -> Any:
    """Give the Keras model of a network that was opened to be run by Keras.

    Raises:
        TypeError: it is run by something else.
    """
    if not isinstance(network, KerasNetwork):
        raise TypeError(f"A network run by Keras is wanted; this one is run by {network.runtime}.")
    return network.model


def import_keras() -> tuple[Any, Any]:
    """Import Keras and TensorFlow without what TensorFlow has to say of CPU and GPU.

    Returns:
        The modules `keras` and `tensorflow`.

    Raises:
        ModelUnavailableError: they are not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # of it, too, while it works
    try:
        with _importing, contextlib.nullcontext() if "keras" in sys.modules else _without_noise():
            import keras
            import tensorflow as tf
    except ModuleNotFoundError as error:
        raise ModelUnavailableError(
            f"This model needs Keras and TensorFlow to run, and {error.name} is not installed. "
            "Install requirements.txt, or use a model that was exported to ONNX."
        ) from error
    return keras, tf


def _last_operation(answer: Any) -> Any:
    """Find what computed an answer in a graph, behind what only handed it on."""
    while answer.op.type in _TRANSPARENT:
        answer = answer.op.inputs[0]
    return answer.op


@contextmanager
def _without_noise() -> Iterator[None]:
    """Leave out what TensorFlow writes to the standard error past Python; pass the rest on."""
    kept = os.dup(2)
    reading, writing = os.pipe()
    os.dup2(writing, 2)
    os.close(writing)
    passing = threading.Thread(target=_pass_on, args=(reading, kept), daemon=True)
    passing.start()
    try:
        yield
    finally:
        os.dup2(kept, 2)  # the pipe ends here, unless another thread has begun a process meanwhile
        passing.join(timeout=1)


def _pass_on(reading: int, kept: int) -> None:
    with open(reading, "rb") as lines, open(kept, "wb", buffering=0) as standard_error:
        for line in lines:
            if not line.startswith(_NOISE):
                standard_error.write(line)
