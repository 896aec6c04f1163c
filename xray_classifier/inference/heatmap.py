"""Where a network saw pneumonia: a heatmap, and its overlay on the radiograph.

Method: occlusion (Zeiler and Fergus, ECCV 2014, arXiv:1311.2901, section 4.2). The picture is
divided into 5 x 6 fields; a field's heat is how far the logit falls when it alone is blurred, as by
Fong and Vedaldi (ICCV 2017, arXiv:1704.03296), since a flat patch is unlike any radiograph. That
needs answers only, so that it is the same whatever runs the network.

It was chosen by the deletion test of `explain-check`, on 30 to 60 held-out patients other than
those that the check draws. Filling the hottest tenth with the picture's mean lowered the logit by
(median, the same shape elsewhere in brackets):

    article   occlusion 1.7 (-0.1), RISE 0.9 (-0.1), HiResCAM of three maps fused -0.1 (-0.1)
    default   occlusion 2.2 (0.7), RISE 1.3 (0.6), HiResCAM fused 2.2 (0.8), class activation
              map, which HiResCAM of its last map is, 0.8 (0.7)

The test deletes, as occlusion does, and so favours it; but it deletes another way. With a blur in
place of the mean, occlusion reached 0.8 (0.0) and 1.5 (0.3), fused HiResCAM 0.3 (-0.1) and 0.8
(0.2). Of 5 x 5 fields the hottest lowered it less, of 6 x 6 by 1.6 and 2.3, which hardly pays for
six more passes. What `explain-check` then found stands in model/explanations.
"""

from __future__ import annotations

import functools
from itertools import pairwise, product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xray_classifier.errors import ModelUnavailableError
from xray_classifier.imaging.preprocessing import SIDE, Tensor
from xray_classifier.imaging.radiograph import GreyImage
from xray_classifier.inference.pipeline import NOT_VALID, Result
from xray_classifier.inference.verdict import percent
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.spec import ModelSpec, read_report
from xray_classifier.paths import MODEL_FOLDER
from xray_classifier.records.checks import ExplanationReport

Heatmap = NDArray[np.float32]
"""Shape (500, 500), float32 in [0, 1], on the resized image's grid; all 0, or 1 at its peak."""

ColourImage = NDArray[np.uint8]
"""Shape (height, width, 3), uint8: red, green and blue."""

METHOD = "Occlusion: each of 5 x 6 fields blurred in turn"
FIELDS = (5, 6)  # down, across
FLOOR = 1e-3
"""Smaller drops of the logit are 0: float32 rounds, and a probability hardly moves by them."""

OPACITY = 0.6
COLOURS = "inferno"  # brightness rises with heat, so that it can be read without telling colours
CAVEAT = (
    "The heatmap shows how far this network's score for pneumonia falls when one of 30 fields of "
    "the picture is blurred. It is not a localisation of disease: what moved the network need not "
    "be ill, nor lung at all."
)
UNPROVEN = (
    "This model's heatmaps have not passed the check on held-out patients: filling the hottest "
    "places changed its answers no more than filling others did, or that was not measured. Do "
    "not rely on this one."
)
BLANK = "Blurring any one field lowered the score nowhere, so the heatmap is blank."


class Explainer:
    """Explains the verdicts of a classifier; can be shared by threads, as the classifier can.

    Args:
        classifier: the model.
    """

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier

    def heatmap(self, tensor: Tensor) -> Heatmap:
        """Show what raised the score for pneumonia, whatever the verdict.

        What lowers the score is left out. Between the centres of the fields the heat is
        interpolated linearly.

        Args:
            tensor: shape (500, 500, 1), float32 in [0, 1].

        Raises:
            ModelUnavailableError: the network does not end in a sigmoid, or its answer is not
                finite.
        """
        drops = self._drops(tensor)
        if not np.all(np.isfinite(drops)):
            raise ModelUnavailableError(
                f"Model {self.classifier.spec.name} cannot be explained: its answer is not "
                "finite. It is damaged; use another one."
            )
        return to_peak_1(enlarge(np.where(drops < FLOOR, 0, drops)))

    def _drops(self, tensor: Tensor) -> NDArray[np.float64]:
        """Tell how far the logit falls with each field blurred, shape `FIELDS`."""
        network, size = self.classifier.network, self.classifier.network.batch_size
        blurred, places = blur(tensor), fields()
        (whole,) = network.logits(tensor[np.newaxis])
        logits: list[float] = []
        for start in range(0, len(places), size):  # a few copies at a time
            copies = [replaced(tensor, blurred, place) for place in places[start : start + size]]
            logits.extend(network.logits(np.stack(copies)))
        return whole - np.reshape(logits, FIELDS)


def is_proven(spec: ModelSpec, folder: Path = MODEL_FOLDER) -> bool:
    """Tell whether heatmaps of this method and model file passed `explain-check`, by its report."""
    report = read_report(ExplanationReport, spec, folder)
    return report is not None and report.passed and report.method == METHOD


def caveat(heatmap: Heatmap, spec: ModelSpec) -> str:
    """Say what a heatmap is not, and what else a reader of it must know."""
    sentences = [CAVEAT]
    if not heatmap.any():
        sentences.insert(0, BLANK)
    if not is_proven(spec):
        sentences.insert(0, UNPROVEN)
    return " ".join(sentences)


def heading(result: Result, spec: ModelSpec) -> str:
    """State the verdict that a heatmap explains; of an image that was judged."""
    mark = "Not valid. " if NOT_VALID in result.warnings else ""
    verdict, chance = str(result.verdict).capitalize(), percent(result.probability or 0.0)
    return f"{mark}{verdict}. Probability of pneumonia {chance} ({spec.name}, {spec.short_hash})"


def to_peak_1(heat: NDArray[np.float32]) -> Heatmap:
    """Scale values >= 0 so that the largest is 1; all zeros stay as they are."""
    peak = heat.max()
    return heat / peak if peak > 0 else heat


def fields() -> list[tuple[slice, slice]]:
    """List the fields of a tensor, rows and columns of each, row by row."""
    rows, columns = (_bands(count) for count in FIELDS)
    return list(product(rows, columns))


def _bands(count: int) -> list[slice]:
    edges = np.linspace(0, SIDE, count + 1).round().astype(int)
    return [slice(*ends) for ends in pairwise(edges)]


def blur(tensor: Tensor) -> Tensor:
    """Keep of a picture the mean of each field, interpolated between their centres."""
    picture = Image.fromarray(tensor[..., 0])
    means = np.asarray(picture.resize(FIELDS[::-1], Image.Resampling.BOX))
    return np.clip(enlarge(means), 0, 1)[..., np.newaxis]  # rounding may lead out of [0, 1]


def replaced(tensor: Tensor, other: Tensor, place: tuple[slice, slice]) -> Tensor:
    """Copy a tensor with one place taken from another."""
    copy = tensor.copy()
    copy[place] = other[place]
    return copy


def enlarge(cells: NDArray[np.floating]) -> NDArray[np.float32]:
    """Interpolate a value of each field linearly over 500 x 500 pixels; the outermost stay."""
    grid = Image.fromarray(cells.astype(np.float32))
    return np.asarray(grid.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def overlay(image: GreyImage, heatmap: Heatmap, opacity: float = OPACITY) -> ColourImage:
    """Lay a heatmap over its radiograph; where it is cold the radiograph shows unchanged.

    Args:
        image: shape (height, width), uint8, of any size: the heatmap is stretched back over it.
        heatmap: of the image.
        opacity: in [0, 1], of what has half the peak's heat or more; below that it falls to 0.

    Returns:
        Shape (height, width, 3).

    Raises:
        ValueError: the opacity is not in [0, 1].
    """
    if not 0 <= opacity <= 1:
        raise ValueError(f"An opacity from 0 to 1 is wanted; received {opacity}.")
    height, width = image.shape
    heat = Image.fromarray(np.round(heatmap * 255).astype(np.uint8))
    heat = heat.resize((width, height), Image.Resampling.BILINEAR)
    colour = Image.fromarray(_palette()[np.asarray(heat)])
    plain = Image.fromarray(image).convert("RGB")
    mask = heat.point(lambda value: opacity * min(2 * value, 255))
    return np.asarray(Image.composite(colour, plain, mask))


def shrink(image: GreyImage, side: int = 1024) -> GreyImage:
    """Reduce a radiograph to what a screen shows: at most `side` pixels wide and high."""
    picture = Image.fromarray(image)
    picture.thumbnail((side, side))
    return np.asarray(picture)


@functools.cache
def _palette() -> ColourImage:
    """List the colours of heat 0 to 255, shape (256, 3), uint8."""
    import matplotlib as mpl  # takes a while to import

    return mpl.colormaps[COLOURS](np.arange(256), bytes=True)[:, :3]
