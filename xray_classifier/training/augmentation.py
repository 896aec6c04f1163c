"""How training images are changed at random: one augmentation for each recipe.

An augmentation is a value: its fields are what it draws from, and what a model's JSON states.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from keras import ops
from numpy.typing import NDArray

from xray_classifier.imaging import perturbations
from xray_classifier.imaging.preprocessing import Tensor
from xray_classifier.rendering.bands import RADII, transfer_rendering

Range = tuple[float, float]
"""From and to, drawn from evenly."""

Labels = NDArray[np.float32]

Numbers = NDArray[np.float64]
Linear = NDArray[np.float64]
"""Shape (n, 2, 2): from an output pixel's (x, y) to the input's, both seen from the centre."""


@dataclass(frozen=True)
class ArticleAugmentation:
    """Shear, zoom and flip every image of a batch by its own random amounts.

    The article used `ImageDataGenerator(shear_range=.2, zoom_range=.2, horizontal_flip=True)`.
    Keras's preprocessing layers give these numbers another meaning (`RandomShear(.2)` shears by up
    to 100 pixels, here it is under one), so the geometry is written out.

    The flip mirrors the heart. It is kept because it is part of the article's recipe.

    Attributes:
        shear_degrees: at most, to either side.
        zoom_per_axis: factors; above 1 shrinks.
        horizontal_flip: mirror half of the images.
        fill: what comes in at the edges, by Keras's name.
    """

    shear_degrees: float = 0.2
    zoom_per_axis: Range = (0.8, 1.2)
    horizontal_flip: bool = True
    fill: str = "nearest"

    def __call__(self, batch: Tensor, _labels: Labels, rng: np.random.Generator) -> Tensor:
        """Change a batch of shape (n, height, width, 1), float32 in [0, 1], to one alike."""
        return transform(batch, self.draw(len(batch), rng), fill=self.fill)

    def draw(self, n: int, rng: np.random.Generator) -> Linear:
        """Draw the transforms of `n` images."""
        shear = np.deg2rad(rng.uniform(-self.shear_degrees, self.shear_degrees, n))
        zoom_x, zoom_y = rng.uniform(*self.zoom_per_axis, (2, n))
        flip = _draw_flips(n, rng) if self.horizontal_flip else np.ones(n)
        return sheared(shear, zoom_x, zoom_y, flip)


@dataclass(frozen=True)
class DefaultAugmentation:
    """Move, mirror, and change all that is not lung: rendering, text, border, greys, sharpness.

    Most normals of these data come from one machine, most pneumonias from others: the rendering of
    the other class is what teaches the network most not to rest on it.

    The mirror is kept although it puts the heart on the right: which side is affected tells
    nothing. Machines differ in shade and sharpness, and the classes came from different machines.

    What has a chance meets that part of the images, and none where it would meet a single one of a
    batch; what has no chance meets every image.

    Attributes:
        rendering_chance: of the rendering of another image of the batch.
        rendering_of_other_class: how often that is one of the other class.
        rendering_log_gain: natural logarithm of a factor for the energy of each band beside that,
            since other machines are sharper or softer than all of these.
        rotation_degrees: about the centre.
        log_zoom_per_axis: natural logarithm of the factors; above 0 shrinks.
        shift_per_axis: as a fraction of the side.
        horizontal_flip: mirror half of the images.
        text_chance: of text or a side marker in a corner.
        border_margin: width of the border as a fraction of the side, one for a batch.
        border_swap_chance: of another image's border.
        border_of_other_class: how often that is one of the other class (.7 makes borders of both
            classes alike frequent in all); None to take any other image's.
        border_erase_chance: of a border of one grey.
        log_gamma: natural logarithm of the power that the greys are raised to.
        brightness: added to the greys.
        contrast: factor about the middle grey.
        machine_chance: of each of the six changes below, by itself; but for the shade, all images
            that a change meets in a batch are changed by one amount.
        shade_strength: of a ramp in any direction, at most.
        jpeg_quality: a whole number, both ends included.
        resolution: side in pixels that an image is reduced to and enlarged from, likewise.
        blur_radius: in pixels.
        sharpen_radius: in pixels.
        sharpen_amount: factor.
        noise_sigma: standard deviation.
    """

    rendering_chance: float = 0.6
    rendering_of_other_class: float = 0.75
    rendering_log_gain: Range = (-0.2, 0.2)
    rotation_degrees: Range = (-10.0, 10.0)
    log_zoom_per_axis: Range = (-0.165, 0.165)
    shift_per_axis: Range = (-0.04, 0.04)
    horizontal_flip: bool = True
    text_chance: float = 0.3
    border_margin: Range = (0.05, 0.2)
    border_swap_chance: float = 0.7
    border_of_other_class: float | None = 0.7
    border_erase_chance: float = 0.15
    log_gamma: Range = (-0.4, 0.4)
    brightness: Range = (-0.12, 0.12)
    contrast: Range = (0.7, 1.3)
    machine_chance: float = 0.1
    shade_strength: float = 0.15
    jpeg_quality: tuple[int, int] = (15, 89)
    resolution: tuple[int, int] = (90, 219)
    blur_radius: Range = (0.3, 1.5)
    sharpen_radius: Range = (1.0, 4.0)
    sharpen_amount: Range = (0.3, 1.5)
    noise_sigma: Range = (0.01, 0.06)

    def __call__(self, batch: Tensor, labels: Labels, rng: np.random.Generator) -> Tensor:
        """Change a batch of shape (n, height, width, 1), float32 in [0, 1], to one alike.

        Args:
            batch: the images.
            labels: 0 or 1 for each, shape (n,).
            rng: draws all that is random.
        """
        batch = self._change_rendering(batch, labels, rng)
        batch = self.move(batch, rng)
        batch = self._change_border(batch, labels, rng)
        each = (len(batch), 1, 1, 1)
        batch = perturbations.adjust_gamma(batch, np.exp(rng.uniform(*self.log_gamma, each)))
        brightness = rng.uniform(*self.brightness, each)
        batch = perturbations.shift_grey(batch, brightness, rng.uniform(*self.contrast, each))
        return self._change_machine(batch, rng).astype(np.float32)

    def move(self, batch: Tensor, rng: np.random.Generator) -> Tensor:
        """Rotate, zoom each axis, shift and mirror; the edges are repeated."""
        n, height, width = batch.shape[:3]
        angle = np.deg2rad(rng.uniform(*self.rotation_degrees, n))
        zoom_x, zoom_y = np.exp(rng.uniform(*self.log_zoom_per_axis, (2, n)))
        shift = rng.uniform(*self.shift_per_axis, (2, n)) * [[width], [height]]
        flip = _draw_flips(n, rng) if self.horizontal_flip else np.ones(n)
        linear = _linear(
            [zoom_x * np.cos(angle) * flip, -zoom_x * np.sin(angle)],
            [zoom_y * np.sin(angle) * flip, zoom_y * np.cos(angle)],
        )
        return transform(batch, linear, shift.T)

    def _change_rendering(self, batch: Tensor, labels: Labels, rng: np.random.Generator) -> Tensor:
        """Render images as others of the batch are, mostly as one of the other class."""
        chosen, donors = draw_partners(
            labels, self.rendering_chance, self.rendering_of_other_class, rng
        )
        if donors.size:
            gains = np.exp(rng.uniform(*self.rendering_log_gain, (len(chosen), len(RADII))))
            batch = batch.copy()
            batch[chosen] = transfer_rendering(batch[chosen], batch[donors], gains)
        return batch

    def _change_border(self, batch: Tensor, labels: Labels, rng: np.random.Generator) -> Tensor:
        """Burn in text, take the borders of others, and erase borders."""
        change = perturbations
        batch = sometimes(self.text_chance, batch, rng, lambda some: change.paste_text(some, rng))
        margin = rng.uniform(*self.border_margin)
        chosen, lenders = draw_partners(
            labels, self.border_swap_chance, self.border_of_other_class, rng
        )
        batch = batch.copy()
        batch[chosen] = change.take_border(batch[chosen], batch[lenders], margin)
        return sometimes(
            self.border_erase_chance,
            batch,
            rng,
            lambda some: change.erase_border(some, rng, margin),
        )

    def _change_machine(self, batch: Tensor, rng: np.random.Generator) -> Tensor:
        """Shade, compress, downsample, blur, sharpen and add noise, as another machine might."""
        change = perturbations
        changes: tuple[Callable[[Tensor], Tensor], ...] = (
            lambda some: change.shade(some, rng, self.shade_strength),
            lambda some: change.compress(some, _draw_whole(self.jpeg_quality, rng)),
            lambda some: change.downsample(some, _draw_whole(self.resolution, rng)),
            lambda some: change.blur(some, rng.uniform(*self.blur_radius)),
            lambda some: change.sharpen(
                some, rng.uniform(*self.sharpen_radius), rng.uniform(*self.sharpen_amount)
            ),
            lambda some: change.add_noise(some, rng, rng.uniform(*self.noise_sigma)),
        )
        for one in changes:
            batch = sometimes(self.machine_chance, batch, rng, one)
        return batch


def draw_partners(
    labels: Labels, chance: float, of_other_class: float | None, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Draw some images of a batch, and for each of them one that it is to take something of.

    Args:
        labels: 0 or 1 for each image, shape (n,).
        chance: of each image.
        of_other_class: how often its partner is one of the other class, if there is one; None for
            any image of the batch.
        rng: draws all that is random.

    Returns:
        The positions of k images, and of their partners, both of shape (k,).
    """
    chosen = np.flatnonzero(rng.random(len(labels)) < chance)
    if of_other_class is None:
        return chosen, rng.integers(len(labels), size=len(chosen))
    across = rng.random(len(chosen)) < of_other_class
    partners = [
        rng.choice(np.flatnonzero((labels != labels[index]) == other))
        for index, other in zip(chosen, across & (len(set(labels)) > 1), strict=True)
    ]
    return chosen, np.array(partners, np.intp)


def sometimes(
    chance: float, batch: Tensor, rng: np.random.Generator, change: Callable[[Tensor], Tensor]
) -> Tensor:
    """Change a random part of a batch; what needs two images is left out for one."""
    chosen = rng.random(len(batch)) < chance
    if chosen.sum() < 2:
        return batch
    changed = batch.copy()
    changed[chosen] = change(batch[chosen])
    return changed


def sheared(shear: Numbers, zoom_x: Numbers, zoom_y: Numbers, flip: Numbers) -> Linear:
    """Write shear (radians), zoom (> 1 shrinks) and flip (-1 mirrors), each of shape (n,).

    Same geometry as Keras's `apply_affine_transform`.
    """
    return _linear(
        [zoom_x * flip, -np.sin(shear) * zoom_y],
        [np.zeros_like(zoom_x), np.cos(shear) * zoom_y],
    )


def transform(
    batch: Tensor,
    linear: Linear,
    shift: Numbers | float = 0.0,
    fill: str = "nearest",
) -> Tensor:
    """Read each output pixel where a linear map about the centre, then a shift, puts it.

    Args:
        batch: shape (n, height, width, 1), float32 in [0, 1].
        linear: the map of each image.
        shift: (x, y) in pixels for each image, shape (n, 2).
        fill: what comes in at the edges, by Keras's name.

    Returns:
        The same shape, type and range.
    """
    rows = transform_rows(linear, batch.shape[2], batch.shape[1], shift)
    moved = ops.image.affine_transform(batch, rows, interpolation="bilinear", fill_mode=fill)
    return ops.convert_to_numpy(moved)


def transform_rows(
    linear: Linear, width: int, height: int, shift: Numbers | float = 0.0
) -> NDArray[np.float32]:
    """Write transforms as Keras wants them, shape (n, 8).

    Each row is [a0, a1, a2, b0, b1, b2, 0, 0]: the output pixel (x, y) is read at
    (a0 x + a1 y + a2, b0 x + b1 y + b2).
    """
    centre = np.array([width - 1, height - 1]) / 2
    offset = centre - (linear * centre).sum(axis=2) + shift
    rows = np.zeros((len(linear), 8), np.float32)
    rows[:, :6] = np.concatenate([linear, offset[..., np.newaxis]], axis=2).reshape(-1, 6)
    return rows


def _linear(x: list[Numbers], y: list[Numbers]) -> Linear:
    return np.stack([np.stack(x, axis=1), np.stack(y, axis=1)], axis=1)


def _draw_flips(n: int, rng: np.random.Generator) -> Numbers:
    return rng.choice([-1.0, 1.0], n)


def _draw_whole(bounds: tuple[int, int], rng: np.random.Generator) -> int:
    return int(rng.integers(*bounds, endpoint=True))
