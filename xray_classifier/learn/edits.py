"""What a visitor does to the squeezed picture before the network looks at it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xray_classifier.imaging import perturbations
from xray_classifier.imaging.preprocessing import SIDE, Tensor, scale
from xray_classifier.imaging.radiograph import GreyImage

Span = tuple[int, int]
"""From and to, in pixels of 500; the second is the first that is left out."""


@dataclass(frozen=True)
class Edits:
    """Changes, in the order in which they are made.

    Attributes:
        crop: fraction of the side that is cut off at each edge, under .5.
        degrees: turned counter-clockwise by.
        blur: radius of a Gaussian in pixels.
        brightness: added to the greys, which span 1.
        rows: of a rectangle that is filled with the picture's mean grey; none if empty.
        columns: of the same rectangle.
    """

    crop: float = 0.0
    degrees: float = 0.0
    blur: float = 0.0
    brightness: float = 0.0
    rows: Span = (0, 0)
    columns: Span = (0, 0)

    @property
    def masks(self) -> bool:
        """Whether the rectangle holds anything."""
        return self.rows[0] < self.rows[1] and self.columns[0] < self.columns[1]


NO_EDITS = Edits()


def edited(squeezed: GreyImage, edits: Edits) -> Tensor:
    """Scale a picture as `preprocess` does, and change it.

    Args:
        squeezed: shape (500, 500), uint8.
        edits: what is to be changed; nothing gives what `preprocess` gives.

    Returns:
        Shape (500, 500, 1), float32 in [0, 1].
    """
    batch = scale(squeezed)[np.newaxis]
    if edits.crop:
        batch = perturbations.crop(batch, edits.crop)
    if edits.degrees:
        batch = perturbations.rotate(batch, edits.degrees)
    if edits.blur:
        batch = perturbations.blur(batch, edits.blur)
    if edits.brightness:
        batch = perturbations.shift_grey(batch, edits.brightness, 1.0)
    tensor: Tensor = batch[0]
    if edits.masks:
        tensor = tensor.copy()
        tensor[slice(*edits.rows), slice(*edits.columns)] = tensor.mean()
    return tensor


def span_of(one: float, other: float, step: int = 1) -> Span:
    """Write two places on an axis, in any order and even beyond the picture, as a span.

    Args:
        one: in pixels.
        other: likewise.
        step: both are rounded to multiples of it.

    >>> span_of(406.2, -3, 10)
    (0, 410)
    """
    low, high = sorted(min(max(round(place / step) * step, 0), SIDE) for place in (one, other))
    return low, high
