from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.support.dicom_files import shades
from xray_classifier.dicom.evidence import (
    Depth,
    are_planes,
    are_words,
    is_grey,
    is_luma_and_chroma,
    is_thrice,
    settle_depth,
    usual_depth,
)

BITS = [8, 10, 12, 14, 16]
SIDE = 120


def chest(bits: int) -> NDArray[Any]:
    return shades(bits, SIDE, SIDE)


def signed(bits: int, *, extended: bool = True) -> NDArray[Any]:
    """The picture as two's complement from its lowest to its highest value, in unsigned cells."""
    unsigned = chest(bits)
    cells = (unsigned.astype(np.int32) - 2 ** (bits - 1)).astype(f"i{unsigned.itemsize}")
    return cells.view(unsigned.dtype) & (2 ** (8 * unsigned.itemsize if extended else bits) - 1)


def text() -> NDArray[np.bool_]:
    """Where letters of sharp edges are."""
    letters = np.zeros((SIDE, SIDE), np.bool_)
    letters[20:40, 20:100:4] = letters[20:24, 20:100] = True
    return letters


# The depth of what is stored


@pytest.mark.parametrize("bits", BITS)
def test_sound_headers_are_left(bits: int) -> None:
    for cells, said in (
        (chest(bits), Depth(bits)),
        (signed(bits), Depth(bits, 0, signed=True)),
        (signed(bits, extended=False), Depth(bits, 0, signed=True)),
        (chest(bits) // 4, Depth(bits)),
        (2**bits - 1 - chest(bits) // 4, Depth(bits)),
    ):
        assert settle_depth(cells, said) == said


@pytest.mark.parametrize("bits", BITS)
def test_wrong_sign_is_corrected(bits: int) -> None:
    assert settle_depth(chest(bits), Depth(bits, 0, signed=True)) == Depth(bits)
    for extended in (True, False):
        cells = signed(bits, extended=extended)
        assert settle_depth(cells, Depth(bits)) == Depth(bits, 0, signed=True)


@pytest.mark.parametrize(
    ("said", "bits"), [(8, 10), (8, 12), (10, 12), (12, 14), (8, 16), (12, 16)]
)
def test_more_bits_than_the_header_says_are_found(said: int, bits: int) -> None:
    assert settle_depth(chest(bits), Depth(said)) == Depth(bits)
    assert settle_depth(signed(bits), Depth(said, 0, signed=True)) == Depth(bits, 0, signed=True)


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
@pytest.mark.parametrize("plane", [0x8000, 0x4000])
def test_an_overlay_in_unused_bits_is_none_of_the_value(bits: int, plane: int) -> None:
    whole = chest(bits).astype(np.uint16) | plane
    written = np.where(text(), whole, chest(bits))
    alone = np.where(text(), plane, 0).astype(np.uint16)
    for cells in (whole, written, alone):
        assert settle_depth(cells, Depth(bits)) == Depth(bits)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.3])
def test_text_and_sharp_borders_are_not_taken_for_a_sign(bits: int, share: float) -> None:
    dark = np.round(chest(bits) * share).astype(chest(bits).dtype)
    highest = 2**bits - 1
    for cells in (
        np.where(text(), highest, dark),
        np.where(text(), 0, highest - dark),
        np.where(text(), highest, 0),
    ):
        assert settle_depth(cells.astype(dark.dtype), Depth(bits)) == Depth(bits)
        turned = cells.astype(dark.dtype) ^ 2 ** (bits - 1)
        assert settle_depth(turned, Depth(bits, 0, signed=True)) == Depth(bits, 0, signed=True)


@pytest.mark.data
def test_sound_headers_of_radiographs_are_left(data: Path) -> None:
    for path in sorted((data / "originals").rglob("*.jpeg"))[::3]:
        with Image.open(path) as opened:
            share = np.asarray(opened.convert("L"), np.float64) / 255
        for grey in (share, 1 - share, np.where(share > 0.95, 1, share * 0.3), share / 2 + 0.5):
            for bits in BITS:
                unsigned = np.round(grey * (2**bits - 1)).astype(np.uint8 if bits == 8 else "<u2")
                turned = unsigned ^ 2 ** (bits - 1)
                assert settle_depth(unsigned, Depth(bits)) == Depth(bits), (path.name, bits)
                said = Depth(bits, 0, signed=True)
                assert settle_depth(turned, said) == said, (path.name, bits)


def test_noise_proves_nothing() -> None:
    noise = np.random.default_rng(1).integers(0, 2**16, (SIDE, SIDE)).astype(np.uint16)
    for said in (Depth(16), Depth(16, 0, signed=True), Depth(12, 4)):
        assert settle_depth(noise, said) == said


@pytest.mark.parametrize("value", [0, 700, 65535])
def test_one_value_proves_nothing(value: int) -> None:
    even = np.full((SIDE, SIDE), value, np.uint16)
    for said in (Depth(16), Depth(16, 0, signed=True), Depth(12), Depth(12, 0, signed=True)):
        assert settle_depth(even, said) == said


def test_values_at_the_top_are_left_there() -> None:
    high = chest(12) << 4
    assert settle_depth(high, Depth(12, 4)) == Depth(12, 4)
    marked = high | text()
    assert settle_depth(marked, Depth(12, 4)) == Depth(12, 4)


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_values_that_stand_at_the_top_are_found_there(bits: int) -> None:
    high = chest(bits).astype(np.uint16) << (16 - bits)
    assert settle_depth(high, Depth(bits)) == Depth(bits, 16 - bits)
    low = signed(bits, extended=False).astype(np.uint16) << (16 - bits)
    assert settle_depth(low, Depth(bits, 0, signed=True)) == Depth(bits, 16 - bits, signed=True)


@pytest.mark.parametrize("shift", [1, 2, 4])
def test_values_that_do_not_stand_at_the_top_are_found_below(shift: int) -> None:
    assert settle_depth(chest(12), Depth(12, shift)) == Depth(12)
    said = Depth(12, shift, signed=True)
    assert settle_depth(signed(12), said) == Depth(12, 0, signed=True)


def test_large_pictures_are_judged_by_some_of_their_rows() -> None:
    large = shades(12, 1500, 900)
    assert settle_depth(large, Depth(12, 0, signed=True)) == Depth(12)
    assert settle_depth(large, Depth(12)) == Depth(12)


@pytest.mark.parametrize(
    ("highest", "bits"), [(0, 8), (255, 8), (256, 10), (1024, 12), (4096, 14), (65535, 16)]
)
def test_usual_depth_is_the_smallest(highest: int, bits: int) -> None:
    assert usual_depth(np.array([[0, highest]], np.uint16)) == bits


# Bytes or words


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", BITS)
def test_words_are_told_from_bytes(bits: int, order: str) -> None:
    words = chest(bits).astype(f"{order}u2").tobytes()
    assert are_words(words, (SIDE, SIDE), order)
    behind = chest(8).tobytes() + np.random.default_rng(2).bytes(SIDE * SIDE)
    assert not are_words(behind, (SIDE, SIDE), order)
    assert not are_words(chest(8).tobytes() * 2, (SIDE, SIDE), order)


# Channels


def channels(*planes: NDArray[Any]) -> NDArray[Any]:
    return np.stack(planes, axis=2)


def test_planes_of_a_grey_picture_are_told_from_its_pixels() -> None:
    grey, middle = chest(8), np.full((SIDE, SIDE), 128, np.uint8)
    for picture in (channels(grey, grey, grey), channels(grey, middle, middle)):
        pixels, planes = picture.ravel(), np.moveaxis(picture, 2, 0).ravel()
        assert not are_planes(pixels, None)
        assert are_planes(planes, None)
    grey3 = channels(grey, grey, grey)
    assert not are_planes(grey3.ravel(), said=True)
    assert are_planes(np.moveaxis(grey3, 2, 0).ravel(), said=False)


@pytest.mark.parametrize("said", [True, False])
def test_planes_of_a_colour_picture_are_what_the_header_says(*, said: bool) -> None:
    colours = channels(chest(8), chest(8)[::-1], chest(8)[:, ::-1])
    assert are_planes(colours.ravel(), said) == said
    top = colours.copy()
    top[SIDE // 3 :] = 0  # the rest is the same in all channels, in either reading
    assert are_planes(top.ravel(), said) == said


def test_three_equal_channels_are_told_from_others() -> None:
    grey = chest(8)
    thrice = channels(grey, grey, grey)
    assert is_thrice(thrice.ravel())
    assert is_thrice(np.moveaxis(thrice, 2, 0).ravel())
    assert not is_thrice(np.zeros(300, np.uint8))
    for other in (channels(grey, grey, grey ^ 1), channels(grey, grey[::-1], grey)):
        assert not is_thrice(other.ravel())


@pytest.mark.parametrize("bits", BITS)
def test_grey_and_its_chroma_are_told_from_colour(bits: int) -> None:
    grey, other = chest(bits), chest(bits)[::-1]
    middle = np.full_like(grey, 2 ** (bits - 1))
    ycbcr, same, colours = (
        channels(grey, middle, middle),
        channels(grey, grey, grey),
        channels(grey, other, grey),
    )
    found = [is_luma_and_chroma(one, bits) for one in (ycbcr, same, colours)]
    assert found == [True, False, False]
    assert not is_luma_and_chroma(channels(middle, middle, middle), bits)
    assert [is_grey(one, bits) for one in (ycbcr, same, colours)] == [False, True, False]
