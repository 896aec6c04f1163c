"""Tensors to a network's answers: what all ways of running a trained network have in common."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from xray_classifier.imaging.preprocessing import Tensor
from xray_classifier.models.spec import INPUT_SHAPE

ANSWERS, LOGITS = "answers", "logits"
"""Names of what a network puts out: the logits are what a sigmoid made probabilities of."""

NO_SIGMOID = "This model cannot be explained: it does not end in a sigmoid."
"""Said where logits are wanted that there are none of."""

COMPUTING = threading.Lock()
"""Held during a pass, of whichever network.

Each uses every core already, and the memory of a forward pass is then needed once.
"""


class Network(ABC):
    """A trained network, ready to be shared by threads.

    Attributes:
        runtime: name and version of what computes the answers.
        batch_size: how many tensors are best given at once where many wait.
    """

    runtime: str
    batch_size: int

    def answers(self, batch: Tensor) -> NDArray[np.float64]:
        """Give the outputs for each tensor.

        Args:
            batch: shape (n, 500, 500, 1), float32 in [0, 1].

        Returns:
            Shape (n, outputs).

        Raises:
            ValueError: the batch has another shape, type or range.
        """
        return self._compute(ANSWERS, batch)

    def logits(self, batch: Tensor) -> NDArray[np.float64]:
        """Give the score before the sigmoid of the first answer.

        A confident network's sigmoid is flat: its logit still tells what moves it.

        Args:
            batch: shape (n, 500, 500, 1), float32 in [0, 1].

        Returns:
            Shape (n,).

        Raises:
            ValueError: the batch has another shape, type or range.
            ModelUnavailableError: the network does not end in a sigmoid.
        """
        return self._compute(LOGITS, batch)[:, 0]

    def _compute(self, output: str, batch: Tensor) -> NDArray[np.float64]:
        check_batch(batch)
        if not len(batch):  # the article's network cannot flatten it
            return np.empty((0, self._width()))
        with COMPUTING:
            return self._run(output, batch).astype(np.float64)

    @abstractmethod
    def _run(self, output: str, batch: Tensor) -> NDArray[np.float32]:
        """Compute one of the outputs; called by one thread at a time."""

    @abstractmethod
    def _width(self) -> int:
        """Tell how many answers there are to each tensor."""


def check_batch(batch: Tensor) -> None:
    """Refuse what no network takes.

    Raises:
        ValueError: the batch has another shape, type or range.
    """
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
