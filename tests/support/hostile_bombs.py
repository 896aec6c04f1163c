"""Hostile pictures that are small as files and large, or endless, once they are read.

Most of them take long to make, so that they are only made once somebody wants them.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from tests.support.hostile_pictures import (
    HUGE,
    Case,
    bmp,
    chunk,
    jpeg,
    plain_tiff,
    png,
    tiff,
    zeros,
)
from tests.support.pictures import encoded, gradient

MANY = 50 * 2**20  # bytes: as large as a file may be


def bombs() -> Iterator[Case]:
    """Everything here is allowed to be read or refused, but not to take long or much."""
    yield from _png_bombs()
    yield from _jpeg_bombs()
    yield from _tiff_bombs()
    for kind, mode in (("grey", "L"), ("alpha", "RGBA")):
        yield f"huge {kind}.webp", partial(_black, mode, HUGE, "WEBP", lossless=True, method=0)
    yield from _most_allowed()
    yield "huge run length.bmp", bmp(HUGE, HUGE, 8, 1)
    yield "huge claim.bmp", bmp(HUGE, HUGE, 32)


def _most_allowed() -> Iterator[Case]:
    """The largest pictures of each kind that are not refused for their size."""
    side = 4358  # 19 million pixels of 4 bytes
    for mode in ("RGB", "RGBA", "LA"):
        yield f"most of {mode}.png", partial(_black, mode, side, "PNG", compress_level=1)
    yield "most of deep.png", partial(_black, "I;16", 6164, "PNG", compress_level=1)
    seen = {"compress_level": 1, "transparency": bytes(9)}
    yield "most of palette.png", partial(_black, "P", side, "PNG", **seen)
    for mode in ("F", "I", "RGBA"):
        yield f"most of {mode}.tiff", partial(_black, mode, side, "TIFF", compression="packbits")
    for mode in ("RGB", "CMYK"):
        yield f"most of {mode}.jpg", partial(_black, mode, side, "JPEG", progressive=True)
    yield "most of RGBA.webp", partial(_black, "RGBA", 3558, "WEBP", lossless=True, method=0)
    yield (
        "most of RGB.webp",
        lambda: _black("RGB", 3558, "WEBP", quality=1, method=0).ljust(MANY, b"\0"),
    )


def _black(mode: str, side: int, kind: str, **options: Any) -> bytes:
    """A square picture in which every byte is 0."""
    return encoded(Image.new(mode, (side, side)), kind, **options)


def _png_bombs() -> Iterator[Case]:
    for name, depth, colour, size in (
        ("1 bit", 1, 0, 1 / 8),
        ("8 bit", 8, 0, 1),
        ("16 bit", 16, 0, 2),
        ("colour", 8, 2, 3),
        ("alpha", 8, 6, 4),
        ("deep alpha", 16, 6, 8),
        ("grey alpha", 8, 4, 2),
    ):
        yield f"huge {name}.png", partial(_png_of_zeros, depth, colour, size)
    data = chunk(b"IDAT", zeros(HUGE * (HUGE + 9)))
    yield "huge interlaced.png", png(HUGE, HUGE, 8, 0, data, lace=1)
    palette = chunk(b"PLTE", bytes(768)) + chunk(b"tRNS", bytes(256))
    yield "huge palette.png", png(HUGE, HUGE, 8, 3, palette, data)
    yield "flat 64 million.png", png(2_000_000, 32, 8, 0, data)
    yield "tall 64 million.png", png(32, 2_000_000, 8, 0, data)
    small = chunk(b"IDAT", zlib.compress(bytes(65 * 64)))
    yield "more data than pixels.png", lambda: _with_bomb(b"IDAT")
    yield "text bomb.png", lambda: _with_bomb(b"zTXt", b"a\0\0", behind=small)
    yield "late text bomb.png", lambda: _with_bomb(b"zTXt", b"a\0\0", before=small)
    yield "profile bomb.png", lambda: _with_bomb(b"iCCP", b"a\0\0", behind=small)
    yield "international.png", lambda: _with_bomb(b"iTXt", b"a\0\1\0\0\0", behind=small)
    many = chunk(b"tEXt", b"a\0") * (MANY // 14 - 100)
    yield "million texts.png", png(64, 64, 8, 0, many, small)
    yield "million private chunks.png", png(64, 64, 8, 0, chunk(b"prVt", b"") * 4_000_000, small)
    yield "million empty data.png", png(64, 64, 8, 0, small, chunk(b"IDAT", b"") * 4_000_000)
    yield "million palettes.png", png(64, 64, 8, 3, chunk(b"PLTE", bytes(3)) * 3_000_000, small)
    control = chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))
    yield "two thousand million frames.png", png(64, 64, 8, 0, control, small)
    yield "no data.png", png(64, 64, 8, 0, chunk(b"tEXt", b"a\0b"))


def _png_of_zeros(depth: int, colour: int, size: float) -> bytes:
    """A picture of HUGE x HUGE pixels of `size` bytes each."""
    return png(HUGE, HUGE, depth, colour, chunk(b"IDAT", zeros(HUGE * (1 + int(HUGE * size)))))


def _with_bomb(name: bytes, head: bytes = b"", before: bytes = b"", behind: bytes = b"") -> bytes:
    """A small picture, one chunk of which unpacks to 512 MB."""
    return png(64, 64, 8, 0, before, chunk(name, head + zeros(2**29)), behind)


def _jpeg_bombs() -> Iterator[Case]:
    for name, mode in (("grey", "L"), ("colour", "RGB")):
        yield f"huge {name}.jpg", partial(_black, mode, HUGE, "JPEG")
        yield f"huge progressive {name}.jpg", partial(_black, mode, HUGE, "JPEG", progressive=True)
    yield "huge inks.jpg", partial(_black, "CMYK", 4000, "JPEG", progressive=True)
    for side, scans in ((500, 2000), (4000, 500), (8000, 2000)):
        yield f"{scans} scans of {side}.jpg", partial(scans_of, side, scans)
    start = b"\xff\xd8"
    picture = encoded(gradient(), "JPEG")[2:]
    yield "million comments.jpg", start + b"\xff\xfe\0\2" * (MANY // 4 - 1000) + picture
    yield "million exif.jpg", start + b"\xff\xe1\0\2" * (MANY // 4 - 1000) + picture
    yield "fill bytes.jpg", start + b"\xff" * (MANY - 9999) + picture
    yield "million thumbnails.jpg", start + b"\xff\xe0\0\7JFIF\0" * 3_000_000 + picture
    restarts = picture.index(b"\xff\xda") + 10
    yield (
        "restarts.jpg",
        start + picture[:restarts] + b"\xff\xd0" * (MANY // 2 - 1000) + picture[restarts:],
    )
    tail = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 65_535) + bytes(40_000)
    yield "exif entries.jpg", encoded(gradient(), "JPEG", exif=tail)
    loop = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 0x8769, 4, 1, 8) + bytes(4)
    yield "exif loop.jpg", encoded(gradient(), "JPEG", exif=loop)
    yield "mpo of many.jpg", _mpo(2**31 - 1)
    yield "precision 12.jpg", jpeg(64, 64, 12)


def scans_of(side: int, scans: int) -> bytes:
    """A progressive JPEG that repeats its last scan: every one costs as much as the picture."""
    file = encoded(np.zeros((side, side), np.uint8), "JPEG", progressive=True)
    last = file.rindex(b"\xff\xda")
    return file[:last] + file[last:-2] * scans + file[-2:]


def _mpo(count: int) -> bytes:
    """A JPEG whose multi-picture index claims so many pictures."""
    body = struct.pack("<2sHIH", b"II", 42, 8, 3)
    body += struct.pack("<HHI4s", 0xB000, 7, 4, b"0100")
    body += struct.pack("<HHII", 0xB001, 4, 1, count) + struct.pack("<HHII", 0xB002, 7, 32, 50)
    segment = b"MPF\0" + body + bytes(40)
    mark = b"\xff\xe2" + struct.pack(">H", len(segment) + 2) + segment
    return b"\xff\xd8" + mark + encoded(gradient(), "JPEG")[2:]


def _tiff_bombs() -> Iterator[Case]:
    for name, mode in (("grey", "L"), ("colour", "RGB"), ("alpha", "RGBA"), ("float", "F")):
        packed = partial(_black, mode, HUGE, "TIFF", compression="tiff_adobe_deflate")
        yield f"huge {name}.tiff", packed
    yield "huge deep.tiff", partial(_black, "I;16", HUGE, "TIFF", compression="tiff_lzw")
    yield "huge group4.tiff", partial(_black, "1", HUGE, "TIFF", compression="group4")
    yield "next is itself.tiff", tiff((256, 4, 1, 64), (257, 4, 1, 64), following=8)
    yield "million pages.tiff", pages(500_000)
    yield "ring of pages.tiff", pages(1000, ring=True)
    counts = (0, 1, 2**20, 2**24, 2**28, 2**32 - 1)
    for tag in (256, 258, 270, 273, 279, 320, 322, 324, 330, 339, 347, 34665, 34675, 50341):
        for count in counts:
            yield f"tag {tag} of {count}.tiff", _with_tag(tag, count)
    yield "million strips.tiff", _strips(4_000_000)
    yield "65535 tags.tiff", tiff(*((tag, 1, 1, 0) for tag in range(65_535)), tail=bytes(4096))


def _with_tag(tag: int, count: int) -> bytes:
    sound = plain_tiff(64, 64)
    directory = sound[10:118]
    entries = [struct.unpack_from("<HHII", directory, place) for place in range(0, 108, 12)]
    kept = [entry for entry in entries if entry[0] != tag]
    return tiff(*kept, (tag, 4, count, 8), tail=bytes(4096))


def _strips(count: int) -> bytes:
    """A picture of as many strips, one row each."""
    sides = ((256, 4, 1, 16), (257, 4, 1, count), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1))
    size = 10 + 9 * 12 + 4
    offsets = (273, 4, count, size)
    counts = (279, 4, count, size + 4 * count)
    tail = struct.pack("<I", 8) * count + struct.pack("<I", 16) * count
    return tiff(*sides, offsets, counts, (277, 3, 1, 1), (278, 4, 1, 1), tail=tail)


def pages(count: int, *, ring: bool = False) -> bytes:
    """A TIFF of so many small directories, each of which is a page; a ring has no end."""
    first = plain_tiff(64, 64)
    start = len(first) + len(first) % 2
    entries = struct.pack("<H", 2) + struct.pack("<HHII", 256, 4, 1, 64)
    entries += struct.pack("<HHII", 257, 4, 1, 64)
    step = len(entries) + 4
    places = start + step * np.arange(1, count + 1, dtype="<u4")
    places[-1] = start if ring else 0
    block = np.zeros((count, step), np.uint8)
    block[:, :-4] = np.frombuffer(entries, np.uint8)
    block[:, -4:] = places.view(np.uint8).reshape(-1, 4)
    linked = bytearray(first.ljust(start, b"\0"))
    struct.pack_into("<I", linked, 8 + 2 + 9 * 12, start)
    return bytes(linked) + block.tobytes()
