"""The Pixel Data of a DICOM file to stored values.

Before anything is decoded, the size that a compressed stream claims is compared with the header.
Decoders are those of imagecodecs: libjpeg-turbo, CharLS, OpenJPEG (which reads HTJ2K, too) and
PackBits. Sections refer to PS3.5 of the DICOM standard.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.encaps import generate_fragments, parse_basic_offsets

from xray_classifier.dicom.layout import RGB, SUBSAMPLED, Layout
from xray_classifier.dicom.reader import name_of
from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging.limits import MeteredStream, check_scans

_NATIVE = {
    *(uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian),
    *(uid.ExplicitVRBigEndian, uid.DeflatedExplicitVRLittleEndian),
}
_JPEG_2000_START = b"\xff\x4f\xff\x51"
_MAX_JPEG_2000 = 16 * 2**20  # bytes; OpenJPEG decodes some 6 MB a second on a core
_END = b"\xff\xd9"  # of a JPEG, JPEG-LS or JPEG 2000 stream
_END_REACH = 16  # bytes; one of padding may stand behind the end, some writers leave more

# JPEG markers (ITU-T T.81 table B.1, T.87): those that begin a frame, and those without length.
_FRAME_MARKERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_LOSSLESS = 0xC3
_BARE_MARKERS = {0x01, *range(0xD0, 0xD9)}
_SCAN = 0xDA


@dataclass(frozen=True)
class StoredPixels:
    """The pixels of a DICOM file as they are stored.

    Attributes:
        values: shape (rows, columns), or (rows, columns, 3) for colour that is not yet luma;
            uint8 or uint16 below 2 ** bits.
        bits: bits in use.
        lowest: the stored value that 0 in `values` stands for: below 0 for signed pixels.
    """

    values: NDArray[np.uint8] | NDArray[np.uint16]
    bits: int
    lowest: int = 0


@dataclass(frozen=True)
class _Claim:
    """What a compressed stream says of itself."""

    height: int
    width: int
    components: int
    precision: int
    lossless: bool = False


def unpack(raw: bytes, layout: Layout) -> StoredPixels:
    """Decode the pixels of a file.

    Args:
        raw: the value of its Pixel Data, with the fragments' tags where it is compressed.
        layout: how they are stored.

    Raises:
        UnreadableImageError: an unknown compression, too few pixels, a stream that contradicts the
            header or is cut off.
        Exception: of many kinds, where a stream is damaged.
    """
    if layout.syntax in _NATIVE and not layout.compressed:
        return _from_cells(_native(raw, layout), layout)
    decode = _DECODERS.get(layout.syntax)
    if decode is None or not layout.compressed:
        raise UnreadableImageError(
            "The pixels of the DICOM file are stored in a way that is not known here: Transfer "
            f"Syntax UID (0002,0010) is {name_of(layout.syntax) or 'not one of the standard'}, the "
            f"pixels are {'' if layout.compressed else 'not '}compressed. Export the radiograph "
            "uncompressed (Explicit VR Little Endian)."
        )
    stream = MeteredStream(raw)
    parse_basic_offsets(stream)  # nobody needs the offset of the only frame
    return decode(b"".join(generate_fragments(stream)), layout)


def _native(raw: bytes, layout: Layout) -> NDArray[Any]:
    """Lay out pixels that are not compressed (8.1.1)."""
    order = "<" if layout.little_endian else ">"
    if order == ">" and layout.allocated == 8 and layout.in_words:
        raw = np.frombuffer(raw, "<u2", len(raw) // 2).byteswap().tobytes()
    subsampled = layout.photometric == SUBSAMPLED
    count = layout.rows * layout.columns * (2 if subsampled else layout.samples)
    kind = np.dtype(f"{order}u{layout.allocated // 8}")
    if len(raw) < count * kind.itemsize:
        raise UnreadableImageError(
            f"The DICOM file is incomplete: it holds {len(raw)} bytes of pixels, but by its header "
            f"{count * kind.itemsize}. Export or download it again."
        )
    flat = np.frombuffer(raw, kind, count).astype(kind.newbyteorder("="), copy=False)
    if subsampled:  # Y1 Y2 Cb Cr for every two pixels, and Y is the luma
        return flat.reshape(-1, 4)[:, :2].reshape(layout.rows, layout.columns)
    return _in_channels(flat, layout)


def _in_channels(flat: NDArray[Any], layout: Layout) -> NDArray[Any]:
    if layout.samples == 1:
        return flat.reshape(layout.rows, layout.columns)
    if layout.planar:
        return np.moveaxis(flat.reshape(3, layout.rows, layout.columns), 0, 2)
    return flat.reshape(layout.rows, layout.columns, 3)


def _rle(stream: bytes, layout: Layout) -> StoredPixels:
    """Undo RLE: PackBits for each byte of each channel, the high bytes first (annex G)."""
    depth = layout.allocated // 8
    segments, *offsets = struct.unpack_from("<16L", stream)
    if segments != layout.samples * depth:
        raise _contradiction(f"{segments} segments")
    bounds = [*offsets[:segments], len(stream)]
    pixels = layout.rows * layout.columns
    planes = np.zeros((layout.samples, pixels), f"u{depth}")
    for index in range(segments):
        segment = stream[bounds[index] : bounds[index + 1]]
        plane = np.frombuffer(imagecodecs.packbits_decode(segment, out=pixels), np.uint8)
        if len(plane) != pixels:
            raise _contradiction(f"{len(plane)} pixels")
        planes[index // depth] = planes[index // depth] << (8 * (depth > 1)) | plane
    values = np.moveaxis(planes.reshape(-1, layout.rows, layout.columns), 0, 2)
    return _from_cells(values[..., 0] if layout.samples == 1 else values, layout)


def _jpeg(stream: bytes, layout: Layout) -> StoredPixels:
    """Decode JPEG of 8, 12 or 16 bits, lossy or not (8.2.1); lossy colour becomes luma."""
    claim = _jpeg_claim(stream)
    _compare(stream, claim, layout)
    check_scans(stream, claim.height * claim.width)
    if claim.components == 1 or claim.lossless:
        return _from_stream(imagecodecs.jpeg8_decode(stream), layout, claim.precision)
    # Without a marker libjpeg takes three components for YCbCr, whatever the header says.
    marked = b"JFIF\0" in stream[:64] or b"Adobe" in stream[:1024]
    source = "RGB" if layout.photometric == RGB and not marked else None
    luma = imagecodecs.jpeg8_decode(stream, colorspace=source, outcolorspace="GRAYSCALE")
    return _from_stream(luma, layout, claim.precision)


def _jpeg_ls(stream: bytes, layout: Layout) -> StoredPixels:
    """Decode JPEG-LS (8.2.3). CharLS spins for seconds on a stream without its end marker."""
    claim = _jpeg_claim(stream)
    _compare(stream, claim, layout)
    return _from_stream(imagecodecs.jpegls_decode(stream), layout, claim.precision)


def _jpeg_2000(stream: bytes, layout: Layout) -> StoredPixels:
    """Decode JPEG 2000, high throughput or not (8.2.4, 8.2.14). Its own sign counts first."""
    stream = stream[stream.index(_JPEG_2000_START) :]  # without the boxes of a JP2 file
    x, y, x0, y0, *_, components, precision = struct.unpack_from(">8IHB", stream, 8)
    claim = _Claim(y - y0, x - x0, components, (precision & 0x7F) + 1)
    _compare(stream, claim, layout)
    if len(stream) > _MAX_JPEG_2000:
        raise UnreadableImageError(
            f"The DICOM file holds {len(stream) / 2**20:.0f} MB of JPEG 2000, which would take too "
            f"long to decode; the limit is {_MAX_JPEG_2000 // 2**20} MB. Export the radiograph "
            "uncompressed."
        )
    values = imagecodecs.jpeg2k_decode(stream, numthreads=os.cpu_count())
    if values.dtype.kind == "i":
        half = 2 ** (claim.precision - 1)
        counted = values.view(f"u{values.dtype.itemsize}") + half  # wraps around
        return StoredPixels(counted, claim.precision, -half)
    return _from_stream(values, layout, claim.precision)


def _jpeg_claim(stream: bytes) -> _Claim:
    """Read the frame header of a JPEG or JPEG-LS stream (T.81 B.2.2).

    Raises:
        ValueError: there is none.
    """
    place = 2
    while place + 10 <= len(stream) and stream[place] == 0xFF:
        marker = stream[place + 1]
        if marker in _FRAME_MARKERS:
            precision, height, width, components = struct.unpack_from(">BHHB", stream, place + 4)
            return _Claim(height, width, components, precision, marker == _LOSSLESS)
        if marker == _SCAN:
            break
        if marker == 0xFF:  # a fill byte
            place += 1
        elif marker in _BARE_MARKERS:
            place += 2
        else:
            place += 2 + struct.unpack_from(">H", stream, place + 2)[0]
    raise ValueError("no frame header")


def _compare(stream: bytes, claim: _Claim, layout: Layout) -> None:
    wanted = (layout.rows, layout.columns, layout.samples)
    if (claim.height, claim.width, claim.components) != wanted or claim.precision > 16:
        raise _contradiction(
            f"{claim.width} x {claim.height} pixels of {claim.components} values with "
            f"{claim.precision} bits"
        )
    if _END not in stream[-_END_REACH:]:
        raise UnreadableImageError(
            "The DICOM file is incomplete: its compressed pixels break off. Export or download it "
            "again."
        )


def _contradiction(found: str) -> UnreadableImageError:
    return UnreadableImageError(
        f"The DICOM file contradicts itself: its compressed pixels are {found}, its header says "
        "otherwise. Export the radiograph again."
    )


def _from_cells(values: NDArray[Any], layout: Layout) -> StoredPixels:
    """Take the bits in use out of whole cells; the others may hold an overlay (8.1.1)."""
    if layout.bits < layout.allocated:
        values = values >> layout.shift & (2**layout.bits - 1)
    return _counted(values, layout.bits, signed=layout.signed)


def _from_stream(values: NDArray[Any], layout: Layout, precision: int) -> StoredPixels:
    """Reconcile the depth of a compressed stream with the header: either may say too much."""
    bits = min(layout.bits, precision)
    if layout.signed:
        return _counted(values & (2**bits - 1), bits, signed=True)
    return _counted(values, precision if int(values.max()) >> bits else bits, signed=False)


def _counted(values: NDArray[Any], bits: int, *, signed: bool) -> StoredPixels:
    """Count from the lowest value: turning the sign bit does so in two's complement."""
    half = 2 ** (bits - 1)
    return StoredPixels(values ^ half, bits, -half) if signed else StoredPixels(values, bits)


_DECODERS: dict[str, Callable[[bytes, Layout], StoredPixels]] = {
    **dict.fromkeys((uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit), _jpeg),
    **dict.fromkeys((uid.JPEGLossless, uid.JPEGLosslessSV1), _jpeg),
    **dict.fromkeys((uid.JPEGLSLossless, uid.JPEGLSNearLossless), _jpeg_ls),
    **dict.fromkeys((uid.JPEG2000Lossless, uid.JPEG2000), _jpeg_2000),
    **dict.fromkeys((uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K), _jpeg_2000),
    uid.RLELossless: _rle,
}
