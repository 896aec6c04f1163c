"""Hostile DICOM, built by code: headers that lie, and compressed pixels that contradict them."""

from __future__ import annotations

import io
import itertools
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from tests.support.dicom_files import (
    compressed,
    compressed_frames,
    dataset,
    dicom,
    lookup_table,
    rle_frame,
    written,
)
from tests.support.hostile_bombs import scans_of
from tests.support.hostile_pictures import SIDES, Case
from tests.support.pictures import encoded, gradient

MARKUP = "<img src=x onerror=alert(1)>"
TEXTS = ("", MARKUP, "../../etc/passwd", "A" * 16_000, "\0", "ü中\u202e", "1\\2\\3", "-1", "1e999")
NUMBERS = (0, 1, 2, 7, 9, 16, 17, 32, 255, 32_767, 65_535)
TEXT_TAGS = (
    *("Modality", "BodyPartExamined", "ViewPosition", "PatientOrientation", "PatientName"),
    *("PatientAge", "PatientBirthDate", "StudyDate", "PhotometricInterpretation", "PatientID"),
    *("BurnedInAnnotation", "PresentationIntentType", "VOILUTFunction", "SOPClassUID"),
    *("NumberOfFrames", "RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth"),
)
NUMBER_TAGS = (
    *("SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("PlanarConfiguration", "PixelPaddingValue", "PixelPaddingRangeLimit"),
)
WINDOWS = ("0", "-0", "1e308", "-1e308", "1e-308", "nan", "inf", "1")


@cache
def seeds() -> dict[str, bytes]:
    """A sound file of every transfer syntax."""
    deep = gradient().astype(np.uint16) * 16
    plain = {
        "explicit.dcm": dicom(deep, BitsStored=12),
        "implicit.dcm": dicom(deep, ImplicitVRLittleEndian, BitsStored=12),
        "big endian.dcm": dicom(deep, ExplicitVRBigEndian, BitsStored=12),
        "deflated.dcm": dicom(deep, DeflatedExplicitVRLittleEndian, BitsStored=12),
        "colour.dcm": dicom(np.stack([gradient()] * 3, axis=2)),
        "windowed.dcm": dicom(deep, WindowCenter="2048", WindowWidth="4096", BitsStored=12),
        "table.dcm": dicom(deep, BitsStored=12, VOILUTSequence=[lookup_table(range(4096))]),
    }
    return plain | {f"{syntax.name}.dcm": file for syntax, file in compressed().items()}


def tags() -> Iterator[Case]:
    """Every element that is read, missing or with values of every kind."""
    for keyword in (*TEXT_TAGS, *NUMBER_TAGS, "Rows", "Columns"):
        if keyword in dataset():
            yield f"no {keyword}.dcm", written(_without(keyword))
    for keyword, text in itertools.product(TEXT_TAGS, TEXTS):
        yield from _made(f"{keyword} {text[:20]!r}.dcm", **{keyword: text})
    for keyword, number in itertools.product(NUMBER_TAGS, NUMBERS):
        yield from _made(f"{keyword} {number}.dcm", **{keyword: number})
    for slope, intercept in itertools.product(WINDOWS, WINDOWS[::2]):
        yield from _made(
            f"slope {slope} {intercept}.dcm", RescaleSlope=slope, RescaleIntercept=intercept
        )
        yield from _made(
            f"window {slope} {intercept}.dcm", WindowCenter=intercept, WindowWidth=slope
        )
    for entries, first, bits in itertools.product((1, 256, 65_536), (0, -5), (0, 8, 16, 255)):
        table = lookup_table(range(min(entries, 65_535)), first, bits)
        yield from _made(f"table {entries} {first} {bits}.dcm", VOILUTSequence=[table])
        yield from _made(f"curve {entries} {first} {bits}.dcm", ModalityLUTSequence=[table])


def _without(keyword: str) -> Dataset:
    made = dataset()
    del made[keyword]
    return made


def _made(name: str, **elements: Any) -> Iterator[Case]:
    """A file with those elements, unless pydicom itself cannot write it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = dataset(gradient().astype(np.uint16) * 16)
            for keyword, value in elements.items():
                _force(made, keyword, value)
            yield name, written(made)
    except (ValueError, TypeError, OverflowError, AttributeError, UnicodeError):
        return


def _force(made: Any, keyword: str, value: Any) -> None:
    setattr(made, keyword, value)
    if keyword == "VOILUTSequence":
        made.BitsStored, made.HighBit = 12, 11


def lies() -> Iterator[Case]:
    """Sizes and depths that the pixels do not have, in every compression."""
    for width, height in itertools.product(SIDES, SIDES):
        if width < 2**16 and height < 2**16:
            yield from _made(f"{width}x{height}.dcm", Columns=width, Rows=height)
    for name, file in seeds().items():
        for old, new in ((b"\x3c\0", b"\0\0"), (b"\x3c\0", b"\xff\xff"), (b"\x50\0", b"\x40\x1f")):
            yield f"size {new.hex()} in {name}", file.replace(old, new)
        yield f"said twice {name}", file + file[132:]
        yield f"no preamble {name}", file[132:]
        yield f"no meta {name}", file[:132] + file[132 + 150 :]


def bombs() -> Iterator[Case]:
    """Compressed pixels that take long or much, or would if they were believed."""
    progressive = scans_of(2000, 3000)
    yield "scans.dcm", dicom(np.zeros((2000, 2000), np.uint8), JPEGBaseline8Bit, progressive)
    for syntax, encode in (
        (JPEG2000Lossless, partial(imagecodecs.jpeg2k_encode, level=0, codecformat="j2k")),
        (JPEGLSLossless, imagecodecs.jpegls_encode),
        (JPEGLosslessSV1, partial(imagecodecs.jpeg8_encode, lossless=True, bitspersample=16)),
        (RLELossless, lambda wide: rle_frame([wide.astype(np.uint8)] * 2)),
    ):
        yield f"huge {syntax.name}.dcm", partial(_huge, syntax, encode)
    wide = np.zeros((4000, 6000), np.uint16)
    yield "huge deflated.dcm", partial(dicom, wide, DeflatedExplicitVRLittleEndian)
    small = bytes(imagecodecs.jpeg2k_encode(gradient(), 0, codecformat="j2k"))
    for tile in (0, 1, 2, 2**31, 2**32 - 1):
        frame = small[:24] + struct.pack(">II", tile, tile) + small[32:]
        yield f"tiles of {tile}.dcm", dicom(gradient(), JPEG2000Lossless, frame)
    for place in range(4, 60):
        frame = small[:place] + b"\xff" + small[place + 1 :]
        yield f"stream {place}.dcm", dicom(gradient(), JPEG2000Lossless, frame)
    yield (
        "many fragments.dcm",
        dicom(gradient(), RLELossless, b"ab").replace(
            b"\xfe\xff\xdd\xe0", b"\xfe\xff\0\xe0\0\0\0\0" * 2_000_000 + b"\xfe\xff\xdd\xe0"
        ),
    )


def _huge(syntax: UID, encode: Callable[[NDArray[np.uint16]], Any]) -> bytes:
    wide = np.zeros((6000, 6000), np.uint16)
    return dicom(wide, syntax, bytes(encode(wide)))


KINDS = (
    *("MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT"),
    *("PALETTE COLOR", "ARGB"),
)
WORDS = (0, 1, 2, 7, 8, 9, 12, 15, 16, 17, 255, 256, 4095, 4096, 32_768, 65_535)
LISTS = ("", "0", "-1", "2048", "\\\\40", "x\\7", "nan", "1e300\\2", "0\\0\\5", "1\\" * 900 + "1")
LISTED = ("NumberOfFrames", "WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept")
SEQUENCES = ("VOILUTSequence", "ModalityLUTSequence")
HEADERS = 300


def headers() -> Iterator[Case]:
    """Headers of random words, most of which contradict the pixels and each other."""
    rng = np.random.default_rng(12)
    frames = list(compressed_frames().items())
    for number in range(HEADERS):
        pixels = gradient().astype((np.uint8, np.uint16)[rng.integers(2)])
        plain = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian)
        syntax, frame = UID(plain[rng.integers(3)]), None
        if rng.random() < 0.4:  # a stream of another compression than the header says
            syntax, frame = frames[rng.integers(len(frames))][0], frames[number % len(frames)][1]
        made = dataset(pixels, frame)
        if rng.random() < 0.5:
            made.PixelData = bytes(made.PixelData) * int(rng.integers(1, 7))
        made.SamplesPerPixel = (1, 1, 3, 3, 4)[rng.integers(5)]
        for keyword in rng.choice(NUMBER_TAGS[1:], 2):
            made.add_new(keyword, "US", int(rng.choice(WORDS)))
        for keyword in rng.choice(LISTED, 3):
            made.add_new(keyword, "LO", LISTS[rng.integers(len(LISTS))])
        made.PhotometricInterpretation = KINDS[rng.integers(len(KINDS))]
        for keyword in SEQUENCES[: rng.integers(3)]:
            made.add_new(keyword, "SQ", [_random_table(rng) for _ in range(rng.integers(4))])
        for ink in ("Red", "Green", "Blue"):
            _add_table(made, rng, f"{ink}PaletteColorLookupTable")
        yield f"header {number}.dcm", written(made, syntax)


def _random_table(rng: np.random.Generator) -> Dataset:
    item = Dataset()
    _add_table(item, rng, "LUT")
    return item


def _add_table(item: Dataset, rng: np.random.Generator, name: str) -> None:
    """A descriptor and data that have nothing to do with it, or one of both."""
    descriptor = [int(word) for word in rng.choice(WORDS, rng.choice([0, 1, 2, 3, 3, 3, 3]))]
    if rng.random() < 0.9:
        item.add_new(f"{name}Descriptor", "US", descriptor)
    if rng.random() < 0.9:
        length = int(rng.choice([0, 2, 256, 510, 512, 8190, 8192, 131_072]))
        data = np.sort(rng.integers(0, 2**16, length // 2)).astype("<u2").tobytes()
        item.add_new(f"{name}Data", ("OW", "OB")[rng.integers(2)], data)


def doubles() -> Iterator[Case]:
    """A DICOM file whose preamble makes it a file of another kind as well."""
    file = dicom()
    shell = b"#!/bin/sh\necho hostile\nexit\n"
    for name, head in (("elf", b"\x7fELF"), ("shell", shell), ("exe", b"MZ"), ("pdf", b"%PDF-1.4")):
        yield f"{name} in the preamble.dcm", head.ljust(128, b"\0") + file[128:]
    picture = encoded(gradient(), "TIFF")
    yield "tiff in the preamble.dcm", picture[:8].ljust(128, b"\0") + file[128:] + picture
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.txt", "hidden")
    yield "zip behind.dcm", file + stream.getvalue()
