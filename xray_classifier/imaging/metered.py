"""Bytes of a stranger's file, handed to a parser in so many pieces only."""

from __future__ import annotations

import io

MAX_READS = 50_000
"""A radiograph is read in some hundred pieces, a PNG of 50 MB in chunks of 8 KB in 20,000."""


class MeteredStream(io.BytesIO):
    """Bytes that can be read in so many pieces only.

    Millions of empty elements, chunks or fragments fit into a file; parsing them takes minutes.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._left = MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        """Read on.

        Raises:
            ValueError: too many pieces were read.
        """
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"over {MAX_READS} reads")
        return super().read(size)
