"""The names in a ZIP archive as whoever made it wrote them.

Only a flag says that a name is UTF-8. Without it the bytes are in whatever code page the machine
had that packed the archive: Windows in China, Japan or Korea writes its own, and so on. What such
a page leaves is guessed for all names of an archive at once, by which guess gives characters that
people there write.

`charset-normalizer` is made for texts, not for names: alone, 96 of 175 were taken for those of
another page by it, 2 by what stands here. Together with others of its archive none was.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from zipfile import ZipInfo

from xray_classifier.inputs.common_characters import HANGUL, JAPANESE, SIMPLIFIED, TRADITIONAL

_UTF_8 = 0x800  # a flag
_UNICODE_PATH = 0x7075  # an extra field, by Info-ZIP
_ENOUGH = 4000  # characters that are looked at

_FALLBACK = "cp437"  # what the standard says
_EAST_ASIAN = {
    # The first bytes of the characters that names are made of, and the commonest of these.
    "gb18030": (range(0xB0, 0xF8), SIMPLIFIED),
    "cp932": (range(0x88, 0x98), JAPANESE),
    "cp949": (range(0xB0, 0xC9), HANGUL),
    "cp950": (range(0xA4, 0xC7), TRADITIONAL),
}
_WITH_ASCII = ("cp932", "cp950")  # their characters may end in a byte that is ASCII, too
_ALPHABETIC = ("cp866", "cp437", "cp850", "cp1252")
_NEUTRAL = frozenset("（）［］【】「」『』《》〈〉“”‘’、。，．・·ー－＿—〜～＋＝：；！？＃＆　々〇")
_ORDINALS = "º°ª"
_COMMON, _LETTER, _KNOWN, _ODD = 1.0, 0.6, 0.3, -1.0


def decode_names(infos: Sequence[ZipInfo]) -> list[str]:
    """Give the name of each member; those that say nothing of their code share one guess."""
    certain = [_certain_name(info) for info in infos]
    left = [_raw(info) for info, name in zip(infos, certain, strict=True) if name is None]
    code = _guess({raw for raw in left if not raw.isascii()})
    return [
        _raw(info).decode(code) if name is None else name
        for info, name in zip(infos, certain, strict=True)
    ]


def _raw(info: ZipInfo) -> bytes:
    """Undo the decoding of `zipfile`, which takes what has no flag for code page 437."""
    return info.orig_filename.encode(_FALLBACK).partition(b"\0")[0]


def _certain_name(info: ZipInfo) -> str | None:
    if info.flag_bits & _UTF_8:
        return info.filename
    whole = info.orig_filename.encode(_FALLBACK)
    for kind, data in _extra_fields(info.extra):
        if kind == _UNICODE_PATH and data[:5] == struct.pack("<BL", 1, zlib.crc32(whole)):
            try:
                return data[5:].decode().partition("\0")[0]
            except UnicodeDecodeError:
                return None
    return None


def _extra_fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        yield kind, extra[4 : 4 + length]
        extra = extra[4 + length :]


def _guess(names: set[bytes]) -> str:
    """Choose the code page in which all these names make most sense; of equals the first."""
    best, most = _FALLBACK, 0.0
    together = b"/".join(sorted(names))  # in no code page a "/" is a part of another character
    for code in ("utf-8", *_EAST_ASIAN, *_ALPHABETIC):
        try:
            text = together.decode(code)
        except UnicodeDecodeError:
            continue
        if code == "utf-8":
            return code
        sense = _sense(text[:_ENOUGH], code)
        if sense > most:
            best, most = code, sense
    return best


def _sense(text: str, code: str) -> float:
    """How much sense names make, from -1 to 1: the mean of their characters beyond ASCII."""
    judge = _sense_of_han if code in _EAST_ASIAN else _sense_of_letter
    around = f"/{text}/"
    found = [
        judge(character, around[place], around[place + 2], code)
        for place, character in enumerate(text)
        if not character.isascii()
    ]
    return sum(found) / max(len(found), 1)


def _sense_of_han(character: str, before: str, after: str, code: str) -> float:
    usual, common = _EAST_ASIAN[code]
    if character in _NEUTRAL:
        return 0.0
    first, *others = character.encode(code)
    # An accented letter and the ASCII letter behind it make a character, too, within a word.
    within = _is_small(before) + _is_small(after)
    if within == 2 or (within and others and others[0] < 0x80):
        return _ODD
    if character in common:
        return _COMMON
    if first in usual and (code in _WITH_ASCII or others[-1] > 0xA0):
        return _KNOWN
    return _ODD


def _sense_of_letter(character: str, before: str, after: str, code: str) -> float:
    if character.isupper() and before.isalpha() and (before.islower() or after.islower()):
        return _ODD  # a capital within a word
    beside = [letter for letter in (before, after) if letter.isalpha()]
    latin = any(letter.isascii() for letter in beside)
    cyrillic = code == "cp866"
    if cyrillic and (latin or not ("А" <= character <= "я" or character in "Ёё")):
        return _ODD
    if character in _ORDINALS:
        return 0.0
    if not cyrillic and not (character.isalpha() and "À" <= character <= "ÿ"):
        return _ODD
    return _LETTER if latin or (cyrillic and beside) else 0.0


def _is_small(character: str) -> bool:
    return character.isascii() and character.islower()
