"""The article's network opened: what each of its steps makes of one picture."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from xray_classifier.imaging.preprocessing import Tensor
from xray_classifier.models.network import ANSWERS, LOGITS, Network
from xray_classifier.models.onnx_network import DENSE, KERNELS, MAPS, VECTOR, OnnxNetwork

ARTICLE = "article"
"""The name of the model whose network is opened."""

POOLING = 2
"""Side in cells of what a maximum pooling keeps one value of."""

Numbers = NDArray[np.float32]


@dataclass(frozen=True)
class Block:
    """A convolution, ReLU and a maximum pooling, and what came out of them.

    Attributes:
        number: from 1.
        maps: what comes out, shape (filters, rows, columns), 0 or above.
        kernels: the filters, shape (filters, channels, 3, 3).
        receptive_field: side in pixels, of 500, of what one cell of a map sees.
        step: pixels from one cell of a map to the next one.
    """

    number: int
    maps: Numbers
    kernels: Numbers
    receptive_field: int
    step: int

    @property
    def parameters(self) -> int:
        """Weights of all filters, and a bias for each."""
        return self.kernels.size + len(self.kernels)


@dataclass(frozen=True)
class Steps:
    """All that lies between a tensor and the probability.

    Attributes:
        blocks: the five blocks.
        vector: the last maps laid out as one row, place by place: shape (10816,).
        dense: what the hidden dense layers put out, shapes (128,) and (64,).
        logit: the score before the sigmoid.
        probability: of pneumonia.
    """

    blocks: tuple[Block, ...]
    vector: Numbers
    dense: tuple[Numbers, ...]
    logit: float
    probability: float

    @property
    def dense_parameters(self) -> tuple[int, ...]:
        """Weights and biases of each dense layer, the last one with a single unit."""
        widths = (len(self.vector), *map(len, self.dense), 1)
        return tuple((before + 1) * after for before, after in pairwise(widths))

    @property
    def parameters(self) -> int:
        """Of the whole network."""
        return sum(block.parameters for block in self.blocks) + sum(self.dense_parameters)


def take_steps(network: Network, tensor: Tensor) -> Steps | None:
    """Run a network and keep what lies within.

    Args:
        network: the article's, run by ONNX Runtime.
        tensor: shape (500, 500, 1), float32 in [0, 1].

    Returns:
        None where the network cannot be opened: something else runs it, or it was exported by an
        older version, or is another one.
    """
    found = network.inside(tensor) if isinstance(network, OnnxNetwork) else {}
    if VECTOR not in found:
        return None
    blocks: list[Block] = []
    field, step = 1, 1
    while f"{MAPS}_{len(blocks) + 1}" in found:
        number = len(blocks) + 1
        kernels = found[f"{KERNELS}_{number}"]
        field += (kernels.shape[-1] - 1 + POOLING - 1) * step
        step *= POOLING
        blocks.append(Block(number, found[f"{MAPS}_{number}"], kernels, field, step))
    dense = [found[name] for name in sorted(found) if name.startswith(DENSE)]
    logit, probability = float(found[LOGITS][0]), float(found[ANSWERS][0])
    return Steps(tuple(blocks), found[VECTOR], tuple(dense), logit, probability)
