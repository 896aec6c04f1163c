"""The files that are to be classified, in folders at any depth."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path


def list_files(given: Iterable[str]) -> dict[str, Path]:
    """List files, and in folders every regular file that is not hidden, at any depth.

    Returns:
        Paths by the name that their row will bear, in the order of the names.

    Raises:
        FileNotFoundError: with the path that is no file or folder.
    """
    files: dict[str, Path] = {}
    for name in given:
        path = Path(name)
        if not name or not (path.is_dir() or path.is_file()):
            raise FileNotFoundError(name)
        shown = name.replace(os.sep, "/")
        if path.is_dir():
            files |= {
                f"{shown.rstrip('/')}/{inside}": path / inside for inside in files_inside(path)
            }
        else:
            files[shown] = path
    return dict(sorted(files.items()))


def files_inside(folder: Path) -> Iterator[str]:
    """List what is to be read, and the folders inside that cannot be listed: each gets a row.

    Yields:
        Paths inside the folder, "/"-separated: files of one folder after the other, sorted, and at
        the end what is closed.
    """
    closed: list[str] = []
    for parent, folders, names in os.walk(
        folder, onerror=lambda error: closed.append(error.filename)
    ):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if not name.startswith(".") and path.is_file():
                yield path.relative_to(folder).as_posix()
    yield from (Path(name).relative_to(folder).as_posix() for name in closed)
