from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xray_classifier.data.datasets import Sample
from xray_classifier.evaluation.robustness import SPOILERS, robustness
from xray_classifier.models.classifier import Classifier


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Normals are dark, pneumonias bright: the tiny model says .10 and .90."""
    found = []
    for number in range(6):
        label = number % 2
        path = tmp_path / f"{number}.png"
        Image.fromarray(np.full((40, 40), 197 if label else 58, np.uint8)).save(path)
        found.append(Sample(path, label, "all", str(number)))
    return found


def test_each_spoiler_has_a_curve_over_its_levels(
    samples: list[Sample], tiny_classifier: Classifier
) -> None:
    curves = robustness(samples, tiny_classifier)
    assert curves.keys() == SPOILERS.keys()
    for name, points in curves.items():
        assert [point["level"] for point in points] == list(SPOILERS[name][1])


def test_figures_by_hand(samples: list[Sample], tiny_classifier: Classifier) -> None:
    curves = robustness(samples, tiny_classifier)
    for point in curves["blur, radius in pixels of 500"]:  # flat images cannot be blurred
        assert (point["accuracy"], point["auc"]) == ([1, 1, 1], [1, 1, 1])
    brighter = {point["level"]: point["accuracy"][0] for point in curves["brightness, added"]}
    # .227 + .2 stays below .5, the mean at which the tiny model calls pneumonia.
    assert brighter == {-0.2: 1, -0.1: 1, 0.1: 1, 0.2: 1}
