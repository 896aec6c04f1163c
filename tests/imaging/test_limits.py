from __future__ import annotations

import struct

import pytest

from tests.support.hostile_pictures import plain_tiff
from tests.support.pictures import encoded, gradient
from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging import limits
from xray_classifier.imaging.limits import MeteredStream, check_extent, check_scans, count_pieces
from xray_classifier.inputs.decoding import decode

# Pixels and scans


@pytest.mark.parametrize("size", [(8000, 8000), (32, 32), (2_000_000, 32)])
def test_extent_within_the_limits_passes(size: tuple[int, int]) -> None:
    check_extent(*size)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((8000, 8001), "8000 x 8001 pixels; the limit is 64 million in all. Scale it down"),
        ((31, 500), "31 x 500 pixels; at least 32 x 32 are needed to show a chest"),
        ((500, 31), "500 x 31 pixels; at least 32 x 32 are needed to show a chest"),
        ((70_000_000, 1), "70000000 x 1 pixels; the limit is 64 million"),
    ],
)
def test_extent_beyond_the_limits_is_refused(size: tuple[int, int], message: str) -> None:
    with pytest.raises(UnreadableImageError, match=message):
        check_extent(*size)


def test_scans_count_by_the_pixels_of_each() -> None:
    stream = b"\xff\xda\0" * 11
    check_scans(stream, 640_000_000 // 11)
    with pytest.raises(UnreadableImageError, match="stored in 11 scans, which would take too long"):
        check_scans(stream, 64_000_000)


# Pieces of a TIFF


def big_tiff(order: str, count: int) -> bytes:
    """A BigTIFF with one directory of one entry, the strips' offsets."""
    mark = b"II+\0" if order == "<" else b"MM\0+"
    head = struct.pack(f"{order}HHQQ", 8, 0, 16, 1)
    return mark + head + struct.pack(f"{order}HHQQ", 273, 4, count, 8)


def test_strips_of_a_real_file_are_counted() -> None:
    file = encoded(gradient(2000, 1000), "TIFF", tiffinfo={278: 10})
    assert count_pieces(file) == 200


@pytest.mark.parametrize("tag", ["t273", "t324"])
def test_strips_and_tiles_are_counted(tag: str) -> None:
    assert count_pieces(plain_tiff(64, 64, **{tag: 8})) == 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_pieces_of_a_big_tiff_are_counted(order: str) -> None:
    assert count_pieces(big_tiff(order, 2**40)) == 2**40


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"II*\0",
        b"II*\0\xff\xff\xff\xff",
        b"II*\0\x08\0\0\0\xff\xff",
        b"II+\0\x08\0\0\0" + b"\xff" * 8,
        encoded(gradient()),
    ],
)
def test_what_is_no_tiff_or_a_broken_one_has_none(file: bytes) -> None:
    assert count_pieces(file) == 0


def test_tiff_of_very_many_pieces_is_refused_at_once() -> None:
    with pytest.raises(
        UnreadableImageError, match=r"stored in 1099511627776 pieces; at most 70000"
    ):
        decode(big_tiff("<", 2**40))


# Reads


def test_stream_can_be_read_so_many_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_READS", 2)
    stream = MeteredStream(b"abc")
    assert stream.read(1) + stream.read(1) == b"ab"
    with pytest.raises(ValueError, match="over 2 reads"):
        stream.read(1)
