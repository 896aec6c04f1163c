"""What of a stranger's picture is decoded: how many pixels, scans, pieces and reads.

Each is told from the file before a decoder spends time or memory on it.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

import numpy as np

from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging.jpeg_segments import SCAN, START, segments

MAX_PIXELS = 64_000_000  # 8000 x 8000; radiographs have at most about 4300 x 4300
MIN_SIDE = 32  # pixels
MAX_SCANNED = 640_000_000  # pixels times scans; a progressive JPEG has about ten scans

MAX_PIXEL_BYTES = 76_000_000
"""Bytes of a decoded picture that is not 8-bit grey, and of which up to three copies are made."""

MAX_SAMPLE_BYTES = 2 * MAX_PIXEL_BYTES
"""Bytes of decoded samples that become grey without a further copy."""

MAX_PIECES = 70_000
"""One strip for each row, or tiles of 64 x 64, of the largest picture stay far below."""

MAX_READS = 50_000
"""A radiograph is read in some hundred pieces, a PNG of 50 MB in chunks of 8 KB in 20,000."""

_SCAN = bytes([0xFF, SCAN])

_STRIP_OFFSETS, _TILE_OFFSETS = 273, 324


@dataclass(frozen=True)
class TiffForm:
    """How the numbers of a TIFF are stored.

    Attributes:
        order: "<" or ">".
        head: where the place of the first directory stands.
        count: struct's letter for the number of entries of a directory.
        place: struct's letter for places, and for the number of values of an entry.
        entry: bytes of an entry, whose value or its place stand at the end.
    """

    order: str
    head: int
    count: str
    place: str
    entry: int


TIFF_FORMS = {
    b"II*\0": TiffForm("<", 4, "H", "I", 12),
    b"II\0*": TiffForm("<", 4, "H", "I", 12),  # which is wrong, but Pillow takes it
    b"MM\0*": TiffForm(">", 4, "H", "I", 12),
    b"MM*\0": TiffForm(">", 4, "H", "I", 12),
    b"II+\0": TiffForm("<", 8, "Q", "Q", 20),
    b"MM\0+": TiffForm(">", 8, "Q", "Q", 20),
}
"""By the first four bytes."""


def check_extent(width: int, height: int) -> None:
    """Refuse an image that is too large to be decoded or too small to show a chest.

    Args:
        width: in pixels.
        height: in pixels.

    Raises:
        UnreadableImageError: over `MAX_PIXELS` in all, or a side under `MIN_SIDE`.
    """
    if width * height > MAX_PIXELS:
        raise UnreadableImageError(too_many_pixels(f"{width} x {height}"))
    if min(width, height) < MIN_SIDE:
        raise UnreadableImageError(
            f"The image has {width} x {height} pixels; at least {MIN_SIDE} x {MIN_SIDE} are "
            "needed to show a chest. Upload the radiograph in its original size."
        )


def check_depth(width: int, height: int, size: int, most: int = MAX_PIXEL_BYTES) -> None:
    """Refuse what is small enough in pixels, but not with so many bytes for each.

    Args:
        width: in pixels.
        height: in pixels.
        size: bytes of a pixel, once it is decoded.
        most: bytes of all.

    Raises:
        UnreadableImageError: over `most` bytes.
    """
    if width * height * size > most:
        raise UnreadableImageError(
            f"The image has {width} x {height} pixels, in colour or of more than 8 bits; the "
            f"limit for such is {most // size // 1_000_000} million in all. Save it as 8-bit "
            "grey, or scale it down, to about 2000 x 2000 for example."
        )


def check_scans(stream: bytes, pixels: int) -> None:
    """Refuse a JPEG of so many scans that decoding takes minutes: each costs as much as all.

    Args:
        stream: the JPEG, from its first byte.
        pixels: width times height.

    Raises:
        UnreadableImageError: scans times pixels over `MAX_SCANNED`.
    """
    scans = stream.count(_SCAN)  # or fewer, since other data may hold these bytes, too
    if scans * pixels > MAX_SCANNED and stream.startswith(START):
        scans = sum(segment.marker == SCAN for segment in segments(stream))
    if scans * pixels > MAX_SCANNED:
        raise UnreadableImageError(
            f"The JPEG image is stored in {scans} scans, which would take too long to decode. "
            "Save it as plain JPEG or PNG."
        )


def too_many_pixels(extent: str) -> str:
    """Say that an image is too large to be decoded; `extent` is a size in words or figures."""
    return (
        f"The image has {extent} pixels; the limit is {MAX_PIXELS // 1_000_000} million "
        "in all. Scale it down, to about 2000 x 2000 for example."
    )


def several_images(count: int | str) -> str:
    """Say that a file holds so many pictures; in figures, or in a word."""
    return f"The file holds {count} images; exactly one is wanted. Save the radiograph alone."


def check_pieces(data: bytes) -> None:
    """Refuse a TIFF of very many strips or tiles.

    Args:
        data: the whole file, of any format.

    Raises:
        UnreadableImageError: over `MAX_PIECES` in the first directory.
    """
    pieces = count_pieces(data)
    if pieces > MAX_PIECES:
        raise UnreadableImageError(
            f"The TIFF image is stored in {pieces} pieces; at most {MAX_PIECES} can be read. Save "
            "it as PNG."
        )


def count_pieces(data: bytes) -> int:
    """Count the strips or tiles that the first directory of a TIFF claims.

    Pillow makes an object of each before it looks at one.

    Args:
        data: the whole file, of any format.

    Returns:
        0 also for what is no TIFF, or a broken one: Pillow will say so.
    """
    form = TIFF_FORMS.get(data[:4])
    if form is None:
        return 0
    entry = np.dtype(
        {
            "names": ["tag", "count"],
            "formats": [f"{form.order}H", f"{form.order}{form.place}"],
            "offsets": [0, 4],
            "itemsize": form.entry,
        }
    )
    try:
        (start,) = struct.unpack_from(form.order + form.place, data, form.head)
        (entries,) = struct.unpack_from(form.order + form.count, data, start)
        start += struct.calcsize(form.order + form.count)
        whole = min(entries, (len(data) - start) // entry.itemsize)
        directory = np.frombuffer(data, entry, whole, start)
    except (ValueError, OverflowError, struct.error):  # outside of the file
        return 0
    pieces = directory["count"][np.isin(directory["tag"], (_STRIP_OFFSETS, _TILE_OFFSETS))]
    return int(pieces.max(initial=0))


class MeteredStream(io.BytesIO):
    """A file's bytes that can be read in so many pieces only.

    Millions of empty elements, chunks or fragments fit into a file; parsing them takes minutes.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._left = MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        """Read on, up to `size` bytes or to the end.

        Raises:
            ValueError: `MAX_READS` pieces were read before.
        """
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"over {MAX_READS} reads")
        return super().read(size)
