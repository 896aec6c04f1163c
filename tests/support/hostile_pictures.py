"""Hostile pictures, built by code, that lie, break off or explode; see `hostile_layouts`, too."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
from PIL import Image

from tests.support.pictures import encoded, gradient

Case = tuple[str, bytes | Callable[[], bytes]]
"""What is wrong with a file, and the file, or what makes it if that takes long."""

HUGE = 8000  # pixels a side: with HUGE x HUGE a picture holds as many pixels as are allowed
SIDES = (0, 1, 31, 32, HUGE, HUGE + 1, 65_535, 2**31 - 1, 2**31, 2**32 - 1)


@cache
def seeds() -> dict[str, bytes]:
    """A sound file of every kind, as their writers make them."""
    grey = gradient()
    deep = grey.astype(np.uint16) * 257
    rgb = Image.fromarray(np.stack([grey, grey[::-1], grey[:, ::-1]], axis=2))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a chest"
    jpeg = {
        "grey.jpg": encoded(grey, "JPEG"),
        "colour.jpg": encoded(rgb, "JPEG", exif=exif),
        "progressive.jpg": encoded(rgb, "JPEG", progressive=True),
        "cmyk.jpg": encoded(rgb.convert("CMYK"), "JPEG"),
        "pages.mpo": encoded(grey, "MPO", save_all=True, append_images=[Image.fromarray(grey)]),
    }
    png = {
        "grey.png": encoded(grey),
        "deep.png": encoded(deep),
        "colour.png": encoded(rgb, exif=exif),
        "palette.png": encoded(rgb.quantize(), transparency=bytes(9)),
        "bilevel.png": encoded(rgb.convert("1")),
        "alpha.png": encoded(rgb.convert("RGBA"), dpi=(99, 99)),
        "animated.png": encoded(grey, save_all=True, append_images=[Image.fromarray(grey[::-1])]),
    }
    webp = {
        "lossy.webp": encoded(rgb, "WEBP", exif=exif),
        "lossless.webp": encoded(rgb.convert("RGBA"), "WEBP", lossless=True),
        "animated.webp": encoded(
            grey, "WEBP", save_all=True, append_images=[Image.fromarray(grey[::-1])]
        ),
    }
    bmp = {
        "grey.bmp": encoded(grey, "BMP"),
        "colour.bmp": encoded(rgb, "BMP"),
        "alpha.bmp": encoded(rgb.convert("RGBA"), "BMP"),
        "bilevel.bmp": encoded(rgb.convert("1"), "BMP"),
    }
    return jpeg | png | webp | bmp | _tiff_seeds(grey, rgb)


def _tiff_seeds(grey: np.ndarray, rgb: Image.Image) -> dict[str, bytes]:
    packed = ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
    return {
        "grey.tiff": encoded(grey, "TIFF"),
        "deep.tiff": encoded(grey.astype(np.uint16) * 257, "TIFF"),
        "float.tiff": encoded(grey.astype(np.float32), "TIFF"),
        "colour.tiff": encoded(rgb, "TIFF"),
        "group4.tiff": encoded(rgb.convert("1"), "TIFF", compression="group4"),
        "pages.tiff": encoded(grey, "TIFF", save_all=True, append_images=[rgb]),
        **{f"{name}.tiff": encoded(rgb, "TIFF", compression=name) for name in packed},
    }


def chunk(name: bytes, body: bytes) -> bytes:
    """One chunk of a PNG, with a true checksum."""
    checksum = struct.pack(">I", zlib.crc32(name + body))
    return struct.pack(">I", len(body)) + name + body + checksum


def png(width: int, height: int, depth: int, colour: int, *chunks: bytes, lace: int = 0) -> bytes:
    """A PNG with that header; without chunks it has a little data of zeros."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, lace)
    body = chunks or (chunk(b"IDAT", zlib.compress(bytes(100))),)
    return b"".join([b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), *body, chunk(b"IEND", b"")])


@cache
def zeros(count: int) -> bytes:
    """Compress that many zeros, a thousand times smaller."""
    packer = zlib.compressobj(9)
    block = bytes(2**20)
    parts = [packer.compress(block) for _ in range(count // len(block))]
    return b"".join([*parts, packer.compress(bytes(count % len(block))), packer.flush()])


def tiff(*entries: tuple[int, int, int, int], tail: bytes = b"", following: int = 0) -> bytes:
    """A little-endian TIFF with one directory of (tag, type, count, value), then `tail`."""
    directory = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    head = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    return head + directory + struct.pack("<I", following) + tail


def plain_tiff(width: int, height: int, bits: int = 8, **tags: int) -> bytes:
    """An uncompressed TIFF with that header and a little data."""
    entries = {
        256: (4, 1, width), 257: (4, 1, height), 258: (3, 1, bits), 259: (3, 1, 1),
        262: (3, 1, 1), 273: (4, 1, 8), 277: (3, 1, 1), 278: (4, 1, height), 279: (4, 1, 4096),
    }  # fmt: skip
    entries |= {int(name[1:]): (3, 1, value) for name, value in tags.items()}
    return tiff(*((tag, *rest) for tag, rest in entries.items()), tail=bytes(4096))


def bmp(width: int, height: int, bits: int = 8, compression: int = 0) -> bytes:
    """A BMP with that header and a little data."""
    size = struct.pack("<IIIHH", 40, width, height, 1, bits)
    rest = struct.pack("<IIIIII", compression, 0, 1, 1, 256, 0)
    return b"BM" + struct.pack("<IHHI", 4096, 0, 0, 1078) + size + rest + bytes(4096)


def jpeg(width: int, height: int, precision: int = 8, components: int = 1) -> bytes:
    """A JPEG whose frame header claims that."""
    file = encoded(gradient(), "JPEG")
    place = file.index(b"\xff\xc0")
    claim = struct.pack(">BHHB", precision, height & 0xFFFF, width & 0xFFFF, components)
    return file[: place + 4] + claim + file[place + 10 :]


def webp(width: int, height: int) -> bytes:
    """A WebP whose extended header claims that canvas."""
    canvas = struct.pack("<II", width - 1 & 0xFFFFFF, height - 1 & 0xFFFFFF)
    extended = b"VP8X" + struct.pack("<II", 10, 0) + canvas[:3] + canvas[4:7]
    body = b"WEBP" + extended + encoded(gradient(), "WEBP")[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def extents() -> Iterator[Case]:
    """Impossible and extreme sizes in the header of every format."""
    for width in SIDES:
        for height in SIDES:
            yield f"{width}x{height}.png", png(width, height, 8, 0)
    pairs = [(side, other) for side in SIDES for other in (side, 100)]
    pairs += [(other, side) for side, other in pairs if side != other]
    for width, height in pairs:
        yield f"{width}x{height}.tiff", plain_tiff(width, height)
        yield f"{width}x{height}.bmp", bmp(width, height)
        yield f"{width}x{height}.webp", webp(width, height)
        yield f"{width}x{height}.jpg", jpeg(width, height)


def depths() -> Iterator[Case]:
    """Bit depths and kinds of colour that are allowed, and those that are not."""
    for depth in (0, 1, 2, 4, 8, 16, 32, 255):
        for colour in (0, 2, 3, 4, 6, 7):
            yield f"depth {depth} of kind {colour}.png", png(64, 64, depth, colour)
        for photometric in (0, 1, 2, 3, 5, 6, 8):
            yield (
                f"depth {depth} as {photometric}.tiff",
                plain_tiff(64, 64, depth, t262=photometric),
            )
        for form in (1, 2, 3, 4, 6):
            yield f"depth {depth} sample {form}.tiff", plain_tiff(64, 64, depth, t339=form)
        for compression in (0, 1, 2, 3, 4, 99):
            yield f"depth {depth} packed {compression}.bmp", bmp(64, 64, depth, compression)
        for components in (0, 1, 2, 3, 4, 255):
            yield f"depth {depth} of {components}.jpg", jpeg(64, 64, depth, components)
    for compression in (0, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 34712, 34925, 50000, 50001, 65535):
        yield f"compression {compression}.tiff", plain_tiff(64, 64, t259=compression)
    for count in (0, 2, 3, 4, 5, 255, 65_535):
        yield f"{count} samples.tiff", plain_tiff(64, 64, t277=count)
    for orientation in (0, 9, 65_535):
        yield f"orientation {orientation}.tiff", plain_tiff(64, 64, t274=orientation)
