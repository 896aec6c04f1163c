from __future__ import annotations

import struct
import time
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.support.hostile_bombs import pages, scans_of
from tests.support.hostile_pictures import chunk, png
from tests.support.pictures import encoded, gradient, turned, upright
from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging.radiograph import GreyImage
from xray_classifier.inputs import decoding
from xray_classifier.inputs.decoding import FORMATS

SIZE = (64, 48)
LOSSLESS = {"PNG": {}, "BMP": {}, "TIFF": {}, "WEBP": {"lossless": True}}


def decode(file: bytes) -> GreyImage:
    """The image alone: of these formats none gives warnings."""
    radiograph = decoding.decode(file)
    assert radiograph.warnings == ()
    return radiograph.image


def solid(mode: str, colour: Any) -> Image.Image:
    return Image.new(mode, SIZE, colour)


def ramp(peak: float, kind: type[np.generic]) -> NDArray[Any]:
    return np.tile(np.linspace(0, peak, 80), (60, 1)).astype(kind)


def png_claiming(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(100))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def bmp_claiming(width: int, height: int) -> bytes:
    file = bytearray(encoded(gradient(), "BMP"))
    file[18:26] = struct.pack("<ii", width, height)
    return bytes(file)


def tiff_tag_offset(file: bytearray, tag: int) -> int:
    """Find the 12 bytes of a tag in the first directory of a little-endian TIFF."""
    directory = struct.unpack_from("<I", file, 4)[0]
    count = struct.unpack_from("<H", file, directory)[0]
    offsets = (directory + 2 + 12 * index for index in range(count))
    return next(offset for offset in offsets if struct.unpack_from("<H", file, offset)[0] == tag)


# Formats and modes


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_formats_keep_every_pixel(kind: str) -> None:
    image = decode(encoded(gradient(), kind, **LOSSLESS[kind]))
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, gradient())


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy_formats_come_close(kind: str) -> None:
    image = decode(encoded(gradient(), kind, quality=95)).astype(int)
    assert image.shape == (60, 80)
    assert np.abs(image - gradient()).mean() < 2


@pytest.mark.parametrize(
    ("mode", "colour", "grey"),
    [
        ("L", 200, 200),
        ("1", 1, 255),
        ("1", 0, 0),
        ("RGB", (255, 0, 0), 76),  # .299 * 255
        ("RGB", (0, 255, 0), 150),  # .587 * 255
        ("RGB", (0, 0, 255), 29),  # .114 * 255
        ("RGB", (200, 200, 200), 200),
        ("LA", (200, 255), 200),
        ("LA", (200, 51), 40),  # one fifth of 200 on black
        ("RGBA", (255, 0, 0, 255), 76),
        ("RGBA", (255, 255, 255, 128), 128),
    ],
)
def test_colour_becomes_luma_on_a_black_background(mode: str, colour: Any, grey: int) -> None:
    image = decode(encoded(solid(mode, colour)))
    assert image.shape == (48, 64)
    np.testing.assert_allclose(image.astype(int), grey, atol=1)


def beside_transparent(mode: str, seen: Any, hidden: Any) -> Image.Image:
    """A picture whose left half is to be seen, and the right half not."""
    drawn = solid(mode, hidden)
    drawn.paste(seen, (0, 0, 32, 48))
    return drawn


@pytest.mark.parametrize(
    ("mode", "seen", "hidden"),
    [("LA", (200, 255), (200, 0)), ("RGBA", (200, 200, 200, 255), (255, 255, 255, 0))],
)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_transparent_part_is_black(mode: str, seen: Any, hidden: Any, kind: str) -> None:
    drawn = beside_transparent(mode, seen, hidden)
    drawn = drawn.convert("RGBA") if kind == "WEBP" else drawn
    image = decode(encoded(drawn, kind, **LOSSLESS[kind]))
    assert (image[:, :32] == 200).all()
    assert not image[:, 32:].any()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "BMP"])
def test_alpha_of_0_everywhere_means_nothing(kind: str) -> None:
    options = {"exact": True} if kind == "WEBP" else {}
    drawn = Image.fromarray(np.dstack([gradient()] * 3 + [0 * gradient()]))
    image = decode(
        bmp_with_alpha(0) if kind == "BMP" else encoded(drawn, kind, **LOSSLESS[kind], **options)
    )
    np.testing.assert_array_equal(image, gradient())


def test_alpha_of_0_in_every_entry_of_a_palette_means_nothing() -> None:
    drawn = Image.fromarray(gradient()).convert("P")
    np.testing.assert_array_equal(decode(encoded(drawn, transparency=bytes(256))), gradient())


def bmp_with_alpha(alpha: int) -> bytes:
    """A BMP of 32 bits that names a mask for opacity, as screenshots are kept."""
    pixels = np.dstack([gradient()] * 3 + [np.full((60, 80), alpha, np.uint8)])[::-1].tobytes()
    head = struct.pack("<IiiHHIIiiII", 108, 80, 60, 1, 32, 3, len(pixels), 0, 0, 0, 0)
    head += struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(48)
    return b"BM" + struct.pack("<IHHI", 122 + len(pixels), 0, 0, 122) + head + pixels


def test_alpha_of_a_bmp_is_obeyed_if_it_means_something() -> None:
    np.testing.assert_allclose(decode(bmp_with_alpha(51)).astype(int), gradient() / 5, atol=1)


def test_palette_is_looked_up() -> None:
    drawn = solid("P", 0)
    drawn.putpalette([255, 0, 0, 0, 0, 255])
    drawn.paste(1, (0, 0, 32, 48))
    image = decode(encoded(drawn))
    assert (image[0, 0], image[0, -1]) == (29, 76)


def test_transparent_palette_entry_is_black() -> None:
    drawn = solid("P", 0)
    drawn.putpalette([255, 255, 255, 255, 0, 0])
    drawn.paste(1, (0, 0, 32, 48))
    image = decode(encoded(drawn, transparency=0))
    assert (image[0, 0], image[0, -1]) == (76, 0)


def test_palette_with_graded_transparency_is_laid_on_black() -> None:
    drawn = solid("P", 0)
    drawn.putpalette([255, 255, 255])
    np.testing.assert_array_equal(decode(encoded(drawn, transparency=bytes([100]))), 100)


@pytest.mark.parametrize(
    ("mode", "seen", "key"), [("L", 99, 200), ("RGB", (99, 99, 99), (200, 200, 200))]
)
def test_transparent_colour_key_is_black(mode: str, seen: Any, key: Any) -> None:
    image = decode(encoded(beside_transparent(mode, seen, key), transparency=key))
    assert (image[:, :32] == 99).all()
    assert not image[:, 32:].any()


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
@pytest.mark.parametrize(
    ("inks", "grey"),
    [((0, 0, 0, 0), 255), ((0, 0, 0, 255), 0), ((0, 255, 255, 0), 76), ((255, 255, 0, 0), 29)],
)
def test_cmyk_inks_become_luma(inks: tuple[int, ...], grey: int, kind: str) -> None:
    image = decode(encoded(solid("CMYK", inks), kind))
    np.testing.assert_allclose(image.astype(int), grey, atol=2)


# Deep pixels


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_full_16_bit_range_is_scaled_not_clipped(kind: str) -> None:
    image = decode(encoded(gradient().astype(np.uint16) * 257, kind)).astype(int)
    assert np.abs(image - gradient()).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_stored_values_are_kept_of_16_bits_in_grey_where_they_are_asked_for(kind: str) -> None:
    deep = ramp(4095, np.uint16)
    file = encoded(deep, kind)
    assert decoding.decode(file).stored is None
    found = decoding.decode(file, keep_stored=True)
    assert found.stored
    np.testing.assert_array_equal(found.stored.values, deep)
    np.testing.assert_array_equal(found.stored.greys[deep], found.image)
    assert decoding.decode(encoded(gradient(), kind), keep_stored=True).stored is None


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_bits_in_use_are_scaled_to_the_whole_grey_range(bits: int) -> None:
    deep = ramp(2**bits - 1, np.uint16)
    expected = deep / (2**bits - 1) * 255
    assert np.abs(decode(encoded(deep)) - expected).max() <= 0.5


def test_dim_12_bit_image_stays_dim() -> None:
    deep = np.full((60, 80), 2048, np.uint16)
    np.testing.assert_array_equal(decode(encoded(deep)), 128)


def test_big_endian_16_bit_tiff_is_read() -> None:
    deep = gradient().astype(np.uint16) * 257
    drawn = Image.frombytes("I;16B", (80, 60), deep.astype(">u2").tobytes())
    np.testing.assert_array_equal(decode(encoded(drawn, "TIFF")), gradient())


@pytest.mark.parametrize("bits", [8, 16])
def test_tiff_in_which_zero_is_white_is_inverted(bits: int) -> None:
    drawn = (gradient().astype(int) * ((2**bits - 1) // 255)).astype(f"uint{bits}")
    file = bytearray(encoded(drawn, "TIFF"))
    photometric = tiff_tag_offset(file, 262)
    assert struct.unpack_from("<H", file, photometric + 8) == (1,)
    struct.pack_into("<H", file, photometric + 8, 0)
    np.testing.assert_array_equal(decode(bytes(file)), 255 - gradient())


@pytest.mark.parametrize("factor", [257, 1 << 20])
def test_32_bit_integers_are_scaled_by_their_range(factor: int) -> None:
    deep = gradient().astype(np.int32) * factor
    np.testing.assert_array_equal(decode(encoded(deep, "TIFF")), gradient())


@pytest.mark.parametrize("peak", [1.0, 255.0, 4095.0, 65535.0])
def test_float_tiff_is_scaled_by_its_range(peak: float) -> None:
    image = decode(encoded(ramp(peak, np.float32), "TIFF"))
    np.testing.assert_allclose(image.astype(int), ramp(255, np.float64), atol=1)


def test_float_just_above_255_is_white_not_black() -> None:
    image = decode(encoded(ramp(255.7, np.float32), "TIFF"))
    assert image[0, -1] == 255


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_pixels_that_are_no_brightness_are_refused(value: float) -> None:
    drawn = ramp(1, np.float32)
    drawn[5, 5] = value
    with pytest.raises(UnreadableImageError, match="none below 0 or undefined"):
        decode(encoded(drawn, "TIFF"))


# Orientation


def lying(orientation: int, image: NDArray[Any], kind: str, **options: Any) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(turned(orientation, image), kind, exif=exif, **options)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int, kind: str) -> None:
    options = LOSSLESS.get(kind, {"quality": 95})
    image = decode(lying(orientation, upright(), kind, **options))
    tolerance = 3 if kind == "JPEG" else 0
    np.testing.assert_allclose(image.astype(int), upright(), atol=tolerance)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_to_16_bits(orientation: int) -> None:
    image = decode(lying(orientation, upright().astype(np.uint16) * 257, "PNG"))
    np.testing.assert_array_equal(image, upright())


def test_broken_exif_does_not_lose_the_image() -> None:
    image = decode(encoded(upright(), "JPEG", quality=95, exif=b"Exif\0\0no exif at all"))
    np.testing.assert_allclose(image.astype(int), upright(), atol=3)


# Metadata


@pytest.mark.parametrize("name", ["icc_profile", "xmp", "exif"])
@pytest.mark.parametrize("kind", ["WEBP", "TIFF", "AVIF"])
def test_megabytes_of_metadata_are_no_reason_to_refuse(kind: str, name: str) -> None:
    noise = np.random.default_rng(1).bytes(3_000_000)
    start = b"Exif\0\0II*\0\x08\0\0\0" + bytes(6) if name == "exif" else b""
    drawn = Image.fromarray(gradient()).convert("RGB")
    options = {"quality": 100} if kind == "AVIF" else LOSSLESS[kind]
    image = decode(encoded(drawn, kind, **options, **{name: start + noise}))
    np.testing.assert_allclose(image.astype(int), gradient(), atol=2)


# Refusals


@pytest.mark.parametrize("kind", ["TIFF", "WEBP", "PNG", "MPO"])
def test_several_images_in_one_file_are_refused(kind: str) -> None:
    pages = [Image.fromarray(np.fliplr(gradient())), Image.fromarray(np.flipud(gradient()))]
    file = encoded(gradient(), kind, save_all=True, append_images=pages)
    with pytest.raises(UnreadableImageError, match="holds 3 images; exactly one is wanted"):
        decode(file)


def test_empty_file_is_refused() -> None:
    with pytest.raises(UnreadableImageError, match="The file is empty"):
        decode(b"")


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(b"just a note", id="text"),
        pytest.param(bytes(1000), id="zeros"),
        pytest.param(encoded(gradient(), "GIF"), id="GIF"),
        pytest.param(encoded(gradient(), "EPS"), id="EPS"),
        pytest.param(encoded(gradient(), "PDF"), id="PDF"),
        pytest.param(encoded(gradient(), "PPM"), id="PPM"),
        pytest.param(b'<svg xmlns="http://www.w3.org/2000/svg" width="99" height="99"/>', id="SVG"),
        pytest.param(b"\x89PNG\r\n\x1a\n", id="PNG signature alone"),
        pytest.param(b"\xff\xd8\xff\xe0", id="JPEG signature alone"),
    ],
)
def test_other_formats_are_refused(file: bytes) -> None:
    with pytest.raises(
        UnreadableImageError, match=r"not an image that can be read\. Upload a DICOM, JPEG"
    ):
        decode(file)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_truncated_file_is_refused(kind: str, share: float) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (200, 300), np.uint8)
    file = encoded(noise, kind)
    with pytest.raises(UnreadableImageError, match=f"The {kind} image is damaged or incomplete"):
        decode(file[: int(len(file) * share)])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_webp_is_refused(share: float) -> None:
    file = encoded(gradient(), "WEBP")
    with pytest.raises(UnreadableImageError, match="not an image that can be read"):
        decode(file[: int(len(file) * share)])


@pytest.mark.data
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_truncated_radiograph_is_refused(original: Path, share: float) -> None:
    file = original.read_bytes()
    with pytest.raises(UnreadableImageError, match="The JPEG image is damaged or incomplete"):
        decode(file[: int(len(file) * share)])


def test_tiff_with_a_broken_second_page_is_refused() -> None:
    file = bytearray(encoded(gradient(), "TIFF"))
    directory = struct.unpack_from("<I", file, 4)[0]
    count = struct.unpack_from("<H", file, directory)[0]
    struct.pack_into("<I", file, directory + 2 + 12 * count, len(file))
    file += bytes(6)  # a page without any tag, and no further one
    with pytest.raises(UnreadableImageError, match=r"damaged|not an image|holds"):
        decode(bytes(file))


def test_bytes_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MAX_BYTES", 2**20)
    with pytest.raises(UnreadableImageError, match="too large; the limit is 1 MB"):
        decode(bytes(2 * 2**20))


def test_file_of_exactly_the_limit_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    file = encoded(gradient())
    monkeypatch.setattr(decoding, "MAX_BYTES", len(file))
    assert decode(file).shape == (60, 80)


@pytest.mark.parametrize(
    ("file", "extent"),
    [
        (png_claiming(8001, 8000), "8001 x 8000"),
        (png_claiming(10_000, 10_000), "10000 x 10000"),  # Pillow warns
        (png_claiming(60_000, 60_000), "more than 178 million"),  # Pillow refuses
        (bmp_claiming(9000, 9000), "9000 x 9000"),
        (bmp_claiming(60_000, 60_000), "more than 178 million"),
    ],
)
def test_pixels_are_limited(file: bytes, extent: str) -> None:
    with pytest.raises(UnreadableImageError, match=f"has {extent} pixels; the limit is 64 million"):
        decode(file)


@pytest.mark.parametrize(
    ("depth", "colour", "limit"), [(8, 2, 19), (8, 4, 19), (8, 6, 19), (16, 0, 38)]
)
def test_pixels_of_more_than_a_byte_are_limited_to_fewer(
    depth: int, colour: int, limit: int
) -> None:
    with pytest.raises(UnreadableImageError, match=f"6200 x 6200.*such is {limit} million in all"):
        decode(png(6200, 6200, depth, colour))


def test_palette_that_may_be_transparent_counts_as_colour() -> None:
    parts = [chunk(b"PLTE", bytes(6)), chunk(b"tRNS", bytes(2)), chunk(b"IDAT", b"")]
    with pytest.raises(UnreadableImageError, match="such is 19 million in all"):
        decode(png(5000, 5000, 8, 3, *parts))


def test_progressive_jpeg_is_read() -> None:
    image = decode(encoded(gradient(), "JPEG", quality=95, progressive=True)).astype(int)
    assert np.abs(image - gradient()).mean() < 2


def test_jpeg_of_very_many_scans_is_refused_at_once() -> None:
    start = time.process_time()
    with pytest.raises(UnreadableImageError, match=r"stored in 3005 scans.*Save it as plain JPEG"):
        decode(scans_of(1000, 3000))
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    "file",
    [
        png(64, 64, 8, 0, chunk(b"prVt", b"") * 60_000, chunk(b"IDAT", b"")),
        encoded(gradient(), "JPEG")[:2]
        + b"\xff\xfe\0\2" * 60_000
        + encoded(gradient(), "JPEG")[2:],
        pages(60_000, ring=True),
    ],
)
def test_file_in_very_many_pieces_is_refused_at_once(file: bytes) -> None:
    start = time.process_time()
    with pytest.raises(UnreadableImageError, match=r"not an image|damaged"):
        decode(file)
    assert time.process_time() - start < 2


@pytest.mark.parametrize("claiming", [png_claiming, bmp_claiming])
def test_file_that_claims_more_than_it_holds_is_refused_at_once(
    claiming: Callable[[int, int], bytes],
) -> None:
    start = time.process_time()
    with pytest.raises(UnreadableImageError, match="damaged or incomplete"):
        decode(claiming(8000, 8000))
    assert time.process_time() - start < 5


@pytest.mark.parametrize("shape", [(31, 80), (80, 31), (1, 1)])
def test_small_image_is_refused(shape: tuple[int, int]) -> None:
    extent = f"{shape[1]} x {shape[0]} pixels; at least 32 x 32"
    with pytest.raises(UnreadableImageError, match=extent):
        decode(encoded(np.zeros(shape, np.uint8)))


def test_smallest_image_is_read() -> None:
    assert decode(encoded(gradient(32, 32))).shape == (32, 32)


# Robustness

FUZZED = {
    **{kind: encoded(gradient(), kind) for kind in FORMATS},
    "16-bit PNG": encoded(gradient().astype(np.uint16) * 257),
    "turned JPEG": lying(6, upright(), "JPEG"),
    "turned TIFF": lying(6, upright(), "TIFF"),
}


@pytest.mark.parametrize("name", FUZZED)
def test_flipped_bytes_give_an_image_or_a_refusal(name: str) -> None:
    rng = np.random.default_rng(list(FUZZED).index(name))
    for _ in range(200 // len(FUZZED)):
        file = np.frombuffer(FUZZED[name], np.uint8).copy()
        reach = min(len(file), 400) if rng.random() < 0.7 else len(file)  # headers break most
        places = rng.integers(0, reach, rng.integers(1, 8))
        file[places] = rng.integers(0, 256, len(places))
        try:
            image = decode(file.tobytes())
        except UnreadableImageError as error:
            assert str(error).endswith(".")  # noqa: PT017 - either outcome is right
        else:
            assert image.dtype == np.uint8
            assert image.ndim == 2


def test_decoding_in_threads_leaves_the_warning_filters_alone() -> None:
    file = encoded(gradient(600, 800), "JPEG")
    with warnings.catch_warnings():
        before = list(warnings.filters)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(decode, [file] * 400))
        assert warnings.filters == before


@pytest.mark.data
def test_radiographs_are_read_in_their_own_size(data: Path) -> None:
    paths = sorted((data / "originals").rglob("*.jpeg"))
    assert len(paths) == 24
    for path in paths[::6]:
        with Image.open(path) as image:
            assert decode(path.read_bytes()).shape == image.size[::-1]
