"""Pictures of any depth and number of channels, in every kind of file that keeps them."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from tests.support.hostile_pictures import chunk, png
from tests.support.pictures import encoded
from tests.support.tiff_files import PACKINGS, Page, tiff_of

Samples = NDArray[Any]
Writer = Callable[[Samples, int, np.random.Generator], bytes]
"""Writes samples that use so many bits."""

DEPTHS = (8, 10, 12, 14, 16)
GREY, RGB, GREY_ALPHA, RGB_ALPHA = 0, 2, 4, 6
_COLOUR_TYPES = {1: GREY, 2: GREY_ALPHA, 3: RGB, 4: RGB_ALPHA}  # of PNG, by channels
_PASSES = (
    *((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4)),
    *((2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)),
)
"""First row and column, and steps between rows and columns, of each pass of Adam7."""


def png16(samples: Samples, colour: int, *chunks: bytes, lace: bool = False) -> bytes:
    """A PNG of 16 bits a sample, perhaps interlaced, with chunks before the data."""
    height, width = samples.shape[:2]
    raw = _filtered(samples)
    if lace:
        parts = [samples[top::down, left::across] for top, left, down, across in _PASSES]
        raw = b"".join(_filtered(part) for part in parts if part.size)
    data = chunk(b"IDAT", zlib.compress(raw))
    return png(width, height, 16, colour, *chunks, data, lace=int(lace))


def _filtered(samples: Samples) -> bytes:
    return b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)


def avif(samples: Samples, bits: int) -> bytes:
    return bytes(imagecodecs.avif_encode(samples, level=100, speed=10, bitspersample=bits))


def jpeg_xl(samples: Samples, bits: int, *, boxes: bool = False) -> bytes:
    return bytes(
        imagecodecs.jpegxl_encode(samples, lossless=True, bitspersample=bits, usecontainer=boxes)
    )


def jpeg_2000(samples: Samples, bits: int, *, boxes: bool = True) -> bytes:
    kind = "JP2" if boxes else "J2K"
    return bytes(imagecodecs.jpeg2k_encode(samples, level=0, bitspersample=bits, codecformat=kind))


def decode_here(codec: str, name: str, data: bytes) -> Samples:
    """Decode as `decode_apart` does, without the process that it starts for each picture."""
    samples: Samples = np.ascontiguousarray(getattr(imagecodecs, f"{codec}_decode")(data))
    samples.flags.writeable = False
    return samples


def deep_jpeg(samples: Samples, bits: int) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(samples, lossless=True, bitspersample=bits))


def _any_png(samples: Samples, bits: int, rng: np.random.Generator) -> bytes:
    if bits == 8 and rng.random() < 0.5:
        return encoded(samples)
    channels = samples.shape[2] if samples.ndim == 3 else 1
    samples = samples.astype(np.uint16)
    if channels in (2, 4) and rng.random() < 0.5:
        samples[..., -1] = 65_535
    return png16(samples, _COLOUR_TYPES[channels], lace=bool(rng.integers(2)))


def _any_tiff(samples: Samples, bits: int, rng: np.random.Generator) -> bytes:
    compression = int(rng.choice(list(PACKINGS)))
    tile = (int(rng.integers(1, 5)) * 16, int(rng.integers(1, 5)) * 16)
    wider = samples.astype(rng.choice(["u4", "i4", "f4", "f8"])) if rng.random() < 0.3 else samples
    page = Page(
        wider,
        "<>"[rng.integers(2)],
        compression,
        planar=bool(rng.integers(2)),
        tile=tile if rng.random() < 0.5 else None,
        predictor=wider.dtype.kind != "f" and compression not in (1, 32773) and rng.random() < 0.5,
    )
    return tiff_of(page, big=rng.random() < 0.3)


def _any_jpeg(samples: Samples, bits: int, rng: np.random.Generator) -> bytes:
    return deep_jpeg(samples, 16 if bits > 12 or rng.random() < 0.3 else max(bits, 9))


WRITERS: dict[str, tuple[Writer, tuple[int, ...], tuple[int, ...]]] = {
    "PNG": (_any_png, DEPTHS, (1, 2, 3, 4)),
    "TIFF": (_any_tiff, DEPTHS, (1, 2, 3, 4)),
    "JPEG": (_any_jpeg, (10, 12, 14, 16), (1, 3)),
    "AVIF": (lambda samples, bits, _: avif(samples, bits), (8, 10, 12), (1, 2, 3, 4)),
    "JPEG XL": (
        lambda samples, bits, rng: jpeg_xl(samples, bits, boxes=bool(rng.integers(2))),
        DEPTHS,
        (1, 2, 3, 4),
    ),
    "JPEG 2000": (
        lambda samples, bits, rng: jpeg_2000(samples, bits, boxes=bool(rng.integers(2))),
        DEPTHS,
        (1, 2, 3, 4),
    ),
}
"""What writes a kind of file, the bits that its samples may use, and how many channels it has."""


def random_picture(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Smooth shades with noise and some text-like edges, black and white among them."""
    height, width = rng.integers(32, 100, 2)
    rows, columns = np.mgrid[0:height, 0:width]
    waves = np.sin(rows / rng.uniform(3, 30)) + np.cos(columns / rng.uniform(3, 30))
    shades = (waves + 2) * 60 + rng.normal(0, rng.uniform(0, 20), (height, width))
    picture = shades.clip(0, 255).astype(np.uint8)
    picture[2:5, 2:9], picture[6:9, 2:9] = 255, 0
    return picture


def random_file(kind: str, rng: np.random.Generator) -> tuple[str, bytes, bytes]:
    """A picture in a kind of file, and the same in a PNG of 8 bits without alpha.

    Returns:
        What it is in words, the file, and the PNG.
    """
    write, depths, counts = WRITERS[kind]
    bits, count = int(rng.choice(depths)), int(rng.choice(counts))
    picture = random_picture(rng)
    if count >= 3:
        others = (np.roll(picture, step, axis=1) for step in rng.integers(0, 9, 2))
        picture = np.dstack([picture, *others])
    full = 2**bits - 1
    samples = np.round(picture.astype(np.float64) * full / 255)
    samples = samples.astype(np.uint8 if bits == 8 else np.uint16)
    if count in (2, 4):
        samples = np.dstack([samples, np.full(samples.shape[:2], full, samples.dtype)])
    return f"{bits} bits in {count} channels", write(samples, bits, rng), encoded(picture)
