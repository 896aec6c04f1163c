"""What a report on one image says, in whatever format it is written; and the report as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from xray_classifier import __version__
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.imaging.preprocessing import preprocess
from xray_classifier.inference.etiology import (
    NO_PROOF,
    etiology_evidence,
    etiology_mark,
    etiology_sentence,
)
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


@dataclass(frozen=True)
class CaseReport:
    """All that a report may show.

    Attributes:
        result: what came of the image.
        spec: the facts about the model.
        created: when the report was made, in UTC.
        number: of the case; it stands for the image where the file name is left out.
        file_name: of the image, only if it is to be shown; else empty.
        heated: the image under its heatmap, shape (height, width, 3), uint8; None without one.
        heatmap_note: what a reader of the heatmap must know, or why there is none.
    """

    result: Result
    spec: ModelSpec
    created: datetime
    number: int = 1
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
    def etiology(self) -> str:
        """Which kind of pneumonia the picture looks like, and what that is worth; else empty."""
        result, known = self.result, self.spec.etiology
        said = etiology_sentence(result.etiology, result.bacterial)
        return f"{said} {NO_PROOF} {etiology_evidence(known)}" if said and known else ""

    @property
    def facts(self) -> dict[str, str]:
        """What stands in the table of a report, by its label."""
        facts = {"Study": str(self.number), "Date": f"{self.created:%Y-%m-%d %H:%M} UTC"}
        if self.file_name:
            facts["File"] = printable(self.file_name)
        facts |= _numbers(self.result, "" if self.judged else " (not valid)")
        return facts | {
            "Model": f"{printable(self.spec.title)} ({printable(self.spec.name)})",
            "SHA-256 of the model": self.spec.sha256 or "unverified",
            **({"Runtime": self.result.runtime} if self.result.runtime else {}),
            "Program": f"{PROGRAM} {__version__}",
        }


def add_heatmap(report: CaseReport, load_explainer: Callable[[], Explainer]) -> CaseReport:
    """Add the heatmap of an image that got a number, or the reason why there is none."""
    if report.result.status == REJECTED:
        return report
    try:
        heatmap = load_explainer().heatmap(preprocess(report.result.image))
    except ModelUnavailableError as error:
        return replace(report, heatmap_note=str(error))
    heated = overlay(shrink(report.result.image), heatmap)
    return replace(report, heated=heated, heatmap_note=caveat(heatmap, report.spec))


def to_json(report: CaseReport) -> str:
    """Write a report, without any picture, for programs."""
    result, spec = report.result, report.spec
    file = {"file": report.file_name} if report.file_name else {}
    whole = {
        "study": report.number,
        "created": report.created.isoformat(timespec="seconds"),
        **file,
        "threshold": result.threshold,
        "status": result.status,
        "probability": result.probability,
        "verdict": result.verdict,
        "message": result.message,
        "warnings": [
            {"code": code, "sentence": sentence}
            for code, sentence in zip(result.warnings, sentences(result.warnings), strict=True)
        ],
        "operating_point": result.operating_point,
        "post_test_probability": result.post_test_probability,
        **_etiology(report),
        "model": {"name": spec.name, "title": spec.title, "sha256": spec.sha256},
        "runtime": result.runtime,
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
    """Label verdict and numbers, with a mark after them; nothing for a rejected image."""
    if result.probability is None:
        return {}
    facts = {
        "Verdict": f"{result.verdict}{mark}",
        "Probability of pneumonia": f"{percent(result.probability)}{mark}",
        "Threshold": f"{100 * result.threshold:.3g} %",
        "Operating point": result.operating_point,
    }
    if result.post_test_probability is not None:
        facts["Post test probability"] = percent(result.post_test_probability)
    if looks := etiology_mark(result.etiology, result.bacterial):
        facts["If a pneumonia, it looks"] = looks
    return facts


def _etiology(report: CaseReport) -> dict[str, Any]:
    """Give the second answer to programs, with the words that belong to it; else nothing."""
    if not report.etiology:
        return {}
    result = report.result
    return {
        "etiology": result.etiology,
        "bacterial_probability": result.bacterial,
        "etiology_sentence": report.etiology,
    }
