from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from xray_classifier.imaging import perturbations
from xray_classifier.imaging.preprocessing import Tensor
from xray_classifier.training import augmentation
from xray_classifier.training.augmentation import DefaultAugmentation, draw_partners, sometimes
from xray_classifier.training.recipes import SOFT as RECIPE
from xray_classifier.training.training_images import Batches

DEFAULT = DefaultAugmentation()
SIDE = 100


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def smooth(n: int) -> Tensor:
    """Images that change by at most .1 a pixel."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    waves = [0.5 + 0.4 * np.sin(6 * x + 4 * y + number) for number in range(n)]
    return np.stack(waves).astype(np.float32)[..., np.newaxis]


# What holds for the whole


def labels(n: int) -> NDArray[np.float32]:
    """Normal and pneumonia in turn."""
    return (np.arange(n) % 2).astype(np.float32)


def noise(n: int, side: int = 60) -> Tensor:
    return rng(0).random((n, side, side, 1), np.float32)


@pytest.mark.parametrize("n", [1, 2, 32])
@pytest.mark.parametrize("seed", range(3))
def test_augmented_batch_keeps_shape_type_and_range(n: int, seed: int) -> None:
    changed = DEFAULT(noise(n), labels(n), rng(seed))
    assert changed.shape == (n, 60, 60, 1)
    assert changed.dtype == np.float32
    assert changed.min() >= 0
    assert changed.max() <= 1


@pytest.mark.parametrize("grey", [0.0, 1.0])
def test_black_and_white_stay_in_range(grey: float) -> None:
    changed = DEFAULT(np.full((16, 60, 60, 1), grey, np.float32), labels(16), rng())
    assert np.all((changed >= 0) & (changed <= 1))


def test_the_same_seed_augments_in_the_same_way() -> None:
    first, again, other = (DEFAULT(noise(8), labels(8), rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


def test_every_image_is_changed_in_its_own_way_and_the_original_left_alone() -> None:
    twins = np.repeat(noise(1), 8, axis=0)
    before = twins.copy()
    changed = DEFAULT(twins, labels(8), rng())
    np.testing.assert_array_equal(twins, before)
    assert len({image.tobytes() for image in changed} | {before[0].tobytes()}) == 9


def test_only_rendering_and_border_depend_on_the_labels() -> None:
    """No other change may come with a class more often than with the other."""
    images = rng(0).integers(0, 256, (8, 60, 60), np.uint8)
    alone = replace(DEFAULT, rendering_chance=0.0, border_swap_chance=0.0)
    recipe = replace(RECIPE, augment=alone)
    one = labels(8)[:, None]
    batches, swapped = (Batches(images, each, recipe, seed=5) for each in (one, 1 - one))
    np.testing.assert_array_equal(batches[0][0], swapped[0][0])
    np.testing.assert_array_equal(batches[0][1], 1 - swapped[0][1])


def rendered_as(monkeypatch: pytest.MonkeyPatch, which: NDArray[np.float32]) -> list[Any]:
    """Draw whose rendering images get, many times; each image is its number."""
    pairs: list[tuple[float, float]] = []

    def watch(batch: Tensor, donors: Tensor, _gains: Any) -> Tensor:
        pairs.extend(zip(batch[:, 0, 0, 0].tolist(), donors[:, 0, 0, 0].tolist(), strict=True))
        return batch

    monkeypatch.setattr(augmentation, "transfer_rendering", watch)
    batch = np.broadcast_to(
        np.arange(len(which), dtype=np.float32)[:, None, None, None], (len(which), 4, 4, 1)
    )
    generator = rng()
    for _ in range(100):
        DEFAULT._change_rendering(batch, which, generator)
    return pairs


def test_renderings_are_taken_mostly_of_the_other_class(monkeypatch: pytest.MonkeyPatch) -> None:
    which = np.array([0, 1, 1, 1] * 8, np.float32)
    pairs = rendered_as(monkeypatch, which)
    assert len(pairs) / 3200 == pytest.approx(0.6, abs=0.03)
    across = [which[int(one)] != which[int(other)] for one, other in pairs]
    assert np.mean(across) == pytest.approx(0.75, abs=0.03)


def test_a_batch_of_one_class_lends_within_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(rendered_as(monkeypatch, np.ones(8, np.float32))) > 100


def test_border_tells_nothing_of_the_label(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is of the own class as often as of the other one, that of the image itself counted."""
    which = np.array([0, 1, 1, 1] * 8, np.float32)
    own = []

    def watch(batch: Tensor, lenders: Tensor, _margin: float) -> Tensor:
        own.extend((batch == lenders)[:, 0, 0, 0].tolist())
        return batch

    monkeypatch.setattr(perturbations, "take_border", watch)
    for name in ("paste_text", "erase_border"):
        monkeypatch.setattr(perturbations, name, lambda batch, *_drawn: batch)
    batch = np.broadcast_to(which[:, None, None, None], (32, 4, 4, 1))
    generator = rng()
    for _ in range(200):
        DEFAULT._change_border(batch, which, generator)
    kept = 200 * 32 - len(own)
    assert (kept + sum(own)) / (200 * 32) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("n", [1, 8])
def test_partners_are_within_the_class_where_there_is_one_only(n: int) -> None:
    chosen, partners = draw_partners(np.ones(n, np.float32), 1.0, 1.0, rng())
    assert chosen.tolist() == list(range(n))
    assert set(partners.tolist()) <= set(range(n))


def test_no_partner_is_drawn_for_none() -> None:
    chosen, partners = draw_partners(np.ones(8, np.float32), 0.0, 1.0, rng())
    assert (chosen.size, partners.size) == (0, 0)


SHARES = {
    "paste_text": 0.3,
    "take_border": 0.7,
    "erase_border": 0.15,
    "adjust_gamma": 1.0,
    "shift_grey": 1.0,
    "compress": 0.1,
    "downsample": 0.1,
    "blur": 0.1,
    "sharpen": 0.1,
    "shade": 0.1,
    "add_noise": 0.1,
}


def test_each_change_meets_the_part_of_the_images_that_it_should(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images, met = 50 * 64, dict.fromkeys(SHARES, 0)

    def watch(name: str) -> Callable[..., Tensor]:
        def change(batch: Tensor, *_amounts: Any) -> Tensor:
            met[name] += len(batch)
            return batch

        return change

    for name in SHARES:
        monkeypatch.setattr(perturbations, name, watch(name))
    generator = rng()
    for _ in range(50):
        DEFAULT(np.zeros((64, 4, 4, 1), np.float32), labels(64), generator)
    shares = {name: count / images for name, count in met.items()}
    assert shares == pytest.approx(SHARES, abs=0.03)


def test_a_change_meets_a_random_part_of_a_batch() -> None:
    batch = np.zeros((1000, 1, 1, 1), np.float32)
    changed = sometimes(0.3, batch, rng(), lambda some: some + 1)
    assert set(changed.ravel()) == {0, 1}
    assert changed.mean() == pytest.approx(0.3, abs=0.05)
    assert not batch.any()


@pytest.mark.parametrize(("chance", "n"), [(0.0, 8), (1.0, 1)])
def test_a_change_that_would_meet_fewer_than_two_images_is_left_out(chance: float, n: int) -> None:
    batch = noise(n)
    changed = sometimes(chance, batch, rng(), lambda _some: pytest.fail("changed"))
    np.testing.assert_array_equal(changed, batch)


# How images are moved


class Drawn:
    """Stands in for a generator: gives the numbers that a test wants, in units of their bounds."""

    def __init__(
        self,
        angle: float = 0,
        zoom: tuple[float, float] = (0, 0),
        shift: tuple[float, float] = (0, 0),
        flip: float = 1,
    ) -> None:
        self.numbers = [np.array([angle]), np.array(zoom)[:, None], np.array(shift)[:, None]]
        self.flip = np.array([flip])

    def uniform(self, low: float, high: float, _size: Any) -> Any:
        assert low == -high
        return high * self.numbers.pop(0)

    def choice(self, options: list[float], n: int) -> Any:
        assert (options, n) == ([-1, 1], 1)
        return self.flip


def moved(**drawn: Any) -> Tensor:
    generator: Any = Drawn(**drawn)
    return DEFAULT.move(smooth(1), generator)[0, ..., 0]


ORIGINAL = smooth(1)[0, ..., 0]


def test_nothing_drawn_moves_nothing() -> None:
    np.testing.assert_allclose(moved(), ORIGINAL, atol=1e-5)


def test_mirror_swaps_left_and_right() -> None:
    np.testing.assert_allclose(moved(flip=-1), ORIGINAL[:, ::-1], atol=1e-5)


def test_shift_is_4_percent_of_the_side_at_most_and_repeats_the_edge() -> None:
    shifted = moved(shift=(1, 0))
    np.testing.assert_allclose(shifted[:, :-4], ORIGINAL[:, 4:], atol=1e-5)
    np.testing.assert_allclose(shifted[:, -4:], ORIGINAL[:, -1:].repeat(4, axis=1), atol=1e-5)
    np.testing.assert_allclose(moved(shift=(0, -1))[4:], ORIGINAL[:-4], atol=1e-5)


@pytest.mark.parametrize(("drawn", "factor"), [(1, 1.18), (-1, 0.848)])
def test_zoom_is_about_the_centre_and_for_each_axis(drawn: float, factor: float) -> None:
    middle = (SIDE - 1) / 2
    read = middle + np.exp(0.165 * drawn) * (np.arange(SIDE) - middle)
    assert np.exp(0.165 * drawn) == pytest.approx(factor, abs=1e-3)
    for axis, zoomed in ((1, moved(zoom=(drawn, 0))), (0, moved(zoom=(0, drawn)).T)):
        rows = ORIGINAL if axis == 1 else ORIGINAL.T
        expected = np.stack([np.interp(read, np.arange(SIDE), row) for row in rows])
        np.testing.assert_allclose(zoomed, expected, atol=1e-4)


@pytest.mark.parametrize("drawn", [1, -1])
def test_turn_is_by_10_degrees_at_most(drawn: int) -> None:
    """A bright spot 40 pixels right of the centre ends 40 cos 10 right, 40 sin 10 up or down."""
    image = np.zeros((1, 101, 101, 1), np.float32)
    image[0, 50, 90] = 1
    generator: Any = Drawn(angle=drawn)
    spot = DEFAULT.move(image, generator)[0, ..., 0]
    y, x = np.average(np.indices(spot.shape).reshape(2, -1), axis=1, weights=spot.ravel())
    assert x == pytest.approx(50 + 40 * np.cos(np.deg2rad(10)), abs=0.5)
    assert y == pytest.approx(50 - drawn * 40 * np.sin(np.deg2rad(10)), abs=0.5)


def test_each_image_is_moved_in_its_own_way_and_half_are_mirrored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows: list[Any] = []

    def keep(batch: Tensor, transforms: Any, **_options: Any) -> Tensor:
        rows.append(transforms)
        return batch

    monkeypatch.setattr(keras.ops.image, "affine_transform", keep)
    DEFAULT.move(np.zeros((2000, 10, 10, 1), np.float32), rng())
    a0, a1, a2, b0, b1, b2, c0, c1 = rows[0].T
    determinant = a0 * b1 - a1 * b0
    assert (determinant < 0).mean() == pytest.approx(0.5, abs=0.05)
    assert 0.71 < abs(determinant).min() < 0.78
    assert 1.28 < abs(determinant).max() < 1.40
    assert abs(4.5 * (a0 + a1) + a2 - 4.5).max() == pytest.approx(0.4, abs=0.01)
    assert abs(4.5 * (b0 + b1) + b2 - 4.5).max() == pytest.approx(0.4, abs=0.01)
    assert not np.any([c0, c1])


def test_white_stays_white_up_to_the_edge() -> None:
    np.testing.assert_allclose(
        DEFAULT.move(np.ones((8, SIDE, SIDE, 1), np.float32), rng()), 1, atol=1e-6
    )
