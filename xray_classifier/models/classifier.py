"""Model tensor to probability of pneumonia."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xray_classifier.errors import ModelUnavailableError
from xray_classifier.imaging.preprocessing import Tensor
from xray_classifier.models.network import Network
from xray_classifier.models.spec import INPUT_SHAPE, ModelSpec


class Classifier:
    """A loaded model with its facts, ready to be shared by threads.

    Args:
        network: from (n, 500, 500, 1) to (n, k), the probabilities that the facts name.
        spec: its facts.
        remarks: what a user should know about how the model was loaded.

    Raises:
        ModelUnavailableError: the model answers with something that is no probability.
    """

    def __init__(self, network: Network, spec: ModelSpec, remarks: tuple[str, ...] = ()) -> None:
        self.network = network
        self.spec = spec
        self.remarks = remarks
        self.answers(np.zeros((1, *INPUT_SHAPE), np.float32))  # is it a classifier at all?

    def probabilities(self, batch: Tensor) -> NDArray[np.float64]:
        """Give the probability of pneumonia for each tensor.

        Args:
            batch: shape (n, 500, 500, 1), float32 in [0, 1].

        Returns:
            Shape (n,), in [0, 1].

        Raises: as `answers`.
        """
        return self.answers(batch)[:, 0]

    def answers(self, batch: Tensor) -> NDArray[np.float64]:
        """Give all that the network answers to each tensor, pneumonia first: see `ModelSpec`.

        Args:
            batch: shape (n, 500, 500, 1), float32 in [0, 1].

        Returns:
            Shape (n, k), in [0, 1].

        Raises:
            ValueError: the batch has another shape, type or range.
            ModelUnavailableError: the model answered with something that is no probability.
        """
        probabilities = self.network.answers(batch)
        if not np.all((probabilities >= 0) & (probabilities <= 1)):
            raise ModelUnavailableError(
                f"Model {self.spec.name} answered {probabilities.ravel()}, which is no "
                "probability. It is damaged or made for another task; use another one."
            )
        return probabilities
