"""Hostile ZIP files, built by code."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from collections.abc import Iterator

from tests.support.hostile_pictures import Case
from tests.support.pictures import encoded, gradient
from xray_classifier.inputs.decoding import MAX_BYTES

_NOISE = random.Random(1).randbytes(2**20)  # noqa: S311 - keeps the ratio low
PATHS = (
    *("../up.png", "../../../../tmp/up.png", "/etc/cron.d/up.png", "C:\\up.png", "..\\..\\up.png"),
    *(
        "a/../../up.png",
        "./x.png",
        "",
        "/",
        "con.png",
        "x" * 255 + ".png",
        "\x00.png",
        "\x1b[2J.png",
    ),
    *("<img src=x onerror=alert(1)>.png", "=1+1.png", "\u202egnp.exe", "ü中🫁.png", "a\nb.png"),
)


def archive(*members: tuple[str, bytes], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP file of those members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packing) as made:
        for name, data in members:
            made.writestr(zipfile.ZipInfo(name), data, packing)
    return stream.getvalue()


def archives() -> Iterator[Case]:
    """Bombs, nests, liars, and members that would leave the folder."""
    picture = encoded(gradient())
    yield "empty.zip", archive()
    yield "sound.zip", archive(("a.png", picture), ("b.png", picture))
    for number, path in enumerate(PATHS):
        yield f"path {number}.zip", archive((path, picture))
    yield "bomb.zip", lambda: _bomb(2**28)
    yield "bomb of the limit.zip", lambda: _bomb(MAX_BYTES)
    yield "bomb beside noise.zip", lambda: _bomb(MAX_BYTES, ("b", _NOISE))
    yield "too large beside noise.zip", lambda: _bomb(MAX_BYTES + 1, ("b", _NOISE))
    yield "lying bomb.zip", lambda: _lie(_bomb(2**28), {24: 100})
    yield (
        "lying bomb beside noise.zip",
        lambda: _lie(_bomb(2**28, ("b", _NOISE)), {24: MAX_BYTES}),
    )
    yield "many bombs.zip", lambda: archive(*((f"{n}.png", bytes(2**24)) for n in range(30)))
    yield "many members.zip", lambda: archive(*((f"{n}.png", b"x") for n in range(20_000)))
    nest = picture
    for level in range(30):
        nest = archive((f"{level}.zip", nest))
    yield "nested.zip", nest
    yield "same name.zip", _twice(picture)
    yield "link.zip", _link()
    yield from _liars(archive(("a.png", picture)))
    yield "overlapping.zip", _overlapping(picture)


def _bomb(size: int, *others: tuple[str, bytes]) -> bytes:
    """A member of so many zeros, and perhaps others."""
    return archive(("a.png", bytes(size)), *others)


def _twice(picture: bytes) -> bytes:
    """Two members of one name, as `zipfile` would only write with a warning."""
    two = archive(("a.png", picture), ("b.png", picture))
    return two.replace(b"b.png", b"a.png")


def _link() -> bytes:
    info = zipfile.ZipInfo("link.png")
    info.external_attr = 0o120777 << 16  # a symbolic link
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        made.writestr(info, "/etc/passwd")
    return stream.getvalue()


def _liars(sound: bytes) -> Iterator[Case]:
    """Lengths, checksums and flags of the directory that are not true."""
    central = sound.index(b"PK\1\2")
    for name, place, value in (
        ("checksum", 16, 0),
        ("packed size", 20, 2**32 - 2),
        ("size", 24, 2**32 - 2),
        ("small size", 24, 1),
        ("offset", 42, 2**32 - 2),
    ):
        yield f"lying {name}.zip", _lie(sound, {place: value})
    for name, place, value in (("encrypted", 8, 1), ("unknown packing", 10, 99)):
        file = bytearray(sound)
        struct.pack_into("<H", file, central + place, value)
        yield f"{name}.zip", bytes(file)
    for length in range(4, len(sound), max(1, len(sound) // 12)):
        yield f"cut at {length}.zip", sound[:length]


def _lie(sound: bytes, values: dict[int, int]) -> bytes:
    """Put other numbers at those places of the directory's first entry."""
    file = bytearray(sound)
    for place, value in values.items():
        struct.pack_into("<I", file, sound.index(b"PK\1\2") + place, value)
    return bytes(file)


def _overlapping(picture: bytes) -> bytes:
    """A hundred directory entries, of different names, for the bytes of one member."""
    one = archive(("00.png", picture))
    central, end = one.index(b"PK\1\2"), one.index(b"PK\5\6")
    entry = one[central:end]
    entries = [entry.replace(b"00.png", b"%02d.png" % number) for number in range(100)]
    tail = bytearray(one[end:])
    struct.pack_into("<HHI", tail, 8, 100, 100, 100 * len(entry))
    return one[:central] + b"".join(entries) + bytes(tail)
