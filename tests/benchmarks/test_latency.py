from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from benchmarks import latency
from tests.support.pictures import encoded, gradient
from tests.support.stand_ins import TinyGate, square_model, tiny_model
from xray_classifier.inference.pipeline import classify

if TYPE_CHECKING:
    from xray_classifier.models.classifier import Classifier


def test_multiply_adds_are_those_worked_out_by_hand() -> None:
    # 50 x 50 pixels after pooling, 48 x 48 after the convolution of 3 x 3; one dense weight
    assert latency.multiply_adds(square_model()) == 48 * 48 * 9 + 1


def test_multiply_adds_of_the_article() -> None:
    from xray_classifier.training.architecture import build_article_cnn

    maps = [(498, 1, 32), (247, 32, 32), (121, 32, 32), (58, 32, 64), (27, 64, 64)]
    convolutions = sum(side**2 * 9 * before * after for side, before, after in maps)
    dense = 13 * 13 * 64 * 128 + 128 * 64 + 64
    assert latency.multiply_adds(build_article_cnn()) == convolutions + dense


def test_both_paths_judge_the_same_image(tiny_classifier: Classifier, tmp_path: Path) -> None:
    data = encoded(gradient(500, 500))  # neither has to resize it
    figure = latency.compare_paths(data, tiny_model(), tiny_classifier, rounds=1)
    ours, theirs = figure.sides["ours"], figure.sides["the article's"]
    assert figure.value == pytest.approx(theirs.median / ours.median)
    path = tmp_path / "image.png"
    path.write_bytes(data)
    probability = classify(data, tiny_classifier).probability
    assert latency.article_path(path, tiny_model()) == pytest.approx(probability, abs=1e-5)


def test_floor_is_measured_beside_both_forward_passes(
    tiny_classifier: Classifier, square_classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "MATRIX_SIDES", (8, 16))
    data = encoded(gradient())
    figure = latency.compare_with_floor(data, tiny_classifier, square_classifier, rounds=2)
    assert figure.key == "forward_over_floor"
    ours, theirs, floor = figure.sides
    assert (ours, theirs) == ("forward pass", "Keras's")
    assert floor.startswith(("floor (TensorFlow, ", "floor (NumPy, "))
    assert figure.value == figure.sides[ours].median / figure.sides[floor].median


def test_fastest_product_is_that_of_most_operations_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def maker(seconds: dict[int, float]) -> Any:
        def make(side: int) -> latency.Product:
            def multiply() -> None:
                clock[0] += seconds[side]

            return multiply

        return make

    monkeypatch.setattr(latency, "tensorflow_product", maker({1024: 1, 2048: 7}))
    monkeypatch.setattr(latency, "numpy_product", maker({1024: 0.9, 2048: 7.5}))
    library, side, multiply = latency.fastest_product(2)
    assert (library, side) == ("TensorFlow", 2048)  # 1/7 of what needs eight times as much
    before = clock[0]
    multiply()
    assert clock[0] - before == 7


def test_products_of_both_libraries_multiply_a_matrix_by_itself() -> None:
    matrix = np.random.default_rng(0).standard_normal((4, 4), np.float32)
    assert latency.numpy_product(4)() == pytest.approx(matrix @ matrix, abs=1e-5)
    assert np.isfinite(cast("float", latency.tensorflow_product(4)()))


@pytest.fixture
def judges(tiny_classifier: Classifier, square_classifier: Classifier) -> latency.Judges:
    gate = cast("Any", TinyGate())
    return {"ours": (tiny_classifier, gate), "Keras": (square_classifier, gate)}


WHITE = encoded(np.full((50, 50), 255, np.uint8))  # the gate rejects it, the model judges it


def test_default_is_timed_beside_keras(judges: latency.Judges) -> None:
    figure = latency.time_default(WHITE, judges, rounds=1)
    assert figure.key == "default_ms"
    assert figure.value == figure.sides["ours"].median
    assert figure.sides.keys() == {"ours", "Keras"}


def test_heatmap_is_timed_beside_keras_and_against_its_verdict(judges: latency.Judges) -> None:
    heatmap, over = latency.time_heatmap(WHITE, judges, rounds=1)
    assert (heatmap.key, heatmap.value) == ("heatmap_ms", heatmap.sides["ours"].median)
    assert heatmap.sides.keys() == {"ours", "Keras"}
    assert over.key == "heatmap_over_verdict"
    assert over.value == over.sides["heatmap"].median / over.sides["verdict"].median


def test_heatmap_of_article_is_timed_beside_keras(judges: latency.Judges) -> None:
    article = {side: classifier for side, (classifier, _) in judges.items()}
    heatmap = latency.time_article_heatmap(WHITE, article, rounds=1)
    assert (heatmap.key, heatmap.target) == ("heatmap_article_ms", 400)
    assert heatmap.value == heatmap.sides["ours"].median
    assert heatmap.sides.keys() == {"ours", "Keras"}
