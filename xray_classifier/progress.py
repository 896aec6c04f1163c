"""Progress bars, on stderr."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

SILENT_SECONDS = 2


def track(items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
    """Pass items on; show a bar once it takes over two seconds, on a terminal only."""
    return iter(tqdm(items, what, total, leave=False, delay=SILENT_SECONDS, disable=None))
