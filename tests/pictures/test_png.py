from __future__ import annotations

import struct
import time
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.containers import GREY, GREY_ALPHA, RGB, RGB_ALPHA, png16
from tests.support.hostile_pictures import chunk, png, zeros
from tests.support.pictures import deep, encoded, gradient, rgb, turned, upright
from xray_classifier.errors import UnreadableImageError
from xray_classifier.inputs.decoding import decode
from xray_classifier.pictures.png import is_deep, without_metadata


def with_opacity(samples: np.ndarray, value: int = 65_535) -> np.ndarray:
    return np.dstack([samples, np.full(samples.shape[:2], value, np.uint16)])


def with_chunk(file: bytes, *chunks: bytes, behind: bool = False) -> bytes:
    """Put chunks before the first data, or behind the last."""
    place = file.index(b"IEND" if behind else b"IDAT") - 4
    return file[:place] + b"".join(chunks) + file[place:]


# Depth


@pytest.mark.parametrize("lace", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize(
    ("colour", "channels"), [(GREY, 1), (GREY_ALPHA, 1), (RGB, 3), (RGB_ALPHA, 3)]
)
def test_16_bits_in_several_channels_are_scaled_as_grey_is(
    colour: int, channels: int, bits: int, lace: bool
) -> None:
    samples = np.dstack([deep(bits)] * channels)
    if colour in (GREY_ALPHA, RGB_ALPHA):
        samples = with_opacity(samples)
    image = decode(png16(samples, colour, lace=lace)).image
    np.testing.assert_array_equal(image, decode(encoded(deep(bits))).image)


def test_colour_of_16_bits_has_the_luma_of_8() -> None:
    image = decode(png16(rgb().astype(np.uint16) * 257, RGB)).image
    np.testing.assert_array_equal(image, decode(encoded(rgb())).image)


def test_half_transparent_16_bits_lie_on_black() -> None:
    image = decode(png16(with_opacity(np.full((40, 40), 65_535), 13_107), GREY_ALPHA)).image
    np.testing.assert_array_equal(image, 51)


@pytest.mark.parametrize(("colour", "key"), [(GREY, (65_535,)), (RGB, (65_535, 0, 1))])
def test_colour_that_is_transparent_is_black_and_tells_no_depth(
    colour: int, key: tuple[int, ...]
) -> None:
    samples = np.dstack([deep(12)] * len(key))
    samples[:9] = key
    trns = chunk(b"tRNS", struct.pack(f">{len(key)}H", *key))
    image = decode(png16(samples, colour, trns)).image
    assert not image[:9].any()
    np.testing.assert_array_equal(image[9:], decode(encoded(deep(12))).image[9:])


def test_significant_bits_change_nothing() -> None:
    plain = png16(np.dstack([deep(12)] * 3), RGB)
    declared = with_chunk(plain, chunk(b"sBIT", bytes([12, 12, 12])))
    np.testing.assert_array_equal(decode(declared).image, decode(plain).image)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("behind", [False, True])
def test_16_bits_in_colour_are_turned_as_exif_says(orientation: int, behind: bool) -> None:
    lying = np.dstack([turned(orientation, upright()).astype(np.uint16) * 257] * 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = with_chunk(png16(lying, RGB), chunk(b"eXIf", exif.tobytes()[6:]), behind=behind)
    np.testing.assert_array_equal(decode(file).image, upright())


def test_animation_of_16_bits_in_colour_is_refused() -> None:
    control = chunk(b"acTL", struct.pack(">II", 3, 0))
    with pytest.raises(UnreadableImageError, match="holds 4 images; exactly one is wanted"):
        decode(png16(np.dstack([deep(12)] * 3), RGB, control))


@pytest.mark.parametrize("depth", [8, 16])
def test_animation_of_one_frame_is_read(depth: int) -> None:
    control = chunk(b"acTL", struct.pack(">II", 1, 0))
    frame = chunk(b"fcTL", struct.pack(">5I2H2B", 0, 80, 60, 0, 0, 1, 1, 0, 0))
    file = encoded(gradient()) if depth == 8 else png16(np.dstack([deep(16)] * 3), RGB)
    np.testing.assert_array_equal(decode(with_chunk(file, control, frame)).image, gradient())


@pytest.mark.parametrize("colour", [RGB, GREY_ALPHA, RGB_ALPHA])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_truncated_file_of_16_bits_is_refused(colour: int, share: float) -> None:
    channels = {RGB: 3, GREY_ALPHA: 2, RGB_ALPHA: 4}[colour]
    noise = np.random.default_rng(1).integers(0, 65_536, (90, 90, channels), np.uint16)
    file = png16(noise, colour)
    with pytest.raises(UnreadableImageError, match="The PNG image is damaged or incomplete"):
        decode(file[: int(len(file) * share)])


@pytest.mark.parametrize(("colour", "limit"), [(GREY_ALPHA, 38), (RGB, 25), (RGB_ALPHA, 19)])
def test_pixels_are_limited_by_the_bytes_of_each(colour: int, limit: int) -> None:
    with pytest.raises(UnreadableImageError, match=f"7000 x 7000.*such is {limit} million in all"):
        decode(png(7000, 7000, 16, colour))


def test_depth_is_told_from_the_header() -> None:
    deep_kinds = [colour for colour in range(8) if is_deep(png(64, 64, 16, colour))]
    assert deep_kinds == [RGB, GREY_ALPHA, RGB_ALPHA]
    assert not any(is_deep(png(64, 64, 8, colour)) for colour in range(8))
    assert is_deep(png(64, 64, 16, GREY, chunk(b"tRNS", bytes(2))))
    assert not is_deep(b"\x89PNG\r\n\x1a\n")


# Metadata


XMP = b"XML:com.adobe.xmp\0\1\0\0\0"
TEXT, NOISE = b"x" * 3_000_000, np.random.default_rng(1).bytes(3_000_000)
LARGE = {
    "text": chunk(b"tEXt", b"Comment\0" + TEXT),
    "packed text": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(TEXT)),
    "international": chunk(b"iTXt", b"Comment\0\0\0de\0\0" + TEXT),
    "packed international": chunk(b"iTXt", XMP + zlib.compress(TEXT)),
    "profile": chunk(b"iCCP", b"grey\0\0" + zlib.compress(NOISE, 1)),
    "private": chunk(b"prVt", NOISE),
    "many texts": chunk(b"tEXt", b"Comment\0" + TEXT[:9999]) * 300,
}


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize("behind", [False, True])
def test_large_metadata_is_no_reason_to_refuse(name: str, behind: bool) -> None:
    file = with_chunk(encoded(gradient()), LARGE[name], behind=behind)
    np.testing.assert_array_equal(decode(file).image, gradient())


def test_metadata_of_which_the_checksum_is_wrong_is_no_reason_to_refuse() -> None:
    text = chunk(b"tEXt", b"Comment\0text")[:-4] + b"none"
    np.testing.assert_array_equal(decode(with_chunk(encoded(gradient()), text)).image, gradient())


def test_file_without_metadata_is_not_copied() -> None:
    file = encoded(rgb(), transparency=(1, 2, 3))
    assert without_metadata(file)[0] is file


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_picture_stays_the_same_without_metadata(mode: str) -> None:
    picture = Image.fromarray(rgb()).convert("L" if mode == "I;16" else mode).convert(mode)
    info: dict[str, Any] = {"transparency": 3} if mode == "P" else {}
    file = with_chunk(encoded(picture, **info), chunk(b"gAMA", struct.pack(">I", 9)))
    bare, _ = without_metadata(with_chunk(file, chunk(b"tEXt", b"a\0b"), behind=True))
    assert bare == encoded(picture, **info)


def test_bombs_among_the_metadata_cost_nothing() -> None:
    bomb = zeros(2**27)
    chunks = [
        chunk(b"zTXt", b"Raw profile type exif\0\0" + bomb),
        *[chunk(b"iTXt", XMP + bomb)] * 20,
        *[chunk(b"iTXt", XMP + bomb[:40_000])] * 200,
    ]
    start = time.process_time()
    decode(with_chunk(encoded(gradient()), *chunks))
    assert time.process_time() - start < 1


# Orientation beside EXIF


def xmp(orientation: int, size: int = 0) -> bytes:
    return b" " * size + f'<x tiff:Orientation="{orientation}"/>'.encode()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("size", [0, 65_520, 1_200_000])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_orientation_is_found_in_xmp_of_any_size(
    kind: type[np.generic], size: int, packed: bool
) -> None:
    body = xmp(6, size)
    text = b"\1\0en\0\0" + zlib.compress(body) if packed else b"\0\0en\0\0" + body
    lying = turned(6, upright())
    file = png16(np.dstack([lying.astype(np.uint16) * 257] * 3), RGB)
    file = encoded(lying) if kind is np.uint8 else file
    file = with_chunk(file, chunk(b"iTXt", b"XML:com.adobe.xmp\0" + text))
    np.testing.assert_array_equal(decode(file).image, upright())


def test_orientation_is_found_in_a_profile_of_imagemagick() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = f"\nexif\n{len(exif.tobytes()):8}\n{exif.tobytes().hex()}\n".encode()
    text = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile))
    file = with_chunk(encoded(turned(6, upright())), text)
    np.testing.assert_array_equal(decode(file).image, upright())


def test_exif_goes_before_xmp() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    text = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(3))
    file = with_chunk(encoded(turned(6, upright()), exif=exif), text)
    np.testing.assert_array_equal(decode(file).image, upright())


@pytest.mark.parametrize(
    "broken",
    [
        chunk(b"eXIf", b"no exif"),
        chunk(b"iTXt", XMP + b"no zlib"),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0no language"),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0"),
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n8\nno figures\n")),
        chunk(b"tEXt", b"no keyword"),
        chunk(b"tEXt", b""),
    ],
)
def test_broken_metadata_does_not_lose_the_image(broken: bytes) -> None:
    np.testing.assert_array_equal(decode(with_chunk(encoded(gradient()), broken)).image, gradient())
