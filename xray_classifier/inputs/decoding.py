"""Bytes to a decoded radiograph: the only place that opens what a user gave us."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from xray_classifier.dicom.decode import decode_dicom, is_dicom
from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging.limits import (
    MAX_PIECES,
    MeteredStream,
    check_extent,
    check_scans,
    count_pieces,
    too_many_pixels,
)
from xray_classifier.imaging.radiograph import GreyImage, Radiograph

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
MAX_BYTES = 50 * 1024 * 1024

MAX_PIXEL_BYTES = 76_000_000
"""Bytes of a decoded picture that is not 8-bit grey; of it up to three copies are made."""

SUPPORTED = "DICOM, JPEG, PNG, WebP, BMP or TIFF"
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0  # a TIFF tag, and its value for a negative
_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2}  # that Pillow keeps a pixel in, else 4
_ROWS = 256  # that are scaled at once, in 8 bytes a pixel

# Pillow warns of huge or odd files; here they are refused, or decoded all the same. Set once,
# since warnings.catch_warnings is not safe with threads.
warnings.filterwarnings("ignore", module=r"PIL\.")


def decode(data: bytes) -> Radiograph:
    """Decode the file of a radiograph to grey, upright, on a black background.

    Args:
        data: the whole file, at most `MAX_BYTES`. The format is told from the content, never from
            a name.

    Returns:
        The image, shape (height, width), uint8, 0 = black, and for DICOM what its header warns of.
        EXIF rotation is applied, transparency is laid on black, colour becomes luma (ITU-R
        BT.601), 16 bits are scaled by their range of values; for DICOM see `dicom.display`.

    Raises:
        UnreadableImageError: empty, too large, truncated, of another format or with several
            frames. The message is a sentence for people that says what to do.
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
    return decode_dicom(data) if is_dicom(data) else Radiograph(_decode_picture(data))


def _decode_picture(data: bytes) -> GreyImage:
    with _open(data) as image:
        try:
            _check(image, data)
            return _to_grey(image)
        except UnreadableImageError:
            raise
        except Exception as error:  # whatever the broken bytes lead Pillow's decoders into
            raise UnreadableImageError(
                f"The {image.format} image is damaged or incomplete. Export or download it again."
            ) from error


def _open(data: bytes) -> Image.Image:
    pieces = count_pieces(data)
    if pieces > MAX_PIECES:
        raise UnreadableImageError(
            f"The TIFF image is stored in {pieces} pieces; at most {MAX_PIECES} can be read. Save "
            "it as PNG."
        )
    try:
        return Image.open(MeteredStream(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(too_many_pixels("more than 178 million")) from error
    except Exception as error:
        raise UnreadableImageError(
            f"This is not an image that can be read. Upload a {SUPPORTED} file."
        ) from error


def _check(image: Image.Image, data: bytes) -> None:
    width, height = image.size
    check_extent(width, height)
    _check_depth(image)
    if image.format in ("JPEG", "MPO"):
        check_scans(data, width * height)
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise UnreadableImageError(
            f"The file holds {frames} images; exactly one is wanted. Save the radiograph alone."
        )


def _check_depth(image: Image.Image) -> None:
    """Refuse what is small enough in pixels, but not with so many bytes for each."""
    width, height = image.size
    size = 4 if image.has_transparency_data else _BYTES.get(image.mode, 4)
    if image.format == "WEBP":
        size = 6  # its decoder has canvases of its own
    if size > 1 and width * height * size > MAX_PIXEL_BYTES:
        raise UnreadableImageError(
            f"The image has {width} x {height} pixels, in colour or of more than 8 bits; the "
            f"limit for such is {MAX_PIXEL_BYTES // size // 1_000_000} million in all. Save it "
            "as 8-bit grey, or scale it down, to about 2000 x 2000 for example."
        )


def _to_grey(image: Image.Image) -> GreyImage:
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I") or image.mode == "F":
        grey = _scale_to_8_bits(np.asarray(image))
        negative = getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO
        return 255 - grey if negative else grey  # Pillow does so only up to 8 bits
    if image.has_transparency_data:
        coloured = image if image.mode == "RGBA" else image.convert("RGBA")
        black = Image.new("L", coloured.size, 0)
        black.paste(coloured.convert("L"), mask=coloured.getchannel("A"))
        return np.asarray(black)
    return np.asarray(image if image.mode == "L" else image.convert("L"))


def _scale_to_8_bits(values: NDArray[np.generic]) -> GreyImage:
    """Scale deep pixels to uint8 by the range that the bit depth in use spans.

    `Image.convert("L")` would clip everything above 255 to white. Files with 10, 12 or 14 bits
    keep them in 16, so the full range is the smallest usual depth that holds the maximum. Floats
    up to about 1 span [0, 1].
    """
    low, peak = float(values.min()), float(values.max())
    if not (np.isfinite(peak) and low >= 0):
        raise UnreadableImageError(
            f"The image holds pixels from {low:g} to {peak:g}; none below 0 or undefined can be "
            "shown. Save the radiograph as an 8- or 16-bit image."
        )
    if values.dtype.kind == "f" and peak < 2:
        full = max(1.0, peak)
    else:
        full = next((2.0**bits - 1 for bits in (8, 10, 12, 14, 16) if peak < 2**bits), peak)
    if values.dtype == np.uint16:  # by table: a quarter of the memory
        return _rounded(np.arange(2**16) * (255 / full))[values]
    grey = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), _ROWS):
        rows = slice(start, start + _ROWS)
        grey[rows] = _rounded(values[rows].astype(np.float64) * (255 / full))
    return grey


def _rounded(values: NDArray[np.floating]) -> GreyImage:
    return np.minimum(np.round(values), 255).astype(np.uint8)
