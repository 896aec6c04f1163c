from __future__ import annotations

import re
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from tests.support.stand_ins import BrightnessNetwork, square_model, tiny_model
from tests.support.tensors import flat
from xray_classifier.errors import DatasetError, ModelUnavailableError
from xray_classifier.files import sha256_of
from xray_classifier.imaging.preprocessing import resize, scale
from xray_classifier.inputs.decoding import decode
from xray_classifier.models import gate
from xray_classifier.models.gate import GateSpec, read_gate_spec, write_gate_spec
from xray_classifier.models.keras_network import KerasNetwork, open_model
from xray_classifier.models.loading import load_classifier, model_names
from xray_classifier.models.onnx_network import OnnxNetwork
from xray_classifier.models.saving import save_model
from xray_classifier.models.spec import ModelSpec, read_spec, write_spec
from xray_classifier.paths import MODEL_FOLDER
from xray_classifier.training import onnx_export
from xray_classifier.training.onnx_export import compare, convert, export_network

SPEC = ModelSpec("tiny", "Tiny", "tiny.keras")
GREYS = tuple(flat(0.1, 0.5, 0.9))


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    save_model(tiny_model(), SPEC, tmp_path / "tiny.keras", write_spec)
    return tmp_path / "tiny.keras"


# A model to its ONNX file


def test_file_is_written_and_json_vouches_for_it(tiny: Path) -> None:
    facts = export_network(str(tiny), GREYS)
    written = tiny.with_suffix(".onnx")
    assert (facts.file, facts.sha256) == ("tiny.onnx", sha256_of(written))
    assert (facts.bytes, facts.source_sha256) == (written.stat().st_size, sha256_of(tiny))
    assert (facts.images, facts.opset) == (3, 18)
    assert 0 <= facts.largest_difference < 1e-6
    for name in ("tf2onnx", "onnx", "Keras", "TensorFlow", "ONNX Runtime"):
        assert f"{name} " in facts.converter
    spec = read_spec(tiny.with_suffix(".json"))
    assert spec == replace(SPEC, sha256=sha256_of(tiny), bytes=tiny.stat().st_size, onnx=facts)
    assert {path.name for path in tiny.parent.iterdir()} == {"tiny.keras", "tiny.onnx", "tiny.json"}


def test_exported_model_is_the_one_that_is_loaded(tiny: Path) -> None:
    export_network(str(tiny), GREYS)
    classifier = load_classifier(str(tiny))
    assert isinstance(classifier.network, OnnxNetwork)
    np.testing.assert_allclose(classifier.network.logits(flat(0.25, 0.75)), [-2, 2], atol=1e-5)


def test_gate_is_exported_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    network = keras.Sequential(
        [
            keras.Input((500, 500, 1)),
            keras.layers.AveragePooling2D(20),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(len(gate.KINDS) + 1, activation="softmax"),
        ]
    )
    spec = GateSpec("", "", 0, 0.5, reject_distance=7.0, outside_distance=4.0)
    save_model(network, spec, tmp_path / "gate.keras", write_gate_spec)
    monkeypatch.setattr(onnx_export, "GATE_FILE", tmp_path / "gate.json")
    facts = export_network("gate", GREYS)
    assert read_gate_spec(tmp_path / "gate.json").onnx == facts
    loaded = gate.load_gate(tmp_path / "gate.json")
    assert isinstance(loaded.network, OnnxNetwork)
    assert loaded.outputs(flat(0.5)).shape == (1, len(gate.KINDS) + 1)


def test_other_answers_are_never_written(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in tiny.parent.iterdir()}
    other = tiny_model()
    other.set_weights([np.array([[8.0]]), np.array([-4.001])])
    monkeypatch.setattr(onnx_export, "convert", lambda _network: convert(KerasNetwork(other)))
    with pytest.raises(ModelUnavailableError, match=r"up to 0\.0002\d where 1e-05 is allowed"):
        export_network(str(tiny), GREYS)
    assert {path.name: path.read_bytes() for path in tiny.parent.iterdir()} == before


def test_export_anew_replaces_the_file_of_another_keras_file(tiny: Path) -> None:
    first = export_network(str(tiny), GREYS)
    other = tiny_model()
    other.set_weights([np.array([[4.0]]), np.array([-1.0])])
    save_model(other, SPEC, tiny, write_spec)
    assert read_spec(tiny.with_suffix(".json")).onnx is None
    second = export_network(str(tiny), GREYS)
    assert second.sha256 != first.sha256
    np.testing.assert_allclose(load_classifier(str(tiny)).network.logits(flat(0.5)), [1], atol=1e-6)


def test_model_without_json_is_refused(tmp_path: Path) -> None:
    tiny_model().save(tmp_path / "bare.keras")
    with pytest.raises(ModelUnavailableError, match=r"bare\.keras has no JSON beside it"):
        export_network(str(tmp_path / "bare.keras"), GREYS)


def test_altered_keras_file_is_refused(tiny: Path) -> None:
    tiny.write_bytes(tiny.read_bytes()[:-1])
    with pytest.raises(ModelUnavailableError, match="is not the one that its JSON describes"):
        export_network(str(tiny), GREYS)


# What lies within


def outputs_of(model: Any) -> set[str]:
    graph = onnx.load_from_string(convert(KerasNetwork(model))).graph
    return {entry.name for entry in graph.output}


def test_steps_of_a_network_of_blocks_are_outputs() -> None:
    steps = {"maps_1", "kernels_1", "vector"}
    assert outputs_of(square_model()) == {"answers", "logits"} | steps


def test_network_without_blocks_gives_its_answers_only() -> None:
    assert outputs_of(tiny_model()) == {"answers", "logits"}


def test_convolutions_without_a_dense_layer_are_no_such_network() -> None:
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((500, 500, 1)),
            layers.Conv2D(1, 5, strides=100, activation="relu"),
            layers.MaxPooling2D(2),
            layers.GlobalAveragePooling2D(),
            layers.Activation("sigmoid"),
        ]
    )
    assert outputs_of(model) == {"answers", "logits"}


# The comparison


class Shifted(BrightnessNetwork):
    """Answers .25 higher to what is dark."""

    def _run(self, output: str, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return super()._run(output, batch) + np.where(
            batch[:, 0, 0] < 0.2, np.float32(0.25), np.float32(0)
        )


class Broken(BrightnessNetwork):
    def _run(self, output: str, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return super()._run(output, batch) * np.float32(np.nan)


def test_difference_is_the_largest_of_all() -> None:
    images, difference = compare(BrightnessNetwork(), Shifted(), GREYS)
    assert images == 3
    assert difference == pytest.approx(0.25)


def test_undefined_answer_is_a_difference() -> None:
    assert np.isnan(compare(BrightnessNetwork(), Broken(), GREYS)[1])


def test_comparison_on_nothing_is_refused() -> None:
    with pytest.raises(DatasetError, match="no radiograph to compare with"):
        compare(BrightnessNetwork(), BrightnessNetwork(), [])


# What TensorFlow and tf2onnx make of layers


def converted(tmp_path: Path, *layers: Any) -> tuple[KerasNetwork, OnnxNetwork]:
    import keras

    network = KerasNetwork(
        keras.Sequential(
            [
                keras.Input((500, 500, 1)),
                *layers,
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Dense(1, activation="sigmoid"),
            ]
        )
    )
    path = tmp_path / "network.onnx"
    path.write_bytes(convert(network))
    return network, OnnxNetwork(path, 1)


def noise() -> NDArray[np.float32]:
    return np.random.default_rng(5).random((2, 500, 500, 1), np.float32)


def build(name: str) -> list[Any]:
    import keras

    keras.utils.set_random_seed(3)
    normalization = keras.layers.Normalization(mean=[0.25], variance=[4.0])
    convolution = keras.layers.Conv2D(3, 5, strides=7, activation="relu")
    return {
        "normalization": [normalization, convolution],
        "resizing": [keras.layers.Cropping2D(135), keras.layers.Resizing(200, 200), convolution],
    }[name]


@pytest.mark.parametrize("name", ["normalization", "resizing"])
def test_layers_that_the_converter_fails_at_alone_are_right(tmp_path: Path, name: str) -> None:
    """Constants taken for inputs; 230 pixels made 199 instead of 200."""
    network, exported = converted(tmp_path, *build(name))
    np.testing.assert_allclose(
        network.logits(noise()), exported.logits(noise()), rtol=1e-5, atol=1e-6
    )
    assert np.ptp(network.logits(noise())) > 0


def test_layer_that_cannot_be_converted_is_named(tmp_path: Path) -> None:
    import keras

    class Odd(keras.layers.Layer):
        def call(self, batch: Any) -> Any:
            import tensorflow as tf

            return tf.math.igamma(batch, batch)

    with pytest.raises(ModelUnavailableError, match="cannot be converted to ONNX"):
        converted(tmp_path, Odd())


# What is committed


NETWORKS = (*model_names(), "gate")
FEW, ALL = 24, 300


def facts_of(name: str) -> tuple[Path, Any]:
    folder = MODEL_FOLDER / "gate" if name == "gate" else MODEL_FOLDER
    read: Any = read_gate_spec if name == "gate" else read_spec
    return folder, read(folder / f"{name}.json")


@pytest.mark.parametrize("name", NETWORKS)
def test_committed_file_is_what_its_json_says(name: str) -> None:
    folder, spec = facts_of(name)
    path = folder / spec.onnx.file
    assert (sha256_of(path), path.stat().st_size) == (spec.onnx.sha256, spec.onnx.bytes)
    assert spec.onnx.source_sha256 == spec.sha256 == sha256_of(folder / spec.file)
    assert spec.onnx.images >= 324
    assert spec.onnx.largest_difference <= 1e-5
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert [entry.version for entry in model.opset_import if not entry.domain] == [spec.onnx.opset]


@pytest.mark.parametrize("name", NETWORKS)
def test_committed_file_holds_no_path_of_who_made_it(name: str) -> None:
    folder, spec = facts_of(name)
    content = (folder / spec.onnx.file).read_bytes()
    assert not re.search(rb"/(home|root|work|tmp|usr)/", content)


@pytest.mark.data
@pytest.mark.parametrize(
    "count", [FEW, pytest.param(ALL, marks=pytest.mark.long)], ids="{} copies".format
)
def test_committed_files_give_the_same_answers(data: Path, count: int) -> None:
    """On the originals and radiographs of the training set: all that `export` compares, or few."""
    copies = sorted((data / "chest_xray" / "train").rglob("*.jpeg"))
    spread = (copies[number * len(copies) // count] for number in range(count))
    files = chain(sorted((data / "originals").rglob("*.jpeg")), spread)
    images = [resize(decode(path.read_bytes()).image) for path in files]
    assert len(images) == 24 + count
    for name in NETWORKS:
        folder, spec = facts_of(name)
        outputs = len(gate.KINDS) + 1 if name == "gate" else len(spec.answers)
        keras_network = KerasNetwork(open_model(folder / spec.file, (None, outputs)))
        onnx_network = OnnxNetwork(folder / spec.onnx.file, outputs)
        _, difference = compare(keras_network, onnx_network, map(scale, images))
        assert difference <= 1e-5
