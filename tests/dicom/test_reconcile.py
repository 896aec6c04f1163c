"""Headers that contradict their pixels: what the pixels prove is shown, without a warning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from tests.support.dicom_files import dataset, dicom, image_of, rle_frame, shades, written
from tests.support.pictures import encoded
from xray_classifier.errors import UnreadableImageError
from xray_classifier.inputs.decoding import decode

GREY = shades()
DEEP = shades(12)
SIGNED = (DEEP.astype(np.int16) - 2048).astype(np.int16)
THRICE = np.dstack([GREY] * 3)
YCBCR = np.dstack([GREY, np.full_like(GREY, 128), np.full_like(GREY, 128)])
PLANES: dict[str, Any] = {"PixelData": np.moveaxis(THRICE, 2, 0).tobytes()}
YCBCR_PLANES: dict[str, Any] = {"PixelData": np.moveaxis(YCBCR, 2, 0).tobytes()}
COLOUR_NAMES = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")


def subsampled() -> bytes:
    """Y1 Y2 Cb Cr for every two pixels."""
    pairs = np.full((60, 40, 4), 128, np.uint8)
    pairs[..., 0], pairs[..., 1] = GREY[:, ::2], GREY[:, 1::2]
    return pairs.tobytes()


def photometric(pixels: NDArray[Any], name: str, **tags: Any) -> bytes:
    return dicom(pixels, PhotometricInterpretation=name, **tags)


def shown(file: bytes) -> NDArray[np.uint8]:
    """The picture, of which nothing was guessed."""
    found = decode(file)
    assert found.warnings == ()
    return found.image


def assert_shown(file: bytes, expected: NDArray[Any] = GREY) -> None:
    np.testing.assert_array_equal(shown(file), expected)


def assert_shown_deep(file: bytes) -> None:
    np.testing.assert_array_equal(shown(file), image_of(dicom(DEEP, BitsStored=12)))


# The kind of pixels, by their length


LENGTHS: dict[str, Callable[[], bytes]] = {
    "422 of full length, really RGB": lambda: photometric(THRICE, "YBR_FULL_422"),
    "422 of full length, really YBR": lambda: photometric(YCBCR, "YBR_FULL_422"),
    "422 of full length by plane": lambda: photometric(
        YCBCR, "YBR_FULL_422", PlanarConfiguration=1, **YCBCR_PLANES
    ),
    "YBR_FULL of the length of 422": lambda: photometric(YCBCR, "YBR_FULL", PixelData=subsampled()),
    "422 of one value": lambda: photometric(
        YCBCR, "YBR_FULL_422", SamplesPerPixel=1, PixelData=subsampled()
    ),
    "one value, three stored": lambda: dicom(THRICE, SamplesPerPixel=1),
    "grey of one value, three stored": lambda: dicom(GREY, PixelData=THRICE.tobytes()),
    "grey of one value, three planes stored": lambda: dicom(GREY, **PLANES),
    "three values, one stored": lambda: dicom(GREY, SamplesPerPixel=3),
    "grey stored three times": lambda: photometric(THRICE, "MONOCHROME2"),
    "grey stored as YBR": lambda: photometric(YCBCR, "MONOCHROME2"),
    "negative stored three times": lambda: photometric(255 - THRICE, "MONOCHROME1"),
    "a palette of three values": lambda: photometric(THRICE, "PALETTE COLOR"),
    "8 bits that are kept in 16": lambda: dicom(
        GREY.astype(np.uint16), BitsAllocated=8, BitsStored=8
    ),
    "16 bits allocated for 8": lambda: dicom(GREY, BitsAllocated=16, BitsStored=8),
    "12 bits stored in 8": lambda: dicom(GREY, BitsStored=12),
    "24 bits allocated for 8": lambda: dicom(GREY, BitsAllocated=24, BitsStored=8),
    "a byte behind": lambda: dicom(GREY[:59, :79], PixelData=GREY[:59, :79].tobytes() + b"\0"),
}


@pytest.mark.parametrize("name", LENGTHS)
def test_length_tells_what_is_stored(name: str) -> None:
    image = shown(LENGTHS[name]())
    np.testing.assert_array_equal(image, GREY[: image.shape[0], : image.shape[1]])


@pytest.mark.parametrize("name", COLOUR_NAMES)
def test_one_value_of_a_colour_is_grey(name: str) -> None:
    assert_shown(photometric(GREY, name))
    assert_shown(photometric(GREY, name, SamplesPerPixel=3))
    assert_shown_deep(photometric(DEEP, name, BitsStored=12))


@pytest.mark.parametrize("allocated", [8, 10, 12, 14, 32])
def test_bits_allocated_follow_from_the_length(allocated: int) -> None:
    assert_shown_deep(dicom(DEEP, BitsStored=12, BitsAllocated=allocated))


def test_grey_stored_three_times_has_its_window() -> None:
    window: dict[str, Any] = {"BitsStored": 12, "WindowCenter": 1000, "WindowWidth": 700}
    thrice = photometric(np.dstack([DEEP] * 3), "MONOCHROME2", **window)
    np.testing.assert_array_equal(shown(thrice), image_of(dicom(DEEP, **window)))


def test_colour_in_a_file_that_says_grey_is_a_guess() -> None:
    colours = np.dstack([GREY, GREY[::-1], GREY])
    found = decode(photometric(colours, "MONOCHROME2"))
    assert found.warnings == ("pixels_guessed",)
    expected = np.asarray(Image.fromarray(colours).convert("L")).astype(int)
    assert np.abs(found.image - expected).max() <= 1


@pytest.mark.parametrize("behind", [2, 100, GREY.size, 3 * GREY.size])
def test_what_stands_behind_sound_pixels_is_left_out(behind: int) -> None:
    noise = np.random.default_rng(3).bytes(behind)
    assert_shown(dicom(GREY, PixelData=GREY.tobytes() + noise))


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"SamplesPerPixel": 3, "PixelData": bytes(4802)}, "holds 4802 bytes of pixels, but by it"),
        (
            {"BitsAllocated": 16, "BitsStored": 12},
            "holds 4800 bytes of pixels, but by its header 9",
        ),
        ({"BitsAllocated": 64, "BitsStored": 64}, "keeps 64 bits in 64 from bit 0 on"),
        ({"BitsStored": 1}, "keeps 1 bits in 8 from bit 0 on"),
        ({"BitsStored": 12, "PixelData": bytes(4000)}, "keeps 12 bits in 8 from bit 0 on"),
        (
            {"PhotometricInterpretation": "RGB", "PixelData": bytes(4000)},
            r"has 1 values for each pixel, but its Photometric Interpretation \(0028,0004\)",
        ),
    ],
)
def test_what_the_length_does_not_settle_is_refused_with_its_tag(
    tags: dict[str, Any], message: str
) -> None:
    with pytest.raises(UnreadableImageError, match=message):
        image_of(dicom(GREY, **tags))


def test_pixels_that_break_off_prove_nothing() -> None:
    file = dicom(THRICE)
    with pytest.raises(UnreadableImageError, match="holds 4800 bytes of pixels, but by its header"):
        image_of(file[: len(file) - 2 * GREY.size])


# Planes


@pytest.mark.parametrize("planar", [None, 0, 1, 7])
def test_planes_and_pixels_of_grey_are_told_apart(planar: int | None) -> None:
    assert_shown(dicom(THRICE, PlanarConfiguration=planar))
    assert_shown(dicom(THRICE, PlanarConfiguration=planar, **PLANES))


def test_missing_configuration_of_ybr_follows_from_its_chroma() -> None:
    missing: dict[str, Any] = {"PlanarConfiguration": None}
    assert_shown(photometric(YCBCR, "YBR_FULL", **missing))
    assert_shown(photometric(YCBCR, "YBR_FULL", **missing, **YCBCR_PLANES))


def test_rgb_that_is_ybr_is_shown_by_its_luma() -> None:
    assert_shown(dicom(YCBCR))


# The depth, by the values


@pytest.mark.parametrize("stored", [8, 9, 10, 11])
def test_more_bits_than_stored_are_shown(stored: int) -> None:
    assert_shown_deep(dicom(DEEP, BitsStored=stored))


@pytest.mark.parametrize("high", [0, 7, 12, 13, 15, 16, 255])
def test_high_bit_is_the_usual_one_if_the_values_say_so(high: int) -> None:
    assert_shown_deep(dicom(DEEP, BitsStored=12, HighBit=high))


def test_values_at_the_top_are_found_without_their_high_bit() -> None:
    window: dict[str, Any] = {"BitsStored": 12, "WindowCenter": 1000, "WindowWidth": 700}
    high = (DEEP << 4).astype(np.uint16)
    assert_shown(dicom(high, **window), image_of(dicom(DEEP, **window)))
    frame = bytes(imagecodecs.jpegls_encode(high))
    stream = dicom(high, JPEGLSLossless, frame, **window)
    assert_shown(stream, image_of(dicom(DEEP, **window)))


@pytest.mark.parametrize("stored", [0, 17, 24, 255])
def test_impossible_bits_stored_are_guessed_with_a_warning(stored: int) -> None:
    found = decode(dicom(DEEP, BitsStored=stored, HighBit=11))
    assert found.warnings == ("pixels_guessed",)
    np.testing.assert_array_equal(found.image, image_of(dicom(DEEP, BitsStored=12)))


def test_sign_follows_from_the_values() -> None:
    assert_shown_deep(dicom(DEEP, BitsStored=12, PixelRepresentation=1))
    assert_shown_deep(dicom(SIGNED, BitsStored=12, PixelRepresentation=0))
    assert_shown(dicom(GREY, PixelRepresentation=1))
    assert_shown(dicom(THRICE, PixelRepresentation=1))


def test_corrected_sign_goes_before_the_window() -> None:
    window: dict[str, Any] = {"BitsStored": 12, "WindowCenter": -300, "WindowWidth": 900}
    wrong = dicom(SIGNED, PixelRepresentation=0, **window)
    np.testing.assert_array_equal(shown(wrong), image_of(dicom(SIGNED, **window)))


def test_numbers_of_a_palette_are_no_values() -> None:
    tags: dict[str, Any] = {}
    for ink in ("Red", "Green", "Blue"):
        tags[f"{ink}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        tags[f"{ink}PaletteColorLookupTableData"] = (np.arange(256, dtype="<u2") * 257).tobytes()
    file = photometric(GREY ^ 128, "PALETTE COLOR", PixelRepresentation=0, **tags)
    assert_shown(file, GREY ^ 128)


# Frames


def with_frames(value: Any, kind: str = "IS", **tags: Any) -> bytes:
    made = dataset(GREY, **tags)
    made.add_new("NumberOfFrames", kind, value)
    return written(made)


@pytest.mark.parametrize(
    ("value", "kind"),
    [(0, "IS"), (None, "IS"), (-1, "IS"), ("many", "LO"), ("0.5", "LO"), ("", "LO"), (0, "US")],
)
def test_no_number_of_frames_is_one(value: Any, kind: str) -> None:
    assert_shown(with_frames(value, kind))
    several = with_frames(value, kind, PixelData=GREY.tobytes() * 2)
    with pytest.raises(UnreadableImageError, match=r"holds several frames, .* \(0028,0008\);"):
        image_of(several)


JPEG = encoded(GREY, "JPEG", quality=95)
JPEG_LS = bytes(imagecodecs.jpegls_encode(GREY))
J2K = bytes(imagecodecs.jpeg2k_encode(GREY, 0, codecformat="j2k"))
JP2 = bytes(imagecodecs.jpeg2k_encode(GREY, 0, codecformat="jp2"))
FRAMES = [
    (JPEGBaseline8Bit, JPEG),
    (JPEGLSLossless, JPEG_LS),
    (JPEG2000Lossless, J2K),
    (JPEG2000Lossless, JP2),
    (RLELossless, rle_frame([GREY])),
]


@pytest.mark.parametrize(("syntax", "frame"), FRAMES)
def test_compressed_frames_are_counted_where_their_number_is_missing(
    syntax: UID, frame: bytes
) -> None:
    one = image_of(dicom(GREY, syntax, frame))
    assert_shown(dicom(GREY, syntax, frame, NumberOfFrames=0), one)
    two = encapsulate([frame, frame])
    with pytest.raises(UnreadableImageError, match="holds several frames"):
        image_of(dicom(GREY, syntax, frame, NumberOfFrames=0, PixelData=two))
    pieces = encapsulate([frame], fragments_per_frame=4)
    if syntax != RLELossless:  # of which a frame is one fragment
        assert_shown(dicom(GREY, syntax, frame, NumberOfFrames=0, PixelData=pieces), one)


# Compressed streams


COLOUR_JPEG = encoded(Image.fromarray(THRICE), "JPEG", quality=95)


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("name", ["MONOCHROME2", *COLOUR_NAMES])
def test_stream_tells_how_many_values_it_has(name: str, samples: int) -> None:
    said: dict[str, Any] = {"PhotometricInterpretation": name, "SamplesPerPixel": samples}
    for jpeg in (JPEG, COLOUR_JPEG):
        image = shown(dicom(GREY, JPEGBaseline8Bit, jpeg, **said))
        assert np.abs(image.astype(int) - GREY).max() <= 8
    for frame in (rle_frame([GREY]), rle_frame([GREY] * 3)):
        assert_shown(dicom(GREY, RLELossless, frame, **said))
    for pixels in (GREY, THRICE):
        frame = bytes(imagecodecs.jpeg2k_encode(pixels, 0, codecformat="j2k"))
        assert_shown(dicom(GREY, JPEG2000Lossless, frame, **said))


def test_negative_in_a_colour_stream_is_inverted() -> None:
    frame = rle_frame([255 - GREY] * 3)
    assert_shown(dicom(GREY, RLELossless, frame, PhotometricInterpretation="MONOCHROME1"))


def test_colour_of_jpeg_2000_is_rgb_if_it_was_transformed() -> None:
    colours = np.dstack([GREY, GREY[::-1], GREY[:, ::-1]])
    frame = bytes(imagecodecs.jpeg2k_encode(colours, 0, codecformat="j2k"))
    file = dicom(colours, JPEG2000Lossless, frame, PhotometricInterpretation="YBR_FULL")
    np.testing.assert_array_equal(image_of(file), Image.fromarray(colours).convert("L"))


@pytest.mark.parametrize(("allocated", "stored"), [(8, 12), (8, 8), (12, 12), (32, 12)])
@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
def test_stream_tells_its_depth(syntax: UID, allocated: int, stored: int) -> None:
    frame = (
        imagecodecs.jpegls_encode(DEEP)
        if syntax == JPEGLSLossless
        else imagecodecs.jpeg2k_encode(DEEP, 0, codecformat="j2k", bitspersample=12)
    )
    depth: dict[str, Any] = {"BitsAllocated": allocated, "BitsStored": stored}
    assert_shown_deep(dicom(DEEP, syntax, bytes(frame), **depth))


@pytest.mark.parametrize(
    ("precision", "guessed"), [(12, ()), (16, ("pixels_guessed",))], ids=["12", "16"]
)
def test_depth_of_a_stream_is_a_guess_if_it_is_said_to_be_full(
    precision: int, guessed: tuple[str, ...]
) -> None:
    frame = imagecodecs.jpeg2k_encode(DEEP, 0, codecformat="j2k", bitspersample=precision)
    found = decode(dicom(DEEP, JPEG2000Lossless, bytes(frame), BitsStored=99))
    assert found.warnings == guessed
    np.testing.assert_array_equal(found.image, image_of(dicom(DEEP, BitsStored=12)))


def test_stream_of_unsigned_values_is_read_as_such() -> None:
    frame = bytes(imagecodecs.jpegls_encode(DEEP))
    assert_shown_deep(dicom(DEEP, JPEGLSLossless, frame, BitsStored=12, PixelRepresentation=1))


@pytest.mark.parametrize("frame", [JPEG_LS, J2K, JP2, rle_frame([GREY])])
@pytest.mark.parametrize(
    "syntax", [JPEGBaseline8Bit, JPEGLSLossless, JPEG2000Lossless, RLELossless]
)
def test_stream_tells_its_compression(syntax: UID, frame: bytes) -> None:
    assert_shown(dicom(GREY, syntax, frame))


def test_fragments_may_have_a_length_together() -> None:
    made = dataset(GREY, JPEG_LS)
    made["PixelData"].is_undefined_length = False
    assert_shown(written(made, JPEGLSLossless))


def test_unpacked_pixels_may_keep_the_syntax_of_packed_ones() -> None:
    rle = dicom(GREY).replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0")
    assert_shown(rle)
    with pytest.raises(UnreadableImageError, match="is RLE Lossless, the pixels are not compress"):
        image_of(rle[:-100])


# The colours of a JPEG


def without_markers(jpeg: bytes, *markers: bytes) -> bytes:
    """Leave out JFIF and Adobe markers, and put others in their place."""
    kept, place = jpeg[:2] + b"".join(markers), 2
    while jpeg[place + 1] != 0xDA:
        after = place + 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")
        if not 0xE0 <= jpeg[place + 1] <= 0xEF:
            kept += jpeg[place:after]
        place = after
    return kept + jpeg[place:]


ADOBE_RGB = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0"  # says that nothing was transformed
RGB_JPEG = bytes(imagecodecs.jpeg8_encode(THRICE, 95, colorspace="RGB", outcolorspace="RGB"))


@pytest.mark.parametrize("name", ["RGB", "YBR_FULL", "YBR_FULL_422"])
@pytest.mark.parametrize(
    "jpeg",
    [
        pytest.param(without_markers(COLOUR_JPEG), id="YCbCr without marker"),
        pytest.param(without_markers(COLOUR_JPEG, ADOBE_RGB), id="YCbCr marked as RGB"),
        pytest.param(without_markers(RGB_JPEG), id="RGB without marker"),
        pytest.param(without_markers(RGB_JPEG, ADOBE_RGB), id="RGB marked as such"),
    ],
)
def test_colours_of_a_jpeg_follow_from_its_chroma(jpeg: bytes, name: str) -> None:
    file = dicom(THRICE, JPEGBaseline8Bit, jpeg, PhotometricInterpretation=name)
    assert np.abs(shown(file).astype(int) - GREY).max() <= 8


# Pictures in the header


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, None])
@pytest.mark.parametrize("undefined", [True, False])
def test_an_icon_is_not_the_picture(syntax: UID | None, *, undefined: bool) -> None:
    icon = dataset(255 - shades(8, 40, 40), JPEG if syntax else None)
    frame = JPEG if syntax else None
    made = dataset(GREY, frame, IconImageSequence=[icon])
    made["IconImageSequence"].is_undefined_length = undefined
    image = shown(written(made, *([syntax] if syntax else [])))
    assert image.shape == GREY.shape
    assert np.abs(image.astype(int) - GREY).max() <= 8


def test_an_icon_alone_is_no_picture() -> None:
    made = dataset(GREY, IconImageSequence=[dataset(shades(8, 40, 40))])
    del made.PixelData
    with pytest.raises(UnreadableImageError, match=r"breaks off before its Pixel Data \(7FE0,0010"):
        image_of(written(made))
