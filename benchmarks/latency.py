"""From the bytes of one file to its verdict."""

from __future__ import annotations

import contextlib
import io
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Figure, Quartiles, quartiles, ratio, take_turns
from xray_classifier.imaging.preprocessing import SIDE, preprocess
from xray_classifier.inference.heatmap import Explainer
from xray_classifier.inference.pipeline import Choices, classify
from xray_classifier.inputs.decoding import decode
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.gate import Gate
from xray_classifier.models.keras_network import keras_model

MATRIX_SIDES = (1024, 2048)


def article_path(path: Path, model: Any) -> float:
    """Judge a file as the article's app does."""
    import keras

    image = keras.utils.load_img(path, target_size=(SIDE, SIDE), color_mode="grayscale")
    pixels = keras.utils.img_to_array(image) / 255
    with contextlib.redirect_stdout(io.StringIO()):  # its progress bar
        return float(model.predict(pixels[np.newaxis])[0, 0])


def compare_paths(data: bytes, model: Any, classifier: Classifier, rounds: int) -> Figure:
    """Set our way from bytes to verdict against the article's, with the same network."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "image.jpeg")
        path.write_bytes(data)
        seconds = take_turns(
            {
                "ours": lambda: classify(data, classifier),
                "the article's": lambda: article_path(path, model),
            },
            rounds,
        )
    sides = {name: quartiles(values) for name, values in seconds.items()}
    value = ratio(sides["the article's"], sides["ours"])
    what = "one JPEG of 1700 pixels to its verdict, `article`, times faster than the article's way"
    return Figure("speedup_over_article_path", what, value, 3, at_least=True, sides=sides)


def compare_with_floor(data: bytes, classifier: Classifier, rounds: int) -> Figure:
    """Set the forward pass against the time that its multiply-adds take as matrix products."""
    batch = preprocess(decode(data).image)[np.newaxis]
    side, multiply = fastest_product(max(2, rounds // 5))
    seconds = take_turns(
        {"forward": lambda: classifier.probabilities(batch), "product": multiply}, rounds
    )
    flops = 2 * multiply_adds(keras_model(classifier.network))
    per_flop = 1 / (2 * side**3)
    sides = {
        "forward pass": quartiles(seconds["forward"]),
        "floor": quartiles(seconds["product"], scale=1e3 * flops * per_flop),
    }
    what = f"forward pass of `article` over the floor for its {flops / 1e9:.2f} GFLOP"
    return Figure(
        "forward_over_floor", what, ratio(sides["forward pass"], sides["floor"]), 1.4, sides=sides
    )


def multiply_adds(model: Any) -> int:
    """Count the multiply-adds of one forward pass: convolutions and dense layers."""
    return sum(
        math.prod(layer.output.shape[1:]) * math.prod(layer.kernel.shape[:-1])
        for layer in model.layers
        if hasattr(layer, "kernel")
    )


def fastest_product(rounds: int) -> tuple[int, Callable[[], object]]:
    """Find the side of square matrices whose product runs at most FLOP/s here, float32."""
    import tensorflow as tf

    def product(side: int) -> Callable[[], object]:
        matrix = tf.random.normal((side, side))

        def multiply() -> object:
            return tf.linalg.matmul(matrix, matrix)[0, 0].numpy()

        return multiply

    products = {side: product(side) for side in MATRIX_SIDES}
    seconds = take_turns({str(side): run for side, run in products.items()}, rounds)
    best = min(MATRIX_SIDES, key=lambda side: quartiles(seconds[str(side)]).median / side**3)
    return best, products[best]


def time_default(data: bytes, classifier: Classifier, gate: Gate, rounds: int) -> list[Figure]:
    """Time what the page does for an upload, and a heatmap against it."""
    explainer, tensor = Explainer(classifier), preprocess(decode(data).image)
    seconds = take_turns(
        {  # not enforced, so that the model judges in any case
            "verdict": lambda: classify(data, classifier, gate, choices=Choices(use_gate=False)),
            "heatmap": lambda: explainer.heatmap(tensor),
        },
        rounds,
    )
    sides: dict[str, Quartiles] = {name: quartiles(values) for name, values in seconds.items()}
    verdict = {"verdict": sides["verdict"]}
    what = "the same JPEG with `default` and gate, in ms"
    over = ratio(sides["heatmap"], sides["verdict"])
    return [
        Figure("default_ms", what, sides["verdict"].median, 60, sides=verdict),
        Figure("heatmap_over_verdict", "its heatmap over its verdict", over, 3, sides=sides),
    ]
