from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from xray_classifier.imaging.preprocessing import SIDE, Tensor
from xray_classifier.models.loading import AS_PUBLISHED
from xray_classifier.training import augmentation
from xray_classifier.training.augmentation import (
    ArticleAugmentation,
    DefaultAugmentation,
    sheared,
    transform,
    transform_rows,
)
from xray_classifier.training.recipes import RECIPES

CENTRE = (SIDE - 1) / 2
NO_LABELS = np.empty(0, np.float32)
"""The article's augmentation does not look at them."""

ARTICLE, DEFAULT = ArticleAugmentation(), DefaultAugmentation()


# What the recipes draw
#
# Pinned: a recipe whose numbers or order of draws changes is another recipe. The last number is the
# generator's next one after the batch.
PINNED = {
    ("sharp", 60, 1, 1): (0.456010243, 0.165620665, 0.296751261, 0.5412268555474342),
    ("sharp", 60, 4, 0): (0.503571812, 0.232475493, 0.489079446, 0.6143732469489966),
    ("sharp", 60, 16, 1): (0.516093845, 0.240208093, 0.886458397, 0.7703435978534116),
    ("soft", 60, 1, 1): (0.533199125, 0.210689136, 0.333270282, 0.2768912040453708),
    ("soft", 60, 4, 0): (0.442776354, 0.234749702, 0.522000909, 0.015991729523571974),
    ("soft", 60, 4, 1): (0.420348688, 0.226923231, 0.588300824, 0.17857187817437192),
    ("soft", 60, 4, 2): (0.521741993, 0.203828783, 0.540386915, 0.08611581520145006),
    ("soft", 60, 16, 0): (0.525580473, 0.226984935, 0.723711967, 0.4258562402940216),
    ("soft", 60, 16, 1): (0.479600434, 0.213428199, 0.808889210, 0.6576695860099616),
    ("soft", 60, 16, 2): (0.522885329, 0.228312879, 0.042669307, 0.21211411868160557),
    ("soft", 60, 16, 3): (0.509989314, 0.213853493, 0.659483612, 0.6494939185757602),
    ("soft", 250, 4, 0): (0.438570351, 0.240407097, 0.408931285, 0.015991729523571974),
    (AS_PUBLISHED, 500, 1, 0): (0.499881678, 0.192259017, 0.757921576, 0.8132702392002724),
    (AS_PUBLISHED, 500, 4, 0): (0.501408776, 0.200910352, 0.473325014, 0.7296554464299441),
    (AS_PUBLISHED, 500, 4, 1): (0.500884660, 0.195430177, 0.493940055, 0.303194829291645),
}


@pytest.mark.parametrize(("recipe", "side", "n", "seed"), PINNED)
def test_recipe_draws_what_its_models_were_trained_with(
    recipe: str, side: int, n: int, seed: int
) -> None:
    batch = np.random.default_rng(0).random((n, side, side, 1), np.float32)
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) % 2).astype(np.float32)
    changed = RECIPES[recipe].augment(batch, labels, rng)
    mean, deviation, pixel, following = PINNED[recipe, side, n, seed]
    assert rng.random() == following
    assert changed.mean(dtype=float) == pytest.approx(mean, abs=1e-6)
    assert changed.std(dtype=float) == pytest.approx(deviation, abs=1e-6)
    assert changed[-1, 20, 30, 0] == pytest.approx(pixel, abs=1e-5)


# The article's augmentation


def smooth_image() -> Tensor:
    """A tensor that changes by at most .02 a pixel and looks the same from no two sides."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    image = 0.5 + 0.25 * np.sin(9 * x + 2 * y) + 0.25 * np.cos(7 * y - 3 * x * x)
    return image.astype(np.float32)[..., np.newaxis]


def noise(n: int) -> Tensor:
    return np.random.default_rng(1).random((n, SIDE, SIDE, 1), np.float32)


def matrix(degrees: float, zoom_x: float, zoom_y: float, flip: float) -> NDArray[np.float64]:
    """The linear part of one transform."""
    return sheared(np.deg2rad([degrees]), np.array([zoom_x]), np.array([zoom_y]), np.array([flip]))


def random_rows(n: int) -> NDArray[np.float32]:
    return transform_rows(ARTICLE.draw(n, np.random.default_rng(1)), SIDE, SIDE)


def as_the_article(
    image: Tensor, degrees: float, zoom_x: float, zoom_y: float, flip: float
) -> NDArray[np.float64]:
    """What ImageDataGenerator does with these parameters."""
    moved = tf.keras.preprocessing.image.apply_affine_transform(
        image.astype(np.float64),
        shear=degrees,
        zx=zoom_x,
        zy=zoom_y,
        row_axis=0,
        col_axis=1,
        channel_axis=2,
        fill_mode="nearest",
        order=1,
    )
    return moved[:, ::-1] if flip < 0 else moved


@pytest.mark.filterwarnings("ignore:Please import `affine_transform`:DeprecationWarning")  # Keras
@pytest.mark.parametrize(
    ("degrees", "zoom_x", "zoom_y", "flip"),
    [
        pytest.param(0, 1, 1, 1, id="nothing"),
        pytest.param(0, 1, 1, -1, id="flip"),
        pytest.param(0, 0.8, 1, 1, id="wider"),
        pytest.param(0, 1, 1.2, 1, id="lower, edges repeated"),
        pytest.param(0, 0.8, 1.2, -1, id="zoom and flip"),
        pytest.param(0.2, 1, 1, 1, id="shear"),
        pytest.param(-0.2, 1, 1, -1, id="shear and flip"),
        pytest.param(10, 1, 1, 1, id="shear beyond the recipe"),
        pytest.param(-10, 1.2, 0.9, -1, id="all beyond the recipe"),
    ],
)
def test_geometry_is_that_of_the_image_data_generator(
    degrees: float, zoom_x: float, zoom_y: float, flip: float
) -> None:
    moved = transform(smooth_image()[np.newaxis], matrix(degrees, zoom_x, zoom_y, flip))[0]
    expected = as_the_article(smooth_image(), degrees, zoom_x, zoom_y, flip)
    np.testing.assert_allclose(moved, expected, atol=1e-4)


def test_identity_keeps_every_pixel() -> None:
    np.testing.assert_array_equal(transform(noise(1), matrix(0, 1, 1, 1)), noise(1))


def test_article_moves_by_what_it_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmentation, "sheared", lambda *_drawn: matrix(0, 1, 1, -1))
    mirrored = ARTICLE(noise(1), NO_LABELS, np.random.default_rng(1))
    np.testing.assert_array_equal(mirrored, noise(1)[:, :, ::-1])


def test_shear_of_the_recipe_moves_less_than_a_pixel() -> None:
    a0, a1, a2, *_ = transform_rows(matrix(0.2, 1, 1, 1), SIDE, SIDE)[0]
    assert 0.8 < abs(a0 * CENTRE + a2 - CENTRE) < 0.9  # in the middle of the first row
    assert a1 == pytest.approx(-0.2 * np.pi / 180, rel=1e-4)


def test_random_parameters_fill_the_ranges_of_the_recipe() -> None:
    matrices = random_rows(4000).astype(np.float64)
    a0, a1, _, b0, b1, _, c0, c1 = matrices.T
    shear = np.rad2deg(np.arctan2(-a1, b1))
    for values, low, high in [(abs(a0), 0.8, 1.2), (b1, 0.8, 1.2), (shear, -0.2, 0.2)]:
        margin = 0.01 * (high - low)
        assert low - 1e-4 <= values.min() <= low + margin
        assert high - margin <= values.max() <= high + 1e-4
        assert values.mean() == pytest.approx((low + high) / 2, abs=2 * margin)
    assert (a0 < 0).mean() == pytest.approx(0.5, abs=0.03)
    assert not np.any([b0, c0, c1])


def test_random_parameters_are_independent_of_each_other() -> None:
    a0, a1, _, _, b1, *_ = random_rows(4000).T
    drawn = np.stack([abs(a0), np.sign(a0), b1, a1 / b1])
    correlations = np.corrcoef(drawn) - np.eye(4)
    assert abs(correlations).max() < 0.06


def test_centre_stays_where_it_is() -> None:
    a0, a1, a2, b0, b1, b2, *_ = random_rows(100).T
    np.testing.assert_allclose((a0 + a1) * CENTRE + a2, CENTRE, atol=1e-3)
    np.testing.assert_allclose((b0 + b1) * CENTRE + b2, CENTRE, atol=1e-3)


def test_same_seed_gives_the_same_images() -> None:
    first, again, other = (
        ARTICLE(noise(2), NO_LABELS, np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


def test_images_of_a_batch_are_moved_differently() -> None:
    twins = np.repeat(noise(1), 2, axis=0)
    first, second = ARTICLE(twins, NO_LABELS, np.random.default_rng(1))
    assert np.any(first != second)


def test_batch_keeps_shape_type_and_range() -> None:
    moved = ARTICLE(noise(8), NO_LABELS, np.random.default_rng(1))
    assert moved.shape == (8, 500, 500, 1)
    assert moved.dtype == np.float32
    assert moved.min() >= 0
    assert moved.max() <= 1


def test_white_stays_white_up_to_the_edge() -> None:
    white = np.ones((8, SIDE, SIDE, 1), np.float32)
    moved = ARTICLE(white, NO_LABELS, np.random.default_rng(1))
    np.testing.assert_allclose(moved, 1, atol=1e-6)
    assert moved.max() <= 1
