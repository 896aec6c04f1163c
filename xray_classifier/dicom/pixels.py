"""The Pixel Data of a DICOM file to stored values.

Before anything is decoded, the size that a compressed stream claims is compared with the header.
Decoders are those of imagecodecs: libjpeg-turbo, CharLS, OpenJPEG (which reads HTJ2K, too) and
PackBits. Sections refer to PS3.5 of the DICOM standard.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import uid

from xray_classifier.dicom import streams
from xray_classifier.dicom.evidence import (
    Depth,
    are_planes,
    is_grey,
    is_luma_and_chroma,
    settle_depth,
    usual_depth,
)
from xray_classifier.dicom.layout import NEGATIVE, PALETTE, POSITIVE, RGB, SUBSAMPLED, Layout
from xray_classifier.dicom.reader import name_of
from xray_classifier.dicom.streams import Claim
from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging.limits import check_scans

_NATIVE = {
    *(uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian),
    *(uid.ExplicitVRBigEndian, uid.DeflatedExplicitVRLittleEndian),
}
_MAX_JPEG_2000 = 16 * 2**20  # bytes; OpenJPEG decodes some 6 MB a second on a core
_END = b"\xff\xd9"  # of a JPEG, JPEG-LS or JPEG 2000 stream
_SCAN = b"\xff\xda"
_MOST_SCANS = 16  # of a JPEG that is decoded twice
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, of red, green and blue
_ROWS = 256  # that are weighted at once, in 8 bytes a value
_END_REACH = 16  # bytes; one of padding may stand behind the end, some writers leave more


@dataclass(frozen=True)
class StoredPixels:
    """The pixels of a DICOM file as they are stored.

    Attributes:
        values: shape (rows, columns), or (rows, columns, 3) for colour that is not yet luma;
            uint8 or uint16 below 2 ** bits.
        bits: bits in use.
        lowest: the stored value that 0 in `values` stands for: below 0 for signed pixels.
        guessed: whether neither header nor pixels tell for sure how they are to be read.
    """

    values: NDArray[np.uint8] | NDArray[np.uint16]
    bits: int
    lowest: int = 0
    guessed: bool = False


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
    # What was unpacked keeps the syntax of what it was packed in, now and then.
    unpacked = layout.syntax in streams.KINDS and len(raw) - layout.needed in (0, 1)
    if not layout.compressed and (layout.syntax in _NATIVE or unpacked):
        return _in_grey(_from_cells(_native(raw, layout), layout), layout)
    if layout.syntax not in streams.KINDS or not layout.compressed:
        raise UnreadableImageError(
            "The pixels of the DICOM file are stored in a way that is not known here: Transfer "
            f"Syntax UID (0002,0010) is {name_of(layout.syntax) or 'not one of the standard'}, the "
            f"pixels are {'' if layout.compressed else 'not '}compressed. Export the radiograph "
            "uncompressed (Explicit VR Little Endian)."
        )
    stream = b"".join(streams.fragments(raw))
    claim = streams.read_claim(stream, layout.syntax)
    if claim is None:
        return _in_grey(_rle(stream, layout), layout)
    _compare(stream, claim, layout)
    return _in_grey(_DECODERS[claim.kind](stream, claim, layout), layout)


def _native(raw: bytes, layout: Layout) -> NDArray[Any]:
    """Lay out pixels that are not compressed (8.1.1)."""
    order = "<" if layout.little_endian else ">"
    if order == ">" and layout.allocated == 8 and layout.in_words:
        raw = np.frombuffer(raw, "<u2", len(raw) // 2).byteswap().tobytes()
    kind = np.dtype(f"{order}u{layout.allocated // 8}")
    if len(raw) < layout.needed:
        raise UnreadableImageError(
            f"The DICOM file is incomplete: it holds {len(raw)} bytes of pixels, but by its header "
            f"{layout.needed}. Export or download it again."
        )
    flat = np.frombuffer(raw, kind, layout.needed // kind.itemsize)
    flat = flat.astype(kind.newbyteorder("="), copy=False)
    if layout.photometric == SUBSAMPLED:  # Y1 Y2 Cb Cr for every two pixels, and Y is the luma
        return flat.reshape(-1, 4)[:, :2].reshape(layout.rows, layout.columns)
    return _in_channels(flat, layout)


def _in_channels(flat: NDArray[Any], layout: Layout) -> NDArray[Any]:
    if layout.samples == 1:
        return flat.reshape(layout.rows, layout.columns)
    if are_planes(flat, layout.planar):
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


def _jpeg(stream: bytes, claim: Claim, layout: Layout) -> StoredPixels:
    """Decode JPEG of 8, 12 or 16 bits, lossy or not (8.2.1); lossy colour becomes luma."""
    check_scans(stream, claim.height * claim.width)
    if claim.components == 1 or claim.lossless:
        return _from_stream(imagecodecs.jpeg8_decode(stream), layout, claim)
    # Without a marker libjpeg takes three components for YCbCr, whatever the header says.
    marked = b"JFIF\0" in stream[:64] or b"Adobe" in stream[:1024]
    source = "RGB" if layout.photometric == RGB and not marked else None
    says_rgb = source is not None or b"Adobe" in stream[:1024]  # and may be wrong
    if says_rgb and stream.count(_SCAN) <= _MOST_SCANS:
        untouched = imagecodecs.jpeg8_decode(stream, colorspace="RGB", outcolorspace="RGB")
        if is_luma_and_chroma(untouched, claim.precision):
            return _from_stream(np.ascontiguousarray(untouched[..., 0]), layout, claim)
    luma = imagecodecs.jpeg8_decode(stream, colorspace=source, outcolorspace="GRAYSCALE")
    return _from_stream(luma, layout, claim)


def _jpeg_ls(stream: bytes, claim: Claim, layout: Layout) -> StoredPixels:
    """Decode JPEG-LS (8.2.3). CharLS spins for seconds on a stream without its end marker."""
    return _from_stream(imagecodecs.jpegls_decode(stream), layout, claim)


def _jpeg_2000(stream: bytes, claim: Claim, layout: Layout) -> StoredPixels:
    """Decode JPEG 2000, high throughput or not (8.2.4, 8.2.14). Its own sign counts first."""
    stream = stream[stream.index(streams.JPEG_2000_START) :]  # without the boxes of a JP2 file
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
    return _from_stream(values, layout, claim)


def _compare(stream: bytes, claim: Claim, layout: Layout) -> None:
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
    bits, guessed = _bits(values, layout, layout.allocated)
    depth = _settled(values, Depth(bits, layout.shift, layout.signed), layout)
    return _counted(values, depth, guessed=guessed)


def _from_stream(values: NDArray[Any], layout: Layout, claim: Claim) -> StoredPixels:
    """Reconcile the depth of a compressed stream with the header: either may say too much."""
    bits, guessed = _bits(values, layout, claim.precision)
    depth = _settled(values, Depth(min(bits, claim.precision), 0, layout.signed), layout)
    if not depth.signed and int(values.max()) >> depth.bits + depth.shift:  # no overlay in here
        depth = Depth(min(usual_depth(values), claim.precision))
    return _counted(values, depth, guessed=guessed)


def _bits(values: NDArray[Any], layout: Layout, most: int) -> tuple[int, bool]:
    """The bits in use, and whether that is a guess: often all 16 are said to hold 12 or 14."""
    if layout.bits is not None:
        return layout.bits, False
    return (usual_depth(values), True) if most == 16 else (most, False)


def _settled(values: NDArray[Any], said: Depth, layout: Layout) -> Depth:
    """Correct the depth of grey; colours, and their numbers in a palette, are never signed."""
    if layout.photometric in (NEGATIVE, POSITIVE):
        return settle_depth(values, said)
    return said if layout.photometric == PALETTE else replace(said, signed=False)


def _counted(values: NDArray[Any], depth: Depth, *, guessed: bool) -> StoredPixels:
    """Count from the lowest value: turning the sign bit does so in two's complement."""
    if depth.bits < 8 * values.itemsize:
        values = values >> depth.shift & (2**depth.bits - 1)
    half = 2 ** (depth.bits - 1)
    if depth.signed:
        return StoredPixels(values ^ half, depth.bits, -half, guessed)
    return StoredPixels(values, depth.bits, guessed=guessed)


def _in_grey(stored: StoredPixels, layout: Layout) -> StoredPixels:
    """Take the luma out of three channels where the header is wrong about what they are."""
    values: NDArray[Any] = stored.values
    if values.ndim == 2 or layout.photometric not in (NEGATIVE, POSITIVE, RGB):
        return stored
    chroma = is_luma_and_chroma(values, stored.bits)
    if layout.photometric == RGB and not chroma:
        return stored
    if chroma or is_grey(values, stored.bits):
        return replace(stored, values=np.ascontiguousarray(values[..., 0]))
    luma = np.empty(values.shape[:2], values.dtype)
    for start in range(0, len(values), _ROWS):
        rows = slice(start, start + _ROWS)
        luma[rows] = np.round(values[rows] @ _LUMA)
    return replace(stored, values=luma, guessed=True)


_DECODERS: dict[str, Callable[[bytes, Claim, Layout], StoredPixels]] = {
    streams.JPEG: _jpeg,
    streams.JPEG_LS: _jpeg_ls,
    streams.JPEG_2000: _jpeg_2000,
}
