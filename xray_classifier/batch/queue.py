"""Many files of one visitor: judged a slice at a time, ranked, each with a thumbnail."""

from __future__ import annotations

import base64
import io
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from PIL import Image, ImageOps

from xray_classifier.batch.scoring import Row
from xray_classifier.dicom.decode import is_dicom
from xray_classifier.imaging.radiograph import GreyImage
from xray_classifier.inference.etiology import etiology_mark
from xray_classifier.inference.warnings import sentences
from xray_classifier.inputs.sources import Source

THUMBNAIL_SIDE = 128  # pixels: consolidations are seen, and 200 of them are 500 KB
Score: TypeAlias = Callable[[Source], tuple[Row, GreyImage | None]]
"""Judges a file, as `batch.scoring.score_source` does."""


@dataclass(frozen=True)
class Case:
    """One file that was judged.

    Attributes:
        number: 1 for the first file of the upload.
        row: what came of it.
        thumbnail: the image as a `data:` URL; empty if it could not be read.
        dicom: whether it is a DICOM file that could be read.
    """

    number: int
    row: Row
    thumbnail: str
    dicom: bool = False

    @property
    def word(self) -> str:
        """The verdict, or the status of what has none."""
        return self.row.verdict or self.row.status

    @property
    def etiology(self) -> str:
        """Which kind of pneumonia the picture looks like; empty where that is not said."""
        return etiology_mark(self.row.etiology, self.row.bacterial_probability)

    @property
    def remarks(self) -> str:
        """Why there is no verdict, or what a reader of it should know."""
        return " ".join([self.row.message, *sentences(self.row.warnings)]).strip()


class Queue:
    """Files that are to be judged, and what came of those that were.

    Args:
        sources: by a key that tells the same file again; they are numbered from 1 in this order.
        known: cases by key, of an earlier list; they are not judged again.

    Attributes:
        cases: what is judged so far, by key.
    """

    def __init__(self, sources: Mapping[str, Source], known: Mapping[str, Case]) -> None:
        self._sources = dict(sources)
        self.cases: dict[str, Case] = {}
        self._waiting: dict[str, int] = {}  # numbers by key
        for number, key in enumerate(sources, 1):
            if key in known:
                self.cases[key] = replace(known[key], number=number)
            else:
                self._waiting[key] = number

    def __len__(self) -> int:
        return len(self._sources)

    @property
    def finished(self) -> bool:
        """Whether every file is judged."""
        return not self._waiting

    def advance(self, score: Score, seconds: float) -> None:
        """Judge one file, and more until so much time has gone by."""
        deadline = time.monotonic() + seconds
        while self._waiting:
            key, number = next(iter(self._waiting.items()))
            self.cases[key] = _judge(number, self._sources[key], score)
            del self._waiting[key]
            if time.monotonic() >= deadline:
                break

    def source(self, number: int) -> Source:
        """Give the file of that number, judged or not."""
        return list(self._sources.values())[number - 1]

    def ordered(self, order: str) -> list[Case]:
        """Put what is judged into one of the `ORDERS`."""
        return sorted(self.cases.values(), key=ORDERS[order])


def _judge(number: int, source: Source, score: Score) -> Case:
    dicom = False

    def read() -> bytes:
        nonlocal dicom
        data = source.read()
        dicom = is_dicom(data)
        return data

    row, image = score(Source(source.name, read))
    if image is None:
        return Case(number, row, "")
    return Case(number, row, thumbnail(image), dicom)


def thumbnail(image: GreyImage) -> str:
    """Reduce an image to a square of `THUMBNAIL_SIDE` pixels, as the `data:` URL of a WebP.

    The table's cells would cut off what is wider; so it stands whole, on black.
    """
    side = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    picture = ImageOps.pad(Image.fromarray(image), side, Image.Resampling.BOX)
    stream = io.BytesIO()
    picture.save(stream, "WEBP", quality=70)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _rank(case: Case) -> tuple[float, str, int]:
    probability = case.row.probability
    return (math.inf if probability is None else -probability, case.word, case.number)


ORDERS: dict[str, Callable[[Case], Any]] = {
    "Likeliest pneumonia first": _rank,
    "As uploaded": lambda case: case.number,
    "By file name": lambda case: case.row.file,
}
"""What the table can be sorted by; what has no probability comes last in the first of them."""
