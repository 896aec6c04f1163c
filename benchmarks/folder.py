"""A folder of images: ours against Keras's own way, the same files and the same network."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.images import fill
from benchmarks.measure import Figure, quartiles, ratio, take_turns
from xray_classifier.batch.scoring import score
from xray_classifier.imaging.preprocessing import SIDE
from xray_classifier.inputs.listing import list_files
from xray_classifier.models.classifier import Classifier

BATCH_SIZE = 32  # Keras's default


def judge_as_keras(folder: Path, model: Any) -> Any:
    """Judge a folder with `image_dataset_from_directory` and `predict`."""
    import keras

    images = keras.utils.image_dataset_from_directory(
        folder,
        labels=None,
        color_mode="grayscale",
        batch_size=BATCH_SIZE,
        image_size=(SIDE, SIDE),
        shuffle=False,
        verbose=False,
    )
    return model.predict(images.map(lambda batch: batch / 255), verbose=0)


def judge_as_we_do(folder: Path, classifier: Classifier) -> int:
    """Judge a folder, without the gate, since Keras's way has none; count the verdicts."""
    rows = score(list_files([str(folder)]), classifier)
    return sum(row.probability is not None for row in rows)


def compare(
    key: str, classifier: Classifier, model: Any, images: int, rounds: int, warm_up: int = 1
) -> Figure:
    """Compare images per second of both ways; `model` is the classifier's in Keras."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "images")
        folder.mkdir()
        fill(folder, images)
        seconds = take_turns(
            {
                "ours": lambda: judge_as_we_do(folder, classifier),
                "Keras": lambda: judge_as_keras(folder, model),
            },
            rounds,
            warm_up,
        )
    sides = {
        name: quartiles([images / value for value in values], "images/s", 1)
        for name, values in seconds.items()
    }
    what = (
        f"images per second of a folder of {images}, `{classifier.spec.name}` without gate, over "
        "`image_dataset_from_directory` and `predict`"
    )
    value = ratio(sides["ours"], sides["Keras"])
    return Figure(key, what, value, 1.3, at_least=True, sides=sides)
