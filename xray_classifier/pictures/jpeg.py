"""JPEG files: the pictures beside the primary one, and frames that Pillow cannot open."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice, takewhile

from PIL import Image

from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging.grey import to_grey
from xray_classifier.imaging.jpeg_segments import END, FRAMES, SCAN, START, Segment, segments
from xray_classifier.imaging.limits import check_depth, check_extent, check_scans

_HIERARCHICAL = {*range(0xC5, 0xC8), *range(0xCD, 0xD0)}
_APP1, _APP2 = 0xE1, 0xE2
_EXIF, _XMP, _INDEX = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"MPF\0"

_ENTRIES = 0xB002  # the tag of the index in which the pictures stand (CIPA DC-007)
_THUMBNAIL, _SEVERAL = "Large Thumbnail", "Multi-Frame"  # how Pillow names kinds of picture
_MAX_COMPANIONS, _MAX_SEGMENTS = 64, 100  # segments in the header of each
_GAINS = (b"hdrgm:", b"hdrgainmap", b":21496:")
"""In the header of what only brightens the primary picture: as Adobe, Apple and ISO have it."""


def is_jpeg(data: bytes) -> bool:
    """Tell by the first bytes."""
    return data.startswith(START + b"\xff")


def count_pictures(image: Image.Image, data: bytes) -> int:
    """Count the pictures of a file that are no preview or other companion of the primary one.

    A file of several has an index of them. What says there that it is a thumbnail, has fewer
    pixels without belonging to a series, or is missing, is a companion.

    Args:
        image: what Pillow opened.
        data: the whole file.
    """
    index = getattr(image, "mpinfo", {}).get(_ENTRIES, ())
    if len(index) < 2:
        return 1
    base = next((s.start + len(_INDEX) for s in _header(data) if _is(s, _APP2, _INDEX, data)), 0)
    places = {base + entry["DataOffset"]: entry["Attribute"]["MPType"] for entry in index[1:]}
    if len(places) > _MAX_COMPANIONS:
        return 1 + len(places)
    return 1 + sum(_is_full(image, data, place, kind) for place, kind in places.items())


def decode_deep(data: bytes) -> Image.Image | None:
    """Decode a frame of more than 8 bits.

    Returns:
        A grey picture with its EXIF and XMP; None for what can be left to Pillow.

    Raises:
        UnreadableImageError: too large, of too many scans, or of a kind that nobody reads.
        Exception: of many kinds, where the file is damaged.
    """
    header = list(_header(data))
    frame = next((segment for segment in header if segment.marker in FRAMES), None)
    if frame is None:
        return None
    precision, height, width, channels = struct.unpack_from(">BHHB", data, frame.start)
    if precision == 8 and frame.marker not in _HIERARCHICAL:
        return None
    check_extent(width, height)
    if frame.marker in _HIERARCHICAL or channels not in (1, 3):
        raise UnreadableImageError(
            f"The JPEG image is stored in a way that cannot be read here: {channels} x "
            f"{precision} bits, process {frame.marker - 0xC0}. Save it as plain JPEG or PNG."
        )
    from imagecodecs import jpeg8_decode

    check_depth(width, height, 2 * channels)
    check_scans(data, width * height)
    if not any(segment.marker == END for segment in segments(data)):
        raise ValueError("no end")
    picture = Image.fromarray(to_grey(jpeg8_decode(data)))
    for segment in header:
        if _is(segment, _APP1, _EXIF, data):
            picture.info["exif"] = data[segment.start : segment.end]
        elif _is(segment, _APP1, _XMP, data):
            picture.info["xmp"] = data[segment.start + len(_XMP) : segment.end]
    return picture


def _header(data: bytes, place: int = 0) -> Iterator[Segment]:
    """Give the segments of a picture before its first scan."""
    return takewhile(lambda segment: segment.marker != SCAN, segments(data, place))


def _is(segment: Segment, marker: int, name: bytes, data: bytes) -> bool:
    return segment.marker == marker and data.startswith(name, segment.start)


def _is_full(image: Image.Image, data: bytes, place: int, kind: str) -> bool:
    """Whether a picture of the index is one in its own right."""
    if not data.startswith(START, place) or kind.startswith(_THUMBNAIL):
        return False
    frame = None
    for segment in islice(_header(data, place), _MAX_SEGMENTS):
        if any(mark in data[segment.start : segment.end].lower() for mark in _GAINS):
            return False
        if segment.marker in FRAMES:
            frame = segment
    if frame is None:
        return False
    height, width = struct.unpack(">HH", data[frame.start + 1 : frame.start + 5].ljust(4, b"\0"))
    return kind.startswith(_SEVERAL) or height * width >= image.height * image.width
