"""Bytes to a decoded radiograph: the only place that opens what a user gave us."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from contextlib import suppress

import numpy as np
from PIL import Image, ImageOps

from xray_classifier.dicom.decode import decode_dicom, is_dicom
from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging.grey import on_black, stored_values, to_grey
from xray_classifier.imaging.limits import (
    MeteredStream,
    check_depth,
    check_extent,
    check_pieces,
    check_scans,
    several_images,
    too_many_pixels,
)
from xray_classifier.imaging.radiograph import GreyImage, Radiograph, StoredValues
from xray_classifier.pictures import bmp, jpeg, newer, png, tiff
from xray_classifier.pictures.tiff_pages import primary_page

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")  # that Pillow opens
MAX_BYTES = 50 * 1024 * 1024

SUPPORTED = "DICOM, JPEG, PNG, WebP, BMP, TIFF, AVIF, JPEG XL or JPEG 2000"
NO_IMAGE = f"This is not an image that can be read. Upload a {SUPPORTED} file."
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0  # a TIFF tag, and its value for a negative
_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2}  # that Pillow keeps a pixel in, else 4

# Pillow warns of huge or odd files; here they are refused, or decoded all the same. Set once,
# since warnings.catch_warnings is not safe with threads.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("imagecodecs").setLevel(logging.CRITICAL + 1)  # as little as Pillow's


def decode(data: bytes, *, keep_stored: bool = False) -> Radiograph:
    """Decode the file of a radiograph to grey, upright, on a black background.

    Args:
        data: the whole file, at most `MAX_BYTES`. The format is told from the content, never from
            a name.
        keep_stored: whether a viewer wants what the file holds, too: 2 bytes more for each pixel.

    Returns:
        The image, shape (height, width), uint8, 0 = black, and for DICOM what its header warns of.
        It is the primary picture of the file, turned as EXIF or the like says. What has more than
        8 bits is scaled by its range of values, colour becomes luma (ITU-R BT.601), transparency
        is laid on black; for DICOM see `dicom.display`. Values of more than 8 bits are kept of
        DICOM, and of PNG and TIFF of 16 bits in grey.

    Raises:
        UnreadableImageError: empty, too large, truncated, of another format, with several full
            pictures, or stored so that nobody shows it rightly. The message is a sentence for
            people that says what to do.
        RejectedImageError: a DICOM header that says that it is no chest radiograph.
    """
    if not data:
        raise UnreadableImageError(
            "The file is empty. Export the radiograph again and upload that."
        )
    if len(data) > MAX_BYTES:
        raise UnreadableImageError(
            f"The file is too large; the limit is {MAX_BYTES // 2**20} MB. "
            "Save the radiograph as JPEG or PNG."
        )
    if is_dicom(data):
        return decode_dicom(data, keep_stored=keep_stored)
    return _decode_picture(data, keep_stored=keep_stored)


def _decode_picture(data: bytes, *, keep_stored: bool) -> Radiograph:
    kind = next((kind for kind, (is_kind, _) in _READERS.items() if is_kind(data)), None)
    if kind is None:
        raise UnreadableImageError(NO_IMAGE)
    try:
        _, read = _READERS[kind]
        image = _upright(read(data))
        keep = keep_stored and image.mode.startswith("I;16")
        return Radiograph(_to_grey(image), stored=_stored_values(image) if keep else None)
    except UnreadableImageError:
        raise
    except Exception as error:  # whatever the broken bytes lead decoders into
        raise UnreadableImageError(
            f"The {kind} image is damaged or incomplete. Export or download it again."
        ) from error


def _read_jpeg(data: bytes) -> Image.Image:
    if deep := jpeg.decode_deep(data):
        return deep
    image = _open(data)
    check_scans(data, image.width * image.height)
    pictures = jpeg.count_pictures(image, data)
    if pictures > 1:
        raise UnreadableImageError(several_images(pictures))
    return image


def _read_png(data: bytes) -> Image.Image:
    bare, info = png.without_metadata(data)
    image = _only(_open(bare))
    if png.is_deep(bare):
        image = Image.fromarray(png.decode_deep(bare))
    image.info.update(info)
    return image


def _read_bmp(data: bytes) -> Image.Image:
    return bmp.decode_fields(data) or _open(data)


def _read_tiff(data: bytes) -> Image.Image:
    check_pieces(data)
    page = primary_page(data)
    check_pieces(page.data)
    image = tiff.decode_page(page) or _open(page.data)
    tiff.use_palette_of_8_bits(image)
    return image


def _read_other(data: bytes) -> Image.Image:
    return _only(_open(data))


def _open(data: bytes) -> Image.Image:
    """Open a file with Pillow, which decodes nothing before it is asked for pixels."""
    try:
        image = Image.open(MeteredStream(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(too_many_pixels("more than 178 million")) from error
    except Exception as error:
        raise UnreadableImageError(NO_IMAGE) from error
    check_extent(*image.size)
    return image


def _only(image: Image.Image) -> Image.Image:
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise UnreadableImageError(several_images(frames))
    return image


def _upright(image: Image.Image) -> Image.Image:
    """Decode a picture, and turn it as its EXIF or XMP says; what is broken there says nothing."""
    check_depth(*image.size, _pixel_bytes(image))
    image.load()
    with suppress(Exception):
        image.getexif()  # keeps what it has read, and will not read it again
    ImageOps.exif_transpose(image, in_place=True)
    return image


def _pixel_bytes(image: Image.Image) -> int:
    """Count the bytes that Pillow keeps a pixel in."""
    if image.format == "WEBP":
        return 6  # its decoder has canvases of its own
    return 4 if image.has_transparency_data else _BYTES.get(image.mode, 4)


def _is_negative(image: Image.Image) -> bool:
    """Whether 0 is white in a picture of more than 8 bits; Pillow inverts only up to 8."""
    return bool(getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO)


def _stored_values(image: Image.Image) -> StoredValues:
    samples = np.asarray(image).astype(np.uint16, copy=False)  # in this machine's byte order
    return stored_values(samples, negative=_is_negative(image))


def _to_grey(image: Image.Image) -> GreyImage:
    """Make grey of a picture that is upright and of no more than 8 bits in several channels."""
    if image.mode.startswith("I") or image.mode == "F":
        return to_grey(np.asarray(image), negative=_is_negative(image))
    if image.has_transparency_data:
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        opacity = image.getchannel("A")
        if opacity.getextrema() != (0, 0):  # else it means nothing
            return np.asarray(on_black(image.convert("L"), opacity))
    return np.asarray(image if image.mode == "L" else image.convert("L"))


_READERS: dict[str, tuple[Callable[[bytes], bool], Callable[[bytes], Image.Image]]] = {
    "JPEG": (jpeg.is_jpeg, _read_jpeg),
    "PNG": (png.is_png, _read_png),
    "WebP": (lambda data: data[:4] == b"RIFF" and data[8:12] == b"WEBP", _read_other),
    "BMP": (bmp.is_bmp, _read_bmp),
    "TIFF": (tiff.is_tiff, _read_tiff),
    "AVIF": (newer.is_avif, newer.read_avif),
    "HEIC": (newer.is_heic, newer.refuse_heic),
    "JPEG XL": (newer.is_jpeg_xl, newer.read_jpeg_xl),
    "JPEG 2000": (newer.is_jpeg_2000, newer.read_jpeg_2000),
}
"""What tells a format by its first bytes, and what reads it."""
