"""What the stored values of a radiograph prove of their depth, sign and channels.

Neighbours in a radiograph are alike. Read in a wrong way it is torn: a value that passes a limit
that is none wraps around, from the highest to the lowest. And it is grey, which tells channels of
colour apart. What is not clear is left as the header says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

USUAL_DEPTHS = (8, 10, 12, 14, 16)

_PIXELS = 2**18
"""So many, in rows spread over the picture, are looked at."""

_CLEARLY = 4
"""How many times larger steps are where higher bits change, if those belong to the value.

There the lower bits wrap around. Where an overlay begins or ends, they change as elsewhere.
"""

_NOISE = 0.2
"""Steps of this share of the range are no picture; between random values they are a third."""

_FEW_VALUES = 8
"""Text in white, or what is black behind a shutter, has fewer different values."""

_FAR_MORE = 8
"""How many more neighbours have to lie close on both sides of the limit that a header names than
of the other one: a sharp edge between black and white looks like a step over it, too."""

_NEUTRAL = 0.01
"""How far the chroma of grey may be from the middle, and channels from each other, in the mean: as
a share of the range. Lossy compression leaves less than a third of this."""


@dataclass(frozen=True)
class Depth:
    """Which bits of a cell are a value.

    Attributes:
        bits: how many.
        shift: how many unused ones are below.
        signed: whether they are two's complement.
    """

    bits: int
    shift: int = 0
    signed: bool = False


def settle_depth(cells: NDArray[Any], said: Depth) -> Depth:
    """Correct what a header says of the bits in use, where the values clearly refute it.

    Args:
        cells: unsigned, of 8 or 16 bits; shape (rows, columns) or (rows, columns, 3).
        said: what the header says.
    """
    if said.shift:
        low = Depth(said.bits, 0, said.signed)
        return low if _stands_low(cells, said) else said
    some = _some_rows(cells)
    turned = Depth(said.bits, 0, not said.signed)
    if _bits_of(cells, turned) <= said.bits and _is_sign_proven(some, turned):
        return turned
    depth = said
    if _bits_of(cells, said) > said.bits and _are_higher_bits_used(some, said.bits):
        shift = 8 * cells.itemsize - said.bits
        if not (cells & (2**shift - 1)).any():  # they stand at the top
            return Depth(said.bits, shift, said.signed)
        depth = Depth(_usual(_bits_of(cells, said)), 0, said.signed)
        turned = Depth(_usual(_bits_of(cells, turned)), 0, turned.signed)
    return turned if _is_sign_proven(some, turned) else depth


def _usual(bits: int) -> int:
    return next(depth for depth in USUAL_DEPTHS if bits <= depth)


def usual_depth(cells: NDArray[Any]) -> int:
    """The smallest usual depth that holds all values, 8 to 16."""
    return _usual(int(cells.max()).bit_length())


def _stands_low(cells: NDArray[Any], said: Depth) -> bool:
    """Whether values that should begin above `shift` begin at bit 0."""
    highest = cells.view(f"i{cells.itemsize}") if said.signed else cells
    limit = 2 ** (said.bits - said.signed)
    if int(highest.max()) >= limit or int(highest.min()) < (-limit if said.signed else 0):
        return False
    return bool(np.count_nonzero(cells & (2**said.shift - 1)) > cells.size / 4)


def _bits_of(cells: NDArray[Any], depth: Depth) -> int:
    """How many bits hold all cells, unsigned or as two's complement."""
    if not depth.signed:
        return int(cells.max()).bit_length()
    signed = cells.view(f"i{cells.itemsize}")
    return max(int(signed.max()).bit_length(), (-1 - int(signed.min())).bit_length()) + 1


def _are_higher_bits_used(cells: NDArray[Any], bits: int) -> bool:
    """Whether bits above `bits` belong to the values; else they hold an overlay (PS3.5 8.1.1)."""
    steps = np.abs(np.diff(cells.astype(np.int32) & (2**bits - 1), axis=1))
    changes, moves = np.diff(cells >> bits, axis=1) != 0, steps > 0  # an even border says nothing
    changed, other = steps[changes & moves], steps[~changes & moves]
    if not changed.size or not other.size:  # all of a value stands above, or no picture below
        return np.unique(cells >> bits).size >= _FEW_VALUES
    wrapped = float(changed.mean()) > _CLEARLY * float(other.mean())
    noise = float(steps[moves].mean()) > _NOISE * 2**bits
    return wrapped or (noise and _roughness(cells) < _NOISE / 2 * float(np.ptp(cells)))


def _is_sign_proven(cells: NDArray[Any], depth: Depth) -> bool:
    """Whether values go on steadily where they would be torn with the other sign, and only there.

    Those of `depth.bits` form a ring. Unsigned it is cut between the highest value and 0, signed
    in the middle.
    """
    ring = 2**depth.bits
    values = cells.astype(np.int32) & (ring - 1)
    one, other = values[:, :-1], values[:, 1:]
    step = np.abs(one - other)
    across = (one >= ring // 2) != (other >= ring // 2)
    in_middle, at_zero = across & (step < ring // 8), across & (ring - step < ring // 8)
    torn, whole = (at_zero, in_middle) if depth.signed else (in_middle, at_zero)
    if np.count_nonzero(torn) <= _FAR_MORE * np.count_nonzero(whole):
        return False
    sides = np.minimum(one, other)[torn], np.maximum(one, other)[torn]
    return all(np.unique(side).size >= _FEW_VALUES for side in sides)


def _some_rows(values: NDArray[Any]) -> NDArray[Any]:
    return values[:: -(-values.size // _PIXELS)]


def _roughness(values: NDArray[Any]) -> float:
    """The mean step between neighbours in a row."""
    return float(np.abs(np.diff(values.astype(np.int32), axis=1)).mean())


def are_words(raw: bytes, shape: tuple[int, ...], order: str) -> bool:
    """Whether bytes are the halves of 16-bit values, rather than 8-bit values and as many others.

    Args:
        raw: twice as many bytes as values.
        shape: of the picture.
        order: "<" or ">", of the bytes.
    """
    count = int(np.prod(shape))
    narrow = _some_rows(np.frombuffer(raw, np.uint8, count).reshape(shape))
    words = _some_rows(np.frombuffer(raw, f"{order}u2", count).reshape(shape))
    relative = [_roughness(values) / max(int(np.ptp(values)), 1) for values in (narrow, words)]
    return relative[1] * 2 < relative[0]


def are_planes(flat: NDArray[Any], said: bool | None) -> bool:
    """Whether three channels follow each other, rather than stand together for each pixel.

    The second and third of a grey picture are equal, be it red, green and blue or YCbCr.

    Args:
        flat: all values, shape (3 * pixels,).
        said: what the header says, if anything.
    """
    step = -(-flat.size // (3 * _PIXELS))
    planes, pixels = flat.reshape(3, -1)[:, ::step], flat.reshape(-1, 3)[::step]
    in_planes = _difference(planes[1], planes[2])
    in_pixels = _difference(pixels[:, 1], pixels[:, 2])
    proven = min(in_planes, in_pixels) == 0 and np.ptp(planes[1]) and np.ptp(pixels[:, 1])
    if in_planes == in_pixels or (said is not None and not proven):
        return bool(said)
    return in_planes < in_pixels


def is_thrice(flat: NDArray[Any]) -> bool:
    """Whether values are three equal channels of a grey picture, by pixel or by plane.

    Args:
        flat: all values, shape (3 * pixels,).
    """
    pixels, planes = flat.reshape(-1, 3), flat.reshape(3, -1).T
    return any(
        (channels[:, :1] == channels[:, 1:]).all() and np.ptp(channels[:, 0]) > 0
        for channels in (pixels, planes)
    )


def _difference(one: NDArray[Any], other: NDArray[Any] | int) -> float:
    """The mean difference."""
    return float(np.abs(one.astype(np.int32) - other).mean())


def is_luma_and_chroma(values: NDArray[Any], bits: int) -> bool:
    """Whether three channels are the YCbCr of a grey picture: the chroma in the middle throughout.

    Args:
        values: unsigned, shape (rows, columns, 3).
        bits: their depth.
    """
    some, half = _some_rows(values), 2 ** (bits - 1)
    luma, *chroma = (_difference(some[..., channel], half) for channel in range(3))
    return max(chroma) <= _NEUTRAL * 2**bits < luma


def is_grey(values: NDArray[Any], bits: int) -> bool:
    """Whether three channels are the same.

    Args:
        values: unsigned, shape (rows, columns, 3).
        bits: their depth.
    """
    some = _some_rows(values)
    differences = (_difference(some[..., 0], some[..., channel]) for channel in (1, 2))
    return max(differences) <= _NEUTRAL * 2**bits
