"""What the compressed pixels of a DICOM file say of themselves, told before they are decoded."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from pydicom import uid
from pydicom.encaps import generate_fragments, parse_basic_offsets

from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging.jpeg_segments import FRAMES, SCAN, START, segments
from xray_classifier.imaging.limits import MeteredStream

JPEG, JPEG_LS, JPEG_2000, RLE = "JPEG", "JPEG-LS", "JPEG 2000", "RLE"

KINDS: dict[str, str] = {
    **dict.fromkeys((uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit), JPEG),
    **dict.fromkeys((uid.JPEGLossless, uid.JPEGLosslessSV1), JPEG),
    **dict.fromkeys((uid.JPEGLSLossless, uid.JPEGLSNearLossless), JPEG_LS),
    **dict.fromkeys((uid.JPEG2000Lossless, uid.JPEG2000), JPEG_2000),
    **dict.fromkeys((uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K), JPEG_2000),
    uid.RLELossless: RLE,
}
"""The kind of compression by transfer syntax."""

JPEG_2000_START = b"\xff\x4f\xff\x51"
_JP2_START = b"\0\0\0\x0cjP  "  # the boxes of a JP2 file around such a stream
_REACH = 2**20  # bytes from the start, within which a stream describes itself

_LOSSLESS, _LS = 0xC3, 0xF7  # JPEG markers (ITU-T T.81 table B.1, T.87) that begin a frame
_CODING = b"\xff\x52"  # the marker segment of JPEG 2000 that tells of a colour transform


@dataclass(frozen=True)
class Claim:
    """What a compressed stream says of itself.

    Attributes:
        kind: one of `KINDS`.
        height: in pixels.
        width: in pixels.
        components: values for each pixel.
        precision: bits of each.
        lossless: whether it is JPEG without a cosine transform.
        becomes_rgb: whether decoding it yields RGB, whatever the header says (JPEG 2000).
    """

    kind: str
    height: int
    width: int
    components: int
    precision: int
    lossless: bool = False
    becomes_rgb: bool = False


def fragments(raw: bytes) -> Iterator[bytes]:
    """The fragments of a Pixel Data element, without the table of offsets.

    Raises:
        Exception: of many kinds, where the bytes are no fragments.
    """
    stream = MeteredStream(raw)
    parse_basic_offsets(stream)  # nobody needs the offset of the only frame
    yield from generate_fragments(stream)


def beginning(raw: bytes) -> bytes:
    """The first fragments together, as many as a stream needs to describe itself."""
    found, length = [], 0
    for fragment in fragments(raw):
        found.append(fragment)
        length += len(fragment)
        if length > _REACH:
            break
    return b"".join(found)


def count_frames(raw: bytes, syntax: str) -> int:
    """Count the fragments that begin a picture; of RLE each does (PS3.5 A.4.2)."""
    rle = KINDS.get(syntax) == RLE
    starts = (START, JPEG_2000_START, _JP2_START)
    return sum(rle or fragment.startswith(starts) for fragment in fragments(raw))


def count_segments(stream: bytes) -> int:
    """Count the byte planes of RLE (PS3.5 G.3)."""
    return int(struct.unpack_from("<L", stream)[0])


def read_claim(stream: bytes, syntax: str) -> Claim | None:
    """Read what a stream of JPEG, JPEG-LS or JPEG 2000 says; its first bytes tell which it is.

    Returns:
        None for RLE, which says nothing of all this.

    Raises:
        UnreadableImageError: none of them.
        Exception: of many kinds, where the stream is damaged.
    """
    if stream.startswith(START):
        return _jpeg_claim(stream)
    if stream.startswith((JPEG_2000_START, _JP2_START)):
        return _jpeg_2000_claim(stream)
    if KINDS.get(syntax) == RLE or _is_rle(stream):
        return None
    if KINDS.get(syntax) == JPEG_2000 and JPEG_2000_START in stream[:_REACH]:
        return _jpeg_2000_claim(stream)
    raise UnreadableImageError(
        "The DICOM file contradicts itself: its compressed pixels are neither JPEG, JPEG-LS, JPEG "
        "2000 nor RLE, its Transfer Syntax UID (0002,0010) says otherwise. Export the radiograph "
        "again."
    )


def _is_rle(stream: bytes) -> bool:
    """Whether a stream begins with the header of RLE: where each of its segments begins."""
    if len(stream) < 64:
        return False
    segments, *offsets = struct.unpack_from("<16L", stream)
    used, unused = offsets[:segments], offsets[segments:]
    rising = used == sorted(set(used)) and used[:1] == [64] and used[-1] < len(stream)
    return 0 < segments < 16 and rising and not any(unused)


def _jpeg_2000_claim(stream: bytes) -> Claim:
    """Read the segments SIZ and COD (T.800 A.5.1, A.6.1)."""
    start = stream.index(JPEG_2000_START)
    length, _, x, y, x0, y0, *_, components, precision = struct.unpack_from(
        ">HH8IHB", stream, start + 4
    )
    coding = stream.find(_CODING, start + 4 + length, _REACH)
    transformed = coding > 0 and stream[coding + 8 : coding + 9] == b"\1"
    depth = (precision & 0x7F) + 1
    return Claim(JPEG_2000, y - y0, x - x0, components, depth, becomes_rgb=transformed)


def _jpeg_claim(stream: bytes) -> Claim:
    """Read the frame header of a JPEG or JPEG-LS stream (T.81 B.2.2).

    Raises:
        ValueError: there is none.
    """
    for segment in segments(stream):
        if segment.marker in FRAMES | {_LS}:
            precision, height, width, components = struct.unpack_from(
                ">BHHB", stream, segment.start
            )
            kind = JPEG_LS if segment.marker == _LS else JPEG
            lossless = segment.marker == _LOSSLESS
            return Claim(kind, height, width, components, precision, lossless)
        if segment.marker == SCAN:
            break
    raise ValueError("no frame header")
