from __future__ import annotations

import struct
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from tests.support.dicom_files import rle_frame, shades
from tests.support.pictures import encoded
from xray_classifier.dicom import streams
from xray_classifier.dicom.streams import (
    Claim,
    beginning,
    count_frames,
    count_segments,
    fragments,
    read_claim,
)
from xray_classifier.errors import UnreadableImageError

GREY, DEEP = shades(), shades(12)
COLOURS = np.dstack([GREY, GREY[::-1], GREY])


def j2k(pixels: Any, **options: Any) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(pixels, 0, **{"codecformat": "j2k", **options}))


@pytest.mark.parametrize(
    ("stream", "claim"),
    [
        (encoded(GREY, "JPEG"), Claim("JPEG", 60, 80, 1, 8)),
        (encoded(COLOURS, "JPEG"), Claim("JPEG", 60, 80, 3, 8)),
        (
            bytes(imagecodecs.jpeg8_encode(DEEP, 98, bitspersample=12)),
            Claim("JPEG", 60, 80, 1, 12),
        ),
        (
            bytes(imagecodecs.jpeg8_encode(DEEP, lossless=True, bitspersample=12)),
            Claim("JPEG", 60, 80, 1, 12, lossless=True),
        ),
        (bytes(imagecodecs.jpegls_encode(GREY)), Claim("JPEG-LS", 60, 80, 1, 8)),
        (j2k(DEEP, bitspersample=12), Claim("JPEG 2000", 60, 80, 1, 12)),
        (j2k(GREY, codecformat="jp2"), Claim("JPEG 2000", 60, 80, 1, 8)),
        (j2k(COLOURS, mct=True), Claim("JPEG 2000", 60, 80, 3, 8, becomes_rgb=True)),
        (j2k(COLOURS, mct=False), Claim("JPEG 2000", 60, 80, 3, 8)),
    ],
)
@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEGLSLossless, HTJ2KLossless])
def test_streams_say_what_they_are(syntax: str, stream: bytes, claim: Claim) -> None:
    assert read_claim(stream, syntax) == claim


def test_high_throughput_is_a_kind_of_jpeg_2000() -> None:
    found = read_claim(bytes(imagecodecs.htj2k_encode(GREY)), HTJ2KLossless)
    assert found == Claim("JPEG 2000", 60, 80, 1, 8)


def test_rle_says_only_how_many_segments_it_has() -> None:
    frame = rle_frame([GREY] * 3)
    assert read_claim(frame, RLELossless) is None
    assert count_segments(frame) == 3


@pytest.mark.parametrize("syntax", [RLELossless, JPEGBaseline8Bit, JPEG2000Lossless])
def test_rle_is_told_by_its_header(syntax: str) -> None:
    assert read_claim(rle_frame([GREY] * 3), syntax) is None


@pytest.mark.parametrize("stream", [b"\xff\xd8\xff\xda" + bytes(20), b"\xff\xd8"])
def test_a_jpeg_without_a_frame_is_damage(stream: bytes) -> None:
    with pytest.raises(ValueError, match="no frame header"):
        read_claim(stream, JPEGBaseline8Bit)


@pytest.mark.parametrize("segments", [0, 1, 2, 16, 2**31])
@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEG2000Lossless])
def test_what_is_no_stream_is_refused_by_its_tag(syntax: str, segments: int) -> None:
    for junk in (b"junk", b"", struct.pack("<L", segments) + bytes(100)):
        with pytest.raises(UnreadableImageError, match=r"neither JPEG, .* \(0002,0010\) says"):
            read_claim(junk, syntax)


def test_junk_before_jpeg_2000_is_left_out() -> None:
    assert read_claim(b"\0\0" + j2k(GREY), JPEG2000Lossless) == read_claim(j2k(GREY), RLELossless)


# Fragments


def test_fragments_come_without_the_offsets() -> None:
    raw = encapsulate([b"ab", b"cd"], has_bot=True)
    assert list(fragments(raw)) == [b"ab", b"cd"]


def test_beginning_is_no_longer_than_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_REACH", 3)
    assert beginning(encapsulate([b"ab", b"cd", b"ef"])) == b"abcd"
    assert beginning(encapsulate([b"ab"])) == b"ab"


def test_pieces_of_a_frame_are_not_counted() -> None:
    stream = j2k(DEEP)
    raw = encapsulate([stream], fragments_per_frame=5)
    assert count_frames(raw, JPEG2000Lossless) == 1
    assert count_frames(encapsulate([stream] * 3), JPEG2000Lossless) == 3
    assert count_frames(encapsulate([struct.pack("<16L", 1, 64, *[0] * 14)] * 2), RLELossless) == 2
