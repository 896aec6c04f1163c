"""BMP files that pack pixels by masks of their own, of which Pillow knows a few only."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging.grey import strips
from xray_classifier.imaging.limits import check_depth, check_extent

_HEADER = struct.Struct("<IiiHHI")  # its size, width, height, planes, bits, compression
_HEADER_PLACE, _MASKS_PLACE, _OFFSET_PLACE = 14, 54, 10  # bytes
_OLD_HEADER, _HEADER_WITH_ALPHA = 12, 56  # bytes
_RAW, _RLE_8, _RLE_4, _FIELDS, _ALPHA_FIELDS = 0, 1, 2, 3, 6
_DEPTHS = (1, 4, 8, 16, 24, 32)
_BY_PILLOW = ((0xF800, 0x7E0, 0x1F, 0), (0x7C00, 0x3E0, 0x1F, 0))  # of 16 bits
_BGRA = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)


def is_bmp(data: bytes) -> bool:
    """Tell by the first bytes."""
    return data.startswith(b"BM")


def decode_fields(data: bytes) -> Image.Image | None:
    """Decode a picture whose header has masks for red, green, blue and perhaps alpha.

    Returns:
        A picture in mode RGBA; None for what can be left to Pillow.

    Raises:
        UnreadableImageError: too large, or of a kind that nobody reads.
        Exception: of many kinds, where the file is damaged.
    """
    if data[_HEADER_PLACE : _HEADER_PLACE + 4] == struct.pack("<I", _OLD_HEADER):
        return None
    header_size, width, height, _, bits, compression = _HEADER.unpack_from(data, _HEADER_PLACE)
    if bits not in _DEPTHS or compression not in (_RAW, _RLE_8, _RLE_4, _FIELDS, _ALPHA_FIELDS):
        raise UnreadableImageError(
            f"The BMP image is stored in a way that cannot be read here: {bits} bits, compression "
            f"{compression}. Save it as PNG."
        )
    if compression not in (_FIELDS, _ALPHA_FIELDS) or bits not in (16, 32):
        return None
    has_alpha = header_size >= _HEADER_WITH_ALPHA or compression == _ALPHA_FIELDS
    masks = (*struct.unpack_from("<4I" if has_alpha else "<3I", data, _MASKS_PLACE), 0)[:4]
    if bits == 16 and masks in _BY_PILLOW:
        return None
    check_extent(width, abs(height))
    check_depth(width, abs(height), 4)
    pixels = _pixels(data, width, height, bits)
    channels = np.empty((*pixels.shape, 4), np.uint8)
    for rows in strips(pixels.shape):
        for channel, mask in enumerate(masks if any(masks) else _BGRA):
            channels[rows, :, channel] = _scaled(pixels[rows], mask)
    return Image.fromarray(channels)


def _pixels(data: bytes, width: int, height: int, bits: int) -> NDArray[np.unsignedinteger]:
    """Lay out the numbers in which pixels are packed; rows are filled up to four bytes."""
    size = bits // 8
    row = -(-width * size // 4) * 4
    (offset,) = struct.unpack_from("<I", data, _OFFSET_PLACE)
    pixels = np.ndarray((abs(height), width), f"<u{size}", data, offset, (row, size))
    return pixels[::-1] if height > 0 else pixels


def _scaled(pixels: NDArray[np.unsignedinteger], mask: int) -> NDArray[np.uint8]:
    """Take the bits of a mask, and scale them to 8; there are none if it is 0."""
    shift = max((mask & -mask).bit_length() - 1, 0)
    full = mask >> shift
    if full & (full + 1):
        raise ValueError(f"mask {mask:x} has gaps")
    return np.round(((pixels & mask) >> shift) * (255 / max(full, 1))).astype(np.uint8)
