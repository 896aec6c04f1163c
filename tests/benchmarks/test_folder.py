from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import folder, images
from tests.support.stand_ins import tiny_model

if TYPE_CHECKING:
    from xray_classifier.models.classifier import Classifier


def test_both_ways_judge_every_file_of_a_folder(
    drawn: None, tiny_classifier: Classifier, tmp_path: Path
) -> None:
    target = tmp_path / "images"
    target.mkdir()
    images.fill(target, 5)
    assert folder.judge_as_we_do(target, tiny_classifier) == 5
    assert folder.judge_as_keras(target, tiny_model()).shape == (5, 1)
    figure = folder.compare("key", tiny_classifier, tiny_model(), images=3, rounds=1, warm_up=0)
    assert figure.value == figure.sides["ours"].median / figure.sides["Keras"].median
    assert figure.sides["ours"].unit == "images/s"
