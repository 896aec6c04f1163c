"""Decoded radiograph to model tensor: the only resize and the only scaling in the project."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xray_classifier.imaging.radiograph import GreyImage

SIDE = 500
"""Width and height in pixels of what every model takes."""

Tensor = NDArray[np.float32]


def preprocess(image: GreyImage) -> Tensor:
    """Turn a decoded radiograph into what a model takes.

    Args:
        image: shape (height, width), uint8.

    Returns:
        Shape (500, 500, 1), float32 in [0, 1].
    """
    return scale(resize(image))


def resize(image: GreyImage) -> GreyImage:
    """Resize to 500 x 500 with Pillow's antialiased bilinear filter.

    The aspect ratio is given up, as in the article: the network was trained on resized images.

    Args:
        image: shape (height, width), uint8.

    Returns:
        Shape (500, 500), uint8.
    """
    resized = Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def scale(resized: GreyImage) -> Tensor:
    """Scale pixels by 1/255 and add the channel.

    Args:
        resized: one image or several, shape (..., 500, 500), uint8.

    Returns:
        Shape (..., 500, 500, 1), float32 in [0, 1].
    """
    return (resized.astype(np.float32) / np.float32(255))[..., np.newaxis]
