from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.pictures import encoded
from xray_classifier.data.datasets import Sample
from xray_classifier.errors import DatasetError
from xray_classifier.training import preview
from xray_classifier.training.preview import draw
from xray_classifier.training.recipes import ARTICLE, DEFAULT

GREYS = (10, 90, 170, 250)


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Four images, each of one grey: the darker two normal, the brighter two pneumonia."""
    found = []
    for grey in GREYS:
        path = tmp_path / f"{grey}.png"
        path.write_bytes(encoded(np.full((40, 50), grey, np.uint8)))
        found.append(Sample(path, int(grey > 128), "train", str(grey)))
    return found


def pictures(figure: Any) -> list[Any]:
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes]


def test_each_image_is_shown_once_as_the_network_sees_it(samples: list[Sample]) -> None:
    shown = pictures(draw(samples, ARTICLE, seed=1))
    assert {picture.shape for picture in shown} == {(500, 500)}
    assert sorted(int(np.median(picture)) for picture in shown) == list(GREYS)


def test_default_recipe_changes_smaller_images_in_its_own_way(samples: list[Sample]) -> None:
    shown = pictures(draw(samples, DEFAULT, seed=1))
    assert {picture.shape for picture in shown} == {(250, 250)}
    assert any(np.ptp(picture) > 0 for picture in shown), "noise, shade, text or a foreign border"


def test_each_image_bears_its_label(samples: list[Sample]) -> None:
    figure = draw(samples, ARTICLE, seed=1)
    titles = [axes.get_title() for axes in figure.axes]
    bright = [np.median(picture) > 128 for picture in pictures(figure)]
    assert titles == ["pneumonia" if positive else "normal" for positive in bright]


def test_file_that_cannot_be_read_is_named(samples: list[Sample]) -> None:
    samples[2].path.write_bytes(b"no image")
    with pytest.raises(DatasetError, match=r"170\.png: .*Remove or replace the file"):
        draw(samples, ARTICLE, seed=1)


def test_choice_and_augmentation_follow_from_the_seed(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(np.random.default_rng(0).integers(0, 256, (60, 60), np.uint8)))
    sample = Sample(path, 0, "train", "a")
    one, same, other = (pictures(draw([sample], ARTICLE, seed))[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_no_more_images_are_drawn_than_fit(
    samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "IMAGES", 3)
    medians = [int(np.median(picture)) for picture in pictures(draw(samples, ARTICLE, seed=1))]
    assert len(set(medians)) == 3
