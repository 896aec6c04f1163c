from __future__ import annotations

import struct

import pytest

from tests.support.hostile_pictures import plain_tiff
from tests.support.pictures import encoded, gradient
from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging.tiff_pieces import count_pieces
from xray_classifier.inputs.decoding import decode


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
