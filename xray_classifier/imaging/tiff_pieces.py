"""In how many pieces a TIFF says that it is stored, told before Pillow makes an object of each."""

from __future__ import annotations

import numpy as np

MAX_PIECES = 70_000
"""One strip for each row, or tiles of 64 x 64, of the largest picture stay far below."""

_STRIP_OFFSETS, _TILE_OFFSETS = 273, 324
# By the first four bytes: byte order, where the place of the first directory stands, and the
# types of that place, of the number of entries and of the number of values in an entry.
_KINDS = {
    b"II*\0": ("<", 4, "u4", "u2", "u4"),
    b"MM\0*": (">", 4, "u4", "u2", "u4"),
    b"II+\0": ("<", 8, "u8", "u8", "u8"),
    b"MM\0+": (">", 8, "u8", "u8", "u8"),
}


def count_pieces(data: bytes) -> int:
    """Count the strips or tiles that the first directory claims.

    Returns:
        0 also for what is no TIFF, or a broken one: Pillow will say so.
    """
    if data[:4] not in _KINDS:
        return 0
    order, place, offset, number, count = _KINDS[data[:4]]
    entry = np.dtype(
        {
            "names": ["tag", "count"],
            "formats": [order + "u2", order + count],
            "offsets": [0, 4],
            "itemsize": 12 if count == "u4" else 20,
        }
    )
    try:
        start = int(np.frombuffer(data, order + offset, 1, place)[0])
        entries = int(np.frombuffer(data, order + number, 1, start)[0])
        start += np.dtype(number).itemsize
        whole = min(entries, (len(data) - start) // entry.itemsize)
        directory = np.frombuffer(data, entry, whole, start)
    except (ValueError, OverflowError):  # outside of the file
        return 0
    pieces = directory["count"][np.isin(directory["tag"], (_STRIP_OFFSETS, _TILE_OFFSETS))]
    return int(pieces.max(initial=0))
