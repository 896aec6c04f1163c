"""The whole way from the bytes of a file to a result, for the page and the command line alike."""

from __future__ import annotations

from dataclasses import dataclass

from xray_classifier.decoding import decode
from xray_classifier.prediction import Classifier
from xray_classifier.preprocessing import preprocess
from xray_classifier.radiograph import GreyImage
from xray_classifier.verdict import judge


@dataclass(frozen=True)
class Result:
    """What a model says of one radiograph.

    Attributes:
        image: the radiograph as decoded, shape (height, width), uint8.
        probability: of pneumonia, in [0, 1].
        verdict: "normal" or "pneumonia".
        threshold: the verdict is "pneumonia" at this probability or above.
        warnings: code words of `cautions` for what a reader of the verdict should know.
    """

    image: GreyImage
    probability: float
    verdict: str
    threshold: float
    warnings: tuple[str, ...] = ()


def classify(data: bytes, classifier: Classifier) -> Result:
    """Decode a file and let a model judge it.

    Args:
        data: the whole image file.
        classifier: the model.

    Raises:
        UnreadableImageError: the bytes are not an image that can be judged.
        ModelUnavailableError: the model's answer is no probability.
    """
    radiograph = decode(data)
    return classify_image(radiograph.image, classifier, radiograph.warnings)


def classify_image(
    image: GreyImage, classifier: Classifier, warnings: tuple[str, ...] = ()
) -> Result:
    """Let a model judge a decoded radiograph, shape (height, width), uint8.

    The warnings are handed on to the result.
    """
    probability = float(classifier.probabilities(preprocess(image)[None])[0])
    threshold = classifier.spec.threshold
    return Result(image, probability, judge(probability, threshold), threshold, warnings)
