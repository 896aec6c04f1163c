"""Files and folders to one row each: what `predict` prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from xray_classifier.batch.prefetch import map_ahead
from xray_classifier.errors import RejectedImageError, UnreadableImageError
from xray_classifier.imaging.preprocessing import resize
from xray_classifier.imaging.radiograph import GreyImage, Radiograph
from xray_classifier.inference.pipeline import (
    DEFAULTS,
    REJECTED,
    Choices,
    Result,
    classify_radiographs,
    read,
)
from xray_classifier.inputs.sources import Readable, Source, sources_of_files
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.gate import Gate

UNREADABLE = "unreadable"

WORKERS = 2
"""Threads that decode: with more, as many more large images would be in memory at once."""

AHEAD = 4


@dataclass(frozen=True)
class Row:
    """What came of one file.

    Attributes:
        file: the path as given, joined with the path inside a given folder, "/"-separated; for a
            member of a ZIP archive `a.zip!/member`.
        status: "ok", "unreadable", or "rejected" as no chest radiograph.
        probability: of pneumonia, in [0, 1]; None unless ok.
        verdict: "normal", "pneumonia" or "uncertain"; None unless ok.
        threshold: of the operating point, on the scale of `probability`.
        model: the model's name.
        message: why there is no verdict; empty if ok.
        warnings: code words of `inference.warnings` for what a reader of the verdict should know.
        operating_point: the name of the one that was applied.
        post_test_probability: of pneumonia, in [0, 1], given the pre-test probability; None
            without one, or unless ok.
        etiology: "bacterial", "viral" or "uncertain", under a verdict of pneumonia by a model that
            says so; else None, as where the number is not valid.
        bacterial_probability: that a pneumonia is a bacterial one, in [0, 1]; None without an
            etiology.
    """

    file: str
    status: str
    probability: float | None
    verdict: str | None
    threshold: float
    model: str
    message: str = ""
    warnings: tuple[str, ...] = ()
    operating_point: str = ""
    post_test_probability: float | None = None
    etiology: str | None = None
    bacterial_probability: float | None = None

    def to_result(self, image: GreyImage, runtime: str) -> Result:
        """Give what the row was made of.

        Args:
            image: the radiograph as decoded, shape (height, width), uint8.
            runtime: name and version of what ran the network.
        """
        return Result(
            image,
            self.threshold,
            self.status,
            self.probability,
            self.verdict,
            self.message,
            self.warnings,
            self.operating_point,
            self.post_test_probability,
            "" if self.probability is None else runtime,
            self.bacterial_probability,
            self.etiology,
        )


def score(
    files: Mapping[str, Readable],
    classifier: Classifier,
    gate: Gate | None = None,
    choices: Choices = DEFAULTS,
) -> Iterator[Row]:
    """Judge files in their order, as `classify` does; what cannot be judged becomes a row, too.

    ZIP archives are told by their content, and each member becomes a row. Files are read and
    decoded in threads while the network computes, and judged in batches of its `batch_size`.

    Raises:
        ModelUnavailableError: the model lacks what was chosen.
    """
    classifier.spec.point(choices.operating_point)  # before any work, and without a file, too
    size = classifier.network.batch_size
    prepared = map_ahead(_prepare, sources_of_files(files), WORKERS, AHEAD + size)
    while batch := [(source.name, future.result) for source, future in islice(prepared, size)]:
        yield from (row for row, _ in _score_batch(batch, classifier, gate, choices))


def score_source(
    source: Source,
    classifier: Classifier,
    gate: Gate | None = None,
    choices: Choices = DEFAULTS,
) -> tuple[Row, GreyImage | None]:
    """Judge one file, as `classify` does: its row, and its image if it could be read.

    Raises:
        ModelUnavailableError: the model lacks what was chosen.
    """
    batch = [(source.name, lambda: read(source.read()))]
    return next(_score_batch(batch, classifier, gate, choices))


def _score_batch(
    batch: Sequence[tuple[str, Callable[[], Radiograph]]],
    classifier: Classifier,
    gate: Gate | None,
    choices: Choices,
) -> Iterator[tuple[Row, GreyImage | None]]:
    """Judge at once what can be read of some files; give each one's row, and its image."""
    spec, point = classifier.spec, classifier.spec.point(choices.operating_point)
    found = [(name, _attempt(prepare)) for name, prepare in batch]
    readable = [what for _, what in found if isinstance(what, Radiograph)]
    results = iter(classify_radiographs(readable, classifier, gate, choices))
    for name, what in found:
        if isinstance(what, Radiograph):
            result = next(results)
            yield _row(name, result, spec.name), result.image
        else:
            status, message = what
            yield (
                Row(
                    file=name,
                    status=status,
                    probability=None,
                    verdict=None,
                    threshold=point.threshold,
                    model=spec.name,
                    message=message,
                    operating_point=point.name,
                ),
                None,
            )


def _attempt(prepare: Callable[[], Radiograph]) -> Radiograph | tuple[str, str]:
    """Give the radiograph, or status and message of a file that is none."""
    try:
        return prepare()
    except RejectedImageError as error:
        return REJECTED, str(error)
    except UnreadableImageError as error:
        return UNREADABLE, str(error)
    except OSError as error:
        return UNREADABLE, f"The file cannot be read: {error.strerror}."


def _row(name: str, result: Result, model: str) -> Row:
    return Row(
        file=name,
        status=result.status,
        probability=result.probability,
        verdict=result.verdict,
        threshold=result.threshold,
        model=model,
        message=result.message,
        warnings=result.warnings,
        operating_point=result.operating_point,
        post_test_probability=result.post_test_probability,
        etiology=result.etiology,
        bacterial_probability=None if result.etiology is None else result.bacterial,
    )


def _prepare(source: Source) -> Radiograph:
    """Do all that needs no model. What waits for one takes 250 kB, whatever the file's size."""
    radiograph = read(source.read())
    return Radiograph(resize(radiograph.image), radiograph.warnings)
