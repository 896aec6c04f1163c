"""How a machine renders a radiograph, told apart from what it shows.

Machines differ in the grey levels and in how much detail of each size they give: soft or sharp
ribs, flat or deep shades. In the data of Kermany et al. most normals come from another machine than
most pneumonias, so that a network can tell the classes by the rendering alone. What is measured
here is blind to place: the energies of five bands of a Gaussian pyramid.

Batches have the shape (n, side, side, 1), float32 in [0, 1], of any side.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn

from xray_classifier.imaging.preprocessing import Tensor

REFERENCE_SIDE = 224
RADII = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Of the Gaussians between the bands, in pixels of a picture of 224."""

EDGE = 0.1
"""What is left out at each side, as a fraction of it: collimation, arms, burned-in text."""

QUANTILES = np.linspace(0, 1, 33)
FAINTEST = 1e-4
"""The least energy of a band, of a range of 1: an even picture has none."""

MOST_GAIN = 4.0
"""A band is changed by this factor at most, so that noise is not blown up to structure."""

Energies = NDArray[np.float64]
"""Shape (n, 5): the natural logarithm of the standard deviation in each band, finest first."""


def band_energies(batch: Tensor) -> Energies:
    """Measure the five band energies of each image, over its middle."""
    return _log_energies(_split(batch))


def transfer_rendering(
    batch: Tensor, donors: Tensor, gains: NDArray[np.float64] | float = 1.0
) -> Tensor:
    """Render each image as its donor is rendered; what it shows stays where it is.

    First the grey levels of the middle are given the donor's quantiles, then each band the donor's
    energy, as far as a factor of 4 allows; clipped to [0, 1].

    Args:
        batch: the images.
        donors: as many, of the same shape.
        gains: factors of the donor's energies, above 0, shape (n, 5), finest band first.
    """
    *bands, rendered = _split(_match_levels(batch, donors))
    factors = gains * np.exp(band_energies(donors) - _log_energies(bands))
    factors = np.clip(factors, 1 / MOST_GAIN, MOST_GAIN).astype(np.float32)
    for band, gain in zip(bands, factors.T, strict=True):
        rendered = rendered + gain[:, None, None] * band
    return np.clip(rendered, 0, 1)[..., np.newaxis]


def _match_levels(batch: Tensor, donors: Tensor) -> Tensor:
    """Map the grey levels of each image so that its middle has the quantiles of its donor's."""
    middle = _middle(batch.shape[1])
    matched = np.empty_like(batch)
    for image, donor, target in zip(batch[..., 0], donors[..., 0], matched[..., 0], strict=True):
        own = np.quantile(image[middle], QUANTILES)
        rising = own + np.arange(len(own)) * 1e-6  # interpolation needs values that grow
        target[:] = np.interp(image, rising, np.quantile(donor[middle], QUANTILES))
    return matched


def _split(batch: Tensor) -> list[NDArray[np.float32]]:
    """Divide images into bands, finest first, and what is coarser than all; their sum is the batch.

    The Gaussians are applied to the cosine transform, which takes an image for mirrored at its
    edges: one transform for all of them, and wide ones cost no more than narrow ones.

    Returns:
        Six arrays of shape (n, side, side).
    """
    images = batch[..., 0]
    side = images.shape[1]
    spectrum = dctn(images, axes=(1, 2), norm="ortho")
    frequency = np.pi * np.arange(side, dtype=np.float32) / side
    finer = images
    parts = []
    for radius in RADII:
        low = np.exp(-0.5 * (frequency * radius * side / REFERENCE_SIDE) ** 2)
        coarser = idctn(spectrum * (low[:, None] * low), axes=(1, 2), norm="ortho")
        parts.append(finer - coarser)
        finer = coarser
    return [*parts, finer]


def _log_energies(bands: list[NDArray[np.float32]]) -> Energies:
    middle = _middle(bands[0].shape[1])
    deviations = [
        band[:, *middle].std(axis=(1, 2), dtype=np.float64) for band in bands[: len(RADII)]
    ]
    return np.log(np.maximum(np.stack(deviations, axis=1), FAINTEST))


def _middle(side: int) -> tuple[slice, slice]:
    edge = round(EDGE * side)
    return slice(edge, side - edge), slice(edge, side - edge)
