from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from xray_classifier.imaging import perturbations
from xray_classifier.imaging.perturbations import (
    add_noise,
    adjust_gamma,
    blank_centre,
    blur,
    compress,
    crop,
    downsample,
    erase_border,
    paste_text,
    shade,
    sharpen,
    shift_grey,
    swap_border,
    take_border,
)
from xray_classifier.imaging.preprocessing import Tensor

SIDE = 100
INNER = slice(20, 80)  # what a margin of .2 leaves
MARGIN = 0.2


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def noise(n: int, seed: int = 0) -> Tensor:
    return rng(seed).random((n, SIDE, SIDE, 1), np.float32)


def flats(*greys: float) -> Tensor:
    """One image of each grey."""
    return np.stack([np.full((SIDE, SIDE, 1), grey, np.float32) for grey in greys])


def smooth(n: int) -> Tensor:
    """Images that change by at most .1 a pixel."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    waves = [0.5 + 0.4 * np.sin(6 * x + 4 * y + number) for number in range(n)]
    return np.stack(waves).astype(np.float32)[..., np.newaxis]


def border_of(batch: Tensor) -> Tensor:
    """The pixels outside INNER, shape (n, 6400)."""
    outside = np.ones((SIDE, SIDE), bool)
    outside[INNER, INNER] = False
    return batch[:, outside, 0]


RANDOM: dict[str, Callable[[Tensor, np.random.Generator], Tensor]] = {
    "paste_text": paste_text,
    "swap_border": lambda batch, draw: swap_border(batch, draw, MARGIN),
    "erase_border": lambda batch, draw: erase_border(batch, draw, MARGIN),
    "add_noise": lambda batch, draw: add_noise(batch, draw, 0.1),
    "shade": lambda batch, draw: shade(batch, draw, 0.2),
}
FIXED: dict[str, Callable[[Tensor], Tensor]] = {
    "blank_centre": lambda batch: blank_centre(batch, MARGIN),
    "brighter": lambda batch: shift_grey(batch, 0.3, 1.0),
    "darker": lambda batch: shift_grey(batch, -0.3, 1.0),
    "more contrast": lambda batch: shift_grey(batch, 0.0, 2.0),
    "each its own": lambda batch: shift_grey(batch, column(len(batch)), column(len(batch))),
    "gamma below 1": lambda batch: adjust_gamma(batch, 0.5),
    "gamma above 1": lambda batch: adjust_gamma(batch, 2.0),
    "gamma of each": lambda batch: adjust_gamma(batch, column(len(batch))),
    "blur": lambda batch: blur(batch, 2),
    "sharpen": lambda batch: sharpen(batch, 2, 1),
    "compress": lambda batch: compress(batch, 20),
    "downsample": lambda batch: downsample(batch, 30),
    "crop": lambda batch: crop(batch, 0.1),
}
ALL = FIXED | {
    name: lambda batch, change=change: change(batch, rng()) for name, change in RANDOM.items()
}


def column(n: int) -> Any:
    return np.linspace(0.5, 1.5, n).reshape(n, 1, 1, 1)


# What holds for every change


@pytest.mark.parametrize("name", ALL)
def test_batch_keeps_shape_type_and_range(name: str) -> None:
    changed = ALL[name](noise(4))
    assert changed.shape == (4, SIDE, SIDE, 1)
    assert changed.dtype == np.float32
    assert changed.min() >= 0
    assert changed.max() <= 1


@pytest.mark.parametrize("name", ALL)
def test_what_was_given_is_left_alone(name: str) -> None:
    batch = noise(4)
    changed = ALL[name](batch)
    np.testing.assert_array_equal(batch, noise(4))
    assert np.any(changed != batch)


@pytest.mark.parametrize("name", RANDOM)
def test_the_same_seed_gives_the_same_result(name: str) -> None:
    first, again, other = (RANDOM[name](noise(8), rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


# Text


@pytest.mark.parametrize("side", [250, 500])
def test_text_is_small_bright_and_in_a_corner(side: int) -> None:
    pasted = paste_text(np.zeros((80, side, side, 1), np.float32), rng())[..., 0]
    corners = set()
    for layer in pasted:
        rows, columns = np.nonzero(layer)
        top, left = rows.min() < side / 2, columns.min() < side - 1 - columns.max()
        corners.add((top, left))
        depth = rows.max() if top else side - 1 - rows.min()
        assert depth < 0.15 * side
        assert min(columns.min(), side - 1 - columns.max()) < 0.07 * side
        assert np.ptp(columns) < 0.6 * side
        assert 0 < (layer > 0).mean() < 0.02
        assert layer.max() > 0.35
    assert len(corners) == 4


def test_text_only_brightens() -> None:
    batch = noise(20)
    pasted = paste_text(batch, rng())
    assert np.all(pasted >= batch)
    white = flats(1.0, 1.0)
    np.testing.assert_array_equal(paste_text(white, rng()), white)


def test_each_image_has_its_own_text() -> None:
    pasted = paste_text(np.zeros((20, SIDE, SIDE, 1), np.float32), rng())
    assert len({image.tobytes() for image in pasted}) == 20


def test_texts_are_those_of_machines_and_markers() -> None:
    generator = rng()
    texts = [perturbations._random_text(generator) for _ in range(300)]
    assert {"R", "L", "PORTABLE"} <= set(texts)
    assert any(text.startswith("KV") for text in texts)
    assert all(0 < len(text) <= 10 for text in texts)


# Border


@pytest.mark.parametrize("n", [2, 3, 16])
@pytest.mark.parametrize("seed", range(5))
def test_borders_go_round_and_no_image_keeps_its_own(n: int, seed: int) -> None:
    greys = np.linspace(0, 1, n, dtype=np.float32)
    swapped = border_of(swap_border(flats(*greys), rng(seed), MARGIN))
    assert np.all(swapped == swapped[:, :1])  # each from one lender
    assert np.all(swapped[:, 0] != greys)
    assert sorted(swapped[:, 0]) == sorted(greys)  # each lends once


def test_centre_stays_bit_by_bit_when_borders_are_swapped() -> None:
    batch = noise(6)
    swapped = swap_border(batch, rng(), MARGIN)
    np.testing.assert_array_equal(swapped[:, INNER, INNER], batch[:, INNER, INNER])
    assert np.all(np.any(border_of(swapped) != border_of(batch), axis=1))


def test_border_is_the_lenders_bit_by_bit() -> None:
    batch, lenders = noise(6), noise(6)[::-1]
    taken = take_border(batch, lenders, MARGIN)
    np.testing.assert_array_equal(border_of(taken), border_of(lenders))
    np.testing.assert_array_equal(taken[:, INNER, INNER], batch[:, INNER, INNER])


def test_an_image_alone_has_none_to_lend_it_a_border() -> None:
    batch = noise(1)
    np.testing.assert_array_equal(swap_border(batch, rng(), MARGIN), batch)


def test_erased_border_is_one_grey_and_the_centre_stays() -> None:
    batch = noise(40)
    erased = erase_border(batch, rng(), MARGIN)
    np.testing.assert_array_equal(erased[:, INNER, INNER], batch[:, INNER, INNER])
    greys = border_of(erased)
    assert np.all(greys == greys[:, :1])
    assert len(set(greys[:, 0])) == 40
    assert greys.min() >= 0
    assert 0.5 < greys.max() <= 0.6


@pytest.mark.parametrize(("margin", "kept"), [(0.1, 80), (0.14, 72), (0.054, 90)])
def test_width_of_the_border_is_a_rounded_fraction_of_the_side(margin: float, kept: int) -> None:
    zeros = np.zeros((3, SIDE, SIDE, 1), np.float32)
    erased = erase_border(zeros, rng(), margin)
    assert np.all((erased == 0).sum(axis=(1, 2, 3)) == kept**2)


def test_blank_centre_keeps_the_border_and_nothing_of_the_centre() -> None:
    batch = noise(4)
    blanked = blank_centre(batch, MARGIN)
    np.testing.assert_array_equal(border_of(blanked), border_of(batch))
    other = batch.copy()
    other[:, INNER, INNER] = 1 - other[:, INNER, INNER] ** 3
    np.testing.assert_array_equal(blank_centre(other, MARGIN), blanked)


def test_blank_centre_is_filled_with_the_mean_of_the_border() -> None:
    batch = flats(0.2, 0.6)
    batch[:, INNER, INNER] = 1
    np.testing.assert_allclose(blank_centre(batch, MARGIN), flats(0.2, 0.6), rtol=1e-6)


# Grey levels


@pytest.mark.parametrize(
    ("brightness", "contrast", "expected"),
    [
        (0.0, 1.0, [0.0, 0.25, 0.5, 1.0]),
        (0.1, 1.0, [0.1, 0.35, 0.6, 1.0]),
        (-0.1, 1.0, [0.0, 0.15, 0.4, 0.9]),
        (0.0, 0.5, [0.25, 0.375, 0.5, 0.75]),
        (0.0, 2.0, [0.0, 0.0, 0.5, 1.0]),
        (0.1, 0.5, [0.35, 0.475, 0.6, 0.85]),
    ],
)
def test_grey_is_scaled_about_the_middle_then_shifted(
    brightness: float, contrast: float, expected: list[float]
) -> None:
    shifted = shift_grey(flats(0.0, 0.25, 0.5, 1.0), brightness, contrast)
    np.testing.assert_allclose(shifted[:, 0, 0, 0], expected, atol=1e-6)
    assert np.all(shifted == shifted[:, :1, :1])


@pytest.mark.parametrize(
    ("gamma", "expected"), [(1.0, [0, 0.25, 1]), (2.0, [0, 0.0625, 1]), (0.5, [0, 0.5, 1])]
)
def test_grey_is_raised_to_the_power(gamma: float, expected: list[float]) -> None:
    bent = adjust_gamma(flats(0.0, 0.25, 1.0), gamma)
    np.testing.assert_allclose(bent[:, 0, 0, 0], expected, atol=1e-6)


def test_each_image_can_have_its_own_amount() -> None:
    amounts = np.array([1.0, 2.0]).reshape(2, 1, 1, 1)
    bent = adjust_gamma(flats(0.5, 0.5), amounts)
    shifted = shift_grey(flats(0.25, 0.25), amounts / 10, amounts)
    np.testing.assert_allclose(bent[:, 0, 0, 0], [0.5, 0.25], atol=1e-6)
    np.testing.assert_allclose(shifted[:, 0, 0, 0], [0.35, 0.2], atol=1e-6)


def test_noise_has_the_strength_asked_for_and_no_tendency() -> None:
    added = add_noise(flats(0.5), rng(), 0.05) - 0.5
    assert added.std() == pytest.approx(0.05, rel=0.05)
    assert added.mean() == pytest.approx(0, abs=0.003)
    np.testing.assert_array_equal(add_noise(noise(2), rng(), 0), noise(2))


# Sharpness

SOFT: dict[str, Callable[[Tensor], Tensor]] = {
    "blur": lambda batch: blur(batch, 2),
    "sharpen": lambda batch: sharpen(batch, 2, 1),
    "compress": lambda batch: compress(batch, 25),
    "downsample": lambda batch: downsample(batch, 30),
    "crop": lambda batch: crop(batch, 0.05),
}


@pytest.mark.parametrize("name", SOFT)
def test_flat_images_stay_as_they_are_to_within_rounding(name: str) -> None:
    levels = 2.5 if name == "compress" else 0.51  # quality 25 keeps means in steps of 4 levels
    flat = flats(0.0, 0.3, 0.7, 1.0)
    np.testing.assert_allclose(SOFT[name](flat), flat, atol=levels / 255)


@pytest.mark.parametrize("name", ["blur", "compress", "downsample"])
def test_smooth_images_change_little_and_noise_much(name: str) -> None:
    """Each takes detail away, and keeps what is coarse."""
    assert abs(SOFT[name](smooth(2)) - smooth(2)).mean() < 0.02
    softened = SOFT[name](noise(2))
    assert abs(softened - noise(2)).mean() > 0.05
    assert softened.mean() == pytest.approx(noise(2).mean(), abs=0.01)


def test_more_blur_less_quality_and_fewer_pixels_take_more_away() -> None:
    batch = noise(2)

    def loss(changed: Tensor) -> float:
        return float(abs(changed - batch).mean())

    assert loss(blur(batch, 0.5)) < loss(blur(batch, 2))
    assert loss(compress(batch, 90)) < loss(compress(batch, 25))
    assert loss(downsample(batch, 80)) < loss(downsample(batch, 20))


def test_sharpening_adds_what_a_blur_takes_away() -> None:
    batch = 0.3 + 0.1 * noise(2)  # so that nothing is clipped
    added = sharpen(batch, 2, 0.5) - batch
    np.testing.assert_allclose(added, 0.5 * (batch - blur(batch, 2)), atol=1e-6)
    assert added.std() > 0.005


def test_shade_is_a_ramp_about_the_middle() -> None:
    """Its slopes are drawn: 0.1 from the middle down to the edge, -0.2 to the right."""
    slopes = np.array([0.1, -0.2]).reshape(2, 1, 1, 1, 1)
    draw = cast("np.random.Generator", SimpleNamespace(uniform=lambda low, high, size: slopes))
    shaded = shade(flats(0.5), draw, 0.2)[0, ..., 0]
    corners = shaded[[0, 0, -1, -1], [0, -1, 0, -1]]
    np.testing.assert_allclose(corners, [0.6, 0.2, 0.8, 0.4], atol=1e-6)
    assert shaded.mean() == pytest.approx(0.5, abs=1e-5)


def test_crop_enlarges_the_middle() -> None:
    """A bright square in the middle half fills the picture once a quarter is cut off each side."""
    batch = flats(0.0)
    batch[:, 25:75, 25:75] = 1
    cropped = crop(batch, 0.25)[0, ..., 0]
    assert np.all(cropped[1:-1, 1:-1] == 1)
    less = crop(batch, 0.125)[0, ..., 0]  # the square of 50 of 75 pixels becomes 66.7 of 100
    assert (less > 0.5).sum() == pytest.approx(66.7**2, rel=0.03)


def test_mirror_exchanges_left_and_right_and_leaves_the_batch_alone() -> None:
    batch = np.arange(12, dtype=np.float32).reshape(2, 2, 3, 1) / np.float32(12)
    mirrored = perturbations.mirror(batch)
    assert (12 * mirrored[1, 0, :, 0]).tolist() == pytest.approx([8, 7, 6])
    np.testing.assert_array_equal(perturbations.mirror(mirrored), batch)
    assert not np.shares_memory(mirrored, batch)
