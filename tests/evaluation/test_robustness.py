from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from xray_classifier.data.datasets import Sample
from xray_classifier.evaluation import robustness as module
from xray_classifier.evaluation.robustness import SPOILERS, robustness
from xray_classifier.imaging.preprocessing import preprocess
from xray_classifier.models.classifier import Classifier
from xray_classifier.records.evaluation import Estimate

NORMALS, PNEUMONIAS = (58, 90, 120), (135, 160, 197)  # the tiny model calls pneumonia above 127.5


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Flat images of a patient each; as they are, all are judged rightly."""
    found = []
    for label, greys in enumerate((NORMALS, PNEUMONIAS)):
        for grey in greys:
            path = tmp_path / f"{grey}.png"
            Image.fromarray(np.full((40, 40), grey, np.uint8)).save(path)
            found.append(Sample(path, label, "all", str(grey)))
    return found


def test_each_spoiler_has_a_curve_over_its_levels(
    samples: list[Sample], tiny_classifier: Classifier
) -> None:
    curves = robustness(samples, tiny_classifier)
    assert {name: tuple(each.level for each in levels) for name, levels in curves.items()} == {
        name: levels for name, (_, levels) in SPOILERS.items()
    }


def test_brightness_turns_the_verdicts_that_it_should(
    samples: list[Sample], tiny_classifier: Classifier
) -> None:
    """By .1 the grey changes by 25.5, so that 120 or 135 crosses 127.5; by .2, 90 or 160, too."""
    spoilt = {each.level: each for each in robustness(samples, tiny_classifier)[BRIGHTNESS]}
    right = {level: each.accuracy.value for level, each in spoilt.items()}
    assert right == pytest.approx({-0.2: 4 / 6, -0.1: 5 / 6, 0.1: 5 / 6, 0.2: 4 / 6})
    for each in spoilt.values():  # the order of the images stays
        assert each.auc == Estimate(1, 1, 1)
        assert each.accuracy.low < each.accuracy.value <= each.accuracy.high


def test_flat_images_cannot_be_blurred(samples: list[Sample], tiny_classifier: Classifier) -> None:
    for each in robustness(samples, tiny_classifier)["blur, radius in pixels of 500"]:
        assert (each.accuracy, each.auc) == (Estimate(1, 1, 1), Estimate(1, 1, 1))


BRIGHTNESS = "brightness, added"


@pytest.mark.parametrize("name", SPOILERS)
def test_every_level_changes_the_picture_and_more_so_the_farther_it_goes(name: str) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (500, 500), np.uint8)
    picture[100:400, 100:400] //= 2
    batch = preprocess(picture)[np.newaxis]
    spoil, levels = SPOILERS[name]
    changes = {}
    for level in levels:
        spoilt = spoil(batch, level, np.random.default_rng(1))
        assert (spoilt.shape, spoilt.dtype) == (batch.shape, batch.dtype)
        changes[level] = float(np.abs(spoilt - batch).mean())
    assert min(changes.values()) > 0.005
    falling = name in ("JPEG quality", "resolution, pixels a side")
    rising = sorted(levels, key=lambda level: -level if falling else abs(level))
    mildest, worst = changes[rising[0]], changes[rising[-1]]
    assert mildest < worst


def test_the_model_judges_what_the_spoiler_gave(
    samples: list[Sample], tiny_classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def invert(batch: Any, level: float, _rng: np.random.Generator) -> Any:
        return np.abs(level - batch)

    monkeypatch.setattr(module, "SPOILERS", {"inverted": (invert, (0, 1))})
    plain, inverted = robustness(samples, tiny_classifier)["inverted"]
    assert (plain.accuracy.value, plain.auc.value) == (1, 1)
    assert (inverted.accuracy.value, inverted.auc.value) == (0, 0)
