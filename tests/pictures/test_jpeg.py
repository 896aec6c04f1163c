from __future__ import annotations

import struct
import time
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.support.pictures import deep, encoded, gradient, turned, upright
from xray_classifier.errors import UnreadableImageError
from xray_classifier.inputs.decoding import decode

PRIMARY, UNDEFINED, THUMBNAIL, STEREO = 0x030000, 0, 0x010002, 0x020002
FULL = encoded(gradient(), "JPEG", quality=95)
SMALL = encoded(gradient(30, 40), "JPEG")
GAINS = (
    b"http://ns.adobe.com/xap/1.0/\0<x hdrgm:Version='1'/>",
    b"http://ns.adobe.com/xap/1.0/\0<x HDRGainMap:HDRGainMapVersion='1'/>",
    b"urn:iso:std:iso:ts:21496:-1\0",
)


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def with_segments(file: bytes, *made: bytes) -> bytes:
    return file[:2] + b"".join(made) + file[2:]


def mpf(first: bytes, *others: tuple[int, bytes], order: str = "<", lost: int = 0) -> bytes:
    """A file of pictures with an index, as cameras write it; of its end so much may be lost."""
    count = len(others) + 1
    head = struct.pack(f"{order}2sHIH", b"II" if order == "<" else b"MM", 42, 8, 3)
    head += struct.pack(f"{order}HHI4s", 0xB000, 7, 4, b"0100")
    head += struct.pack(f"{order}HHII", 0xB001, 4, 1, count)
    head += struct.pack(f"{order}HHIII", 0xB002, 7, 16 * count, 50, 0)
    size = len(first) + 8 + len(head) + 16 * count
    entries = struct.pack(f"{order}IIIHH", PRIMARY, size, 0, 0, 0)
    place = size - 10  # counted from the head, which stands at byte 10
    for kind, file in others:
        entries += struct.pack(f"{order}IIIHH", kind, len(file), place, 0, 0)
        place += len(file)
    whole = with_segments(first, segment(0xE2, b"MPF\0" + head + entries))
    whole += b"".join(file for _, file in others)
    return whole[: len(whole) - lost]


# Pictures beside the primary one


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "others",
    [
        [(UNDEFINED, SMALL)],
        [(THUMBNAIL, SMALL)],
        [(THUMBNAIL, FULL)],
        [(THUMBNAIL, SMALL), (UNDEFINED, SMALL)],
        *[[(UNDEFINED, with_segments(FULL, segment(0xE1, gain)))] for gain in GAINS],
        [(UNDEFINED, b"no picture")],
        [(UNDEFINED, FULL[:40])],
    ],
)
def test_companions_are_passed_over(others: list[tuple[int, bytes]], order: str) -> None:
    np.testing.assert_array_equal(decode(mpf(FULL, *others, order=order)).image, decode(FULL).image)


def test_index_of_pictures_that_were_lost_on_the_way_does_no_harm() -> None:
    file = mpf(FULL, (UNDEFINED, FULL), lost=len(FULL))
    np.testing.assert_array_equal(decode(file).image, decode(FULL).image)


@pytest.mark.parametrize(("kind", "other"), [(UNDEFINED, FULL), (STEREO, FULL), (STEREO, SMALL)])
def test_second_full_picture_is_refused(kind: int, other: bytes) -> None:
    with pytest.raises(UnreadableImageError, match="holds 2 images; exactly one is wanted"):
        decode(mpf(FULL, (kind, other), (THUMBNAIL, SMALL)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_primary_picture_is_turned_as_its_own_exif_says(orientation: int) -> None:
    exif, other = Image.Exif(), Image.Exif()
    exif[0x0112], other[0x0112] = orientation, 3
    lying = encoded(turned(orientation, upright()), "JPEG", quality=95, exif=exif)
    preview = encoded(upright()[:32, :32], "JPEG", exif=other)
    image = decode(mpf(lying, (UNDEFINED, preview))).image.astype(int)
    np.testing.assert_allclose(image, upright(), atol=3)


def test_preview_in_exif_is_passed_over() -> None:
    body = struct.pack("<2sHIHI", b"II", 42, 8, 0, 14)
    body += struct.pack("<HHHII", 2, 0x0201, 4, 1, 44) + struct.pack(
        "<HHII", 0x0202, 4, 1, len(SMALL)
    )
    file = with_segments(FULL, segment(0xE1, b"Exif\0\0" + body + bytes(4) + SMALL))
    np.testing.assert_array_equal(decode(file).image, decode(FULL).image)


def test_index_of_very_many_pictures_costs_little() -> None:
    noise = b"\xff\xd8" + segment(0xE1, bytes(65_000)) * 700
    file = mpf(FULL, *[(UNDEFINED, b"")] * 3000) + noise
    start = time.process_time()
    decode(file)
    with pytest.raises(UnreadableImageError, match="holds 3001 images"):
        decode(mpf(FULL, *[(UNDEFINED, b"x")] * 3000))
    assert time.process_time() - start < 1


# Metadata


@pytest.mark.parametrize(
    "body",
    [
        b"http://ns.adobe.com/xmp/extension/\0",
        b"ICC_PROFILE\0",
        b"Exif\0\0",
        b"Photoshop 3.0\0",
        b"unheard of\0",
    ],
)
def test_megabytes_of_metadata_are_no_reason_to_refuse(body: bytes) -> None:
    noise = np.random.default_rng(1).bytes(65_000)
    made = [segment(0xE1 if b"E" not in body else 0xE2, body + noise)] * 300
    np.testing.assert_array_equal(decode(with_segments(FULL, *made)).image, decode(FULL).image)


def test_bytes_of_a_scan_among_metadata_and_behind_the_picture_are_no_scans() -> None:
    """A preview, a profile, or the film that a telephone adds, holds them by chance."""
    large = encoded(np.zeros((3000, 4000), np.uint8), "JPEG")
    scans = b"\xff\xda" * 100
    file = with_segments(large, segment(0xE2, scans)) + scans
    assert decode(file).image.shape == (3000, 4000)


def test_scans_that_hide_behind_metadata_are_counted() -> None:
    large = encoded(np.zeros((3000, 4000), np.uint8), "JPEG", progressive=True)
    last = large.rindex(b"\xff\xda")
    hidden = segment(0xFE, b"\xff\xd9")
    file = large[:last] + (hidden + large[last:-2]) * 60 + large[-2:]
    with pytest.raises(UnreadableImageError, match=r"stored in 6\d scans"):
        decode(file)


# Frames that Pillow cannot open


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("bits", "used", "lossless"),
    [(8, 8, True), (12, 12, False), (12, 12, True), (12, 10, True), (16, 12, True), (16, 16, True)],
)
def test_deep_and_lossless_frames_are_scaled_as_deep_grey_is(
    bits: int, used: int, lossless: bool, channels: int
) -> None:
    samples: NDArray[Any] = deep(used) if bits > 8 else gradient()
    samples = np.dstack([samples] * channels) if channels > 1 else samples
    file = bytes(imagecodecs.jpeg8_encode(samples, 100, lossless=lossless, bitspersample=bits))
    image = decode(file).image.astype(int)
    np.testing.assert_allclose(image, decode(encoded(deep(used))).image, atol=1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_frame_is_turned_as_exif_or_xmp_says(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = turned(orientation, upright()).astype(np.uint16) * 16
    file = bytes(imagecodecs.jpeg8_encode(lying, lossless=True, bitspersample=12))
    wanted = decode(encoded(upright().astype(np.uint16) * 16)).image
    by_exif = with_segments(file, segment(0xE1, exif.tobytes()))
    xmp = f'<x tiff:Orientation="{orientation}"/>'.encode()
    by_xmp = with_segments(file, segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp))
    for one in (by_exif, by_xmp):
        np.testing.assert_array_equal(decode(one).image, wanted)


@pytest.mark.parametrize(("marker", "channels"), [(0xC5, 1), (0xCF, 1), (0xC1, 4), (0xC1, 2)])
def test_frames_that_nobody_reads_are_refused_with_the_reason(marker: int, channels: int) -> None:
    frame = struct.pack(">BHHB", 12, 60, 80, channels) + bytes(3 * channels)
    file = b"\xff\xd8" + segment(marker, frame) + b"\xff\xd9"
    reason = f"cannot be read here: {channels} x 12 bits, process {marker - 0xC0}"
    with pytest.raises(UnreadableImageError, match=reason):
        decode(file)


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_deep_frame_that_breaks_off_is_refused(share: float, lossless: bool) -> None:
    noise = np.random.default_rng(1).integers(0, 4096, (90, 90), np.uint16)
    file = bytes(imagecodecs.jpeg8_encode(noise, 95, lossless=lossless, bitspersample=12))
    with pytest.raises(UnreadableImageError, match="not an image|JPEG image is damaged"):
        decode(file[: int(len(file) * share)])


@pytest.mark.parametrize(("channels", "limit"), [(1, 38), (3, 12)])
def test_deep_frame_is_limited_by_the_bytes_of_a_pixel(channels: int, limit: int) -> None:
    frame = struct.pack(">BHHB", 12, 7000, 7000, channels) + bytes(3 * channels)
    with pytest.raises(UnreadableImageError, match=f"7000 x 7000.*such is {limit} million in all"):
        decode(b"\xff\xd8" + segment(0xC1, frame) + b"\xff\xd9")
