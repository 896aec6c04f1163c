"""Where a network saw pneumonia: a heatmap, and its overlay on the radiograph.

Method: HiResCAM (Draelos and Carin 2020, arXiv:2011.08891) at the three coarsest feature maps,
which are fused, as LayerCAM does with its maps (Jiang et al., IEEE TIP 30, 2021).

It was chosen by the deletion test of `explain-check` on an early run of the article's CNN and on an
EfficientNet-Lite0, 50 held-out radiographs each that they called pneumonia. Filling the hottest
tenth lowered the logit by 1.7 and 1.1 (median), the same shape elsewhere by 0.0 and 0.2. At the
last map alone HiResCAM reached 1.2 and 0.5, LayerCAM 1.2 and 0.4, Grad-CAM 0.5 and 0.5, Grad-CAM++
-0.2 and 0.4; fused LayerCAM 1.6 and 0.6. Integrated gradients and occlusion reached 3.5 and 1.7,
but need 16 and 361 passes. What the shipped models reach stands in model/explanations.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xray_classifier.errors import ModelUnavailableError
from xray_classifier.imaging.preprocessing import SIDE, Tensor
from xray_classifier.imaging.radiograph import GreyImage
from xray_classifier.inference.pipeline import NOT_VALID, Result
from xray_classifier.inference.receptive_field import Axis, axes_of, coarsest_maps_of, logit_of
from xray_classifier.inference.verdict import percent
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.keras_network import compiled, keras_model
from xray_classifier.models.network import COMPUTING
from xray_classifier.models.spec import ModelSpec, read_report
from xray_classifier.paths import MODEL_FOLDER
from xray_classifier.records.checks import ExplanationReport

Heatmap = NDArray[np.float32]
"""Shape (500, 500), float32 in [0, 1], on the resized image's grid; all 0, or 1 at its peak."""

ColourImage = NDArray[np.uint8]
"""Shape (height, width, 3), uint8: red, green and blue."""

METHOD = "HiResCAM, fused over the three coarsest feature maps"
MAPS = 3
OPACITY = 0.6
COLOURS = "inferno"  # brightness rises with heat, so that it can be read without telling colours
CAVEAT = (
    "The heatmap shows which parts of the picture raised this network's score for pneumonia. It "
    "is not a localisation of disease: what moved the network need not be ill, nor lung at all."
)
UNPROVEN = (
    "This model's heatmaps have not passed the check on held-out patients: filling the hottest "
    "places changed its answers no more than filling others did, or that was not measured. Do "
    "not rely on this one."
)
BLANK = "Nothing in this picture raised the score, so the heatmap is blank."


class Explainer:
    """Explains the verdicts of a classifier; can be shared by threads, as the classifier can.

    Args:
        classifier: the model, run by Keras: gradients are taken in TensorFlow.

    Raises:
        ModelUnavailableError: the model has no convolution, or does not end in a sigmoid.
        TypeError: something else than Keras runs the model.
    """

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier
        self._model = keras_model(classifier.network)
        self._axes: list[tuple[Axis, Axis]] = []
        self._relevance = compiled(self._trace_relevance)
        with COMPUTING:
            self._relevance.get_concrete_function()

    @property
    def inner(self) -> tuple[slice, slice]:
        """Rows and columns of a heatmap between the outermost cells of the coarsest map."""
        rows, columns = self._axes[0]
        return rows.span, columns.span

    def heatmap(self, tensor: Tensor) -> Heatmap:
        """Show what raised the score for pneumonia, whatever the verdict.

        Each cell of a feature map counts its activations times the gradient of the logit; what
        lowers the score is left out. The maps' mean is taken, each scaled to a peak of 1.

        Args:
            tensor: shape (500, 500, 1), float32 in [0, 1].

        Raises:
            ModelUnavailableError: the network's answer is not finite.
        """
        with COMPUTING:
            maps = [cells.numpy()[0] for cells in self._relevance(tensor[np.newaxis])]
        if not all(np.all(np.isfinite(cells)) for cells in maps):
            raise ModelUnavailableError(
                f"Model {self.classifier.spec.name} cannot be explained: its answer is not "
                "finite. It is damaged; use another one."
            )
        heats = [
            to_peak_1(interpolate_cells(cells, *axes))
            for cells, axes in zip(maps, self._axes, strict=True)
        ]
        return to_peak_1(np.sum(heats, axis=0))

    def logits(self, batch: Tensor) -> NDArray[np.float64]:
        """Give the score that is explained, of each tensor: (n, 500, 500, 1) to (n,)."""
        return self.classifier.network.logits(batch)

    def _trace_logit(self, batch: Any) -> Any:
        return logit_of(self._model(batch, training=False))

    def _trace_relevance(self, batch: Any) -> list[Any]:
        import tensorflow as tf

        logit = self._trace_logit(batch)
        maps = coarsest_maps_of(logit, MAPS)
        self._axes = [axes_of(features) for features in maps]
        gradients = tf.gradients(logit, maps)
        if any(gradient is None for gradient in gradients):
            raise ModelUnavailableError("This model cannot be explained: it has no gradient.")
        return [
            tf.nn.relu(tf.reduce_sum(features * gradient, axis=-1))
            for features, gradient in zip(maps, gradients, strict=True)
        ]


def is_proven(spec: ModelSpec, folder: Path = MODEL_FOLDER) -> bool:
    """Tell whether this very model file has passed `explain-check`, by the report on it."""
    report = read_report(ExplanationReport, spec, folder)
    return report is not None and report.passed


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


def interpolate_cells(cells: NDArray[np.float32], rows: Axis, columns: Axis) -> NDArray[np.float32]:
    """Interpolate the cells of a map linearly over the 500 x 500 pixels of the input.

    Beyond the outermost cells the values fall to 0 within one step.
    """
    down, across = (_cell_weights(axis) for axis in (rows, columns))
    return (down @ cells @ across.T).astype(np.float32)


def _cell_weights(axis: Axis) -> NDArray[np.float64]:
    """Weigh the cells for each pixel, shape (500, cells)."""
    positions = (np.arange(SIDE) - axis.start) / axis.step
    return np.maximum(0, 1 - np.abs(positions[:, np.newaxis] - np.arange(axis.cells)))


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
