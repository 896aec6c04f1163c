"""A look at what the network sees in training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from xray_classifier import plots
from xray_classifier.augmentation import augment
from xray_classifier.datasets import LABELS, Sample, read_image
from xray_classifier.preprocessing import preprocess

IMAGES = 20


def draw(samples: Sequence[Sample], seed: int) -> Figure:
    """Draw a random choice of augmented training images with their labels.

    The figure shows patients: it must not be published.
    """
    rng = np.random.default_rng(seed)
    count = min(IMAGES, len(samples))
    chosen = [samples[index] for index in rng.choice(len(samples), count, replace=False)]
    batch = np.stack([preprocess(read_image(sample)) for sample in chosen])
    augmented = np.round(augment(batch, rng)[..., 0] * 255).astype(np.uint8)
    return plots.image_grid(list(augmented), [LABELS[sample.label] for sample in chosen])
