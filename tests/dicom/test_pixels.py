from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    JPEG2000,
    MPEG2MPML,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from tests.support.dicom_files import bundled, compressed, dicom, image_of, relabelled, rle_frame
from tests.support.pictures import encoded, gradient
from xray_classifier.errors import UnreadableImageError

TEXTURE = np.random.default_rng(5).integers(0, 256, (48, 64)).astype(np.uint8) // 3 + 60
TEXTURE[:, ::2] += gradient(48, 32) // 3
DEPTHS: dict[int, NDArray[Any]] = {
    8: TEXTURE,
    12: TEXTURE.astype(np.uint16) * 16 + 5,
    16: TEXTURE.astype(np.uint16) * 257,
}

Encoder = Callable[[NDArray[Any], int], Any]
LOSSLESS: dict[UID, Encoder] = {
    JPEGLossless: lambda pixels, bits: imagecodecs.jpeg8_encode(
        pixels, lossless=True, predictor=4, bitspersample=bits
    ),
    JPEGLosslessSV1: lambda pixels, bits: imagecodecs.jpeg8_encode(
        pixels, lossless=True, predictor=1, bitspersample=bits
    ),
    JPEGLSLossless: lambda pixels, _bits: imagecodecs.jpegls_encode(pixels),
    JPEG2000Lossless: lambda pixels, bits: imagecodecs.jpeg2k_encode(
        pixels, 0, codecformat="j2k", bitspersample=bits
    ),
    HTJ2KLossless: lambda pixels, _bits: imagecodecs.htj2k_encode(pixels),
    RLELossless: lambda pixels, _bits: rle_frame(
        [pixels] if pixels.dtype == np.uint8 else [(pixels >> 8).astype(np.uint8), low(pixels)]
    ),
}
LOSSY: dict[UID, Encoder] = {
    JPEGExtended12Bit: lambda pixels, bits: imagecodecs.jpeg8_encode(
        pixels, 98, bitspersample=bits
    ),
    JPEGLSNearLossless: lambda pixels, bits: imagecodecs.jpegls_encode(pixels, 2 ** (bits - 7)),
    JPEG2000: lambda pixels, bits: imagecodecs.jpeg2k_encode(
        pixels, 60, codecformat="j2k", bitspersample=bits
    ),
}


def low(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    return (pixels & 255).astype(np.uint8)


def packed(pixels: NDArray[Any], syntax: UID, frame: Any, **tags: Any) -> bytes:
    return dicom(pixels, syntax, bytes(frame), **tags)


# Transfer syntaxes


@pytest.mark.parametrize("bits", DEPTHS)
@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    ],
    ids=lambda syntax: syntax.keyword,
)
def test_uncompressed_pixels_are_read(syntax: UID, bits: int) -> None:
    file = dicom(DEPTHS[bits], syntax, BitsStored=bits)
    expected = image_of(dicom(DEPTHS[bits], BitsStored=bits))
    np.testing.assert_array_equal(image_of(file), expected)
    np.testing.assert_allclose(expected.astype(int), TEXTURE, atol=1)


@pytest.mark.parametrize("bits", DEPTHS)
@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda syntax: syntax.keyword)
def test_lossless_compression_keeps_every_pixel(syntax: UID, bits: int) -> None:
    pixels = DEPTHS[bits]
    file = packed(pixels, syntax, LOSSLESS[syntax](pixels, bits), BitsStored=bits)
    np.testing.assert_array_equal(image_of(file), image_of(dicom(pixels, BitsStored=bits)))


@pytest.mark.parametrize("bits", [8, 12])
@pytest.mark.parametrize("syntax", LOSSY, ids=lambda syntax: syntax.keyword)
def test_lossy_compression_comes_close(syntax: UID, bits: int) -> None:
    pixels = DEPTHS[bits]
    file = packed(pixels, syntax, LOSSY[syntax](pixels, bits), BitsStored=bits)
    assert np.abs(image_of(file).astype(int) - TEXTURE).mean() < 2


def test_baseline_jpeg_is_what_the_jpeg_itself_is() -> None:
    jpeg = encoded(TEXTURE, "JPEG", quality=90)
    np.testing.assert_array_equal(image_of(packed(TEXTURE, JPEGBaseline8Bit, jpeg)), image_of(jpeg))


MR = [
    "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_expb.dcm",
    "MR_small_implicit.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_padded.dcm",
]


@pytest.mark.parametrize("name", MR)
def test_pydicom_s_versions_of_one_image_are_the_same(name: str) -> None:
    np.testing.assert_array_equal(image_of(relabelled(name)), image_of(relabelled("MR_small.dcm")))


COLOURS = (76, 166, 150, 203, 29, 142, 0, 64, 192, 255)  # luma of the ten bars


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("SC_rgb_rle.dcm", 0),
        ("SC_rgb_rle_16bit.dcm", 0),
        ("SC_rgb_gdcm_KY.dcm", 0),
        ("SC_rgb_jpeg_gdcm.dcm", 0),
        ("SC_ybr_full_422_uncompressed.dcm", 2),
        ("SC_rgb_jls_lossy_line.dcm", 5),
        ("SC_rgb_jls_lossy_sample.dcm", 5),
        ("SC_rgb_jpeg_dcmtk.dcm", 2),
        ("SC_rgb_jpeg_lossy_gdcm.dcm", 8),
        ("SC_rgb_dcmtk_+eb+cr.dcm", 8),
        ("SC_rgb_dcmtk_+eb+cy+n1.dcm", 8),
        ("SC_rgb_dcmtk_+eb+cy+n2.dcm", 2),
        ("SC_rgb_dcmtk_+eb+cy+np.dcm", 8),
        ("SC_rgb_dcmtk_+eb+cy+s2.dcm", 2),
        ("SC_rgb_dcmtk_+eb+cy+s4.dcm", 2),
    ],
)
def test_pydicom_s_colour_bars_have_their_luma(name: str, tolerance: int) -> None:
    found = image_of(bundled(name))[5::10, 50].astype(int)
    np.testing.assert_allclose(found, COLOURS, atol=tolerance)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("693_J2KI.dcm", (512, 512)),
        ("J2K_pixelrep_mismatch.dcm", (512, 512)),
        ("JPEG2000.dcm", (1024, 256)),
        ("JPGExtended.dcm", (1024, 256)),
        ("JPEG-lossy.dcm", (1024, 256)),
        ("examples_jpeg2k.dcm", (480, 640)),
        ("examples_rgb_color.dcm", (240, 320)),
        ("image_dfl.dcm", (512, 512)),
        ("GDCMJ2K_TextGBR.dcm", (400, 400)),
        ("ExplVR_BigEnd.dcm", (60, 80)),
    ],
)
def test_further_files_of_pydicom_are_read(name: str, shape: tuple[int, int]) -> None:
    image = image_of(relabelled(name))
    assert image.shape == shape
    assert image.std() > 5


@pytest.mark.parametrize("name", ["SC_jpeg_no_color_transform.dcm", "SC_rgb_jpeg_app14_dcmd.dcm"])
def test_rgb_that_a_jpeg_did_not_transform_is_not_transformed_back(name: str) -> None:
    file = dcmread(io.BytesIO(bundled(name)))
    expected = np.asarray(Image.fromarray(file.pixel_array).convert("L")).astype(int)
    np.testing.assert_allclose(image_of(bundled(name)), expected, atol=1)


# What header and stream disagree on


@pytest.mark.parametrize(
    "syntax", [JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless], ids=lambda one: one.keyword
)
def test_stream_of_16_bits_may_hold_12(syntax: UID) -> None:
    pixels = DEPTHS[12]
    frame = LOSSLESS[syntax](pixels, 16)
    np.testing.assert_array_equal(
        image_of(packed(pixels, syntax, frame, BitsStored=12)),
        image_of(dicom(pixels, BitsStored=12)),
    )


def test_stream_that_uses_more_bits_than_the_header_says_keeps_them() -> None:
    pixels = DEPTHS[16]
    frame = LOSSLESS[JPEG2000Lossless](pixels, 16)
    np.testing.assert_array_equal(
        image_of(packed(pixels, JPEG2000Lossless, frame, BitsStored=12)), image_of(dicom(pixels))
    )


def test_stream_of_8_bits_may_stand_in_a_header_of_12() -> None:
    frame = LOSSLESS[JPEGLSLossless](TEXTURE, 8)
    file = packed(DEPTHS[12], JPEGLSLossless, frame, BitsStored=12)
    np.testing.assert_array_equal(image_of(file), TEXTURE)


@pytest.mark.parametrize(
    "syntax", [JPEGLosslessSV1, JPEGLSLossless, RLELossless], ids=lambda one: one.keyword
)
def test_compressed_pixels_may_be_signed(syntax: UID) -> None:
    signed = (DEPTHS[12].astype(np.int16) - 2048).astype(np.int16)
    frame = LOSSLESS[syntax](signed.view(np.uint16), 16)
    np.testing.assert_array_equal(
        image_of(packed(signed, syntax, frame, BitsStored=12)),
        image_of(dicom(signed, BitsStored=12)),
    )


def test_jpeg_2000_in_the_boxes_of_a_file_is_read() -> None:
    frame = imagecodecs.jpeg2k_encode(TEXTURE, 0, codecformat="jp2")
    np.testing.assert_array_equal(image_of(packed(TEXTURE, JPEG2000Lossless, frame)), TEXTURE)


def test_fragments_are_joined() -> None:
    frame = bytes(imagecodecs.jpegls_encode(TEXTURE))
    pieces = encapsulate([frame], fragments_per_frame=5)
    file = dicom(TEXTURE, JPEGLSLossless, frame, PixelData=pieces)
    np.testing.assert_array_equal(image_of(file), TEXTURE)


@pytest.mark.parametrize("syntax", compressed(), ids=lambda one: one.keyword)
def test_stream_of_another_size_is_refused(syntax: UID) -> None:
    file = dcmread(io.BytesIO(compressed()[syntax]))
    (frame,) = generate_frames(file.PixelData, number_of_frames=1)
    message = "damaged or incomplete|contradicts itself"
    with pytest.raises(UnreadableImageError, match=message):
        image_of(dicom(np.zeros((61, 80), np.uint16), syntax, frame))


def claiming(stream: bytes, height: int, width: int) -> bytes:
    """Change the size that a JPEG 2000 or JPEG stream claims."""
    changed = bytearray(stream)
    if stream.startswith(b"\xff\x4f"):
        struct.pack_into(">LL", changed, 8, width, height)
        struct.pack_into(">LL", changed, 24, width, height)  # in one tile
        return bytes(changed)
    frame = max(stream.find(bytes([0xFF, marker])) for marker in (0xC0, 0xC1, 0xC3, 0xF7))
    struct.pack_into(">HH", changed, frame + 5, height, width)
    return bytes(changed)


@pytest.mark.parametrize(
    "syntax", [JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless], ids=lambda one: one.keyword
)
def test_stream_that_claims_to_be_huge_is_refused_before_it_is_decoded(
    syntax: UID, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("jpeg8_decode", "jpegls_decode", "jpeg2k_decode"):
        monkeypatch.setattr(imagecodecs, name, lambda *_, **__: pytest.fail("decoded"))
    frame = claiming(bytes(LOSSLESS[syntax](DEPTHS[12], 12)), 60_000, 60_000)
    with pytest.raises(
        UnreadableImageError, match="compressed pixels are 60000 x 60000 pixels of 1 values with 1"
    ):
        image_of(packed(DEPTHS[12], syntax, frame, BitsStored=12))


# What is damaged


@pytest.mark.parametrize("share", [0.3, 0.9])
@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda syntax: syntax.keyword)
def test_stream_that_breaks_off_is_refused(syntax: UID, share: float) -> None:
    frame = bytes(LOSSLESS[syntax](DEPTHS[16], 16))
    cut = frame[: int(len(frame) * share)]
    with pytest.raises(UnreadableImageError, match=r"break off|damaged or incomplete|contradicts"):
        image_of(packed(DEPTHS[16], syntax, cut))


@pytest.mark.parametrize("syntax", compressed(), ids=lambda syntax: syntax.keyword)
def test_junk_in_place_of_a_stream_is_refused(syntax: UID) -> None:
    with pytest.raises(UnreadableImageError, match=r"damaged or incomplete|contradicts itself"):
        image_of(packed(TEXTURE, syntax, bytes(range(256)) * 4))


def test_too_few_pixels_are_refused_with_both_counts() -> None:
    with pytest.raises(UnreadableImageError, match="holds 4000 bytes of pixels, but by its header"):
        image_of(dicom(PixelData=bytes(4000)))


def test_truncated_file_of_pydicom_is_refused() -> None:
    with pytest.raises(UnreadableImageError, match="holds 8130 bytes of pixels"):
        image_of(bundled("MR_truncated.dcm").replace(b"CS\x02\x00MR", b"CS\x02\x00CR"))


@pytest.mark.parametrize("segments", [0, 1, 3, 15, 2**31])
def test_wrong_number_of_rle_segments_is_refused(segments: int) -> None:
    frame = struct.pack("<L", segments) + rle_frame([TEXTURE])[4:]
    with pytest.raises(UnreadableImageError, match=f"compressed pixels are {segments} segments"):
        image_of(packed(DEPTHS[16], RLELossless, frame))


def test_rle_that_unpacks_to_more_than_the_picture_is_refused() -> None:
    bomb = struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\x00" * 200_000  # 128 bytes for 2
    with pytest.raises(UnreadableImageError, match="damaged or incomplete"):
        image_of(packed(TEXTURE, RLELossless, bomb))


# What is not known


def even(uid: UID) -> bytes:
    return f"{uid}\0"[: len(uid) + len(uid) % 2].encode()


@pytest.mark.parametrize(
    ("syntax", "name"),
    [
        (MPEG2MPML, "MPEG2 Main Profile / Main Level"),
        (UID("1.2.840.10008.1.2.4.110"), r"(JPEG XL|not one of the standard)"),
        (UID("1.2.826.0.1.9.9"), "not one of the standard"),
    ],
)
def test_unknown_compression_is_named(syntax: UID, name: str) -> None:
    file = packed(TEXTURE, JPEGBaseline8Bit, b"\0\0")
    old, new = (
        f"{uid}\0"[: len(uid) + len(uid) % 2].encode() for uid in (JPEGBaseline8Bit, syntax)
    )
    header = struct.pack("<H", len(old)) + old, struct.pack("<H", len(new)) + new
    with pytest.raises(
        UnreadableImageError, match=rf"Transfer Syntax UID \(0002,0010\) is {name}.*uncompressed"
    ):
        image_of(file.replace(*header))


def test_compressed_pixels_need_a_compressed_syntax() -> None:
    file = packed(TEXTURE, JPEGLSLossless, imagecodecs.jpegls_encode(TEXTURE))
    lying = file.replace(str(JPEGLSLossless).encode(), b"1.2.840.10008.1.2.1\0\0\0")
    with pytest.raises(UnreadableImageError, match="Explicit VR Little Endian, the pixels are"):
        image_of(lying)
