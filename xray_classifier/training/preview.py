"""A look at what the network sees in training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from xray_classifier.data.datasets import Sample
from xray_classifier.evaluation import plots
from xray_classifier.imaging.preprocessing import scale
from xray_classifier.labels import LABELS
from xray_classifier.training.recipes import Recipe
from xray_classifier.training.training_images import load_images

IMAGES = 20


def draw(samples: Sequence[Sample], recipe: Recipe, seed: int) -> Figure:
    """Draw a random choice of training images, changed as in training, with their labels.

    The figure shows patients: it must not be published.
    """
    rng = np.random.default_rng(seed)
    count = min(IMAGES, len(samples))
    chosen = [samples[index] for index in rng.choice(len(samples), count, replace=False)]
    images, _ = load_images(chosen, recipe.pool)
    augmented = np.round(recipe.augment(scale(images), rng)[..., 0] * 255).astype(np.uint8)
    return plots.image_grid(list(augmented), [LABELS[sample.label] for sample in chosen])
