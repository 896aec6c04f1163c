from __future__ import annotations

import tracemalloc
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.support.pictures import deep, encoded, gradient, rgb, turned, upright
from tests.support.tiff_files import PACKINGS, Page, tiff_of
from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging.radiograph import GreyImage
from xray_classifier.inputs import decoding

PHOTOMETRIC, EXTRA, FORMAT, ORIENTATION, COLOUR_MAP, XMP = 262, 338, 339, 274, 320, 700
OPAQUE = np.full((60, 80), 65_535, np.uint16)


def decode(*pages: Page, **options: Any) -> GreyImage:
    return decoding.decode(tiff_of(*pages, **options)).image


def decoded(picture: NDArray[Any]) -> GreyImage:
    """What a PNG of that picture becomes."""
    return decoding.decode(encoded(picture)).image


def channels(bits: int, count: int) -> NDArray[np.uint16]:
    """The drawn image in so many bits of 16: grey or red, green and blue; the others are opaque."""
    planes = [deep(bits)] * (3 if count >= 3 else 1)
    return np.dstack([*planes, *[OPAQUE] * (count - len(planes))])


# Depth


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_16_bits_in_several_channels_are_scaled_as_grey_is(
    count: int, bits: int, order: str
) -> None:
    np.testing.assert_array_equal(decode(Page(channels(bits, count), order)), decoded(deep(bits)))


@pytest.mark.parametrize("compression", PACKINGS)
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("tile", [None, (32, 16), (96, 64)])
@pytest.mark.parametrize("big", [False, True])
def test_layout_makes_no_difference(
    compression: int, planar: bool, tile: tuple[int, int] | None, big: bool
) -> None:
    samples = np.dstack([rgb().astype(np.uint16) * 16, OPAQUE])  # of 12 bits
    predictor = compression not in (1, 32773)
    page = Page(samples, ">" if planar else "<", compression, planar, tile, predictor)
    wanted = decoded(rgb()).astype(int)
    assert np.abs(decode(page, big=big).astype(int) - wanted).max() <= 1


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "u8", "i2", "i4", "i8", "f2", "f4", "f8"])
def test_every_kind_of_number_is_scaled_by_its_range(kind: str, order: str, count: int) -> None:
    eight = np.minimum(channels(8, count), 255)
    full = None if kind[0] == "f" else int(np.iinfo(kind).max)
    samples = eight.astype(object) * full // 255 if full else eight / 255
    image = decode(Page(samples.astype(kind), order))
    np.testing.assert_allclose(image.astype(int), gradient(), atol=1)


@pytest.mark.parametrize("compression", PACKINGS)
@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
@pytest.mark.parametrize("planar", [False, True])
def test_grey_is_read_in_every_layout(planar: bool, kind: str, compression: int) -> None:
    """Pillow takes the bytes of packed big-endian floats for little-endian ones."""
    samples = (gradient().astype(int) * (257 if kind == "u2" else 1)).astype(kind)
    for order in "<>":
        page = Page(samples, order, compression, planar)
        np.testing.assert_array_equal(decode(page), gradient())


def test_large_unsigned_numbers_are_not_taken_for_negative() -> None:
    samples = gradient().astype(np.uint32) << 24
    np.testing.assert_array_equal(decode(Page(samples)), gradient())


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.float32])
@pytest.mark.parametrize("count", [1, 3])
def test_numbers_below_0_are_refused(kind: type[np.generic], count: int) -> None:
    samples = np.dstack([gradient().astype(int) - 100] * count).clip(-100, 100).astype(kind)
    with pytest.raises(UnreadableImageError, match="pixels from -100 to 100; none below 0"):
        decode(Page(samples))


# Colour and opacity


def inks(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(colours).convert("CMYK"))


@pytest.mark.parametrize("factor", [1, 257])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("photometric", "colours", "wanted"),
    [
        (0, 255 - gradient()[..., np.newaxis], gradient()),
        (1, gradient()[..., np.newaxis], gradient()),
        (2, rgb(), rgb()),
        (5, inks(rgb()), rgb()),
    ],
)
@pytest.mark.parametrize(
    ("extra", "opacity"),
    [((), None), ((0,), 77), ((2,), 255), ((0, 2), 255), ((2, 0), 255), (None, 255), ((2,), 0)],
)
def test_channels_mean_what_the_tags_say(
    photometric: int,
    colours: NDArray[np.uint8],
    wanted: NDArray[np.uint8],
    extra: tuple[int, ...] | None,
    opacity: int | None,
    order: str,
    factor: int,
) -> None:
    count = 0 if opacity is None else len(extra or (0,))
    samples = np.dstack([colours.astype(int), *[np.full((60, 80), opacity or 0)] * count])
    tags = {PHOTOMETRIC: photometric, EXTRA: extra or None}
    kind = np.uint8 if factor == 1 else np.uint16
    image = decode(Page((samples * factor).astype(kind), order, tags=tags))
    np.testing.assert_array_equal(image, decoded(wanted))


@pytest.mark.parametrize("factor", [1, 257])
@pytest.mark.parametrize(("extra", "grey"), [(0, 40), (1, 40), (2, 8)])
@pytest.mark.parametrize("count", [1, 3])
def test_extra_channel_is_obeyed_by_its_kind(
    count: int, extra: int, grey: int, factor: int
) -> None:
    colours = [np.full((40, 40), 40)] * count
    samples = np.dstack([*colours, np.full((40, 40), 51)]) * factor
    samples[0, 0] = 255 * factor
    kind = np.uint8 if factor == 1 else np.uint16
    image = decode(Page(samples.astype(kind), tags={EXTRA: extra}))
    np.testing.assert_allclose(image[1:].astype(int), grey, atol=1)


@pytest.mark.parametrize("peak", [255, 65_535])
@pytest.mark.parametrize("order", ["<", ">"])
def test_palette_of_8_or_16_bits_is_looked_up(order: str, peak: int) -> None:
    entries = np.repeat([np.linspace(0, peak, 256).round().astype(int)], 3, axis=0)
    tags = {PHOTOMETRIC: 3, COLOUR_MAP: entries.ravel().tolist()}
    np.testing.assert_array_equal(decode(Page(gradient(), order, tags=tags)), gradient())


@pytest.mark.parametrize("peak", [255, 65_535])
def test_palette_of_65536_entries_is_looked_up(peak: int) -> None:
    entries = np.repeat([np.linspace(peak, 0, 65_536).astype(int)], 3, axis=0)
    tags = {PHOTOMETRIC: 3, COLOUR_MAP: entries.ravel().tolist()}
    image = decode(Page(gradient().astype(np.uint16) * 257, tags=tags)).astype(int)
    assert np.abs(image - (255 - gradient())).max() <= 1


class Bilevel(Page):
    """A page of single bits."""

    def segments(self) -> list[bytes]:
        packed = np.packbits(self.samples > 100, axis=1)
        return [packed[top : top + 16].tobytes() for top in range(0, len(packed), 16)]


class Subsampled(Page):
    """A page of YCbCr with six bytes for each four pixels."""

    def segments(self) -> list[bytes]:
        return [bytes(8 * 40 * 6)] * 4


@pytest.mark.parametrize(("photometric", "white"), [(0, 0), (1, 255)])
def test_single_bits_are_black_and_white(photometric: int, white: int) -> None:
    image = decode(Bilevel(gradient(), tags={258: 1, PHOTOMETRIC: photometric}))
    np.testing.assert_array_equal(image, np.where(gradient() > 100, white, 255 - white))


@pytest.mark.parametrize("compression", [1, 5])
def test_ycbcr_becomes_its_luma(compression: int) -> None:
    stored = np.asarray(Image.fromarray(rgb()).convert("YCbCr"))
    page = Page(stored, compression=compression, tags={PHOTOMETRIC: 6, 530: [1, 1]})
    np.testing.assert_allclose(decode(page).astype(int), decoded(rgb()), atol=1)


# Orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("count", [1, 3, 4])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_picture_is_turned_once(kind: type[np.generic], count: int, orientation: int) -> None:
    factor = 1 if kind is np.uint8 else 257
    lying = np.dstack([turned(orientation, upright()).astype(kind) * factor] * count)
    lying[..., 3:] = 255 * factor
    image = decode(Page(lying, tags={ORIENTATION: orientation}))
    np.testing.assert_array_equal(image, upright())


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_picture_is_turned_as_its_xmp_says(kind: type[np.generic]) -> None:
    lying = np.dstack([turned(6, upright()).astype(kind) * (1 if kind is np.uint8 else 257)] * 3)
    text = b'<x tiff:Orientation="6"/>'
    np.testing.assert_array_equal(decode(Page(lying, tags={XMP: text})), upright())
    tags = {XMP: b'<x tiff:Orientation="3"/>', ORIENTATION: 6}
    np.testing.assert_array_equal(decode(Page(lying, tags=tags)), upright())


# Refusals


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (Page(rgb(), tags={PHOTOMETRIC: 8}), r"L\*a\*b\* colour"),
        (Page(rgb().astype(np.uint16), tags={PHOTOMETRIC: 9}), r"L\*a\*b\* colour"),
        (Page(gradient(), tags={PHOTOMETRIC: 32_803}), "camera raw"),
        (Page(gradient(), tags={PHOTOMETRIC: 4}), "a mask"),
        (Page(gradient(), tags={PHOTOMETRIC: 77}), "photometric interpretation 77"),
        (Page(gradient(), tags={259: 34_712}), "compression 34712"),
        (Page(gradient().astype(np.uint16), tags={259: 7}), r"1 x 16 bits,.*compression 7"),
        (Page(rgb(), tags={258: [12, 12, 12]}), "3 x 12 bits"),
        (Page(rgb(), tags={258: [5, 6, 5]}), "channels of several depths"),
        (Page(rgb(), tags={258: [4, 4, 4]}), "3 x 4 bits"),
        (Page(gradient().astype(np.uint32), tags={258: 24}), "1 x 24 bits"),
        (Page(gradient().astype(np.uint64), tags={FORMAT: 6}), "sample format 6"),
        (Page(gradient().astype(np.uint16), tags={FORMAT: 4}), "sample format 4"),
        (Page(rgb().astype(np.uint16), tags={PHOTOMETRIC: 6}), "3 x 16 bits"),
        (Page(gradient().astype(np.uint16), tags={32_997: 4}), "a volume"),
        (Subsampled(rgb(), tags={PHOTOMETRIC: 6}), "fewer values of colour than pixels"),
    ],
)
def test_what_cannot_be_shown_rightly_is_refused_with_the_reason(page: Page, reason: str) -> None:
    with pytest.raises(
        UnreadableImageError,
        match=f"TIFF image is stored in a way that cannot be read here: .*{reason}.*Save it as 8-",
    ):
        decode(page)


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("compression", [1, 5, 8])
def test_file_that_breaks_off_is_refused(compression: int, count: int) -> None:
    noise = np.random.default_rng(1).integers(0, 65_536, (60, 80, count), np.uint16)
    file = tiff_of(Page(noise, compression=compression))
    with pytest.raises(UnreadableImageError, match="The TIFF image is damaged or incomplete"):
        decoding.decode(file[: len(file) // 2])
    sizes = [100] * 4
    with pytest.raises(UnreadableImageError, match="The TIFF image is damaged or incomplete"):
        decode(Page(noise, compression=compression, tags={279: sizes}))
    places = [len(file) - 90] * 4
    with pytest.raises(UnreadableImageError, match="The TIFF image is damaged or incomplete"):
        decode(Page(noise, compression=compression, tags={273: places}))


def test_picture_with_a_missing_strip_is_refused() -> None:
    page = Page(channels(16, 3))
    places, sizes = [8] * 4, [16 * 80 * 6, 16 * 80 * 6, 0, 12 * 80 * 6]
    with pytest.raises(UnreadableImageError, match="The TIFF image is damaged or incomplete"):
        decode(Page(page.samples, tags={273: places, 279: sizes}))


@pytest.mark.parametrize(("count", "limit"), [(2, 38), (3, 25), (4, 19)])
def test_pixels_are_limited_by_the_bytes_of_each(count: int, limit: int) -> None:
    page = Page(channels(16, count), tags={256: 7000, 257: 7000})
    with pytest.raises(UnreadableImageError, match=f"7000 x 7000.*such is {limit} million in all"):
        decode(page)


def test_tile_larger_than_any_picture_is_refused() -> None:
    page = Page(channels(16, 3), tile=(32, 16), tags={322: 2**20, 323: 2**20})
    tracemalloc.start()
    with pytest.raises(UnreadableImageError, match="The TIFF image is damaged or incomplete"):
        decode(page)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_size_that_libtiff_reads_is_held_to_the_one_looked_at() -> None:
    file = tiff_of(Page(channels(16, 3)))
    with pytest.raises(ValueError, match="shape"):
        imagecodecs.tiff_decode(file, out=np.zeros((60, 79, 3), np.uint16))
