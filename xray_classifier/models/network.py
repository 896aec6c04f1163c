"""Tensors to a network's answers: the one place that runs a trained network."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xray_classifier.errors import ModelUnavailableError
from xray_classifier.imaging.preprocessing import Tensor
from xray_classifier.models.legacy_keras import HDF5_SUFFIXES, open_hdf5
from xray_classifier.models.spec import INPUT_SHAPE

Shape = tuple[int | None, ...]

MAX_BATCH = 16  # larger ones are no faster

MAX_MAP = 32 * 2**20
"""Bytes; glibc gives a larger block back to the system after each use, and clears it anew."""


class Network:
    """A trained network, ready to be shared by threads.

    Args:
        model: a Keras model from (n, 500, 500, 1) to (n, outputs).

    Attributes:
        lock: held while the network computes.
    """

    def __init__(self, model: Any) -> None:
        # One visitor at a time: TensorFlow uses every core for one image already, and the memory
        # of a forward pass is then needed once.
        self.lock = threading.Lock()
        self._forward = compiled(lambda batch: model(batch, training=False))
        self._traced = self._forward.get_concrete_function()  # now, not for the first image

    def answers(self, batch: Tensor) -> NDArray[np.float64]:
        """Give the outputs for each tensor.

        Args:
            batch: shape (n, 500, 500, 1), float32 in [0, 1].

        Returns:
            Shape (n, outputs).

        Raises:
            ValueError: the batch has another shape, type or range.
        """
        _check_batch(batch)
        if not len(batch):  # the article's network cannot flatten it
            return np.empty((0, self._traced.output_shapes[-1]))
        with self.lock:
            return self._forward(batch).numpy().astype(np.float64)

    def best_batch_size(self) -> int:
        """Choose so many images that no feature map of theirs outgrows `MAX_MAP`."""
        sizes = [
            tensor.dtype.size * math.prod(tensor.shape[1:])
            for operation in self._traced.graph.get_operations()
            for tensor in operation.outputs
            if tensor.shape.rank and tensor.shape[1:].is_fully_defined() and tensor.shape[0] is None
        ]
        return max(1, min(MAX_BATCH, MAX_MAP // max(sizes)))


def compiled(function: Callable[[Any], Any]) -> Any:
    """Compile a function of symbolic tensors (n, 500, 500, 1); it is traced at its first use."""
    import tensorflow as tf

    signature = [tf.TensorSpec((None, *INPUT_SHAPE), tf.float32)]
    # AutoGraph would write temporary files, and rewrite the messages of our errors.
    return tf.function(function, input_signature=signature, autograph=False)


def open_model(path: Path, output_shape: Shape) -> Any:
    """Open a Keras file whose network takes (n, 500, 500, 1) tensors.

    Raises:
        ModelUnavailableError: the file is missing, damaged, or its network has other shapes.
    """
    import keras

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


def _check_batch(batch: Tensor) -> None:
    if batch.ndim != 4 or batch.shape[1:] != INPUT_SHAPE or batch.dtype != np.float32:
        raise ValueError(
            f"A batch of float32 tensors {INPUT_SHAPE} is wanted; "
            f"received {batch.dtype} of shape {batch.shape}."
        )
    if batch.size and not (batch.min() >= 0 and batch.max() <= 1):
        raise ValueError(
            f"Tensors in [0, 1] are wanted; received [{batch.min()}, {batch.max()}]. "
            "Scale the image with `preprocess`."
        )
