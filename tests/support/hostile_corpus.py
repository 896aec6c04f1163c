"""The whole corpus of hostile files: some 5,000, the same on every machine, none of a patient."""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np

from tests.support import hostile_dicom, hostile_layouts, hostile_pictures
from tests.support.hostile_archives import archive, archives
from tests.support.hostile_bombs import MANY, bombs
from tests.support.hostile_pictures import Case
from tests.support.pictures import encoded, gradient

MAX_SECONDS, MAX_MEGABYTES = 2, 300
"""What one file may take of the processor's time, and of memory beyond what was there before."""

FLIPPED, CUT = 30, 12
"""How many versions of each sound file have bits turned over, and how many break off."""

HEADER = 400  # bytes, within which most turned bits lie
WORDS = (0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)

NAMES = (
    *("plain.png", "UPPER.PNG", "no suffix", ".hidden.png", "a" * 240 + ".png", "two  spaces.png"),
    *(" leading.png", "trailing .png", "dot..png", "-rf.png", "--help.png", "~.png", "$HOME.png"),
    *("`id`.png", ";id.png", "a|b.png", "a&b.png", "a*b?.png", "[a].png", "{a,b}.png", "#a.png"),
    *("%2e%2e%2f.png", "%s%n.png", "a'b.png", 'a"b.png', "a\\b.png", "a\nb.png", "a\tb.png"),
    *("\x1b[31mred.png", "\x07bell.png", "\x7f.png", "<b>bold<b>.png", "=1+1.png", "@sum.png"),
    *("<img src=x onerror=alert(1)>.png", "{{7*7}}.png", "**bold**.png", ":material.png"),
    *(
        "ünïcödé.png",
        "u\u0308.png",
        "中文.png",
        "عربى.png",
        "🫁.png",
        "\u202egnp.exe",
        "\ufeff.png",
    ),
    *("\u200b.png", "\u2028.png", "a\u00a0b.png", "con.png", "nul", "a.png.exe", "x.dcm", "x.zip"),
)
"""File names with every kind of character that a file system takes."""


def seeds() -> dict[str, bytes]:
    """Sound files of all supported kinds."""
    return hostile_pictures.seeds() | hostile_layouts.seeds() | hostile_dicom.seeds()


def cut() -> Iterator[Case]:
    for name, file in seeds().items():
        lengths = np.unique(np.geomspace(1, len(file) - 1, CUT).astype(int))
        yield from ((f"cut at {length} {name}", file[:length]) for length in lengths)
        yield f"without its start {name}", file[len(file) // 2 :]


def flipped() -> Iterator[Case]:
    """Single bits and bytes turned over, most of them in the header."""
    for name, file in seeds().items():
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        for version in range(FLIPPED):
            changed = np.frombuffer(file, np.uint8).copy()
            reach = min(len(file), HEADER) if version % 3 else len(file)
            places = rng.integers(0, reach, 1 + version % 7)
            changed[places] ^= (1 << rng.integers(0, 8, len(places))).astype(np.uint8)
            yield f"flipped {version} {name}", changed.tobytes()


def replaced() -> Iterator[Case]:
    """Lengths and counts of the header replaced by extreme ones."""
    for name, file in seeds().items():
        rng = np.random.default_rng(zlib.crc32(name.encode()) + 1)
        for word in WORDS:
            place = int(rng.integers(4, min(len(file), HEADER) - 4))
            yield (
                f"{word:x} at {place} {name}",
                file[:place] + struct.pack(">I", word) + file[place + 4 :],
            )


def doubles() -> Iterator[Case]:
    """Files that are of two kinds at once, or not of the kind that they say they are."""
    script = b"<script>alert(1)</script>"
    zipped = archive(("a.png", encoded(gradient())))
    heads = {
        "pdf": b"%PDF-1.4\n",
        "gif": b"GIF89a/*",
        "html": b"<html>" + script,
        "bom": b"\xef\xbb\xbf",
    }
    for name, file in seeds().items():
        yield f"zip behind {name}", file + zipped
        yield f"markup behind {name}", file + script
        yield f"itself behind {name}", file + file
    for kind, head in heads.items():
        for name in ("grey.jpg", "grey.png", "grey.tiff", "explicit.dcm"):
            yield f"{kind} before {name}", head + seeds()[name]
    files = list(seeds().items())
    for (name, first), (other, second) in zip(files, files[1:] + files[:1], strict=True):
        yield f"chimera of {name} and {other}", first[:64] + second[64:]
    for kind in ("GIF", "PDF", "PPM", "ICNS", "ICO", "TGA", "PCX", "JPEG2000", "SGI", "EPS"):
        yield f"{kind} by another name.png", encoded(gradient(), kind)
    yield "svg.png", b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    yield "entities.svg", b'<!DOCTYPE a [<!ENTITY a "&a;&a;">]><svg>&a;</svg>'


def sizes() -> Iterator[Case]:
    """Nothing, next to nothing, and as much as is allowed or more."""
    yield "empty.png", b""
    for value in (0, 10, 255):
        yield f"one byte {value}.png", bytes([value])
        yield f"limit of {value}.png", bytes([value]) * MANY
        yield f"over the limit of {value}.png", bytes([value]) * (MANY + 1)
    yield "noise.png", np.random.default_rng(1).bytes(MANY)
    for name in ("grey.jpg", "grey.png", "lossy.webp", "grey.bmp", "grey.tiff", "explicit.dcm"):
        file = seeds()[name]
        yield f"only the start of {name}", file[:8]
        yield f"zeros behind {name}", file.ljust(MANY, b"\0")
        yield f"start and noise {name}", file[:64] + np.random.default_rng(2).bytes(2**20)


Family = Callable[[], Iterator[Case]]
FAMILIES: tuple[Family, ...] = (
    *(cut, flipped, replaced, doubles, sizes, bombs, archives),
    *(hostile_pictures.extents, hostile_pictures.depths),
    *(hostile_layouts.layouts, hostile_layouts.layout_bombs),
    *(hostile_dicom.tags, hostile_dicom.lies, hostile_dicom.headers),
    *(hostile_dicom.bombs, hostile_dicom.doubles),
)


def corpus(step: int = 1, but: Family | None = None) -> Iterator[tuple[str, bytes]]:
    """Each file of the corpus, or each `step`-th of every family, but for one."""
    for family in FAMILIES:
        if family is but:
            continue
        for name, file in made(family, step):
            yield f"{family.__name__}: {name}", file


def made(family: Family, step: int = 1) -> Iterator[tuple[str, bytes]]:
    """Make each `step`-th file of a family; the others are not made, where that takes long."""
    for name, file in itertools.islice(family(), 0, None, step):
        yield name, file() if callable(file) else file
