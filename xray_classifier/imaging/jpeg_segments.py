"""The segments of a JPEG stream (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

START = b"\xff\xd8"
SCAN, END = 0xDA, 0xD9
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # that begin a frame

_MAX_SEGMENTS = 100_000
_MARKER = re.compile(rb"\xff[\x02-\xcf\xd9-\xfe]")  # of a segment, or of the end; else of neither


@dataclass(frozen=True)
class Segment:
    """A segment of a stream.

    Attributes:
        marker: its second byte; the first is 0xFF.
        start: where its content begins, behind marker and length.
        end: where it ends.
    """

    marker: int
    start: int
    end: int


def segments(stream: bytes, place: int = 0) -> Iterator[Segment]:
    """Give the segments of a picture up to its end marker; what a scan encodes is passed over.

    The bytes of a marker may stand within another segment, such as a preview in the metadata, and
    behind the end. This finds markers as libjpeg does.

    Args:
        stream: what may hold several pictures.
        place: where this one begins.

    Raises:
        ValueError: over 100,000 segments.
    """
    place += len(START)
    for _ in range(_MAX_SEGMENTS):
        found = _MARKER.search(stream, place)
        if found is None:
            return
        place = found.end()
        marker = stream[place - 1]
        end = place if marker == END else place + int.from_bytes(stream[place : place + 2])
        yield Segment(marker, place + 2, end)
        if marker == END:
            return
        place = end
    raise ValueError(f"over {_MAX_SEGMENTS} segments")
