"""The whole way from the bytes of a file to a result, for the page and the command line alike."""

from __future__ import annotations

from dataclasses import dataclass

from xray_classifier.decoding import decode
from xray_classifier.gate import OUTSIDE_POPULATION, Gate
from xray_classifier.prediction import Classifier
from xray_classifier.preprocessing import preprocess
from xray_classifier.radiograph import GreyImage, Radiograph
from xray_classifier.verdict import judge

OK, REJECTED = "ok", "rejected"
NOT_VALID = "not_valid"
"""Warns that the gate would have rejected the image: the number means nothing."""


@dataclass(frozen=True)
class Result:
    """What came of one image.

    Attributes:
        image: the radiograph as decoded, shape (height, width), uint8.
        threshold: the verdict is "pneumonia" at this probability or above.
        status: "ok", or "rejected" by the gate.
        probability: of pneumonia, in [0, 1]; None if rejected.
        verdict: "normal" or "pneumonia"; None if rejected.
        message: why it is rejected; empty if ok.
        warnings: code words of `cautions` for what a reader of the verdict should know.
    """

    image: GreyImage
    threshold: float
    status: str = OK
    probability: float | None = None
    verdict: str | None = None
    message: str = ""
    warnings: tuple[str, ...] = ()


def classify(
    data: bytes, classifier: Classifier, gate: Gate | None = None, enforce: bool = True
) -> Result:
    """Decode a file, let the gate look at it and, if it passes, a model judge it.

    Args:
        data: the whole image file.
        classifier: the model.
        gate: None to measure the classifier alone.
        enforce: False to let the model judge what the gate rejects, with the warning "not_valid".

    Raises:
        UnreadableImageError: the bytes are not an image that can be judged.
        ModelUnavailableError: the model's answer is no probability.
    """
    return classify_radiograph(decode(data), classifier, gate, enforce)


def classify_radiograph(
    radiograph: Radiograph, classifier: Classifier, gate: Gate | None = None, enforce: bool = True
) -> Result:
    """Do the same for a decoded radiograph; its warnings are handed on to the result."""
    image, warnings = radiograph.image, radiograph.warnings
    tensor = preprocess(image)
    threshold = classifier.spec.threshold
    if gate is not None:
        opinion = gate.judge(tensor)
        if opinion.reason and enforce:
            return Result(image, threshold, REJECTED, message=opinion.reason, warnings=warnings)
        if opinion.reason:
            warnings = (*warnings, NOT_VALID)
        elif opinion.outside_population:
            warnings = (*warnings, OUTSIDE_POPULATION)
    probability = float(classifier.probabilities(tensor[None])[0])
    verdict = judge(probability, threshold)
    return Result(image, threshold, OK, probability, verdict, warnings=warnings)
