from __future__ import annotations

import numpy as np
import pytest

from tests.support.pictures import gradient
from xray_classifier.imaging.preprocessing import SIDE, preprocess, resize, scale


@pytest.mark.parametrize("shape", [(32, 32), (60, 80), (900, 300), (500, 500), (1858, 2090)])
def test_every_image_becomes_a_tensor_of_one_shape(shape: tuple[int, int]) -> None:
    tensor = preprocess(gradient(*shape))
    assert tensor.shape == (500, 500, 1)
    assert tensor.dtype == np.float32
    assert tensor.min() >= 0
    assert tensor.max() <= 1


@pytest.mark.parametrize(("grey", "value"), [(0, 0.0), (51, 0.2), (255, 1.0)])
def test_grey_values_are_divided_by_255(grey: int, value: float) -> None:
    tensor = preprocess(np.full((70, 90), grey, np.uint8))
    np.testing.assert_array_equal(tensor, np.float32(value))


@pytest.mark.parametrize("axis", [0, 1])
def test_shrinking_averages_thin_stripes(axis: int) -> None:
    stripes = np.zeros((2000, 2000), np.uint8)
    stripes[:, ::4] = 255  # mean 63.75; without antialiasing all 0 or all 255
    tensor = preprocess(stripes if axis == 1 else stripes.T)
    assert tensor.mean() * 255 == pytest.approx(63.75, abs=1)
    assert tensor.std() * 255 < 5


@pytest.mark.parametrize("shape", [(300, 900), (900, 300)])
def test_aspect_ratio_is_given_up_without_crop_or_border(shape: tuple[int, int]) -> None:
    height, width = shape
    image = np.zeros(shape, np.uint8)
    image[: height // 2, : width // 2] = 255
    resized = resize(image)
    assert (resized[:245, :245] == 255).all()
    assert not resized[255:].any()
    assert not resized[:, 255:].any()


def test_image_of_the_right_size_keeps_its_pixels() -> None:
    image = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE), np.uint8)
    np.testing.assert_array_equal(resize(image), image)


def test_image_is_left_as_it_was() -> None:
    image = gradient()
    preprocess(image)
    np.testing.assert_array_equal(image, gradient())


def test_batch_is_scaled_as_its_images_are() -> None:
    batch = np.random.default_rng(1).integers(0, 256, (3, SIDE, SIDE), np.uint8)
    tensors = scale(batch)
    assert tensors.shape == (3, 500, 500, 1)
    assert tensors.dtype == np.float32
    for image, tensor in zip(batch, tensors, strict=True):
        np.testing.assert_array_equal(tensor, preprocess(image))
