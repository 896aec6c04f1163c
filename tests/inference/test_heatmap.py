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
from numpy.typing import NDArray

from tests.support.pictures import gradient, squares
from tests.support.recorded import EXPLANATION
from tests.support.stand_ins import (
    BrightnessNetwork,
    set_square_weights,
    square_layers,
    square_model,
)
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.imaging.preprocessing import preprocess
from xray_classifier.imaging.sample import draw_sample
from xray_classifier.inference.heatmap import (
    BLANK,
    CAVEAT,
    FIELDS,
    METHOD,
    UNPROVEN,
    Explainer,
    Heatmap,
    blur,
    caveat,
    enlarge,
    fields,
    is_proven,
    overlay,
    shrink,
    to_peak_1,
)
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


SPEC = ModelSpec("some", "Some", "some.keras")


def explainer(model: Any) -> Explainer:
    return Explainer(Classifier(KerasNetwork(model), SPEC))


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
    assert inside.mean() > 0.5
    assert inside.mean() > 4 * found.mean()
    assert inside.max() == 1


def test_picture_that_raises_nothing_has_a_heatmap_of_zeros(square_explainer: Explainer) -> None:
    found = square_explainer.heatmap(preprocess(np.full((60, 60), 20, np.uint8)))
    np.testing.assert_array_equal(found, np.zeros((500, 500), np.float32))


def test_what_lowers_the_score_is_left_out() -> None:
    tensor = preprocess(squares(330, 105, 40))  # one field's, and too small to brighten the next
    assert explainer(square_model(weight=400)).heatmap(tensor).any()
    assert not explainer(square_model(weight=-400)).heatmap(tensor).any()


def test_certain_verdict_is_explained_as_well_as_a_doubtful_one(heat: Heatmap) -> None:
    certain = explainer(square_model(bias=200))
    tensor = preprocess(squares())
    assert certain.classifier.probabilities(tensor[None]) == 1
    np.testing.assert_allclose(certain.heatmap(tensor), heat, atol=1e-5)


def test_heat_of_a_field_is_how_far_the_logit_falls_when_it_is_blurred() -> None:
    """The mean brightness falls where a field is brighter than the field of means around it."""
    image = np.full((500, 500), 50, np.uint8)
    image[fields()[8]] = 150  # second row, third column
    image[fields()[27]] = 100  # fifth row, fourth column
    tensor = preprocess(image)
    network = BrightnessNetwork()
    found = Explainer(Classifier(network, SPEC)).heatmap(tensor)

    drops = np.zeros(30)
    for number, place in enumerate(fields()):
        hidden = tensor.copy()
        hidden[place] = blur(tensor)[place]
        drops[number] = network.logits(tensor[None])[0] - network.logits(hidden[None])[0]
    drops[drops < 1e-3] = 0
    assert set(np.flatnonzero(drops)) == {8, 27}
    down, across = [50, 150, 250, 350, 450], [42, 125, 208, 292, 375, 458]  # the fields' centres
    cells = found[np.ix_(down, across)].ravel()
    np.testing.assert_allclose(cells, drops / drops.max(), atol=0.02)


def test_heatmap_takes_31_passes_in_batches_that_the_network_is_best_given() -> None:
    """More would take 400 ms on two cores."""

    class Counted(BrightnessNetwork):
        batch_size = 7

        def _run(self, output: str, batch: NDArray[np.float32]) -> NDArray[np.float32]:
            sizes.append(len(batch))
            return super()._run(output, batch)

    sizes: list[int] = []
    counting = Explainer(Classifier(Counted(), SPEC))
    sizes.clear()  # of what loading asked
    counting.heatmap(preprocess(squares()))
    assert sizes == [1, 7, 7, 7, 7, 2]


def test_rounding_is_no_heat() -> None:
    class Rounding(BrightnessNetwork):
        def _run(self, output: str, batch: NDArray[np.float32]) -> NDArray[np.float32]:
            noise = rng.normal(0, 1e-4, (len(batch), 1))
            return (super()._run(output, batch) * 0 + 0.5 + noise).astype(np.float32)

    rng = np.random.default_rng(0)
    assert not Explainer(Classifier(Rounding(), SPEC)).heatmap(preprocess(squares())).any()


def test_shipped_network_has_the_same_heatmap_whatever_runs_it() -> None:
    tensor = preprocess(draw_sample())
    one, other = (
        Explainer(load_classifier("article", runtime=runtime)).heatmap(tensor)
        for runtime in ("onnx", "keras")
    )
    assert one.max() == 1
    np.testing.assert_allclose(one, other, atol=1e-3)


@pytest.mark.parametrize("grey", [0, 77, 255])
def test_even_picture_is_not_changed_by_the_blur(grey: int) -> None:
    tensor = preprocess(np.full((60, 80), grey, np.uint8))
    found = blur(tensor)
    np.testing.assert_allclose(found, tensor, atol=1e-6)
    assert found.dtype == np.float32
    assert found.max() <= 1  # a network takes nothing brighter


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


def test_network_without_a_convolution_can_be_explained() -> None:
    found = Explainer(Classifier(BrightnessNetwork(), SPEC)).heatmap(preprocess(squares(300, 100)))
    assert found[333:417, 83:167].max() == 1


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
    with pytest.raises(ModelUnavailableError, match="it does not end in a sigmoid"):
        explainer(model).heatmap(preprocess(squares()))


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


# The grid


def test_fields_cover_the_tensor_once() -> None:
    covered = np.zeros((500, 500), int)
    for place in fields():
        covered[place] += 1
    assert len(fields()) == 30
    assert np.all(covered == 1)
    assert {covered[place].shape for place in fields()} == {(100, 83), (100, 84)}


def test_values_of_fields_are_interpolated_between_their_centres_and_stay_beyond() -> None:
    cells = np.zeros(FIELDS)
    cells[:, 0], cells[:, 1] = 1, 3
    cells[4] = 0
    found = enlarge(cells)
    assert found.shape == (500, 500)
    assert found[250, [0, 30, 83, 125]] == pytest.approx([1, 1, 2, 3], abs=0.02)
    assert found[250, 166] == pytest.approx(1.5, abs=0.02)
    assert found[[350, 400, 450, 499], 30] == pytest.approx([1, 0.5, 0, 0], abs=0.02)
    assert np.all(found[:, 300:] == 0)


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
    write_record(
        replace(EXPLANATION, **{"method": METHOD, **changes}), folder / "explanations" / "some.json"
    )
    return spec


def test_model_is_proven_by_the_report_that_it_passed(tmp_path: Path) -> None:
    assert is_proven(report(tmp_path), tmp_path)


@pytest.mark.parametrize("change", [{"passed": False}, {"sha256": "ef" * 32}, {"method": "CAM"}])
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
