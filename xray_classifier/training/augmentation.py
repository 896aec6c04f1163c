"""The article's augmentation of training images, with the meaning that it had there.

The article used `ImageDataGenerator(shear_range=.2, zoom_range=.2, horizontal_flip=True)`. Keras's
preprocessing layers give these numbers another meaning (`RandomShear(.2)` shears by up to 100
pixels, here it is under one), so the geometry is written out.

The flip mirrors the heart. It is kept because it is part of the article's recipe.
"""

from __future__ import annotations

import numpy as np
from keras import ops
from numpy.typing import NDArray

from xray_classifier.imaging.preprocessing import SIDE, Tensor

SHEAR_DEGREES = 0.2
ZOOM = (0.8, 1.2)


def augment(batch: Tensor, rng: np.random.Generator) -> Tensor:
    """Shear, zoom and flip every image of a batch by its own random amounts.

    Args:
        batch: shape (n, 500, 500, 1), float32 in [0, 1].
        rng: the only source of randomness.

    Returns:
        The same shape, type and range.
    """
    matrices = random_matrices(len(batch), rng)
    moved = ops.image.affine_transform(
        batch, matrices, interpolation="bilinear", fill_mode="nearest"
    )
    return ops.convert_to_numpy(moved)


def random_matrices(n: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw `n` transforms, shape (n, 8), from output to input pixels (x, y), about the centre."""
    shear = np.deg2rad(rng.uniform(-SHEAR_DEGREES, SHEAR_DEGREES, n))
    zoom_x, zoom_y = rng.uniform(*ZOOM, (2, n))
    flip = rng.choice([-1.0, 1.0], n)
    return affine_matrices(shear, zoom_x, zoom_y, flip)


def affine_matrices(
    shear: NDArray[np.float64],
    zoom_x: NDArray[np.float64],
    zoom_y: NDArray[np.float64],
    flip: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Write shear (radians), zoom (> 1 shrinks) and flip (-1 mirrors) as rows of Keras transforms.

    Each row is [a0, a1, a2, b0, b1, b2, 0, 0]: the output pixel (x, y) is read at
    (a0 x + a1 y + a2, b0 x + b1 y + b2). Same geometry as Keras's `apply_affine_transform`.
    """
    centre = SIDE / 2 - 0.5
    a0, a1 = zoom_x * flip, -np.sin(shear) * zoom_y
    b0, b1 = np.zeros_like(a0), np.cos(shear) * zoom_y
    a2, b2 = centre * (1 - a0 - a1), centre * (1 - b0 - b1)
    zero = np.zeros_like(a0)
    return np.stack([a0, a1, a2, b0, b1, b2, zero, zero], axis=1).astype(np.float32)
