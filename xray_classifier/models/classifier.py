"""Model tensor to probability of pneumonia."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xray_classifier.errors import ModelUnavailableError
from xray_classifier.imaging.preprocessing import Tensor
from xray_classifier.models.spec import INPUT_SHAPE, ModelSpec

MAX_BATCH = 16  # larger ones are no faster

MAX_MAP = 32 * 2**20
"""Bytes; glibc gives a larger block back to the system after each use, and clears it anew."""


class Classifier:
    """A loaded model with its facts, ready to be shared by threads.

    Args:
        model: a Keras model from (n, 500, 500, 1) to (n, 1).
        spec: its facts.
        remarks: what a user should know about how the model was loaded.

    Attributes:
        lock: held while the model computes.
        batch_size: how many images are best judged at once where many wait.
    """

    def __init__(self, model: Any, spec: ModelSpec, remarks: tuple[str, ...] = ()) -> None:
        import tensorflow as tf

        self.model = model
        self.spec = spec
        self.remarks = remarks
        # One visitor at a time: TensorFlow uses every core for one image already, and the memory
        # of a forward pass is then needed once.
        self.lock = threading.Lock()
        signature = [tf.TensorSpec((None, *INPUT_SHAPE), tf.float32)]
        self._forward = tf.function(
            lambda batch: model(batch, training=False),
            input_signature=signature,
            autograph=False,  # it would write temporary files
        )
        self.probabilities(np.zeros((1, *INPUT_SHAPE), np.float32))  # is it a classifier at all?
        self.batch_size = _best_batch_size(self._forward.get_concrete_function().graph)

    def probabilities(self, batch: Tensor) -> NDArray[np.float64]:
        """Give the probability of pneumonia for each tensor.

        Args:
            batch: shape (n, 500, 500, 1), float32 in [0, 1].

        Returns:
            Shape (n,), in [0, 1].

        Raises:
            ValueError: the batch has another shape, type or range.
            ModelUnavailableError: the model answered with something that is no probability.
        """
        _check_batch(batch)
        if not len(batch):
            return np.empty(0)
        with self.lock:
            answer = self._forward(batch).numpy()
        probabilities = answer.astype(np.float64).reshape(-1)
        if not np.all((probabilities >= 0) & (probabilities <= 1)):
            raise ModelUnavailableError(
                f"Model {self.spec.name} answered {probabilities}, which is no probability. "
                "It is damaged or made for another task; use another one."
            )
        return probabilities


def _best_batch_size(graph: Any) -> int:
    """Choose so many images that no feature map of theirs outgrows `MAX_MAP`."""
    sizes = [
        tensor.dtype.size * math.prod(tensor.shape[1:])
        for operation in graph.get_operations()
        for tensor in operation.outputs
        if tensor.shape.rank and tensor.shape[1:].is_fully_defined() and tensor.shape[0] is None
    ]
    return max(1, min(MAX_BATCH, MAX_MAP // max(sizes)))


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
