"""A model with a second answer, bacterial or viral, that can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tests.support.drawn_reports import RESULT, SPEC, a_report
from tests.support.pictures import encoded
from tests.support.recorded import POINT_FIGURES
from tests.support.stand_ins import BrightnessNetwork
from xray_classifier.models.spec import BACTERIAL, PNEUMONIA, ModelSpec
from xray_classifier.records.evaluation import Estimate, EtiologyFigures
from xray_classifier.records.training import EtiologyFacts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xray_classifier.inference.pipeline import Result
    from xray_classifier.models.classifier import Classifier
    from xray_classifier.reports.content import CaseReport

FACTS = EtiologyFacts(
    slope=1.5,
    intercept=-0.5,
    images=3111,
    patients=1700,
    threshold=0.65,
    low=0.4,
    high=0.75,
    auc=Estimate(0.9, 0.88, 0.92),
    out_of_fold=replace(
        POINT_FIGURES,
        accuracy=Estimate(0.83, 0.81, 0.85),
        undecided=Estimate(0.25, 0.23, 0.27),
        decided_right=Estimate(0.91, 0.9, 0.92),
    ),
)
"""As of a second answer that is good enough to be shown."""

WEAK = replace(FACTS, auc=Estimate(0.84, 0.82, 0.86))
"""As of one that is not."""

FIGURES = EtiologyFigures(
    images=390,
    bacterial=242,
    patients=260,
    auc=Estimate(0.88, 0.84, 0.92),
    point=replace(POINT_FIGURES, accuracy=Estimate(0.82, 0.78, 0.86)),
)
"""As `evaluate` would measure it."""

TWO_ANSWERS = ModelSpec(
    "second",
    "Second",
    "second.keras",
    sha256="cd" * 32,
    bytes=1,
    answers=(PNEUMONIA, BACTERIAL),
    etiology=FACTS,
)


class LeftHalfNetwork(BrightnessNetwork):
    """Calls what is bright pneumonia, and what is bright on the left half bacterial."""

    def _run(self, output: str, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        first = super()._run(output, batch)
        return np.concatenate([first, super()._run(output, batch[:, :, :250])], axis=1)

    def _width(self) -> int:
        return 2


def two_answer_classifier(etiology: EtiologyFacts | None = FACTS) -> Classifier:
    """A model that tells bacterial from viral; without facts its second answer is kept back."""
    from xray_classifier.models.classifier import Classifier

    return Classifier(LeftHalfNetwork(), replace(TWO_ANSWERS, etiology=etiology))


def _halves(left: int, right: int) -> NDArray[np.uint8]:
    """Two halves of about these greys, with as many levels as a radiograph's."""
    shades = np.linspace(-25, 25, 500)[:, np.newaxis]
    pixels = np.hstack([np.tile(grey + shades, (1, 250)) for grey in (left, right)])
    pixels[:20] = np.tile(np.linspace(0, 255, 250), 2)
    return np.round(pixels).astype(np.uint8)


_PICTURES = {
    "bacterial": _halves(215, 150),
    "viral": _halves(60, 225),
    "uncertain": _halves(135, 225),
    "normal": _halves(60, 30),
}
PICTURES = {name: encoded(pixels) for name, pixels in _PICTURES.items()}
"""Three pneumonias by what is said of them, and a normal."""

CHANCES = {
    name: float(1 / (1 + np.exp(4 - 8 * pixels[:, :250].mean() / 255)))
    for name, pixels in _PICTURES.items()
}
"""What the network makes of their left halves."""


def answered(etiology: str | None, bacterial: float | None) -> Result:
    """A pneumonia with that second answer."""
    return replace(RESULT, etiology=etiology, bacterial=bacterial)


def report_on(result: Result) -> CaseReport:
    """A report by a model that tells bacterial from viral."""
    return replace(a_report(result), spec=replace(SPEC, etiology=FACTS))
