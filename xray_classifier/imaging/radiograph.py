"""A decoded radiograph: what every file becomes, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GreyImage = NDArray[np.uint8]
"""The pixels of a radiograph: shape (height, width), uint8, 0 = black."""


@dataclass(frozen=True)
class StoredValues:
    """Pixels as a file holds them, and how its picture is made of them.

    A value is counted from 0; the number that the file holds for it is `lowest` more.

    Attributes:
        values: shape (height, width), upright.
        greys: the grey of each possible value in the picture, 0 = black.
        used: the lowest and the highest value of the picture, what only fills up its rectangle
            left aside.
        window: width and level, in numbers of the file, of the linear function of DICOM (PS3.3
            C.11.2.1.2.1) that makes the same greys; None if there is no such function.
        lowest: the number that 0 stands for, below 0 for signed values.
        negative: whether higher values are darker.
    """

    values: GreyImage | NDArray[np.uint16]
    greys: GreyImage
    used: tuple[int, int]
    window: tuple[float, float] | None
    lowest: int = 0
    negative: bool = False

    def nearest_window(self) -> tuple[float, float]:
        """Give that window, or else the one from the last black to the first white value."""
        if self.window:
            return self.window
        low, high = self.used
        part = self.greys[low : high + 1]
        grey = np.flatnonzero((part > 0) & (part < 255))
        black, white = (low + grey[0], low + grey[-1]) if grey.size else self.used
        return float(white - black + 1), (white + black + 1) / 2 + self.lowest


@dataclass(frozen=True)
class Radiograph:
    """What a file holds.

    Attributes:
        image: shape (height, width), uint8, upright, 0 = black.
        warnings: code words of `inference.warnings` for what a reader of a verdict should know.
        stored: what the file holds where that is more than 8 bits of grey, if it was asked for.
    """

    image: GreyImage
    warnings: tuple[str, ...] = ()
    stored: StoredValues | None = None
