"""Files that are either whole or not there, and their hashes."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xray_classifier.errors import OutputError


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, unless it is there.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


@contextmanager
def replace_atomically(target: Path) -> Iterator[Path]:
    """Give a temporary path beside `target`; move it into place if the block ends well.

    The temporary path keeps the suffix, by which Keras and matplotlib tell the format.

    Raises:
        OutputError: nothing can be written there.
    """
    make_folder(target.parent)
    try:
        place = tempfile.TemporaryDirectory(prefix=".partial-", dir=target.parent)
    except OSError as error:
        raise _unwritable(target, error) from error
    with place as folder:
        temporary = Path(folder) / target.name
        yield temporary
        os.replace(temporary, target)


def write_json(value: Any, target: Path) -> None:
    """Write a value as indented JSON, in one step.

    Raises:
        OutputError: nothing can be written there.
        ValueError: a number in it is not finite, which JSON does not know.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    with replace_atomically(target) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{path} cannot be written ({error.strerror}). Choose a place that takes files and has "
        "room."
    )


def sha256_of(path: Path) -> str:
    """Hash a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
