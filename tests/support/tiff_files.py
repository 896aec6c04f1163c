"""TIFF files written by hand: any layout, byte order, predictor and compression, several pages."""

from __future__ import annotations

import lzma
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

PACKINGS: dict[int, Callable[[bytes], bytes]] = {
    1: lambda data: data,
    5: lambda data: bytes(imagecodecs.lzw_encode(data)),
    8: zlib.compress,
    32773: lambda data: bytes(imagecodecs.packbits_encode(data)),
    32946: zlib.compress,
    34925: lambda data: lzma.compress(data, check=lzma.CHECK_NONE),
    50000: lambda data: bytes(imagecodecs.zstd_encode(data)),
}
"""By the number of the compression."""

_TYPES = {1: "B", 3: "H", 4: "I", 13: "I"}  # of values of a tag: byte, short, long, place
_FORMATS = {"u": 1, "i": 2, "f": 3}


@dataclass(frozen=True)
class Page:
    """One directory, with its picture.

    Attributes:
        samples: shape (height, width) or (height, width, channels).
        order: "<" or ">".
        compression: of `PACKINGS`.
        planar: whether each channel is stored by itself.
        tile: width and height of the tiles; by default there are strips of 16 rows.
        predictor: whether differences of neighbours are stored.
        tags: others, or others than usual: a number, several, bytes, or None for no such tag.
    """

    samples: NDArray[Any]
    order: str = "<"
    compression: int = 1
    planar: bool = False
    tile: tuple[int, int] | None = None
    predictor: bool = False
    tags: Mapping[int, Any] = field(default_factory=dict)

    def segments(self) -> list[bytes]:
        """The strips or tiles as they are stored."""
        planes = self.samples if self.samples.ndim == 3 else self.samples[..., np.newaxis]
        parts = np.split(planes, planes.shape[2], axis=2) if self.planar else [planes]
        return [self._pack(piece) for part in parts for piece in self._pieces(part)]

    def _pieces(self, part: NDArray[Any]) -> Iterator[NDArray[Any]]:
        height, width, _ = part.shape
        across, down = self.tile or (width, 16)
        for top in range(0, height, down):
            for left in range(0, width, across):
                piece = part[top : top + down, left : left + across]
                if self.tile:
                    missing = [(0, down - piece.shape[0]), (0, across - piece.shape[1]), (0, 0)]
                    piece = np.pad(piece, missing)
                yield piece

    def _pack(self, piece: NDArray[Any]) -> bytes:
        if self.predictor:
            piece = np.concatenate([piece[:, :1], np.diff(piece, axis=1)], axis=1)
        stored = np.ascontiguousarray(piece.astype(self.order + piece.dtype.str[1:]))
        if self.compression == 32773:  # row by row
            return b"".join(PACKINGS[32773](row.tobytes()) for row in stored)
        return PACKINGS[self.compression](stored.tobytes())

    def directory(self, places: list[int], sizes: list[int]) -> dict[int, Any]:
        """All tags, given where the segments are."""
        height, width, *rest = self.samples.shape
        channels = rest[0] if rest else 1
        kind = self.samples.dtype
        tags: dict[int, Any] = {
            256: width,
            257: height,
            258: [8 * kind.itemsize] * channels,
            259: self.compression,
            262: 2 if channels >= 3 else 1,
            277: channels,
            284: 2 if self.planar else 1,
            317: 2 if self.predictor else None,
            338: [2] * (channels - 3 if channels >= 3 else channels - 1) or None,
            339: [_FORMATS[kind.kind]] * channels,
        }
        if self.tile:
            tags |= {322: self.tile[0], 323: self.tile[1], 324: places, 325: sizes}
        else:
            tags |= {273: places, 278: 16, 279: sizes}
        return {tag: value for tag, value in (tags | dict(self.tags)).items() if value is not None}


def tiff_of(*pages: Page, inside: Sequence[Page] = (), big: bool = False) -> bytes:
    """Write a TIFF.

    Args:
        pages: in the chain of directories.
        inside: pages that only tag 330 of the first one leads to.
        big: whether it is a BigTIFF.
    """
    order = pages[0].order
    head = 16 if big else 8
    body = bytearray(head)
    starts: list[int] = []
    links: list[int] = []
    sub: list[int] = []
    for page in inside:
        start, _ = _add(body, page, {}, big=big)
        sub.append(start)
    for number, page in enumerate(pages):
        start, link = _add(body, page, {330: sub} if sub and number == 0 else {}, big=big)
        starts.append(start)
        links.append(link)
    for link, start in zip(links, [*starts[1:], 0], strict=True):
        struct.pack_into(f"{order}{'Q' if big else 'I'}", body, link, start)
    mark = b"II" if order == "<" else b"MM"
    if big:
        struct.pack_into(f"{order}2s3HQ", body, 0, mark, 43, 8, 0, starts[0])
    else:
        struct.pack_into(f"{order}2sHI", body, 0, mark, 42, starts[0])
    return bytes(body)


def _add(body: bytearray, page: Page, more: dict[int, Any], *, big: bool) -> tuple[int, int]:
    """Append a page; give where its directory begins, and where it says which one follows."""
    places, sizes = [], []
    for segment in page.segments():
        places.append(len(body))
        sizes.append(len(segment))
        body += segment + bytes(len(segment) % 2)
    tags = page.directory(places, sizes) | more
    entries = []
    room = 8 if big else 4
    for tag, value in sorted(tags.items()):
        if isinstance(value, bytes):
            kind, raw, count = 1, value, len(value)
        else:
            values = list(value) if isinstance(value, (list, tuple)) else [value]
            kind = 4 if tag in (273, 279, 324, 325, 330) or max(values) > 65_535 else 3
            raw, count = (
                struct.pack(f"{page.order}{len(values)}{_TYPES[kind]}", *values),
                len(values),
            )
        if len(raw) > room:
            place = len(body)
            body += raw + bytes(len(raw) % 2)
            raw = struct.pack(f"{page.order}{'Q' if big else 'I'}", place)
        entries.append(
            struct.pack(f"{page.order}HH{'Q' if big else 'I'}", tag, kind, count)
            + raw.ljust(room, b"\0")
        )
    start = len(body)
    body += struct.pack(f"{page.order}{'Q' if big else 'H'}", len(entries)) + b"".join(entries)
    link = len(body)
    body += bytes(room)
    return start, link
