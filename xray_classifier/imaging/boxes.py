"""The boxes of AVIF, HEIC, JPEG XL and JPEG 2000 files (ISO/IEC 14496-12, 4.2)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_MOST = 4096  # boxes that are looked at


@dataclass(frozen=True)
class Box:
    """A box of a file.

    Attributes:
        kind: four letters.
        start: where its content begins.
        end: where it ends.
    """

    kind: bytes
    start: int
    end: int


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """Give the boxes of a file, or within another box, one after the other, up to a broken one."""
    end = len(data) if end is None else min(end, len(data))
    for _ in range(_MOST):
        if start + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1 and start + 16 <= end:  # a size of 64 bits follows
            (size,), head = struct.unpack_from(">Q", data, start + 8), 16
        elif size == 0:  # up to the end
            size = end - start
        if size < head or start + size > end:
            return
        yield Box(kind, start + head, start + size)
        start += size


def find(data: bytes, *kinds: bytes, within: Box | None = None) -> Box | None:
    """Find a box, given the kinds of those around it from the outside inwards, and its own."""
    for kind in kinds:
        start, end = (within.start, within.end) if within else (0, len(data))
        start += 4 * (within is not None and within.kind == b"meta")  # its version and flags
        within = next((box for box in boxes(data, start, end) if box.kind == kind), None)
        if within is None:
            return None
    return within
