"""Progress bars, on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
Group = TypeVar("Group", bound=Sized)

SILENT_SECONDS = 2


def can_be_seen() -> bool:
    """Tell whether a bar would be shown, for who must work to learn the total."""
    return sys.stderr.isatty()


def track(items: Iterable[Item], what: str, total: int | None) -> Iterator[Item]:
    """Pass items on; show a bar once it takes over two seconds, on a terminal only."""
    return iter(tqdm(items, what, total, leave=False, delay=SILENT_SECONDS, disable=None))


def track_groups(groups: Iterable[Group], what: str, total: int, done: int) -> Iterator[Group]:
    """Do the same for items that come in groups, of which `done` are not to come any more."""
    options = {"initial": done, "leave": False, "delay": SILENT_SECONDS, "disable": None}
    with tqdm(None, what, total, **options) as bar:
        for group in groups:
            yield group
            bar.update(len(group))
