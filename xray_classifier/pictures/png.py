"""PNG files: their chunks without metadata, and the pictures that Pillow would cut to 8 bits.

Sections refer to the third edition of the specification (W3C, 2025).
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator

from xray_classifier.imaging.grey import to_grey
from xray_classifier.imaging.limits import MAX_READS, MAX_SAMPLE_BYTES, check_depth
from xray_classifier.imaging.radiograph import GreyImage

Info = dict[str, bytes | str]
"""What says how a picture is turned, as Pillow keeps it."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">II2B")  # how IHDR begins (11.2.1): width, height, depth, colour type
_HEADER_PLACE = 16  # bytes
_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # by colour type; palettes have 8 bits
_ALPHA = 4  # this bit of a colour type

_PICTURE = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT")
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_TURNED = re.compile(rb'tiff:Orientation(?:="|>)[0-9]')
_BLOCK = 2**16  # bytes of a text that are unpacked at once
_MAX_TEXT = 2**24  # bytes that are unpacked of a text


def is_png(data: bytes) -> bool:
    """Tell by the first bytes."""
    return data.startswith(_SIGNATURE)


def without_metadata(data: bytes) -> tuple[bytes, Info]:
    """Leave away texts, profiles and private chunks: Pillow unpacks them, and refuses large ones.

    Returns:
        The file, and of what was left away what says how the picture is turned. A file of very
        many chunks, or that breaks off, is given back as it is from there on.
    """
    parts: list[bytes] = [_SIGNATURE]
    info: Info = {}
    kept = len(_SIGNATURE)  # from where on the file is not yet in the parts
    for name, start, end in _chunks(data):
        if name in _PICTURE or name[:1].isupper():
            continue
        parts.append(data[kept:start])
        kept = end
        if name == b"eXIf":
            info.setdefault("exif", b"Exif\0\0" + data[start + 8 : end - 4])
        elif name in _TEXTS:
            keyword, _, _ = data[start + 8 : min(end, start + 80)].partition(b"\0")
            if (find := _FINDERS.get(keyword)) and keyword.decode() not in info:
                info[keyword.decode()] = _find(find, name, memoryview(data)[start + 8 : end - 4])
    if len(parts) == 1:
        return data, info
    return b"".join([*parts, data[kept:]]), info


def is_deep(data: bytes) -> bool:
    """Tell whether a PNG has 16 bits in channels that Pillow cuts to 8, or hides one of them."""
    header = data[_HEADER_PLACE : _HEADER_PLACE + _HEADER.size]
    *_, depth, colour = _HEADER.unpack(header.ljust(_HEADER.size, b"\0"))
    if depth != 16 or colour not in _CHANNELS:
        return False
    return colour != 0 or any(name == b"tRNS" for name, *_ in _chunks(data))


def decode_deep(data: bytes) -> GreyImage:
    """Decode a PNG of 16 bits a sample; a colour that tRNS names (11.3.1.1) is hidden.

    Raises:
        UnreadableImageError: too large.
        Exception: of many kinds, where the file is damaged.
    """
    from imagecodecs import png_decode

    width, height, _, colour = _HEADER.unpack_from(data, _HEADER_PLACE)
    hidden = any(name == b"tRNS" for name, *_ in _chunks(data))
    check_depth(width, height, 2 * (_CHANNELS[colour] + hidden), MAX_SAMPLE_BYTES)
    samples = png_decode(data)
    if hidden or colour & _ALPHA:
        return to_grey(samples[..., :-1], samples[..., -1])
    return to_grey(samples)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Give the name of each chunk (5.3), and where it begins and ends, as far as they go."""
    place = len(_SIGNATURE)
    for _ in range(MAX_READS):
        if place + 12 > len(data):
            break
        length, name = struct.unpack_from(">I4s", data, place)
        end = place + 12 + length
        if end > len(data) or not name.isalpha():
            break
        yield name, place, end
        if name == b"IEND":
            break
        place = end


def _find(find: Callable[[Iterator[bytes]], str], name: bytes, chunk: memoryview) -> str:
    """Look for something in the text of a chunk (11.3.3); "" if it is broken."""
    try:
        text = chunk[bytes(chunk[:80]).index(b"\0") + 1 :]
        packed = name == b"zTXt" or (name == b"iTXt" and text[0] == 1)
        text = text[{b"tEXt": 0, b"zTXt": 1, b"iTXt": 2}[name] :]
        for _ in ("language", "translated keyword") if name == b"iTXt" else ():
            text = text[bytes(text[:_BLOCK]).index(b"\0") + 1 :]
        return find(_blocks(text, packed=packed))
    except (ValueError, IndexError, zlib.error):
        return ""


def _turned(blocks: Iterator[bytes]) -> str:
    before = b""
    for block in blocks:
        if found := _TURNED.search(before + block):
            return found[0].decode()
        before = block[-64:]
    return ""


def _hexadecimal(blocks: Iterator[bytes]) -> str:
    profile = b"".join(blocks).decode("latin-1")
    bytes.fromhex("".join(profile.split("\n")[3:]))  # as Pillow will
    return profile


def _blocks(text: memoryview, *, packed: bool) -> Iterator[bytes]:
    """Cut a text into blocks, and unpack it if need be, so far as it is not endless."""
    unpacker = zlib.decompressobj()
    left = _MAX_TEXT
    for start in range(0, len(text), _BLOCK):
        block = bytes(text[start : start + _BLOCK])
        while block and left > 0:
            part = unpacker.decompress(block, _BLOCK) if packed else block
            block = unpacker.unconsumed_tail
            left -= len(part)
            yield part


_FINDERS: dict[bytes, Callable[[Iterator[bytes]], str]] = {
    b"XML:com.adobe.xmp": _turned,
    b"Raw profile type exif": _hexadecimal,  # as ImageMagick writes it
}
