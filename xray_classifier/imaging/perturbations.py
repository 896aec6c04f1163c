"""Changes of a radiograph that must not change its verdict.

Training draws them at random, so that the network cannot rest on what has nothing to do with
lungs; the stress test applies them to held-out patients. In these data the border of the picture
and the burned-in text of one machine tell the classes apart (measured on the training images).

Every function takes a batch of shape (n, height, width, 1), float32 in [0, 1], and gives a new one.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from xray_classifier.imaging.preprocessing import Tensor

Amount = float | NDArray[np.float64]
"""One number for the whole batch, or shape (n, 1, 1, 1)."""

CORNERS = ("top left", "top right", "bottom left", "bottom right")


def paste_text(batch: Tensor, rng: np.random.Generator) -> Tensor:
    """Burn text like a machine's, or a side marker, into a random corner of each image."""
    height, width = batch.shape[1:3]
    labels = [_text_layer(width, height, rng) for _ in batch]
    return np.maximum(batch, np.stack(labels)[..., np.newaxis])


def swap_border(batch: Tensor, rng: np.random.Generator, margin: float) -> Tensor:
    """Replace the outer part of each image by another image's; the centre stays.

    Args:
        batch: the images; each lends its border to another one.
        rng: draws who lends to whom.
        margin: width of the border at each side, as a fraction of the side, 0 to 0.5.
    """
    return take_border(batch, batch[_derangement(len(batch), rng)], margin)


def take_border(batch: Tensor, lenders: Tensor, margin: float) -> Tensor:
    """Replace the outer part of each image by its lender's; the centre stays.

    Args:
        batch: the images.
        lenders: as many, of the same shape.
        margin: width of the border at each side, as a fraction of the side, 0 to 0.5.
    """
    return np.where(_centre(batch.shape, margin), batch, lenders)


def erase_border(batch: Tensor, rng: np.random.Generator, margin: float) -> Tensor:
    """Fill the outer part of each image, `margin` of the side wide, with a grey from 0 to .6."""
    grey = rng.uniform(0, 0.6, (len(batch), 1, 1, 1)).astype(np.float32)
    return np.where(_centre(batch.shape, margin), batch, grey)


def blank_centre(batch: Tensor, margin: float) -> Tensor:
    """Fill all but the border with its mean: nothing of a lung is left.

    Args:
        batch: the images.
        margin: width of the border at each side, as a fraction of the side, above 0 to 0.5.
    """
    centre = _centre(batch.shape, margin)
    mean = batch.mean(axis=(1, 2, 3), keepdims=True, where=~centre)
    return np.where(centre, mean, batch)


def shift_grey(batch: Tensor, brightness: Amount, contrast: Amount) -> Tensor:
    """Scale the grey levels about .5 by `contrast`, then add `brightness`; clip to [0, 1]."""
    shifted = (batch - 0.5) * contrast + (0.5 + brightness)
    return np.clip(shifted, 0, 1).astype(np.float32)


def adjust_gamma(batch: Tensor, gamma: Amount) -> Tensor:
    """Raise the grey levels to the power `gamma`, which is above 0; above 1 darkens."""
    return np.power(batch, gamma).astype(np.float32)


def add_noise(batch: Tensor, rng: np.random.Generator, sigma: float) -> Tensor:
    """Add Gaussian noise with standard deviation `sigma`, of a range of 1; clip to [0, 1]."""
    noise = rng.standard_normal(batch.shape, np.float32)
    return np.clip(batch + np.float32(sigma) * noise, 0, 1)


def blur(batch: Tensor, radius: float) -> Tensor:
    """Blur with a Gaussian of `radius` pixels."""
    return _each(batch, lambda image: image.filter(ImageFilter.GaussianBlur(radius)))


def sharpen(batch: Tensor, radius: float, amount: float) -> Tensor:
    """Add `amount` times what a Gaussian blur of `radius` pixels takes away."""
    return np.clip(batch + np.float32(amount) * (batch - blur(batch, radius)), 0, 1)


def shade(batch: Tensor, rng: np.random.Generator, strength: float) -> Tensor:
    """Brighten one side and darken the other, by a ramp of up to `strength` along each axis.

    Grey levels span 1, and are clipped to [0, 1].
    """
    height, width = batch.shape[1:3]
    slope_y, slope_x = rng.uniform(-strength, strength, (2, len(batch), 1, 1, 1))
    y = np.linspace(-1, 1, height)[:, None, None]
    x = np.linspace(-1, 1, width)[:, None]
    return np.clip(batch + slope_y * y + slope_x * x, 0, 1).astype(np.float32)


def compress(batch: Tensor, quality: int) -> Tensor:
    """Encode as JPEG of `quality` (1 to 95) and decode again."""

    def through_jpeg(image: Image.Image) -> Image.Image:
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=quality)
        return Image.open(stream)

    return _each(batch, through_jpeg)


def downsample(batch: Tensor, side: int) -> Tensor:
    """Shrink to `side` x `side` pixels and enlarge again: a source of lower resolution."""

    def through_small(image: Image.Image) -> Image.Image:
        small = image.resize((side, side), Image.Resampling.BILINEAR)
        return small.resize(image.size, Image.Resampling.BILINEAR)

    return _each(batch, through_small)


def rotate(batch: Tensor, degrees: float) -> Tensor:
    """Turn counter-clockwise about the centre; black comes in at the corners."""
    return _each(batch, lambda image: image.rotate(degrees, Image.Resampling.BILINEAR))


def mirror(batch: Tensor) -> Tensor:
    """Exchange left and right; the heart changes sides, which side is ill tells nothing."""
    return batch[:, :, ::-1].copy()


def crop(batch: Tensor, fraction: float) -> Tensor:
    """Cut `fraction` of the side, under 0.5, off at each edge and enlarge the rest to the size."""

    def cut(image: Image.Image) -> Image.Image:
        width, height = image.size
        box = (fraction * width, fraction * height, (1 - fraction) * width, (1 - fraction) * height)
        return image.resize(image.size, Image.Resampling.BILINEAR, box=box)

    return _each(batch, cut)


def _centre(shape: tuple[int, ...], margin: float) -> NDArray[np.bool_]:
    height, width = shape[1:3]
    top, left = round(margin * height), round(margin * width)
    inside = np.zeros((1, height, width, 1), bool)
    inside[:, top : height - top, left : width - left] = True
    return inside


def _derangement(n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw a cyclic order, so that no image lends to itself."""
    order = rng.permutation(n)
    lender = np.empty(n, np.intp)
    lender[order] = np.roll(order, 1)
    return lender


def _each(batch: Tensor, change: Callable[[Image.Image], Image.Image]) -> Tensor:
    images = [
        np.asarray(change(Image.fromarray(pixels)))
        for pixels in np.round(batch[..., 0] * 255).astype(np.uint8)
    ]
    return (np.stack(images).astype(np.float32) / np.float32(255))[..., np.newaxis]


def _text_layer(width: int, height: int, rng: np.random.Generator) -> NDArray[np.float32]:
    layer = Image.new("L", (width, height), 0)
    size = round(height * rng.uniform(0.025, 0.09))
    text = _random_text(rng)
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(text)
    inset_x, inset_y = rng.uniform(0.005, 0.05, 2) * (width, height)
    corner = CORNERS[rng.integers(len(CORNERS))]
    x = inset_x - left if "left" in corner else width - inset_x - right
    y = inset_y - top if "top" in corner else height - inset_y - bottom
    ImageDraw.Draw(layer).text((x, y), text, fill=int(rng.integers(150, 256)), font=font)
    return np.asarray(layer, np.float32) / np.float32(255)


def _random_text(rng: np.random.Generator) -> str:
    hour, minute, kilovolts = rng.integers(24), rng.integers(60), rng.integers(40, 90)
    choices = (
        f"KV{kilovolts}",
        f"{hour:02d}:{minute:02d}",
        f"KV{kilovolts} mAs{rng.integers(1, 20)}",
        "R",
        "L",
        "PORTABLE",
        f"{rng.integers(10**6)}",
    )
    return choices[rng.integers(len(choices))]
