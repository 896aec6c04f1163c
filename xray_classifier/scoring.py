"""Files and folders to one row each: what `predict` prints."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from xray_classifier.decoding import MAX_BYTES
from xray_classifier.errors import UnreadableImageError
from xray_classifier.gate import Gate
from xray_classifier.pipeline import classify
from xray_classifier.prediction import Classifier


class Readable(Protocol):
    """A path, or what can be opened like one."""

    def open(self, mode: Literal["rb"], /) -> BinaryIO:
        """Open it to read bytes."""
        ...


@dataclass(frozen=True)
class Row:
    """What came of one file.

    Attributes:
        file: the path as given, joined with the path inside a given folder, "/"-separated.
        status: "ok", "unreadable", or "rejected" by the gate.
        probability: of pneumonia, in [0, 1]; None unless ok.
        verdict: "normal" or "pneumonia"; None unless ok.
        threshold: the verdict is "pneumonia" at this probability or above.
        model: the model's name.
        message: why there is no verdict; empty if ok.
        warnings: code words of `cautions` for what a reader of the verdict should know.
    """

    file: str
    status: str
    probability: float | None
    verdict: str | None
    threshold: float
    model: str
    message: str = ""
    warnings: tuple[str, ...] = ()


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


def score(
    files: Mapping[str, Readable],
    classifier: Classifier,
    gate: Gate | None = None,
    enforce: bool = True,
) -> Iterator[Row]:
    """Judge files one by one, as `classify` does; what cannot be read becomes a row, too."""
    for name, path in files.items():
        try:
            result = classify(read_image_file(path), classifier, gate, enforce)
        except UnreadableImageError as error:
            yield _unreadable(name, str(error), classifier)
        except OSError as error:
            yield _unreadable(name, f"The file cannot be read: {error.strerror}.", classifier)
        else:
            yield Row(
                file=name,
                status=result.status,
                probability=result.probability,
                verdict=result.verdict,
                threshold=result.threshold,
                model=classifier.spec.name,
                message=result.message,
                warnings=result.warnings,
            )


def files_inside(folder: Path) -> Iterator[str]:
    """List what is to be read, and the folders inside that cannot be listed: each gets a row."""
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


def read_image_file(path: Readable) -> bytes:
    """Read a file, but no more of it than shows that it is too large."""
    with path.open("rb") as stream:
        return stream.read(MAX_BYTES + 1)


def _unreadable(name: str, message: str, classifier: Classifier) -> Row:
    spec = classifier.spec
    return Row(name, "unreadable", None, None, spec.threshold, spec.name, message)
