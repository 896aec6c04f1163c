from __future__ import annotations

import time

import pytest

from tests.support.pictures import encoded, gradient
from xray_classifier.imaging.jpeg_segments import END, SCAN, Segment, segments

PICTURE = encoded(gradient(), "JPEG", progressive=True)


def test_segments_of_a_picture_are_found_in_their_order() -> None:
    stream = b"\xff\xd8\xff\xfe\0\4ab\xff\xff\xda\0\3c12\xff\x003\xff\xd04\xff\xd9\xff\xda"
    assert list(segments(stream)) == [
        Segment(0xFE, 6, 8),
        Segment(SCAN, 13, 14),
        Segment(END, 26, 24),
    ]


def test_scans_of_a_progressive_picture_are_counted_though_others_stand_around() -> None:
    comment = b"\xff\xfe" + (2 + len(PICTURE)).to_bytes(2) + PICTURE
    stream = PICTURE[:2] + comment + PICTURE[2:] + PICTURE
    found = [segment.marker for segment in segments(stream)]
    assert found.count(SCAN) == PICTURE.count(b"\xff\xda") > 1
    assert found[-1] == END


def test_picture_within_a_file_is_read_from_its_place() -> None:
    alone = [segment.marker for segment in segments(PICTURE)]
    assert [segment.marker for segment in segments(b"noise" + PICTURE, 5)] == alone


@pytest.mark.parametrize("stream", [b"", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8" + bytes(99)])
def test_stream_without_segments_has_none(stream: bytes) -> None:
    assert list(segments(stream)) == []


def test_segments_are_limited() -> None:
    with pytest.raises(ValueError, match="over 100000 segments"):
        list(segments(b"\xff\xd8" + b"\xff\xfe\0\2" * 100_001))


def test_fifty_megabytes_of_restarts_are_passed_over_quickly() -> None:
    stream = b"\xff\xd8\xff\xda\0\2" + b"\xff\xd0" * (25 * 2**20)
    start = time.process_time()
    assert [segment.marker for segment in segments(stream)] == [SCAN]
    assert time.process_time() - start < 2
