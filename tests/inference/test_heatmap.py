"""Heatmaps of a network whose score is known to rise with what is bright, and with nothing else."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

from tests.support.pictures import gradient, squares
from tests.support.recorded import EXPLANATION
from tests.support.stand_ins import set_square_weights, square_layers, square_model, tiny_model
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.imaging.preprocessing import preprocess
from xray_classifier.inference.heatmap import (
    BLANK,
    CAVEAT,
    UNPROVEN,
    Explainer,
    Heatmap,
    caveat,
    interpolate_cells,
    is_proven,
    overlay,
    shrink,
    to_peak_1,
)
from xray_classifier.inference.receptive_field import Axis
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.keras_network import KerasNetwork, keras_model
from xray_classifier.models.loading import load_classifier
from xray_classifier.models.network import COMPUTING
from xray_classifier.models.spec import ModelSpec
from xray_classifier.records.json_files import write_record

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # Keras
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5"),
]


def explainer(model: Any) -> Explainer:
    return Explainer(Classifier(KerasNetwork(model), ModelSpec("some", "Some", "some.keras")))


def functional(nested: bool) -> Any:
    """The same network as `square_model`, flat or with its layers in a model within the model."""
    import keras

    inputs = keras.Input((500, 500, 1))
    body = square_layers()
    x = inputs
    for layer in [keras.Sequential(body)] if nested else body:
        x = layer(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(x))
    set_square_weights(model)
    return model


@pytest.fixture(scope="module")
def square_explainer(square_classifier: Classifier) -> Explainer:
    return Explainer(square_classifier)


@pytest.fixture(scope="module")
def heat(square_explainer: Explainer) -> Heatmap:
    return square_explainer.heatmap(preprocess(squares(row=300, column=100)))


def test_heatmap_is_float32_in_0_1_with_its_peak_at_1(heat: Heatmap) -> None:
    assert heat.shape == (500, 500)
    assert heat.dtype == np.float32
    assert heat.min() == 0
    assert heat.max() == 1


@pytest.mark.parametrize(("row", "column"), [(300, 100), (20, 380), (200, 200)])
def test_heat_is_where_the_bright_square_is(
    square_explainer: Explainer, row: int, column: int
) -> None:
    found = square_explainer.heatmap(preprocess(squares(row, column)))

    inside = found[row : row + 100, column : column + 100]
    assert inside[25:75, 25:75].min() > 0.5
    assert inside.sum() > 0.75 * found.sum()
    rows, columns = np.indices(found.shape)
    centre = [(found * places).sum() / found.sum() for places in (rows, columns)]
    assert centre == pytest.approx([row + 49.5, column + 49.5], abs=6)


def test_picture_that_raises_nothing_has_a_heatmap_of_zeros(square_explainer: Explainer) -> None:
    found = square_explainer.heatmap(preprocess(np.full((60, 60), 20, np.uint8)))
    np.testing.assert_array_equal(found, np.zeros((500, 500), np.float32))


def test_what_lowers_the_score_is_left_out() -> None:
    found = explainer(square_model(weight=-400)).heatmap(preprocess(squares()))
    assert not found.any()


def test_certain_verdict_is_explained_as_well_as_a_doubtful_one(heat: Heatmap) -> None:
    certain = explainer(square_model(bias=200))
    tensor = preprocess(squares())
    assert certain.classifier.probabilities(tensor[None]) == 1
    np.testing.assert_allclose(certain.heatmap(tensor), heat, atol=1e-5)


def test_logits_are_what_the_sigmoid_makes_the_probability_of(
    square_explainer: Explainer,
) -> None:
    batch = np.stack([preprocess(squares(side=side)) for side in (0, 60, 100)])
    logits = square_explainer.logits(batch)
    assert logits.shape == (3,)
    np.testing.assert_allclose(
        1 / (1 + np.exp(-logits)), square_explainer.classifier.probabilities(batch), atol=1e-6
    )


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_reloaded_sequential_model_gives_the_same_heatmap(
    suffix: str, tmp_path: Path, heat: Heatmap
) -> None:
    path = tmp_path / f"model{suffix}"
    square_model().save(path)

    again = Explainer(load_classifier(str(path), runtime="keras")).heatmap(preprocess(squares()))

    np.testing.assert_allclose(again, heat, atol=1e-5)


@pytest.mark.parametrize("nested", [False, True])
def test_functional_model_gives_the_same_heatmap_before_and_after_reloading(
    nested: bool, tmp_path: Path, heat: Heatmap
) -> None:
    model = functional(nested)
    path = tmp_path / "model.keras"
    model.save(path)
    for one in (explainer(model), Explainer(load_classifier(str(path), runtime="keras"))):
        np.testing.assert_allclose(one.heatmap(preprocess(squares())), heat, atol=1e-5)


def test_deep_nested_network_behind_a_resize_can_be_explained() -> None:
    import keras

    from xray_classifier.training.efficientnet_lite import build_backbone

    inputs = keras.Input((500, 500, 1))
    x = keras.layers.Resizing(64, 64)(inputs)
    x = build_backbone(64)(keras.layers.Concatenate()([x, x, x]))
    x = keras.layers.GlobalAveragePooling2D()(x)
    deep = explainer(keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(x)))
    found = deep.heatmap(preprocess(gradient()))
    assert found.shape == (500, 500)
    assert found.max() in (0, 1)


def test_model_without_a_convolution_is_refused() -> None:
    with pytest.raises(ModelUnavailableError, match="it has no convolution"):
        explainer(tiny_model())


def test_model_without_a_sigmoid_is_refused() -> None:
    import keras

    model = keras.Sequential(
        [
            keras.Input((500, 500, 1)),
            *square_layers(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1, activation="hard_sigmoid"),
        ]
    )
    with pytest.raises(ModelUnavailableError, match="not in a sigmoid"):
        explainer(model)


def test_damaged_network_is_refused() -> None:
    damaged = explainer(square_model())
    set_square_weights(keras_model(damaged.classifier.network), weight=float("nan"))
    with pytest.raises(ModelUnavailableError, match="Model some cannot be explained: its answer"):
        damaged.heatmap(preprocess(squares()))


def test_threads_get_their_own_heatmaps_and_probabilities(
    square_explainer: Explainer, square_classifier: Classifier
) -> None:
    tensors = [preprocess(squares(row, 100)) for row in (0, 100, 200, 300, 400)]
    alone = [square_explainer.heatmap(tensor) for tensor in tensors]
    probability = square_classifier.probabilities(tensors[0][None])

    def ask(index: int) -> bool:
        found = square_explainer.heatmap(tensors[index % 5])
        same = square_classifier.probabilities(tensors[0][None]) == probability
        return bool(same) and np.array_equal(found, alone[index % 5])

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(20)))


def test_heatmap_waits_while_the_model_computes(square_explainer: Explainer) -> None:
    answer: list[Heatmap] = []
    thread = threading.Thread(
        target=lambda: answer.append(square_explainer.heatmap(preprocess(squares())))
    )
    with COMPUTING:
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        assert not answer
    thread.join(30)
    assert answer


def test_graph_is_traced_once(square_classifier: Classifier) -> None:
    one = Explainer(square_classifier)
    for side in (50, 100):
        one.heatmap(preprocess(squares(side=side)))
    assert one._relevance.experimental_get_tracing_count() == 1


# The grid


def test_cells_are_interpolated_between_their_centres_and_fade_beyond() -> None:
    cells = np.array([[1.0, 3.0]], np.float32)
    found = interpolate_cells(cells, Axis(1, 250, 10), Axis(2, 100, 200))
    assert found[250, [100, 200, 300]] == pytest.approx([1, 2, 3])
    assert found[250, [0, 400, 499]] == pytest.approx([0.5, 1.5, 0.015])
    assert found[[240, 245, 260], 100] == pytest.approx([0, 0.5, 0])


def test_zeros_are_not_divided_by() -> None:
    zeros = np.zeros((2, 2), np.float32)
    np.testing.assert_array_equal(to_peak_1(zeros), zeros)


# The overlay


@pytest.mark.parametrize("shape", [(500, 500), (60, 80), (700, 300)])
def test_overlay_has_the_size_of_the_image_and_three_colours(
    heat: Heatmap, shape: tuple[int, int]
) -> None:
    found = overlay(gradient(*shape), heat)
    assert found.shape == (*shape, 3)
    assert found.dtype == np.uint8


def test_opacity_0_shows_the_plain_image(heat: Heatmap) -> None:
    image = gradient(70, 90)
    np.testing.assert_array_equal(overlay(image, heat, 0), np.dstack([image] * 3))


def test_cold_heatmap_shows_the_plain_image() -> None:
    image = gradient(70, 90)
    cold = np.zeros((500, 500), np.float32)
    np.testing.assert_array_equal(overlay(image, cold, 1), np.dstack([image] * 3))


def test_peak_at_opacity_1_is_the_brightest_colour_and_cold_parts_stay_plain() -> None:
    heatmap = np.zeros((500, 500), np.float32)
    heatmap[250:, :] = 1
    found = overlay(np.full((100, 40), 90, np.uint8), heatmap, 1)
    brightest = np.array(mpl.colormaps["inferno"](1.0)[:3]) * 255
    np.testing.assert_allclose(found[55:], np.broadcast_to(brightest, (45, 40, 3)), atol=1)
    assert np.all(found[:45] == 90)


def test_opacity_mixes_colour_and_image() -> None:
    heatmap = np.ones((500, 500), np.float32)
    half, full = (overlay(np.zeros((40, 40), np.uint8), heatmap, part) for part in (0.5, 1))
    np.testing.assert_allclose(half, full / 2, atol=1.5)


@pytest.mark.parametrize("opacity", [-0.1, 1.1, float("nan")])
def test_opacity_outside_0_1_is_refused(opacity: float) -> None:
    with pytest.raises(ValueError, match=f"from 0 to 1 is wanted; received {opacity}"):
        overlay(gradient(), np.zeros((500, 500), np.float32), opacity)


def test_overlay_leaves_image_and_heatmap_as_they_were(heat: Heatmap) -> None:
    image, before = gradient(), heat.copy()
    overlay(image, heat)
    np.testing.assert_array_equal(image, gradient())
    np.testing.assert_array_equal(heat, before)


def test_large_radiograph_is_shrunk_to_the_screen_and_a_small_one_kept() -> None:
    assert shrink(np.zeros((3000, 2000), np.uint8)).shape == (1024, 683)
    np.testing.assert_array_equal(shrink(gradient()), gradient())


# What must be said


def report(folder: Path, **changes: Any) -> ModelSpec:
    spec = ModelSpec("some", "Some", "some.keras", sha256="ab" * 32)
    write_record(replace(EXPLANATION, **changes), folder / "explanations" / "some.json")
    return spec


def test_model_is_proven_by_the_report_that_it_passed(tmp_path: Path) -> None:
    assert is_proven(report(tmp_path), tmp_path)


@pytest.mark.parametrize("change", [{"passed": False}, {"sha256": "ef" * 32}])
def test_model_is_not_proven_by_another_report(change: dict[str, Any], tmp_path: Path) -> None:
    assert not is_proven(report(tmp_path, **change), tmp_path)


def test_model_without_a_report_is_not_proven(tmp_path: Path) -> None:
    assert not is_proven(ModelSpec("some", "Some", "some.keras"), tmp_path)


def test_caveat_is_that_of_a_proven_model() -> None:
    assert caveat(np.ones((500, 500), np.float32), load_classifier("default").spec) == CAVEAT


def test_caveat_of_an_unproven_model_and_of_a_blank_heatmap_comes_first() -> None:
    unproven = ModelSpec("some", "Some", "some.keras")
    said = caveat(np.zeros((500, 500), np.float32), unproven)
    assert said == f"{UNPROVEN} {BLANK} {CAVEAT}"
