from __future__ import annotations

import struct

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.support.hostile_pictures import bmp
from tests.support.pictures import encoded, gradient, rgb
from xray_classifier.errors import UnreadableImageError
from xray_classifier.inputs.decoding import decode

Masks = tuple[int, ...]

RGB_565 = (0xF800, 0x7E0, 0x1F)
RGB_555 = (0x7C00, 0x3E0, 0x1F)
BGRA = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
RGB_10 = (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000)


def packed(
    colours: NDArray[np.uint8],
    masks: Masks,
    bits: int = 32,
    *,
    header: int = 108,
    upwards: bool = True,
    compression: int = 3,
) -> bytes:
    """A BMP of red, green, blue and perhaps alpha, each in the bits of its mask."""
    height, width, _ = colours.shape
    pixels = np.zeros((height, width), np.uint32)
    for channel, mask in zip(np.moveaxis(colours.astype(np.uint64), 2, 0), masks, strict=False):
        shift = (mask & -mask).bit_length() - 1
        pixels |= ((channel * (mask >> shift) + 127) // 255 << shift).astype(np.uint32)
    rows = pixels.astype(f"<u{bits // 8}")[:: -1 if upwards else 1]
    body = b"".join(row.tobytes() + bytes(-row.nbytes % 4) for row in rows)
    rows_down = height if upwards else -height
    head = struct.pack("<IiiHHI", header, width, rows_down, 1, bits, compression)
    head = head.ljust(40, b"\0") + struct.pack(f"<{len(masks)}I", *masks)
    head = head.ljust(header, b"\0")
    place = 14 + len(head)
    return b"BM" + struct.pack("<IHHI", place + len(body), 0, 0, place) + head + body


def luma(colours: NDArray[np.uint8]) -> NDArray[np.int64]:
    return np.asarray(Image.fromarray(colours).convert("L")).astype(np.int64)


@pytest.mark.parametrize("upwards", [False, True])
@pytest.mark.parametrize("header", [40, 52, 108, 124])
@pytest.mark.parametrize(
    "masks",
    [
        BGRA[:3],
        (0xFF, 0xFF00, 0xFF0000),
        (0xFF00, 0xFF0000, 0xFF000000),
        (0xFF000000, 0xFF00, 0xFF),
        RGB_10[:3],
        (0x7FF, 0x3FF800, 0xFFC00000),
    ],
)
def test_32_bits_are_unpacked_by_any_masks(masks: Masks, header: int, upwards: bool) -> None:
    image = decode(packed(rgb(), masks, header=header, upwards=upwards)).image
    np.testing.assert_allclose(image.astype(int), luma(rgb()), atol=1)


@pytest.mark.parametrize("masks", [RGB_565, RGB_555, (0x1F, 0x7E0, 0xF800), (0xF00, 0xF0, 0xF)])
@pytest.mark.parametrize("width", [79, 80])
def test_16_bits_are_unpacked_by_any_masks(masks: Masks, width: int) -> None:
    step = 255 / min(mask // (mask & -mask) for mask in masks)
    image = decode(packed(rgb()[:, :width], masks, 16)).image
    np.testing.assert_allclose(image.astype(int), luma(rgb()[:, :width]), atol=step / 2 + 1)


def test_16_bits_without_masks_have_five_for_each_colour() -> None:
    image = decode(packed(rgb(), RGB_555, 16, header=40, compression=0)).image
    np.testing.assert_allclose(image.astype(int), luma(rgb()), atol=6)


@pytest.mark.parametrize("masks", [BGRA, RGB_10, (0xFF, 0xFF00, 0xFF0000, 0xFF000000)])
@pytest.mark.parametrize(("opacity", "share"), [(255, 1), (0, 1), (85, 1 / 3)])
def test_alpha_is_obeyed_unless_it_is_0_everywhere(
    masks: Masks, opacity: int, share: float
) -> None:
    colours = np.dstack([rgb(), np.full((60, 80), opacity, np.uint8)])
    image = decode(packed(colours, masks)).image
    np.testing.assert_allclose(image.astype(int), luma(rgb()) * share, atol=1)


@pytest.mark.parametrize("compression", [0, 3])
def test_fourth_byte_without_a_mask_means_nothing(compression: int) -> None:
    colours = np.dstack([rgb(), np.full((60, 80), 7, np.uint8)])
    file = bytearray(packed(colours, BGRA, compression=compression))
    struct.pack_into("<I", file, 66, 0)
    np.testing.assert_array_equal(decode(bytes(file)).image, luma(rgb()))


def test_masks_of_0_are_the_usual_ones() -> None:
    file = bytearray(packed(np.dstack([rgb(), rgb()[..., 0] * 0 + 255]), BGRA))
    struct.pack_into("<4I", file, 54, 0, 0, 0, 0)
    np.testing.assert_array_equal(decode(bytes(file)).image, luma(rgb()))


@pytest.mark.parametrize(
    ("bits", "compression"), [(2, 0), (64, 0), (24, 4), (24, 5), (0, 4), (32, 99)]
)
def test_kinds_that_nobody_reads_are_refused_with_the_reason(bits: int, compression: int) -> None:
    reason = f"way that cannot be read here: {bits} bits, compression {compression}. Save it as PNG"
    with pytest.raises(UnreadableImageError, match=reason):
        decode(bmp(64, 64, bits, compression))


def test_masks_with_gaps_are_called_damaged() -> None:
    with pytest.raises(UnreadableImageError, match="The BMP image is damaged or incomplete"):
        decode(packed(rgb(), (0xF0F0, 0xF, 0xFF0000)))


def test_packed_pixels_that_break_off_are_refused() -> None:
    file = packed(rgb(), RGB_10[:3])
    with pytest.raises(UnreadableImageError, match="The BMP image is damaged or incomplete"):
        decode(file[:-100])


def test_packed_pixels_are_limited() -> None:
    with pytest.raises(UnreadableImageError, match="such is 19 million in all"):
        decode(bmp(5000, 5000, 32, 3))


def test_old_header_is_left_to_pillow() -> None:
    file = encoded(gradient(), "BMP")
    head = struct.pack("<IHHHH", 12, 80, 60, 1, 8)
    palette = bytes(value for shade in range(256) for value in (shade, shade, shade))
    old = b"BM" + struct.pack("<IHHI", 0, 0, 0, 26 + len(palette)) + head + palette
    np.testing.assert_array_equal(decode(old + file[14 + 40 + 1024 :]).image, gradient())
