"""Files and ZIP archives to what can be decoded: one source for each file, and each member."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from xray_classifier.errors import UnreadableImageError
from xray_classifier.inputs.decoding import MAX_BYTES
from xray_classifier.inputs.zip_archive import MARK_LENGTH, Archive, is_zip


class Readable(Protocol):
    """A path, or what can be opened like one."""

    def open(self, mode: Literal["rb"], /) -> BinaryIO:
        """Open it to read bytes."""
        ...


@dataclass(frozen=True)
class Source:
    """One file to be classified.

    Attributes:
        name: what its row will bear; for a member of an archive `a.zip!/member`.
        read: reads the bytes, from any thread; raises UnreadableImageError or OSError.
    """

    name: str
    read: Callable[[], bytes]


def sources_of_files(files: Mapping[str, Readable]) -> Iterator[Source]:
    """Go through files in their order; an archive is opened at its turn, for its members.

    Nothing is raised for a file: what is wrong with it comes when its source is read.

    Args:
        files: paths by name; a ZIP archive in an object store is not opened.
    """
    for name, path in files.items():
        if isinstance(path, Path) and _begins_as_zip(path):
            yield from _members(name, path)
        else:
            yield Source(name, partial(read_image_file, path))


def sources_of_upload(name: str, data: bytes) -> Iterator[Source]:
    """Give an uploaded file itself, or the members of an uploaded archive.

    Args:
        name: as the visitor's browser gives it.
        data: the whole file; a damaged archive is one source, which raises when it is read.
    """
    if is_zip(data):
        yield from _members(name, data)
    else:
        yield Source(name, lambda: data)


def count(sources: Iterable[Source]) -> int:
    """Count sources without reading them."""
    return sum(1 for _ in sources)


def read_image_file(path: Readable) -> bytes:
    """Read a file, but no more of it than shows that it is too large: `MAX_BYTES` and one.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        return stream.read(MAX_BYTES + 1)


def _begins_as_zip(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return is_zip(stream.read(MARK_LENGTH))
    except OSError:
        return False  # reading it will say why


def _members(name: str, file: Path | bytes) -> Iterator[Source]:
    try:
        archive = Archive(file)
    except (UnreadableImageError, OSError) as error:
        yield Source(name, partial(_fail, error))
    else:
        for member in archive.members:
            yield Source(f"{name}!/{member}", partial(archive.read, member))


def _fail(error: Exception) -> bytes:
    raise error
