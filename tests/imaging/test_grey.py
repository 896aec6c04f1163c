from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.pictures import deep, gradient, rgb
from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging.grey import on_black, stored_values, to_grey


def luma(colours: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(colours).convert("L"))


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_colour_is_scaled_as_grey_is(bits: int) -> None:
    grey = to_grey(deep(bits))
    assert np.abs(grey.astype(int) - gradient()).max() <= 1
    np.testing.assert_array_equal(to_grey(np.dstack([deep(bits)] * 3)), grey)


def test_colour_of_16_bits_has_the_luma_of_8() -> None:
    samples = rgb().astype(np.uint16) * 257
    np.testing.assert_array_equal(to_grey(samples), luma(rgb()))


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_brightest_channel_tells_the_depth_of_all(channel: int) -> None:
    samples = np.full((40, 40, 3), 100, np.uint16)
    samples[5, 5, channel] = 4095
    assert to_grey(samples)[0, 0] == 6  # 100 of 4095


@pytest.mark.parametrize("opaque", [4095, 65_535])
def test_opacity_tells_nothing_of_the_depth(opaque: int) -> None:
    opacity = np.full((60, 80), opaque, np.uint16)
    np.testing.assert_array_equal(to_grey(deep(12), opacity), to_grey(deep(12)))


def test_what_is_not_seen_tells_nothing_of_the_depth() -> None:
    samples, opacity = deep(12), np.full((60, 80), 65_535, np.uint16)
    samples[3:9], opacity[3:9] = 65_535, 0
    expected = to_grey(deep(12)).copy()
    expected[3:9] = 0
    np.testing.assert_array_equal(to_grey(samples, opacity), expected)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32, np.float32])
def test_half_transparent_grey_lies_on_black(kind: type[np.generic]) -> None:
    full = 1 if kind is np.float32 else np.iinfo(kind).max  # type: ignore[type-var]
    white = np.full((40, 40), full, kind)
    np.testing.assert_allclose(to_grey(white, (white / 2).astype(kind)), 127.5, atol=0.5)


def test_opacity_of_ten_bits_is_so_in_a_dark_picture() -> None:
    dark, opaque = np.full((40, 40), 255, np.uint16), np.full((40, 40), 1023, np.uint16)
    np.testing.assert_array_equal(to_grey(dark, opaque, bits=10), 255)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_opacity_of_0_everywhere_means_nothing(kind: type[np.generic]) -> None:
    samples = gradient().astype(kind)
    np.testing.assert_array_equal(to_grey(samples, samples * 0), gradient())


def test_negative_is_inverted_before_it_lies_on_black() -> None:
    opacity = np.full((60, 80), 255, np.uint8)
    opacity[:9] = 0
    grey = to_grey(gradient(), opacity, negative=True)
    np.testing.assert_array_equal(grey[9:], 255 - gradient()[9:])
    assert not grey[:9].any()


@pytest.mark.parametrize("peak", [1.0, 255.0, 4095.0, 65_535.0])
def test_colour_in_floats_is_scaled_by_its_range(peak: float) -> None:
    samples = rgb().astype(np.float32) / 255 * peak
    assert np.abs(to_grey(samples).astype(int) - luma(rgb())).max() <= 1


def test_inks_become_luma() -> None:
    inks = np.asarray(Image.fromarray(rgb()).convert("CMYK"))
    np.testing.assert_array_equal(to_grey(inks), luma(rgb()))
    np.testing.assert_array_equal(to_grey(inks.astype(np.uint16) * 257), luma(rgb()))


def test_compression_may_put_the_maximum_a_little_too_high() -> None:
    samples = deep(12)
    samples[20, 20] = 4150
    assert to_grey(samples)[20, 20] == 65  # of 14 bits
    lossy = to_grey(samples, lossy=True)
    assert lossy[20, 20] == 255
    np.testing.assert_array_equal(lossy[:20], to_grey(deep(12))[:20])
    samples[20, 20] = 4200
    assert to_grey(samples, lossy=True)[20, 20] == 65


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
@pytest.mark.parametrize("channels", [1, 3])
def test_samples_that_are_no_brightness_are_refused(value: float, channels: int) -> None:
    samples = np.ones((40, 40, channels))
    samples[7, 7, channels - 1] = value
    with pytest.raises(UnreadableImageError, match=r"pixels from .* none below 0 or undefined"):
        to_grey(samples)


def test_undefined_samples_that_are_not_seen_do_no_harm() -> None:
    samples, opacity = np.ones((40, 40)), np.ones((40, 40))
    samples[7, 7], opacity[7, 7] = np.nan, 0
    grey = to_grey(samples, opacity)
    assert (grey[7, 7], grey[8, 8]) == (0, 255)


@pytest.mark.parametrize("shape", [(3000, 2000), (2, 400_000)])
def test_large_pictures_are_scaled_strip_by_strip(shape: tuple[int, int]) -> None:
    samples = np.arange(shape[0] * shape[1], dtype=np.uint32).reshape(shape) % 65_536
    expected = np.round(samples / 65_535 * 255)
    np.testing.assert_array_equal(to_grey(samples.astype(np.uint16)), expected)


def test_picture_lies_on_black_as_far_as_it_is_opaque() -> None:
    def picture(*values: int) -> Any:
        return Image.fromarray(np.array([values], np.uint8))

    laid = on_black(picture(200, 200, 200), picture(0, 51, 255))
    assert np.asarray(laid).tolist() == [[0, 40, 200]]


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_stored_values_make_the_picture(bits: int, negative: bool) -> None:
    samples = deep(bits)
    stored = stored_values(samples, negative=negative)
    picture = to_grey(samples, negative=negative)
    np.testing.assert_array_equal(stored.greys[stored.values], picture)
    assert stored.window == (2**bits, 2 ** (bits - 1))
    assert stored.used == (samples.min(), samples.max())
