"""The rendering score: the probability of pneumonia by how a radiograph is rendered, and no more.

A logistic regression of the label on five band energies, which know no place. An image is *hard*
if its rendering speaks for the other class: there it shows whether a model looks at lungs or at the
machine. Weights by how well the rendering tells the label make it tell nothing, as in a hospital
that chooses its machines for other reasons than illness.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from xray_classifier.data.datasets import Sample, read_image
from xray_classifier.imaging.preprocessing import Tensor, scale
from xray_classifier.imaging.radiograph import GreyImage
from xray_classifier.paths import MODEL_FOLDER
from xray_classifier.progress import track
from xray_classifier.records.json_files import read_record
from xray_classifier.records.rendering import HardCutoffs, RenderingFacts, RenderingFit
from xray_classifier.rendering.bands import REFERENCE_SIDE, Energies, band_energies

RENDERING_FILE = MODEL_FOLDER / "rendering" / "rendering.json"
"""The score that comes with the program."""

HARD_FRACTION = 0.07
"""Of each class of the training images, where the classes' renderings overlap."""

SUREST = 1e-6
"""How far from 0 and 1 a score stays in weights, so that no image loses its whole weight."""

BATCH_SIZE = 64

Labels = NDArray[np.intp]
Scores = NDArray[np.float64]
"""Shape (n,): the probability of pneumonia by the rendering, in [0, 1]."""


def read_rendering(path: Path = RENDERING_FILE) -> RenderingFacts | None:
    """Read the score; None where there is none.

    Raises:
        ModelUnavailableError: the file cannot be read, or holds something else.
    """
    if not path.exists():
        return None
    return read_record(path, RenderingFacts, what="The rendering score")


def energies_of(samples: Sequence[Sample]) -> Energies:
    """Measure the band energies of radiographs, shape (n, 5), each brought to 224 x 224 pixels.

    Raises:
        DatasetError: a file cannot be read; the message names it.
    """
    starts = range(0, len(samples), BATCH_SIZE)
    return np.concatenate(
        [
            band_energies(
                np.stack([_reduced(read_image(one)) for one in samples[start : start + BATCH_SIZE]])
            )
            for start in track(starts, "Measuring the rendering", len(starts))
        ]
    )


def _reduced(image: GreyImage) -> Tensor:
    """Shape (224, 224, 1), float32 in [0, 1]; antialiased, as the copies of the data are."""
    side = (REFERENCE_SIDE, REFERENCE_SIDE)
    return scale(np.asarray(Image.fromarray(image).resize(side, Image.Resampling.BILINEAR)))


def fit_score(energies: Energies, labels: Labels) -> RenderingFit:
    """Fit the score.

    Args:
        energies: shape (n, 5).
        labels: shape (n,), 0 = normal, 1 = pneumonia; both must occur.
    """
    mean, deviation = energies.mean(axis=0), energies.std(axis=0)
    deviation = np.where(deviation < 1e-9, 1, deviation)  # a band that is alike in all images
    fitted = LogisticRegression().fit((energies - mean) / deviation, labels)
    return RenderingFit(
        mean=tuple(mean.tolist()),
        deviation=tuple(deviation.tolist()),
        coefficients=tuple(fitted.coef_[0].tolist()),
        intercept=float(fitted.intercept_[0]),
    )


def scores_by(fit: RenderingFit, energies: Energies) -> Scores:
    """Apply a score to band energies, shape (n, 5)."""
    standardised = (energies - np.array(fit.mean)) / np.array(fit.deviation)
    return expit(standardised @ np.array(fit.coefficients) + fit.intercept)


def out_of_fold_scores(
    energies: Energies, labels: Labels, folds: Sequence[Sequence[int]]
) -> Scores:
    """Give each image the score of a fit to the other folds.

    Args:
        energies: shape (n, 5).
        labels: shape (n,); both must occur outside of each fold.
        folds: the positions of each fold's images; each image is in one of them.
    """
    scores = np.empty(len(labels))
    for inside in folds:
        others = np.delete(np.arange(len(labels)), inside)
        scores[inside] = scores_by(fit_score(energies[others], labels[others]), energies[inside])
    return scores


def find_cutoffs(labels: Labels, scores: Scores) -> HardCutoffs:
    """Find where 7 % of the normals lie above and 7 % of the pneumonias lie below."""
    return HardCutoffs(
        normal=float(np.quantile(scores[labels == 0], 1 - HARD_FRACTION)),
        pneumonia=float(np.quantile(scores[labels == 1], HARD_FRACTION)),
    )


def hard(labels: Labels, scores: Scores, cutoffs: HardCutoffs) -> NDArray[np.bool_]:
    """Tell which images are hard: their rendering speaks for the other class; shape (n,)."""
    return np.where(labels == 1, scores <= cutoffs.pneumonia, scores >= cutoffs.normal)


def balanced_weights(labels: Labels, scores: Scores) -> NDArray[np.float64]:
    """Weight images so that their rendering tells nothing of their label.

    The weight is P(other label | rendering): overlap weights (Li, Morgan and Zaslavsky, JASA 113,
    2018), which weigh the classes alike in each rendering and never exceed 1 before they are
    normalised. The inverse 1 / P(label | rendering) would need normals in every rendering that
    pneumonias have; half of the pneumonias have one without, so that cut off at 10 it left the
    rendering an AUC of .72 on the training images, where these weights leave .55.

    Args:
        labels: shape (n,), 0 = normal, 1 = pneumonia.
        scores: shape (n,).

    Returns:
        Shape (n,), above 0; 1 on average in each class, which stay as frequent as they are.
    """
    weights = np.clip(np.where(labels == 1, 1 - scores, scores), SUREST, 1)
    for label in set(labels.tolist()):
        weights[labels == label] /= weights[labels == label].mean()
    return weights
