"""The whole way from the bytes of a file to a result, for the page and the command line alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from xray_classifier.imaging.grey_levels import judgeable
from xray_classifier.imaging.preprocessing import preprocess
from xray_classifier.imaging.radiograph import GreyImage, Radiograph
from xray_classifier.inference.prevalence import post_test
from xray_classifier.inference.verdict import etiology_of, verdict_of
from xray_classifier.inputs.decoding import decode
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.gate import OUTSIDE_POPULATION, PASSED, Gate, GateDecision
from xray_classifier.models.operating_point import FIXED

OK, REJECTED = "ok", "rejected"
NOT_VALID = "not_valid"
"""Warns that the gate would have rejected the image: the number means nothing."""


@dataclass(frozen=True)
class Choices:
    """What a user may choose about how an image is judged.

    Attributes:
        operating_point: name of one of the model's, as in `ModelSpec.point_names`; None for its
            default, the first of them.
        pretest: probability of pneumonia without the radiograph, in (0, 1), of which the post-test
            probability is computed; None for none. The verdict is the same with and without it.
        use_gate: False to let the model judge what the gate rejects, with the warning "not_valid".
    """

    operating_point: str | None = None
    pretest: float | None = None
    use_gate: bool = True


DEFAULTS = Choices()


@dataclass(frozen=True)
class Result:
    """What came of one image.

    Attributes:
        image: the radiograph as decoded, shape (height, width), uint8.
        threshold: of the operating point that was applied, on the scale of `probability`.
        status: "ok", or "rejected" by the gate.
        probability: of pneumonia, in [0, 1], at the prevalence that the model was calibrated for;
            None if rejected.
        verdict: "normal", "pneumonia" or "uncertain"; None if rejected.
        message: why it is rejected; empty if ok.
        warnings: code words of `inference.warnings` for what a reader of the verdict should know.
        operating_point: the name of the one that was applied.
        post_test_probability: of pneumonia, in [0, 1], given the pre-test probability; None
            without one, or if rejected.
        runtime: name and version of what ran the network; empty if rejected.
        bacterial: probability, in [0, 1], that a pneumonia is a bacterial one; None if rejected,
            or by a model that does not say.
        etiology: "bacterial", "viral" or "uncertain"; None unless the verdict is pneumonia, the
            number valid and the model's second answer good enough to be shown.
    """

    image: GreyImage
    threshold: float
    status: str = OK
    probability: float | None = None
    verdict: str | None = None
    message: str = ""
    warnings: tuple[str, ...] = ()
    operating_point: str = FIXED
    post_test_probability: float | None = None
    runtime: str = ""
    bacterial: float | None = None
    etiology: str | None = None


def read(data: bytes, *, keep_stored: bool = False) -> Radiograph:
    """Decode a file, and stretch it or warn where it has few grey levels.

    Args:
        data: the whole image file.
        keep_stored: whether values of more than 8 bits are wanted, too.

    Raises:
        UnreadableImageError: the bytes are not an image that can be judged.
    """
    return judgeable(decode(data, keep_stored=keep_stored))


def classify(
    data: bytes, classifier: Classifier, gate: Gate | None = None, choices: Choices = DEFAULTS
) -> Result:
    """Decode a file, let the gate look at it and, if it passes, a model judge it.

    Args:
        data: the whole image file.
        classifier: the model.
        gate: None to measure the classifier alone.
        choices: what the user chose.

    Raises:
        UnreadableImageError: the bytes are not an image that can be judged.
        ModelUnavailableError: the model's answer is no probability, or it lacks what was chosen.
        ValueError: the pre-test probability is not between 0 and 1.
    """
    return classify_radiograph(read(data), classifier, gate, choices)


def classify_radiograph(
    radiograph: Radiograph,
    classifier: Classifier,
    gate: Gate | None = None,
    choices: Choices = DEFAULTS,
) -> Result:
    """Do the same for a radiograph from `read`; its warnings are handed on to the result."""
    return classify_radiographs([radiograph], classifier, gate, choices)[0]


def classify_radiographs(
    radiographs: Sequence[Radiograph],
    classifier: Classifier,
    gate: Gate | None = None,
    choices: Choices = DEFAULTS,
) -> list[Result]:
    """Do the same for several at once, which takes less time for each.

    Returns:
        Results in the order of the radiographs.
    """
    if not radiographs:
        return []
    tensors = np.stack([preprocess(radiograph.image) for radiograph in radiographs])
    decisions = gate.decide_batch(tensors) if gate else [PASSED] * len(tensors)
    judged = [not (decision.reason and choices.use_gate) for decision in decisions]
    computed = iter(classifier.answers(tensors[judged]).tolist())
    answers = [next(computed) if passed else [] for passed in judged]
    return [
        _result(radiograph, decision, given, classifier, choices)
        for radiograph, decision, given in zip(radiographs, decisions, answers, strict=True)
    ]


def _result(
    radiograph: Radiograph,
    decision: GateDecision,
    answers: list[float],
    classifier: Classifier,
    choices: Choices,
) -> Result:
    """Say what answers mean by the user's choices; without any, why the image is rejected."""
    spec = classifier.spec
    point = spec.point(choices.operating_point)
    result = Result(
        radiograph.image,
        point.threshold,
        warnings=radiograph.warnings,
        operating_point=point.name,
    )
    if not answers:
        return replace(result, status=REJECTED, message=decision.reason)
    probability, *second = answers
    verdict = verdict_of(probability, point)
    bacterial = second[0] if second else None
    pretest = choices.pretest
    return replace(
        result,
        probability=probability,
        verdict=verdict,
        bacterial=bacterial,
        etiology=None if decision.reason else etiology_of(verdict, bacterial, spec.shown_etiology),
        warnings=(*radiograph.warnings, *_warnings_of(decision)),
        post_test_probability=None if pretest is None else post_test(probability, spec, pretest),
        runtime=classifier.network.runtime,
    )


def _warnings_of(decision: GateDecision) -> tuple[str, ...]:
    """Warn where the model judges what the gate would reject, or knows nothing of."""
    if decision.reason:
        return (NOT_VALID,)
    return (OUTSIDE_POPULATION,) if decision.outside_population else ()
