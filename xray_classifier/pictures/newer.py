"""AVIF, JPEG XL and JPEG 2000, decoded apart; and HEIC, which is refused by its name.

Extents are read from the headers, and what the decoders do not heed: turns, several pictures,
colours that are not red, green and blue. HEIC is refused since its decoders are under the LGPL,
and what they decode under patents.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging.apart import decode_apart
from xray_classifier.imaging.boxes import Box, boxes, find
from xray_classifier.imaging.grey import Samples, to_grey
from xray_classifier.imaging.limits import check_depth, check_extent, several_images
from xray_classifier.imaging.radiograph import GreyImage

_COPIES = 6  # bytes for each pixel of AVIF and JPEG XL, whose decoders work on planes of their own

_AVIF = {b"avif", b"avis"}
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_HDR = {8: "linear", 16: "PQ", 18: "HLG"}  # transfer characteristics (ITU-T H.273)
_MOST = 4096  # entries that are looked at

_XL_BOX, _XL_STREAM = b"\0\0\0\x0cJXL \r\n\x87\n", b"\xff\x0a"
_RATIOS = ((0, 0), (1, 1), (6, 5), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # of width to height

_2000_BOX, _2000_STREAM, _2000_END = b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51", b"\xff\xd9"
_RGB, _GREY, _YCC = 16, 17, 18  # colour spaces (ITU-T T.800, table I.10)
_OPACITY = 1  # a type of channel, of which 0 is colour (table I.16)
_MOST_BITS = 16


def is_avif(data: bytes) -> bool:
    """Tell by the brands at the start."""
    return bool(_brands(data) & _AVIF)


def is_heic(data: bytes) -> bool:
    """Tell by the brands at the start."""
    return bool(_brands(data) & _HEIC) and not is_avif(data)


def is_jpeg_xl(data: bytes) -> bool:
    """Tell by the first bytes, in boxes or bare."""
    return data.startswith((_XL_BOX, _XL_STREAM))


def is_jpeg_2000(data: bytes) -> bool:
    """Tell by the first bytes, in boxes or bare."""
    return data.startswith((_2000_BOX, _2000_STREAM))


def refuse_heic(_: bytes) -> Image.Image:
    """Say that such a picture cannot be read.

    Raises:
        UnreadableImageError: always.
    """
    raise UnreadableImageError(
        "HEIC pictures cannot be read here. Save the picture as JPEG or PNG; an iPhone takes JPEG "
        "after Settings > Camera > Formats > Most Compatible."
    )


def read_avif(data: bytes) -> Image.Image:
    """Decode the primary picture of an AVIF, turned as its properties say: not EXIF, by standard.

    Raises:
        UnreadableImageError: too large, a sequence, or for HDR screens.
        Exception: of many kinds, where the file is damaged.
    """
    if find(data, b"moov"):
        raise UnreadableImageError(several_images("several"))
    properties = list(_properties(data))
    place = {box.kind: box.start for box in properties}
    width, height = struct.unpack_from(">2I", data, place[b"ispe"] + 4)
    _check(width, height)
    if b"colr" in place and data.startswith(b"nclx", place[b"colr"]):
        (transfer,) = struct.unpack_from(">H", data, place[b"colr"] + 6)
        if transfer in _HDR:
            raise UnreadableImageError(
                f"The AVIF image is made for HDR screens ({_HDR[transfer]}) and would look wrong "
                "here. Save it as JPEG or PNG."
            )
    bits = data[place[b"pixi"] + 5] if b"pixi" in place else None
    grey = _to_grey(decode_apart("avif", "AVIF", data), bits)
    for box in properties:
        if box.kind == b"irot":  # quarter turns anticlockwise
            grey = np.rot90(grey, data[box.start] & 3)
        elif box.kind == b"imir":  # top to bottom, or left to right
            grey = np.flip(grey, data[box.start] & 1)
    return Image.fromarray(np.ascontiguousarray(grey))


def read_jpeg_xl(data: bytes) -> Image.Image:
    """Decode a JPEG XL, which libjxl turns as its header says: not EXIF, by standard.

    Raises:
        UnreadableImageError: too large, or an animation.
        Exception: of many kinds, where the file is damaged.
    """
    starts = {b"jxlc": 0, b"jxlp": 4}  # a part of several has its number before it
    place = next((box.start + starts[box.kind] for box in boxes(data) if box.kind in starts), 0)
    if not data.startswith(_XL_STREAM, place):
        raise ValueError("no codestream")
    header = _Header(data[place + len(_XL_STREAM) : place + 64])
    _check(*header.extent())
    animated, bits = header.metadata()
    if animated:
        raise UnreadableImageError(several_images("several"))
    return Image.fromarray(_to_grey(decode_apart("jpegxl", "JPEG XL", data), bits))


def read_jpeg_2000(data: bytes) -> Image.Image:
    """Decode a JPEG 2000 (ITU-T T.800).

    Raises:
        UnreadableImageError: too large, several pictures, or a kind that nobody reads.
        Exception: of many kinds, where the file is damaged.
    """
    streams = [box for box in boxes(data) if box.kind == b"jp2c"]
    if len(streams) > 1:
        raise UnreadableImageError(several_images(len(streams)))
    if not streams and data.startswith(_2000_BOX):
        raise ValueError("no whole box of a codestream")
    stream = data[streams[0].start : streams[0].end] if streams else data
    right, bottom, left, top, *_, count = struct.unpack_from(">8IH", stream, 8)
    width, height = right - left, bottom - top
    if min(width, height) < 1:
        raise ValueError("no pixels")
    check_extent(width, height)
    check_depth(width, height, 2 * max(count, 1))
    if not stream.startswith(_2000_STREAM) or _2000_END not in stream[-16:]:
        raise ValueError("no whole codestream")
    header = find(data, b"jp2h") if streams else None
    space = _colour_space(data, header)
    components = [*struct.iter_unpack("3B", stream[42 : 42 + 3 * count])]
    if reason := _reason_against(components, space, find(data, b"pclr", within=header)):
        raise UnreadableImageError(
            f"The JPEG 2000 image is stored in a way that cannot be read here: {reason}. Save it "
            "as JPEG or PNG."
        )
    samples = decode_apart("jpeg2k", "JPEG 2000", stream).reshape(height, width, count)
    colours, opacity = _channels(data, find(data, b"cdef", within=header), count)
    grey = to_grey(
        samples[..., :1] if space == _YCC else samples[..., colours],
        None if opacity is None else samples[..., opacity],
        bits=_depth(components[0]),
        lossy=True,
    )
    return Image.fromarray(grey)


def _brands(data: bytes) -> set[bytes]:
    """Give the brands of a file whose first box has them."""
    first = next(boxes(data[:1024]), None)
    if first is None or first.kind != b"ftyp":
        return set()
    brands = data[first.start : first.end]
    return {brands[:4], *(brands[place : place + 4] for place in range(8, len(brands), 4))}


def _check(width: int, height: int) -> None:
    check_extent(width, height)
    check_depth(width, height, _COPIES)


def _to_grey(samples: Samples, bits: int | None) -> GreyImage:
    """Make grey of what has 1 to 4 channels, the second or fourth of them opacity."""
    channels = samples.shape[2] if samples.ndim == 3 else 1
    if channels > 4:  # one plane after the other: grey, and what is no opacity
        samples = samples[0]
    if channels in (2, 4):
        return to_grey(samples[..., :-1], samples[..., -1], bits=bits, lossy=True)
    return to_grey(samples, bits=bits, lossy=True)


def _properties(data: bytes) -> Iterator[Box]:
    """Give what an AVIF says of its primary picture (ISO/IEC 23008-12, 9.3), in its order."""
    primary, association, container = (
        find(data, b"meta", *path) for path in ((b"pitm",), (b"iprp", b"ipma"), (b"iprp", b"ipco"))
    )
    if not (primary and association and container):
        raise ValueError("no properties")
    known = [*boxes(data, container.start, container.end)]
    wide = data[primary.start] > 0  # its version
    item = int.from_bytes(data[primary.start + 4 : primary.start + (8 if wide else 6)])
    version, flags = data[association.start], data[association.start + 3]
    (entries,) = struct.unpack_from(">I", data, association.start + 4)
    place = association.start + 8
    for _ in range(min(entries, _MOST)):
        of, count = struct.unpack_from(">IB" if version else ">HB", data, place)
        place += 5 if version else 3
        indices = struct.unpack_from(f">{count}{'H' if flags & 1 else 'B'}", data, place)
        place += count * (2 if flags & 1 else 1)
        if of == item:
            yield from (known[(index & (0x7FFF if flags & 1 else 0x7F)) - 1] for index in indices)


class _Header:
    """The start of a JPEG XL codestream (ISO/IEC 18181-1, annex D), read bit by bit."""

    def __init__(self, data: bytes) -> None:
        self._bits = int.from_bytes(data, "little")

    def _read(self, count: int) -> int:
        value = self._bits & ((1 << count) - 1)
        self._bits >>= count
        return value

    def _choose(self, *options: tuple[int, int]) -> int:
        """Read a number in the bits that two bits choose, and add the offset that goes with it."""
        offset, count = options[self._read(2)]
        return offset + self._read(count)

    def extent(self) -> tuple[int, int]:
        """Read width and height."""
        return self._extent(lambda: 1 + self._read(5), (1, 9), (1, 13), (1, 18), (1, 30))

    def metadata(self) -> tuple[bool, int | None]:
        """Read, behind the extent, whether there may be several pictures, and the bits of one.

        Returns:
            For an animation, and for floats, no bits.
        """
        if self._read(1):  # all is as usual
            return False, 8
        if self._read(1):
            self._read(3)  # how libjxl will turn it
            if self._read(1):
                self.extent()  # on a screen
            if self._read(1):  # of a preview
                eighths = ((16, 0), (32, 0), (1, 5), (33, 9))
                pixels = ((1, 6), (65, 8), (321, 10), (1345, 12))
                self._extent(lambda: self._choose(*eighths), *pixels)
            if self._read(1):
                return True, None
        floats = self._read(1)
        return False, None if floats else self._choose((8, 0), (10, 0), (12, 0), (1, 6))

    def _extent(self, eighths: Callable[[], int], *pixels: tuple[int, int]) -> tuple[int, int]:
        in_eighths = self._read(1)

        def side() -> int:
            return 8 * eighths() if in_eighths else self._choose(*pixels)

        height = side()
        across, down = _RATIOS[self._read(3)]
        return (height * across // down if down else side()), height


def _colour_space(data: bytes, header: Box | None) -> int | None:
    """Give the number of the colour space of a JPEG 2000 (I.5.3.3); None for a profile or none."""
    box = find(data, b"colr", within=header) if header else None
    if box is None or data[box.start] != 1:
        return None
    return int.from_bytes(data[box.start + 3 : box.start + 7])


def _depth(component: tuple[int, ...]) -> int:
    """Give the bits of a component of a JPEG 2000 (A.5.1), signed or not."""
    return component[0] % 128 + 1


def _reason_against(
    components: list[tuple[int, ...]], space: int | None, palette: Box | None
) -> str:
    """Say why a JPEG 2000 cannot be shown; empty if it can."""
    if len(components) not in range(1, 6):
        return f"{len(components)} components"
    if any(step != 1 for _, *steps in components for step in steps):
        return "components with fewer samples than pixels"
    if len({depth for depth, *_ in components}) > 1:
        return "components of several depths"
    if _depth(components[0]) > _MOST_BITS:
        return f"{_depth(components[0])} bits"
    if palette:
        return "a palette"
    return "" if space in (None, _RGB, _GREY, _YCC) else f"colour space {space}"


def _channels(data: bytes, box: Box | None, count: int) -> tuple[slice | list[int], int | None]:
    """Give which components of a JPEG 2000 are colours, and which is opacity (I.5.3.6)."""
    colours = 1 if count < 3 else 3
    if box is None:
        return slice(colours), (colours if count == colours + 1 else None)
    told = [*struct.iter_unpack(">3H", data[box.start + 2 : box.start + 2 + 6 * count])]
    opacity = next((channel for channel, kind, _ in told if kind == _OPACITY), None)
    told.sort(key=lambda entry: entry[2])  # by the colour that it is
    order = [channel for channel, kind, _ in told if not kind]
    return (order if order != [*range(colours)] else slice(colours)), opacity
