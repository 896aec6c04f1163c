"""What a report on one study says, in whatever format it is written; and the report as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import datetime

from xray_classifier import __version__
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.imaging.preprocessing import preprocess
from xray_classifier.inference.heatmap import ColourImage, Explainer, caveat, overlay, shrink
from xray_classifier.inference.pipeline import NOT_VALID, REJECTED, Result
from xray_classifier.inference.verdict import UNCERTAIN, percent
from xray_classifier.inference.warnings import NO_DIAGNOSIS, sentences
from xray_classifier.models.spec import ModelSpec

PROGRAM = "xray-classifier"
DISCLAIMER = (
    "For research and education only. Not a medical device. Trained on frontal chest X-rays of "
    f"children of 1 to 5 years. {NO_DIAGNOSIS}"
)
_SAID_BY_NAME = {"image", "status", "message", "warnings", "verdict", "probability", "threshold"}


@dataclass(frozen=True)
class StudyReport:
    """All that a report may show.

    Attributes:
        result: what came of the image.
        spec: the facts about the model.
        created: when the report was made, in UTC.
        study: the number that stands for the study where its file name is left out.
        file_name: of the study, only if it is to be shown.
        heated: the image under its heatmap, shape (height, width, 3), uint8; None without one.
        heatmap_note: what a reader of the heatmap must know, or why there is none.
    """

    result: Result
    spec: ModelSpec
    created: datetime
    study: int = 1
    file_name: str = ""
    heated: ColourImage | None = None
    heatmap_note: str = ""

    @property
    def judged(self) -> bool:
        """Whether there is a number that means something."""
        return self.result.status != REJECTED and NOT_VALID not in self.result.warnings

    @property
    def headline(self) -> str:
        """The verdict in a word or two, or that there is none."""
        if self.result.status == REJECTED:
            return "Not judged"
        return str(self.result.verdict).capitalize() if self.judged else "Not valid"

    @property
    def statement(self) -> str:
        """The number beside its threshold, or why the image is rejected."""
        result = self.result
        if result.probability is None:
            return f"{result.message} So there is no verdict and no number."
        side = "at or above" if result.probability >= result.threshold else "below"
        if result.verdict == UNCERTAIN:
            side = "too near for a verdict to"
        output = "" if self.judged else f"The model's output: {result.verdict}. "
        return (
            f"{output}Probability of pneumonia {percent(result.probability)}, {side} the threshold "
            f"of {100 * result.threshold:.3g} %."
        )

    @property
    def facts(self) -> dict[str, str]:
        """What stands in the table of a report, by its label."""
        facts = {"Study": str(self.study), "Date": f"{self.created:%Y-%m-%d %H:%M} UTC"}
        if self.file_name:
            facts["File"] = printable(self.file_name)
        facts |= _numbers(self.result, "" if self.judged else " (not valid)")
        return facts | {
            "Model": f"{printable(self.spec.title)} ({printable(self.spec.name)})",
            "SHA-256 of the model": self.spec.sha256 or "unverified",
            "Program": f"{PROGRAM} {__version__}",
        }


def add_heatmap(report: StudyReport, load_explainer: Callable[[], Explainer]) -> StudyReport:
    """Add the heatmap of an image that got a number, or the reason why there is none."""
    if report.result.status == REJECTED:
        return report
    try:
        heatmap = load_explainer().heatmap(preprocess(report.result.image))
    except ModelUnavailableError as error:
        return replace(report, heatmap_note=str(error))
    heated = overlay(shrink(report.result.image), heatmap)
    return replace(report, heated=heated, heatmap_note=caveat(heatmap, report.spec))


def to_json(report: StudyReport) -> str:
    """Write a report, without any picture, for programs."""
    result, spec = report.result, report.spec
    values = {entry.name: getattr(result, entry.name) for entry in fields(result)}
    del values["image"]
    values["warnings"] = [
        {"code": code, "sentence": sentence}
        for code, sentence in zip(result.warnings, sentences(result.warnings), strict=True)
    ]
    file = {"file": report.file_name} if report.file_name else {}
    whole = {
        "study": report.study,
        "created": report.created.isoformat(timespec="seconds"),
        **file,
        **values,
        "model": {"name": spec.name, "title": spec.title, "sha256": spec.sha256},
        "program": {"name": PROGRAM, "version": __version__},
        "disclaimer": DISCLAIMER,
    }
    return json.dumps(whole, indent=2, allow_nan=False) + "\n"


def printable(text: str) -> str:
    """Escape what a page cannot show, and the sign that escapes."""
    return "".join(
        sign if sign.isprintable() and sign != "\\" else ascii(sign)[1:-1] for sign in text
    )


def _numbers(result: Result, mark: str) -> dict[str, str]:
    """Label what the result holds beside texts, with a mark; nothing for a rejected image."""
    if result.probability is None:
        return {}
    first = {
        "Verdict": f"{result.verdict}{mark}",
        "Probability of pneumonia": f"{percent(result.probability)}{mark}",
        "Threshold": f"{100 * result.threshold:.3g} %",
    }
    others = {
        entry.name.replace("_", " ").capitalize(): getattr(result, entry.name)
        for entry in fields(result)
        if entry.name not in _SAID_BY_NAME
    }
    return first | {
        label: percent(value) if isinstance(value, float) else str(value)
        for label, value in others.items()
        if value is not None
    }
