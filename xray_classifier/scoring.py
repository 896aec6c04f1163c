"""Files and folders to one row each: what `predict` prints."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from xray_classifier.decoding import MAX_BYTES, decode
from xray_classifier.errors import UnreadableImageError
from xray_classifier.gate import Gate
from xray_classifier.overlap import map_ahead
from xray_classifier.pipeline import classify_radiograph
from xray_classifier.prediction import Classifier
from xray_classifier.preprocessing import squeeze
from xray_classifier.radiograph import Radiograph

WORKERS = 2
"""Threads that decode: with more, as many more large images would be in memory at once."""

AHEAD = 4


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
            files |= {f"{shown.rstrip('/')}/{inside}": path / inside for inside in _inside(path)}
        else:
            files[shown] = path
    return dict(sorted(files.items()))


def score(
    files: dict[str, Path],
    classifier: Classifier,
    gate: Gate | None = None,
    enforce: bool = True,
) -> Iterator[Row]:
    """Judge files in their order, as `classify` does; what cannot be read becomes a row, too.

    Files are read and decoded in threads while the model computes, at most `AHEAD` in advance.
    """
    for (name, _), prepared in map_ahead(_prepare, files.items(), WORKERS, AHEAD):
        try:
            result = classify_radiograph(prepared.result(), classifier, gate, enforce)
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


def _prepare(file: tuple[str, Path]) -> Radiograph:
    """Do all that needs no model. What waits for one takes 250 kB, whatever the file's size."""
    radiograph = decode(read_image_file(file[1]))
    return Radiograph(squeeze(radiograph.image), radiograph.warnings)


def _inside(folder: Path) -> Iterator[str]:
    """List what is to be read, and the folders inside that cannot be listed: each gets a row."""
    closed: list[str] = []
    for parent, folders, names in os.walk(
        folder, onerror=lambda error: closed.append(error.filename)
    ):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(parent, name)
            if not name.startswith(".") and path.is_file():
                yield path.relative_to(folder).as_posix()
    yield from (Path(name).relative_to(folder).as_posix() for name in closed)


def read_image_file(path: Path) -> bytes:
    """Read a file, but no more of it than shows that it is too large."""
    with path.open("rb") as stream:
        return stream.read(MAX_BYTES + 1)


def _unreadable(name: str, message: str, classifier: Classifier) -> Row:
    spec = classifier.spec
    return Row(name, "unreadable", None, None, spec.threshold, spec.name, message)
