"""From the bytes of one file to its verdict."""

from __future__ import annotations

import contextlib
import io
import math
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from benchmarks.measure import Figure, quartiles, ratio, take_turns
from xray_classifier.imaging.preprocessing import SIDE, preprocess
from xray_classifier.inference.heatmap import Explainer
from xray_classifier.inference.pipeline import Choices, Result, classify
from xray_classifier.inputs.decoding import decode
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.gate import Gate
from xray_classifier.models.keras_network import keras_model

MATRIX_SIDES = (1024, 2048)

DEFAULT_MS = 25
HEATMAP_MS = 400

Product: TypeAlias = Callable[[], object]

Judges: TypeAlias = Mapping[str, tuple[Classifier, Gate]]
"""A model and the gate on each side: "ours" and "Keras"."""


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
    return Figure("speedup_over_article_path", what, value, 4, at_least=True, sides=sides)


def compare_with_floor(data: bytes, ours: Classifier, theirs: Classifier, rounds: int) -> Figure:
    """Set the forward pass against the time that its multiply-adds take as matrix products.

    Args:
        data: the file whose tensor is judged.
        ours: the model.
        theirs: the same, run by Keras.
        rounds: how often.
    """
    batch = preprocess(decode(data).image)[np.newaxis]
    library, side, multiply = fastest_product(max(2, rounds // 5))
    seconds = take_turns(
        {
            "forward pass": lambda: ours.probabilities(batch),
            "Keras's": lambda: theirs.probabilities(batch),
            "product": multiply,
        },
        rounds,
    )
    flops = 2 * multiply_adds(keras_model(theirs.network))
    product = quartiles(seconds.pop("product"), scale=1e3 * flops / (2 * side**3))
    sides = {name: quartiles(values) for name, values in seconds.items()}
    value = ratio(sides["forward pass"], product)
    what = f"forward pass of `article` over the floor for its {flops / 1e9:.2f} GFLOP"
    floor = {f"floor ({library}, {side} x {side})": product}
    return Figure("forward_over_floor", what, value, 1.15, sides=sides | floor)


def multiply_adds(model: Any) -> int:
    """Count the multiply-adds of one forward pass: convolutions and dense layers."""
    return sum(
        math.prod(layer.output.shape[1:]) * math.prod(layer.kernel.shape[:-1])
        for layer in model.layers
        if hasattr(layer, "kernel")
    )


def fastest_product(rounds: int) -> tuple[str, int, Product]:
    """Find the product of square float32 matrices that runs at most FLOP/s here.

    Returns:
        Whose it is, the side of its matrices, and what computes it.
    """
    makers = {"TensorFlow": tensorflow_product, "NumPy": numpy_product}
    products = {
        (library, side): make(side) for library, make in makers.items() for side in MATRIX_SIDES
    }
    seconds = take_turns(
        {f"{library} {side}": product for (library, side), product in products.items()}, rounds
    )

    def per_flop(which: tuple[str, int]) -> float:
        library, side = which
        return quartiles(seconds[f"{library} {side}"]).median / side**3

    library, side = best = min(products, key=per_flop)
    return library, side, products[best]


def tensorflow_product(side: int) -> Product:
    """Multiply a matrix by itself as TensorFlow does."""
    import tensorflow as tf

    matrix = tf.random.normal((side, side))

    def multiply() -> object:
        return tf.linalg.matmul(matrix, matrix)[0, 0].numpy()

    return multiply


def numpy_product(side: int) -> Product:
    """Multiply a matrix by itself as NumPy's BLAS does, into memory that is there already."""
    matrix = np.random.default_rng(0).standard_normal((side, side), np.float32)
    return partial(np.matmul, matrix, matrix, out=np.empty_like(matrix))


def time_default(data: bytes, judges: Judges, rounds: int) -> Figure:
    """Time what the page does for an upload."""
    seconds = take_turns(
        {side: partial(_judge, data, *judge) for side, judge in judges.items()}, rounds
    )
    sides = {side: quartiles(values) for side, values in seconds.items()}
    what = "the same JPEG with `default` and gate, in ms"
    return Figure("default_ms", what, sides["ours"].median, DEFAULT_MS, sides=sides)


def time_heatmap(data: bytes, judges: Judges, rounds: int) -> list[Figure]:
    """Time a heatmap, also against the verdict that it explains."""
    tensor = preprocess(decode(data).image)
    explainers = {side: Explainer(classifier) for side, (classifier, _) in judges.items()}
    seconds = take_turns(
        {side: partial(one.heatmap, tensor) for side, one in explainers.items()}
        | {"verdict": partial(_judge, data, *judges["ours"])},
        rounds,
    )
    sides = {name: quartiles(values) for name, values in seconds.items()}
    heatmap, verdict = sides["ours"], sides.pop("verdict")
    both = {"heatmap": heatmap, "verdict": verdict}
    over, wanted = ratio(heatmap, verdict), HEATMAP_MS / DEFAULT_MS
    return [
        Figure("heatmap_ms", "its heatmap, in ms", heatmap.median, HEATMAP_MS, sides=sides),
        Figure("heatmap_over_verdict", "its heatmap over its verdict", over, wanted, sides=both),
    ]


def time_article_heatmap(data: bytes, article: Mapping[str, Classifier], rounds: int) -> Figure:
    """Time a heatmap of the larger network."""
    tensor = preprocess(decode(data).image)
    seconds = take_turns(
        {side: partial(Explainer(one).heatmap, tensor) for side, one in article.items()}, rounds
    )
    sides = {name: quartiles(values) for name, values in seconds.items()}
    what = "a heatmap of `article`, in ms"
    return Figure("heatmap_article_ms", what, sides["ours"].median, HEATMAP_MS, sides=sides)


def _judge(data: bytes, classifier: Classifier, gate: Gate) -> Result:
    """Judge a file, without enforcing the gate, so that the model judges in any case."""
    return classify(data, classifier, gate, choices=Choices(use_gate=False))
