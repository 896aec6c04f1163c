from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.support.containers import avif, decode_here, jpeg_2000, jpeg_xl
from tests.support.pictures import deep, encoded, gradient, rgb, turned, upright
from xray_classifier.errors import UnreadableImageError
from xray_classifier.inputs.decoding import decode
from xray_classifier.pictures import newer

JXL_BOX = b"\0\0\0\x0cJXL \r\n\x87\n"


Writer = Callable[[NDArray[Any], int], bytes]
WRITERS: dict[str, Writer] = {
    "AVIF": avif,
    "JPEG XL": jpeg_xl,
    "JPEG XL in boxes": partial(jpeg_xl, boxes=True),
    "JPEG 2000": jpeg_2000,
    "JPEG 2000 without boxes": partial(jpeg_2000, boxes=False),
}


@pytest.fixture
def decoded_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no process for each of very many sound pictures."""
    monkeypatch.setattr(newer, "decode_apart", decode_here)


def picture(used: int, channels: int, opacity: int) -> NDArray[Any]:
    """The drawn image in so many bits: grey or red, green and blue, and then perhaps alpha."""
    grey = gradient() if used == 8 else deep(used)
    planes = [grey] * (3 if channels >= 3 else 1)
    if channels in (2, 4):
        planes.append(np.full_like(grey, opacity))
    return planes[0] if channels == 1 else np.dstack(planes)


@pytest.mark.usefixtures("decoded_here")
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("kind", "bits", "used"),
    [
        (kind, bits, used)
        for kind in WRITERS
        for bits, used in ((8, 8), (10, 10), (12, 12), (12, 10), (14, 14), (16, 12), (16, 16))
        if kind != "AVIF" or bits <= 12
    ],
)
def test_samples_are_scaled_as_deep_grey_is(kind: str, bits: int, used: int, channels: int) -> None:
    samples = picture(used, channels, 2**bits - 1)
    image = decode(WRITERS[kind](samples, bits)).image
    np.testing.assert_array_equal(image, decode(encoded(picture(used, 1, 0))).image)


@pytest.mark.usefixtures("decoded_here")
@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize(("opacity", "share"), [(0.2, 0.2), (0, 1)])
@pytest.mark.parametrize("kind", WRITERS)
def test_alpha_lies_on_black_unless_it_is_0_everywhere(
    kind: str, opacity: float, share: float, bits: int
) -> None:
    samples = picture(bits, 4, round(opacity * (2**bits - 1)))
    image = decode(WRITERS[kind](samples, bits)).image.astype(int)
    np.testing.assert_allclose(image, gradient() * share, atol=1)


@pytest.mark.parametrize("kind", WRITERS)
def test_colour_becomes_luma(kind: str) -> None:
    image = decode(WRITERS[kind](rgb(), 8)).image.astype(int)
    np.testing.assert_allclose(image, decode(encoded(rgb())).image, atol=1)


def test_lossy_pictures_come_close() -> None:
    files = [
        imagecodecs.avif_encode(gradient(), level=90),
        imagecodecs.jpegxl_encode(gradient(), lossless=False, distance=0.5),
        imagecodecs.jpeg2k_encode(gradient(), level=45, reversible=False),
    ]
    for file in files:
        image = decode(bytes(file)).image.astype(int)
        assert np.abs(image - gradient()).mean() < 2


# Orientation


@pytest.mark.parametrize("orientation", range(1, 9))
def test_avif_is_turned_once(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = Image.fromarray(np.dstack([turned(orientation, upright())] * 3))
    file = encoded(lying, "AVIF", quality=100, subsampling="4:4:4", exif=exif)
    np.testing.assert_allclose(decode(file).image.astype(int), upright(), atol=1)


def test_exif_of_an_avif_says_nothing() -> None:
    """What counts are its properties; EXIF may be left over from before it was turned."""
    exif = Image.Exif()
    exif[0x0128] = 6
    file = encoded(Image.fromarray(rgb()), "AVIF", quality=100, subsampling="4:4:4", exif=exif)
    entry = struct.pack(">HHI", 0x0128, 3, 1)
    assert file.count(entry) == 1
    lying = file.replace(entry, struct.pack(">HHI", 0x0112, 3, 1))
    np.testing.assert_array_equal(decode(lying).image, decode(file).image)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpeg_xl_is_turned_once(orientation: int) -> None:
    """A JPEG that was put into JPEG XL keeps its EXIF, and has its orientation in the header."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = encoded(turned(orientation, upright()), "JPEG", quality=95, exif=exif)
    file = bytes(imagecodecs.jpegxl_encode_jpeg(lying))
    np.testing.assert_allclose(decode(file).image.astype(int), upright(), atol=3)


# Extents


@pytest.mark.parametrize(
    "shape",
    [
        (40, 40),
        (256, 256),
        (48, 64),
        (300, 200),
        (90, 120),
        (90, 160),
        (64, 128),
        (33, 999),
        (600, 40),
    ],
)
def test_extent_of_a_jpeg_xl_is_read_in_every_form(shape: tuple[int, int]) -> None:
    assert decode(jpeg_xl(np.full(shape, 9, np.uint8), 8)).image.shape == shape


def with_extent(kind: str, width: int, height: int) -> bytes:
    """A file whose header claims that."""
    if kind == "JPEG XL":
        bits = [(0, 1), (3, 2), (height - 1, 30), (0, 3), (3, 2), (width - 1, 30), (1, 1)]
        number = place = 0
        for value, count in bits:
            number |= value << place
            place += count
        return b"\xff\x0a" + number.to_bytes(20, "little")
    if kind == "AVIF":
        file = bytearray(avif(rgb(), 8))
        struct.pack_into(">2I", file, file.index(b"ispe") + 8, width, height)
        return bytes(file)
    file = bytearray(jpeg_2000(rgb(), 8, boxes=False))
    struct.pack_into(">2I", file, 8, width, height)
    return bytes(file)


@pytest.mark.parametrize("kind", ["AVIF", "JPEG XL", "JPEG 2000"])
@pytest.mark.parametrize(
    ("width", "height", "message"),
    [
        (8001, 8000, "8001 x 8000 pixels; the limit is 64 million"),
        (2**30, 2**30, "1073741824 x 1073741824 pixels; the limit is 64 million"),
        (31, 500, "31 x 500 pixels; at least 32 x 32"),
        (7900, 7900, r"7900 x 7900 pixels, in colour.*the limit for such is 12 million"),
    ],
)
def test_extent_is_limited_before_anything_is_decoded(
    kind: str, width: int, height: int, message: str
) -> None:
    with pytest.raises(UnreadableImageError, match=message):
        decode(with_extent(kind, width, height))


# Refusals


def boxed(*brands: bytes) -> bytes:
    content = brands[0] + bytes(4) + b"".join(brands)
    return struct.pack(">I4s", 8 + len(content), b"ftyp") + content + b"\0\0\0\x0cmeta\0\0\0\0"


@pytest.mark.parametrize(
    "brands",
    [(b"heic", b"mif1"), (b"heix",), (b"mif1", b"heic"), (b"msf1", b"hevc"), (b"mif1",)],
)
def test_heic_is_refused_by_its_name(brands: tuple[bytes, ...]) -> None:
    with pytest.raises(UnreadableImageError, match="HEIC pictures cannot be read here. Save the"):
        decode(boxed(*brands))


@pytest.mark.parametrize("brands", [(b"isom", b"mp42"), (b"qt  ",), (b"crx ",)])
def test_films_and_others_in_boxes_are_no_images(brands: tuple[bytes, ...]) -> None:
    with pytest.raises(UnreadableImageError, match="not an image that can be read"):
        decode(boxed(*brands))


@pytest.mark.parametrize("frames", [2, 3])
def test_sequences_are_refused(frames: int) -> None:
    pages = [Image.fromarray(gradient())] * (frames - 1)
    sequence = encoded(gradient(), "AVIF", save_all=True, append_images=pages)
    animation = bytes(imagecodecs.jpegxl_encode(np.stack([rgb()] * frames), lossless=True))
    for file in (sequence, animation):
        with pytest.raises(UnreadableImageError, match="holds several images; exactly one is"):
            decode(file)
    twice = jpeg_2000(gradient(), 8)
    twice += twice[twice.index(b"jp2c") - 4 :] * (frames - 1)
    with pytest.raises(UnreadableImageError, match=f"holds {frames} images; exactly one is"):
        decode(twice)


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG"), (8, "linear")])
def test_picture_for_hdr_screens_is_refused(transfer: int, name: str) -> None:
    file = bytes(imagecodecs.avif_encode(deep(10), bitspersample=10, transfer=transfer))
    with pytest.raises(UnreadableImageError, match=rf"made for HDR screens \({name}\)"):
        decode(file)


def with_components(*components: tuple[int, int, int]) -> bytes:
    file = bytearray(jpeg_2000(np.dstack([gradient()] * len(components)), 8, boxes=False))
    for number, component in enumerate(components):
        struct.pack_into("3B", file, 42 + 3 * number, *component)
    return bytes(file)


def with_space(space: int) -> bytes:
    file = bytearray(jpeg_2000(rgb(), 8))
    struct.pack_into(">I", file, file.index(b"colr") + 7, space)
    return bytes(file)


def with_box(file: bytes, kind: bytes, body: bytes) -> bytes:
    """Put a box at the end of the header of a JPEG 2000."""
    start = file.index(b"jp2h") - 4
    (size,) = struct.unpack_from(">I", file, start)
    box = struct.pack(">I4s", 8 + len(body), kind) + body
    grown = struct.pack(">I", size + len(box))
    return file[:start] + grown + file[start + 4 : start + size] + box + file[start + size :]


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (with_components((7, 1, 1), (7, 2, 2), (7, 2, 2)), "components with fewer samples"),
        (with_components((7, 1, 1), (9, 1, 1), (9, 1, 1)), "components of several depths"),
        (with_components((23, 1, 1), (23, 1, 1), (23, 1, 1)), "24 bits"),
        (with_space(12), "colour space 12"),
        (with_box(jpeg_2000(gradient(), 8), b"pclr", bytes(3)), "a palette"),
    ],
)
def test_jpeg_2000_that_nobody_reads_is_refused_with_the_reason(file: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImageError, match=f"way that cannot be read here: {reason}"):
        decode(file)


def test_first_component_of_ycc_is_luma() -> None:
    assert not np.array_equal(rgb()[..., 0], decode(with_space(16)).image)
    np.testing.assert_array_equal(decode(with_space(18)).image, rgb()[..., 0])


def with_channels(samples: NDArray[Any], *channels: tuple[int, int, int]) -> bytes:
    """A JPEG 2000 that says of each channel what type it is, and which colour."""
    file = jpeg_2000(samples, 8).replace(b"cdef", b"free")
    told = b"".join(struct.pack(">3H", *channel) for channel in channels)
    return with_box(file, b"cdef", struct.pack(">H", len(channels)) + told)


@pytest.mark.parametrize(("kind", "share"), [(1, 0.2), (2, 1), (65_535, 1)])
def test_fourth_channel_is_what_the_file_says(kind: int, share: float) -> None:
    samples = np.dstack([gradient()] * 3 + [np.full((60, 80), 51, np.uint8)])
    channels = ((0, 0, 1), (1, 0, 2), (2, 0, 3), (3, kind, 0))
    image = decode(with_channels(samples, *channels)).image.astype(int)
    np.testing.assert_allclose(image, gradient() * share, atol=1)


def test_channels_may_stand_in_another_order() -> None:
    file = with_channels(rgb()[..., ::-1].copy(), (0, 0, 3), (1, 0, 2), (2, 0, 1))
    np.testing.assert_array_equal(decode(file).image, decode(encoded(rgb())).image)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("kind", WRITERS)
def test_file_that_breaks_off_is_refused(kind: str, share: float) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (90, 90), np.uint8)
    file = WRITERS[kind](noise, 8)
    name = kind.partition(" in")[0].partition(" without")[0]
    with pytest.raises(UnreadableImageError, match=f"The {name} image is damaged or incomplete"):
        decode(file[: int(len(file) * share)])


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("AVIF", boxed(b"avif")),
        ("JPEG XL", b"\xff\x0a"),
        ("JPEG XL", JXL_BOX),
        ("JPEG 2000", b"\xff\x4f\xff\x51"),
        ("JPEG 2000", b"\0\0\0\x0cjP  \r\n\x87\n"),
    ],
)
def test_start_alone_is_called_damaged(name: str, file: bytes) -> None:
    with pytest.raises(UnreadableImageError, match=f"{name} image is damaged|0 x 0|1 x 1"):
        decode(file)
