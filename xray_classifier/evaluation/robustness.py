"""How far can a radiograph be spoilt before the verdicts get worse?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from xray_classifier.data.datasets import Sample, read_image
from xray_classifier.evaluation.metrics import Probabilities, Weights, roc_auc, with_intervals
from xray_classifier.imaging import perturbations
from xray_classifier.imaging.preprocessing import Tensor, preprocess
from xray_classifier.models.classifier import Classifier
from xray_classifier.progress import track
from xray_classifier.records.evaluation import SpoiltFigures

BATCH_SIZE = 32
SEED = 0

Spoil = Callable[[Tensor, float, np.random.Generator], Tensor]

SPOILERS: dict[str, tuple[Spoil, tuple[float, ...]]] = {
    "noise, standard deviation": (
        lambda batch, level, rng: perturbations.add_noise(batch, rng, level),
        (0.02, 0.05, 0.1),
    ),
    "blur, radius in pixels of 500": (
        lambda batch, level, _rng: perturbations.blur(batch, level),
        (1, 2, 4),
    ),
    "JPEG quality": (
        lambda batch, level, _rng: perturbations.compress(batch, int(level)),
        (50, 25, 10),
    ),
    "brightness, added": (
        lambda batch, level, _rng: perturbations.shift_grey(batch, level, 1.0),
        (-0.2, -0.1, 0.1, 0.2),
    ),
    "rotation in degrees": (
        lambda batch, level, _rng: perturbations.rotate(batch, level),
        (-15, -5, 5, 15),
    ),
    "resolution, pixels a side": (
        lambda batch, level, _rng: perturbations.downsample(batch, int(level)),
        (224, 112, 64),
    ),
}


def robustness(
    samples: Sequence[Sample], classifier: Classifier
) -> dict[str, tuple[SpoiltFigures, ...]]:
    """Measure a model on ever more spoilt images.

    Args:
        samples: radiographs of both classes.
        classifier: the model.

    Returns:
        By what was changed: what is reached at each level, in the order of `SPOILERS`.

    Raises:
        DatasetError: a file cannot be read; the message names it.
    """
    order = [(name, level) for name, (_, levels) in SPOILERS.items() for level in levels]
    found: dict[tuple[str, float], list[Probabilities]] = {key: [] for key in order}
    rng = np.random.default_rng(SEED)
    starts = range(0, len(samples), BATCH_SIZE)
    for start in track(starts, "Spoiling", len(starts)):
        part = samples[start : start + BATCH_SIZE]
        batch = np.stack([preprocess(read_image(sample)) for sample in part])
        for name, level in order:
            spoilt = SPOILERS[name][0](batch, level, rng)
            found[name, level].append(classifier.probabilities(spoilt))
    threshold = classifier.spec.threshold
    return {
        name: tuple(
            _measure(level, samples, np.concatenate(found[name, level]), threshold)
            for level in levels
        )
        for name, (_, levels) in SPOILERS.items()
    }


def _measure(
    level: float, samples: Sequence[Sample], probabilities: Probabilities, threshold: float
) -> SpoiltFigures:
    labels = np.array([sample.label for sample in samples], np.intp)
    right = (probabilities >= threshold) == (labels == 1)

    def figures(weights: Weights) -> dict[str, float]:
        return {
            "accuracy": float(np.average(right, weights=weights)),
            "auc": roc_auc(labels, probabilities, weights),
        }

    patients = [sample.patient for sample in samples]
    return SpoiltFigures(level, **with_intervals(figures, labels, patients))
