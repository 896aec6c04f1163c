"""Hostile pictures of many depths and layouts: random headers, lies about extents, and bombs."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cache, partial

import numpy as np
from PIL import Image

from tests.support.containers import avif, deep_jpeg, jpeg_2000, jpeg_xl, png16
from tests.support.hostile_pictures import Case, chunk, jpeg, png, tiff, zeros
from tests.support.pictures import deep, encoded, gradient, rgb
from tests.support.tiff_files import PACKINGS, Page, tiff_of

RANDOM = 120
"""How many versions of each kind of header."""

_TAGS = (
    *(254, 256, 257, 258, 259, 262, 266, 274, 277, 278, 284, 317),
    *(322, 323, 330, 338, 339, 530, 32997),
)

_ODD = (0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 15, 16, 17, 24, 31, 32, 33, 64, 255, 65_535)


@cache
def seeds() -> dict[str, bytes]:
    """A sound file of every deep or newer kind, and some with more in them than the picture."""
    colour = np.dstack([deep(12)] * 3)
    with_alpha = np.dstack([colour, np.full((60, 80), 65_535, np.uint16)])
    preview = Page(np.zeros((30, 40), np.uint8), tags={254: 1})
    exif = Image.Exif()
    exif[0x0112] = 6
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 99_999))
    xmp = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation='6'/>")
    return {
        "deep colour.png": png16(colour, 2),
        "deep alpha.png": png16(with_alpha, 6, lace=True),
        "metadata.png": png16(colour, 2, text, xmp, chunk(b"eXIf", exif.tobytes()[6:])),
        "deep colour.tiff": tiff_of(Page(colour, ">", 5, predictor=True, tags={274: 6})),
        "deep planar.tiff": tiff_of(Page(with_alpha, planar=True, tile=(32, 32)), big=True),
        "double colour.tiff": tiff_of(Page(colour / 4095, compression=8)),
        "deep palette.tiff": tiff_of(Page(deep(16), tags={262: 3, 320: [*range(65_536)] * 3})),
        "preview.tiff": tiff_of(preview, Page(colour), inside=[preview]),
        "fields.bmp": fields(32, (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000)),
        "deep.jpg": deep_jpeg(deep(12), 12),
        "preview.jpg": encoded(
            gradient(), "MPO", save_all=True, append_images=[Image.fromarray(gradient(30, 40))]
        ),
        "colour.avif": encoded(Image.fromarray(rgb()), "AVIF", exif=exif),
        "deep.avif": avif(with_alpha >> 2, 10),
        "deep.jxl": jpeg_xl(colour, 12),
        "boxed.jxl": jpeg_xl(rgb(), 8, boxes=True),
        "deep.jp2": jpeg_2000(with_alpha, 16),
        "bare.j2k": jpeg_2000(deep(12), 12, boxes=False),
    }


def fields(bits: int, masks: tuple[int, ...], width: int = 80, height: int = 60) -> bytes:
    """A BMP of noise in those masks."""
    noise = np.random.default_rng(1).bytes(80 * 60 * 4)
    head = struct.pack("<IiiHHI", 108, width, height, 1, bits, 3).ljust(40, b"\0")
    head = (head + struct.pack("<4I", *masks)).ljust(108, b"\0")
    return b"BM" + struct.pack("<IHHI", 122 + len(noise), 0, 0, 122) + head + noise


def _odd(rng: np.random.Generator, count: int) -> list[int]:
    return [int(value) for value in rng.choice(_ODD, count)]


def _random_png(rng: np.random.Generator) -> bytes:
    depth, colour, lace = int(rng.choice([8, 16])), int(rng.choice([0, 2, 4, 6])), 0
    if rng.random() < 0.4:
        depth = _odd(rng, 1)[0] & 255
        colour, lace = int(rng.integers(7)), int(rng.integers(2))
    raw = bytes(99 * 800) if rng.random() < 0.7 else rng.bytes(int(rng.integers(0, 99 * 800)))
    data = chunk(b"IDAT", zlib.compress(raw))
    others = [
        chunk(b"tRNS", rng.bytes(int(rng.integers(0, 9)))),
        chunk(b"sBIT", rng.bytes(int(rng.integers(0, 5)))),
        chunk(b"eXIf", rng.bytes(40)),
        chunk(b"acTL", rng.bytes(8)),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0" + rng.bytes(40)),
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(rng.bytes(40))),
        chunk(b"PLTE", rng.bytes(3 * int(rng.integers(0, 257)))),
    ]
    chosen = [one for one in others if rng.random() < 0.2]
    width, height = rng.choice([32, 64, 99, 8000, 70_000], 2, p=[0.3, 0.3, 0.3, 0.07, 0.03])
    return png(int(width), int(height), depth, colour, *chosen, data, lace=lace)


def _random_tiff(rng: np.random.Generator) -> bytes:
    kind = str(rng.choice(["u1", "u2", "u4", "i2", "f2", "f4", "f8"]))
    samples = rng.integers(0, 256, (60, 80, int(rng.integers(1, 7)))).astype(kind)
    page = Page(
        samples,
        "<>"[rng.integers(2)],
        int(rng.choice(list(PACKINGS))),
        planar=bool(rng.integers(2)),
        tile=(32, 32) if rng.random() < 0.5 else None,
    )
    tags = rng.choice(_TAGS, int(rng.integers(0, 3)))
    changed = dict(zip(tags.tolist(), _odd(rng, len(tags)), strict=True))
    others = [Page(samples[::2, ::2], page.order, tags={254: _odd(rng, 1)[0]})]
    return tiff_of(
        Page(samples, page.order, page.compression, page.planar, page.tile, tags=changed),
        *(others if rng.random() < 0.3 else []),
        inside=others if rng.random() < 0.3 else [],
        big=rng.random() < 0.3,
    )


def _random_bmp(rng: np.random.Generator) -> bytes:
    masks = [(1 << int(rng.integers(1, 12))) - 1 << int(rng.integers(21)) for _ in range(4)]
    masks[0] ^= int(rng.random() < 0.3 and rng.integers(2**32))
    width, height = rng.integers(20, 99), rng.integers(30, 99) * rng.choice([-1, 1])
    return fields(int(rng.choice([16, 32])), tuple(masks), int(width), int(height))


def _random_jpeg(rng: np.random.Generator) -> bytes:
    claim = jpeg(80, 60, _odd(rng, 1)[0] & 255, int(rng.integers(0, 6)))
    file = bytearray(claim if rng.random() < 0.4 else seeds()["deep.jpg"])
    frame = max(file.find(b"\xff\xc0"), file.find(b"\xff\xc3"))
    file[frame + 1] = int(rng.choice([0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC9, 0xCF, 0xF7]))
    file[frame + 4] = int(rng.choice([2, 7, 8, 9, 10, 12, 14, 16, 255]))
    return bytes(file)


def _random_stream(rng: np.random.Generator, name: str, start: int, end: int) -> bytes:
    """A sound file with random bytes in its header."""
    file = bytearray(seeds()[name])
    for place in rng.integers(start, end, int(rng.integers(1, 4))):
        file[place] = int(rng.choice([0, 1, 255, int(rng.integers(256))]))
    return bytes(file)


_MAKERS: dict[str, Callable[..., bytes]] = {
    "png": _random_png,
    "tiff": _random_tiff,
    "bmp": _random_bmp,
    "jpg": _random_jpeg,
    "avif": partial(_random_stream, name="deep.avif", start=32, end=440),
    "jxl": partial(_random_stream, name="deep.jxl", start=2, end=24),
    "j2k": partial(_random_stream, name="bare.j2k", start=4, end=90),
    "jp2": partial(_random_stream, name="deep.jp2", start=12, end=200),
}


def layouts() -> Iterator[Case]:
    """Random depths, channels, kinds of alpha, turns and compressions in the headers."""
    for kind, make in _MAKERS.items():
        for number in range(RANDOM):
            rng = np.random.default_rng([zlib.crc32(kind.encode()), number])
            yield f"layout {number}.{kind}", make(rng)


def layout_bombs() -> Iterator[Case]:
    """The largest deep pictures, and headers that hide what is to come."""
    for name, colour, channels, side in (
        ("colour", 2, 3, 5030),
        ("alpha", 6, 4, 4350),
        ("grey", 4, 2, 6160),
    ):
        size = side * (1 + 2 * channels * side)
        yield f"most of deep {name}.png", partial(_zeros_png, side, colour, size)
        yield f"most of deep {name}.tiff", partial(_zeros_tiff, side, channels, "u2")
    for kind, side in (("f8", 4350), ("u4", 6160)):
        yield f"most of {kind}.tiff", partial(_zeros_tiff, side, 1, kind)
    yield (
        "most of fields.bmp",
        lambda: fields(16, (0xF00, 0xF0, 0xF, 0), 4358, 4358).ljust(39_000_000, b"\0"),
    )
    yield "huge behind a small extent.avif", _lying_avif
    for name in ("deep.jp2", "bare.j2k"):
        yield f"huge {name}", partial(_huge_jpeg_2000, name, 8000, 8000)
        yield f"huge tiles {name}", partial(_huge_jpeg_2000, name, 6000, 2**31 - 1)
        yield f"many tiles {name}", partial(_huge_jpeg_2000, name, 6000, 1)
    yield "million boxes.avif", seeds()["deep.avif"][:32] + b"\0\0\0\x08free" * 6_000_000
    yield "million boxes.jxl", seeds()["boxed.jxl"][:32] + b"\0\0\0\x08free" * 6_000_000
    bomb = chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zeros(2**27))
    small = chunk(b"IDAT", zlib.compress(bytes(65 * 64)))
    yield "many bombs of xmp.png", png(64, 64, 8, 0, bomb * 300, small)
    yield "overlapping directories.tiff", _overlapping()
    yield "ring of previews.tiff", _ring_of_previews()
    yield (
        "million entries.tiff",
        tiff((256, 4, 1, 64), (257, 4, 1, 64), (330, 4, 2**24, 8), tail=bytes(4096)),
    )


def _zeros_png(side: int, colour: int, size: int) -> bytes:
    return png(side, side, 16, colour, chunk(b"IDAT", zeros(size)))


def _zeros_tiff(side: int, channels: int, kind: str) -> bytes:
    return tiff_of(Page(np.zeros((side, side, channels), kind), compression=8))


def _lying_avif() -> bytes:
    """64 million pixels by the stream, and a few by the header."""
    picture = Image.new("L", (8000, 8000)).convert("RGB")
    file = bytearray(encoded(picture, "AVIF", speed=10, quality=1))
    struct.pack_into(">2I", file, file.index(b"ispe") + 8, 64, 64)
    return bytes(file)


def _huge_jpeg_2000(name: str, side: int, tile: int) -> bytes:
    file = bytearray(seeds()[name])
    start = file.index(b"\xff\x4f\xff\x51")
    struct.pack_into(">2I", file, start + 8, side, side)
    struct.pack_into(">2I", file, start + 24, tile, tile)
    return bytes(file)


def _overlapping() -> bytes:
    """A thousand directories in the same bytes, each of four thousand tags."""
    body = bytearray(60_000)
    for place in range(0, 4000, 4):
        struct.pack_into("<H", body, place, 4000)
    return b"II*\0\x08\0\0\0" + bytes(body)


def _ring_of_previews() -> bytes:
    """Each of a thousand previews leads to the sixty-four that come next."""
    directory = 2 + 4 * 12 + 4
    parts = [b"II*\0\x08\0\0\0"]
    for number in range(1000):
        start = 8 + number * directory
        nested = 8 + 1000 * directory
        entries = ((254, 4, 1, 1), (256, 4, 1, 64), (257, 4, 1, 64), (330, 4, 64, nested))
        parts.append(struct.pack("<H", 4) + b"".join(struct.pack("<HHII", *one) for one in entries))
        parts.append(struct.pack("<I", start + directory if number < 999 else 8))
    starts = range(8, 8 + 64 * directory, directory)
    return b"".join(parts) + struct.pack("<64I", *starts)
