"""The files of an archive, one after the other: folders, patterns and object stores.

A location is the path of a file, or a URI that pyarrow knows (`s3://`, `gs://`, `file://`); what
needs escaping in a URI is escaped. Nothing holds all of them at once.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Literal
from urllib.parse import SplitResult, quote, unquote, urlsplit

from xray_classifier.errors import DatasetError
from xray_classifier.inputs.decoding import MAX_BYTES
from xray_classifier.inputs.listing import files_inside

_SCHEME = "://"


def list_locations(given: Sequence[str]) -> Iterator[str]:
    """List files; in folders, at any depth, every regular file that is not hidden.

    Args:
        given: paths and URIs of files and folders, and patterns of files with `*`, `[...]`, in
            paths `?`, and `**` for any number of folders. What follows `?` in a URI are options of
            its file system.

    Yields:
        Each location once. Only if several are given are they remembered for that.

    Raises:
        FileNotFoundError: with what names no file.
        DatasetError: a URI that cannot be used.
    """
    seen: set[str] = set()
    for name in given:
        for location in _expand(name):
            if len(given) > 1:
                if location in seen:
                    continue
                seen.add(location)
            yield location


def open_location(location: str) -> Path | RemoteFile:
    """Give what reads a file that `list_locations` found; nothing is opened yet."""
    return RemoteFile(location) if _SCHEME in location else Path(location)


@dataclass(frozen=True)
class RemoteFile:
    """A file in an object store; `open` is the one thing that it shares with a Path."""

    uri: str

    def open(self, _mode: Literal["rb"], /) -> BinaryIO:
        """Fetch the file, but no more of it than shows that it is too large.

        Raises:
            OSError: with one line that says why.
        """
        try:
            filesystem, path = _find(_parse(self.uri))
            with filesystem.open_input_stream(path) as stream:
                return io.BytesIO(stream.read(MAX_BYTES + 1))
        except OSError as error:
            reason = error.strerror or str(error)
            raise OSError(error.errno, reason.partition("\n")[0]) from error


def _expand(name: str) -> Iterator[str]:
    path = Path(name)
    shown = name.replace(os.sep, "/")
    if _SCHEME in name:
        yield from _expand_uri(name)
    elif name and path.is_dir():
        yield from (f"{shown.rstrip('/')}/{inside}" for inside in files_inside(path))
    elif name and path.is_file():
        yield shown
    else:
        yield from _expand_pattern(shown)


def _expand_pattern(name: str) -> Iterator[str]:
    steps, pattern = _split(name, "*?[")
    folder = "".join(f"{step}/" for step in steps)
    if not pattern or not Path(folder or ".").is_dir():
        raise FileNotFoundError(name)
    inside = (one for one in files_inside(Path(folder or ".")) if _fits(one.split("/"), pattern))
    yield from _some((f"{folder}{one}" for one in inside), name)


def _split(path: str, magic: str) -> tuple[list[str], list[str]]:
    """Split a path before the first step that holds one of the signs of a pattern."""
    steps = path.split("/")
    at = next((at for at, step in enumerate(steps) if set(step) & set(magic)), len(steps))
    return steps[:at], steps[at:]


def _some(locations: Iterator[str], name: str) -> Iterator[str]:
    first = next(locations, None)
    if first is None:
        raise FileNotFoundError(name)
    yield first
    yield from locations


def _expand_uri(name: str) -> Iterator[str]:
    parts = _parse(name)
    steps, pattern = _split(parts.path.rstrip("/"), "*[")
    root = parts._replace(path="/".join(steps))
    filesystem, path = _find(root)
    found = filesystem.get_file_info(path)
    if found.is_file and not pattern:
        yield name
        return
    if found.type.name != "Directory":
        raise FileNotFoundError(name)
    locations = (
        root._replace(path=f"{root.path}/{quote(inside)}").geturl()
        for inside in _walk(filesystem, path)
        if not pattern or _fits(inside.split("/"), pattern)
    )
    yield from _some(locations, name) if pattern else locations


def _walk(filesystem: Any, folder: str) -> Iterator[str]:
    """List the files in a remote folder, one folder at a time, by their paths inside."""
    from pyarrow.fs import FileSelector

    waiting = [""]
    while waiting:
        at = waiting.pop()
        entries = filesystem.get_file_info(FileSelector(f"{folder}/{at}"))
        visible = [one for one in entries if not one.base_name.startswith(".")]
        for entry in sorted(visible, key=lambda one: one.base_name):
            if entry.is_file:
                yield f"{at}{entry.base_name}"
        folders = (one.base_name for one in visible if one.type.name == "Directory")
        waiting += (f"{at}{name}/" for name in sorted(folders, reverse=True))


def _fits(steps: list[str], pattern: list[str]) -> bool:
    """Match a path with a pattern, step by step; the last step of `**` stands for any file."""
    if not pattern:
        return not steps
    if pattern == ["**"]:
        return True
    if pattern[0] == "**":
        return _fits(steps, pattern[1:]) or (bool(steps) and _fits(steps[1:], pattern))
    return bool(steps) and fnmatchcase(steps[0], pattern[0]) and _fits(steps[1:], pattern[1:])


def _parse(uri: str) -> SplitResult:
    try:
        return urlsplit(uri)
    except ValueError as error:
        raise _unusable(uri, error) from error


def _find(parts: SplitResult) -> tuple[Any, str]:
    if "@" in parts.netloc:  # it would stand in every row
        raise DatasetError(
            "Keys do not belong in a URI. Give them in the environment, as "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for s3://."
        )
    filesystem, root = _connect(parts._replace(path="/").geturl())
    return filesystem, f"{root.rstrip('/')}{unquote(parts.path)}"


@lru_cache
def _connect(root: str) -> tuple[Any, str]:
    from pyarrow import ArrowInvalid
    from pyarrow.fs import FileSystem

    try:
        return FileSystem.from_uri(root)
    except ArrowInvalid as error:
        raise _unusable(root, error) from error


def _unusable(uri: str, error: Exception) -> DatasetError:
    return DatasetError(
        f"The URI {uri} cannot be used ({error}). Give a path, or a URI of file, s3, gs, abfs or "
        "hdfs."
    )
