from __future__ import annotations

import struct

import pytest

from xray_classifier.imaging.boxes import Box, boxes, find


def box(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def test_boxes_follow_each_other() -> None:
    file = box(b"ftyp", b"avif") + struct.pack(">I4sQ", 1, b"long", 18) + b"ab" + box(b"last")
    assert list(boxes(file)) == [Box(b"ftyp", 8, 12), Box(b"long", 28, 30), Box(b"last", 38, 38)]


def test_last_box_may_go_to_the_end() -> None:
    file = box(b"ftyp") + struct.pack(">I4s", 0, b"mdat") + b"abc"
    assert list(boxes(file))[-1] == Box(b"mdat", 16, 19)


@pytest.mark.parametrize(
    "rest",
    [b"", b"\0\0\0", struct.pack(">I4s", 7, b"tiny"), struct.pack(">I4s", 99, b"over")]
    + [struct.pack(">I4sQ", 1, b"huge", size) for size in (0, 15, 2**64 - 1)],
)
def test_boxes_end_where_they_are_broken(rest: bytes) -> None:
    assert [found.kind for found in boxes(box(b"ftyp") + rest)] == [b"ftyp"]


def test_boxes_are_limited() -> None:
    assert len(list(boxes(box(b"free") * 5000))) == 4096


def test_box_is_found_within_others() -> None:
    inner = box(b"iprp", box(b"free") + box(b"ipco", b"abc"))
    file = box(b"ftyp") + box(b"meta", bytes(4) + inner)
    found = find(file, b"meta", b"iprp", b"ipco")
    assert found is not None
    assert file[found.start : found.end] == b"abc"
    outer = find(file, b"meta")
    assert find(file, b"iprp", b"ipco", within=outer) == found
    assert find(file, b"meta", b"none", b"ipco") is None
