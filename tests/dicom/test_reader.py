from __future__ import annotations

import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from tests.support.dicom_files import (
    IDENTIFIER,
    NAME,
    dataset,
    dicom,
    image_of,
    written,
)
from tests.support.pictures import gradient
from xray_classifier.dicom.reader import KEPT, name_of, read
from xray_classifier.errors import UnreadableImageError
from xray_classifier.inputs.decoding import MAX_BYTES, decode

SECONDS = 2
MEGABYTES = 300
ROOM = MAX_BYTES - 10_000  # bytes for what a hostile file repeats

CLASS = b"1.2.840.10008.5.1.4.1.1.1\0"
DEFLATED = str(DeflatedExplicitVRLittleEndian).encode()


def element(tag: tuple[int, int], kind: bytes, value: bytes) -> bytes:
    """Write an element in explicit little-endian form."""
    if kind in (b"OB", b"OW", b"SQ", b"UN", b"UT"):
        return struct.pack("<HH2sHL", *tag, kind, 0, len(value)) + value
    return struct.pack("<HH2sH", *tag, kind, len(value)) + value


def beginning(syntax: bytes = b"1.2.840.10008.1.2.1\0") -> bytes:
    return bytes(128) + b"DICM" + element((2, 16), b"UI", syntax)


EMPTY = element((9, 16), b"LO", b"")
ITEM = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
NESTED = struct.pack("<HH2sHL", 8, 0x1140, b"SQ", 0, 0xFFFFFFFF) + ITEM


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def with_tail(*parts: bytes) -> bytes:
    """Put elements before the pixels of a sound file, regardless of the order of tags."""
    file = dicom(gradient())
    place = file.index(struct.pack("<HH", 0x7FE0, 0x10))
    return file[:place] + b"".join(parts) + file[place:]


def implicit_with(*parts: bytes) -> bytes:
    """The same in implicit form."""
    file = dicom(gradient(), ImplicitVRLittleEndian)
    place = file.index(struct.pack("<HH", 0x7FE0, 0x10))
    return file[:place] + b"".join(parts) + file[place:]


HOSTILE: dict[str, Callable[[], bytes]] = {
    "millions of empty elements": lambda: beginning() + EMPTY * (ROOM // len(EMPTY)),
    "millions of elements that are kept": lambda: (
        beginning() + element((8, 0x60), b"CS", b"") * (ROOM // 8)
    ),
    "millions of elements of the meta group": lambda: (
        bytes(128) + b"DICM" + element((2, 2), b"UI", b"") * (ROOM // 8)
    ),
    "millions of nested sequences": lambda: beginning() + NESTED * (ROOM // len(NESTED)),
    "a deflate bomb of zeros": lambda: beginning(DEFLATED) + deflated(bytes(100 * 2**20)),
    "a deflate bomb of elements": lambda: beginning(DEFLATED) + deflated(EMPTY * (7 * 2**20)),
    "millions of fragments": lambda: (
        dicom(syntax=JPEG2000, frame=b"ab")[:-16]
        + struct.pack("<HHL2s", 0xFFFE, 0xE000, 2, b"ab") * (ROOM // 10)
        + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    ),
    "a lookup table of a million items": lambda: with_tail(
        element((0x28, 0x3010), b"SQ", struct.pack("<HHL", 0xFFFE, 0xE000, 0) * 2**20)
    ),
    "a lookup table of a million elements": lambda: with_tail(
        element((0x28, 0x3010), b"SQ", ITEM + EMPTY * 2**20)
    ),
    "a million windows": lambda: with_tail(element((0x28, 0x1050), b"UT", b"1\\" * 2**20)),
    "a million windows of implicit kind": lambda: implicit_with(
        *(struct.pack("<HHL", 0x28, tag, 2**21) + b"1\\" * 2**20 for tag in (0x1050, 0x1051))
    ),
    "a modality of 40 MB": lambda: beginning() + element((8, 0x60), b"UT", b"A\\" * (20 * 2**20)),
    "a length beyond the end": lambda: (
        beginning() + struct.pack("<HH2sHL", 8, 0x60, b"UT", 0, 2**32 - 2) + b"CR"
    ),
    "nothing after the mark": lambda: bytes(128) + b"DICM",
    "junk after the mark": lambda: bytes(128) + b"DICM" + bytes(range(256)) * 100,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_is_read_or_refused_in_little_time_and_memory(name: str) -> None:
    file = HOSTILE[name]()
    assert len(file) <= MAX_BYTES
    image_of(dicom())  # imports
    start = time.process_time()
    try:
        assert decode(file).image.shape == (60, 80)
    except UnreadableImageError as error:
        assert str(error).endswith(".")  # noqa: PT017 - either outcome is right
    assert time.process_time() - start < SECONDS


@pytest.mark.parametrize("name", ["a deflate bomb of zeros", "a million windows"])
def test_hostile_file_takes_little_memory(name: str) -> None:
    file = HOSTILE[name]()
    tracemalloc.start()
    try:
        decode(file)
    except UnreadableImageError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < MEGABYTES * 2**20


@pytest.mark.parametrize("name", ["a million windows", "a million windows of implicit kind"])
def test_values_are_bounded_before_they_are_parsed(name: str) -> None:
    file = HOSTILE[name]()
    start = time.process_time()
    assert (decode(file).image == gradient()).all()
    assert time.process_time() - start < 0.2


def test_deflate_bomb_is_called_by_its_name() -> None:
    with pytest.raises(UnreadableImageError, match="unpacks to more than 64 MB"):
        decode(HOSTILE["a deflate bomb of zeros"]())


def test_deflated_file_that_is_cut_off_is_refused() -> None:
    file = dicom(syntax=DeflatedExplicitVRLittleEndian)
    with pytest.raises(UnreadableImageError, match=r"breaks off|incomplete|holds no picture"):
        decode(file[: len(file) - 60])


def test_deep_nesting_is_refused_not_a_crash() -> None:
    with pytest.raises(UnreadableImageError, match="damaged or incomplete"):
        decode(beginning() + NESTED * 3000)


# Missing pieces that pydicom understands


@pytest.mark.parametrize("marked", [True, False])
def test_missing_transfer_syntax_is_guessed(marked: bool) -> None:
    body = written(dataset()).split(b"DICM", 1)[1]
    length = struct.unpack_from("<L", body, 8)[0]
    bare = body[12 + length :]
    file = bytes(128) + b"DICM" + bare if marked else bare
    assert (image_of(file) == gradient()).all()


def test_nothing_but_what_is_used_is_read() -> None:
    found = read(dicom(), 132).elements._dataset
    assert {one.keyword for one in found} <= {*KEPT, "SpecificCharacterSet"}
    assert NAME not in str(found)
    assert IDENTIFIER not in str(found)


def test_sequence_that_cannot_be_read_is_damage() -> None:
    file = with_tail(element((0x28, 0x3010), b"SQ", b"no item at all"))
    with pytest.raises(UnreadableImageError, match="damaged or incomplete"):
        decode(file)


def test_uids_are_named_only_by_the_standard() -> None:
    assert name_of(ExplicitVRLittleEndian) == "Explicit VR Little Endian"
    assert name_of("1.2.3.4.5") == ""
    assert name_of(NAME) == ""
    assert name_of(None) == ""
