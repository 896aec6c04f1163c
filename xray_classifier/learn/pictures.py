"""Numbers to pictures: feature maps, filters and layers as grey images."""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from xray_classifier.imaging.preprocessing import Tensor
from xray_classifier.imaging.radiograph import GreyImage

GAP = 2  # pixels between the tiles of a grid
EMPTY = 90  # grey between them

Numbers = NDArray[np.float32]


def as_picture(tensor: Tensor) -> GreyImage:
    """Turn a tensor, shape (height, width, 1) in [0, 1], back into a picture."""
    return np.round(tensor[..., 0] * 255).astype(np.uint8)


def stretch(values: Numbers) -> GreyImage:
    """Show numbers from 0 up as greys: 0 black, the largest white."""
    most = float(values.max()) or 1.0
    return np.round(values / most * 255).astype(np.uint8)


def enlarge(image: GreyImage, side: int) -> GreyImage:
    """Enlarge to `side` pixels on the longer side, or a little less, each cell a square."""
    factor = max(1, side // max(image.shape))
    return np.kron(image, np.ones((factor, factor), np.uint8))


def grid_of_maps(maps: Numbers, columns: int = 8, side: int = 96) -> GreyImage:
    """Lay feature maps out in rows, the strongest answer of each white.

    Args:
        maps: shape (filters, rows, columns), 0 or above.
        columns: maps beside each other.
        side: of each, in pixels.
    """
    tiles = [
        np.asarray(Image.fromarray(stretch(one)).resize((side, side), Image.Resampling.BILINEAR))
        for one in maps
    ]
    return tiled(tiles, columns)


def kernel_picture(kernels: Numbers, side: int = 40) -> GreyImage:
    """Show the 3 x 3 weights of a filter, one square for each channel: grey 0, white the largest.

    Args:
        kernels: shape (channels, 3, 3).
        side: of each square, in pixels.
    """
    most = float(np.abs(kernels).max()) or 1.0
    greys = np.round((kernels / most + 1) / 2 * 255).astype(np.uint8)
    return tiled([enlarge(one, side) for one in greys], min(8, len(greys)))


def bar_of(values: Numbers, columns: int, side: int = 400) -> GreyImage:
    """Show the outputs of a layer row by row: 0 black, the largest white."""
    rows = math.ceil(len(values) / columns)
    padded = np.zeros(rows * columns, np.float32)
    padded[: len(values)] = values
    return enlarge(stretch(padded).reshape(rows, columns), side)


def tiled(tiles: list[GreyImage], columns: int) -> GreyImage:
    """Lay equal pictures out row by row, with a gap between them."""
    height, width = tiles[0].shape
    rows = math.ceil(len(tiles) / columns)
    canvas = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP), EMPTY, np.uint8)
    for index, tile in enumerate(tiles):
        top, left = index // columns * (height + GAP), index % columns * (width + GAP)
        canvas[top : top + height, left : left + width] = tile
    return canvas


def seen_by_default(tensor: Tensor) -> tuple[GreyImage, GreyImage]:
    """Show what the default model's networks get of a tensor: see `build_lite_network`.

    Returns:
        Sharp and soft, of shape (224, 224): averaged over 2 x 2 pixels, without 5 % at each edge;
        the soft one is blurred in between.
    """
    pooled = tensor.reshape(250, 2, 250, 2).mean(axis=(1, 3))
    blurred = pooled
    for _ in range(2):
        blurred = sliding_window_view(blurred, (3, 3)).mean(axis=(2, 3))
    sharp, soft = pooled[13:-13, 13:-13], blurred[11:-11, 11:-11]
    return as_picture(sharp[..., np.newaxis]), as_picture(soft[..., np.newaxis])


def cells_of(image: GreyImage, cells: int = 50) -> GreyImage:
    """Average a square picture over equal squares, `cells` a side."""
    size = len(image) // cells
    means = image.reshape(cells, size, cells, size).mean(axis=(1, 3))
    return np.round(means).astype(np.uint8)
