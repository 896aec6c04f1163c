"""A decoded radiograph: what every file becomes, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GreyImage = NDArray[np.uint8]
"""The pixels of a radiograph: shape (height, width), uint8, 0 = black."""


@dataclass(frozen=True)
class Radiograph:
    """What a file holds.

    Attributes:
        image: shape (height, width), uint8, upright, 0 = black.
        warnings: code words of `inference.warnings` for what a reader of a verdict should know.
    """

    image: GreyImage
    warnings: tuple[str, ...] = ()
