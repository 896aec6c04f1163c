from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.old_keras import Style, old_layers, whole_config, write_old, write_weights
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.models.legacy_keras import open_hdf5
from xray_classifier.models.loading import load_classifier
from xray_classifier.paths import MODEL_FOLDER

STYLES = {
    "without InputLayer": Style(),
    "with InputLayer": Style(input_layer=True),
    "initializers with dtype": Style(initializer_dtype=True),
    "a list below the class": Style(bare="layers"),
    "a list alone": Style(bare="all", initializer_dtype=True),
    "text": Style(text=True),
    "policy": Style(policy=True),
    "BatchNormalizationV1": Style(old_norm=True),
}
PIXELS = np.random.default_rng(3).random((2, 500, 500, 1), np.float32)


def answers(model: Any) -> NDArray[np.float32]:
    return np.asarray(model(PIXELS, training=False))


@pytest.fixture(scope="module")
def article() -> Any:
    return keras.models.load_model(MODEL_FOLDER / "article.keras", compile=False)


@pytest.fixture(scope="module")
def small() -> Any:
    """A network with a layer of each kind that old files need help with, and random weights."""
    keras.utils.set_random_seed(4)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((500, 500, 1)),
            layers.MaxPooling2D(25),
            layers.Conv2D(3, 3, activation="relu"),
            layers.DepthwiseConv2D(3),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.GlobalAveragePooling2D(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    rng = np.random.default_rng(5)
    model.set_weights([rng.uniform(0.02, 0.2, weights.shape) for weights in model.get_weights()])
    return model


def old(model: Any, path: Path, change: Callable[[Any], None]) -> Path:
    """Write a model as an old Keras did, then change the file."""
    write_old(model, path)
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def why_not(path: Path) -> str:
    with pytest.raises(ModelUnavailableError) as caught:
        load_classifier(str(path))
    start = f"The model file {path} cannot be opened by Keras {keras.__version__}: "
    assert str(caught.value).startswith(start)
    return str(caught.value).removeprefix(start)


# What is opened


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_article_s_model_answers_as_before(article: Any, style: Style, tmp_path: Path) -> None:
    opened = open_hdf5(write_old(article, tmp_path / "old.h5", style), keras)
    np.testing.assert_allclose(answers(opened), answers(article), atol=1e-6)


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_other_layers_answer_as_before(small: Any, style: Style, tmp_path: Path) -> None:
    opened = open_hdf5(write_old(small, tmp_path / "old.h5", style), keras)
    np.testing.assert_allclose(answers(opened), answers(small), atol=1e-6)
    assert 0.01 < answers(small).mean() < 0.99


def test_functional_model_answers_as_before(small: Any, tmp_path: Path) -> None:
    layers = old_layers(small, Style(input_layer=True))
    for layer, before in zip(layers, [None, *layers], strict=False):
        layer["name"] = layer["config"]["name"]
        layer["inbound_nodes"] = [[[before["name"], 0, 0, {}]]] if before else []
    config = {
        "class_name": "Model",
        "config": {
            "name": "model_1",
            "layers": layers,
            "input_layers": [[layers[0]["name"], 0, 0]],
            "output_layers": [[layers[-1]["name"], 0, 0]],
        },
    }

    def change(file: Any) -> None:
        file.attrs["model_config"] = json.dumps(config)

    opened = open_hdf5(old(small, tmp_path / "old.h5", change), keras)
    np.testing.assert_allclose(answers(opened), answers(small), atol=1e-6)


def test_names_in_several_attributes_are_put_together(small: Any, tmp_path: Path) -> None:
    def change(file: Any) -> None:
        attributes = file["model_weights"].attrs
        names = attributes["layer_names"]
        del attributes["layer_names"]
        attributes["layer_names0"], attributes["layer_names1"] = names[:3], names[3:]

    opened = open_hdf5(old(small, tmp_path / "old.h5", change), keras)
    np.testing.assert_allclose(answers(opened), answers(small), atol=1e-6)


def test_layers_without_weights_may_have_an_empty_attribute(small: Any, tmp_path: Path) -> None:
    def change(file: Any) -> None:
        file["model_weights/dropout_5"].attrs["weight_names"] = h5py.Empty("S1")

    opened = open_hdf5(old(small, tmp_path / "old.h5", change), keras)
    np.testing.assert_allclose(answers(opened), answers(small), atol=1e-6)


@pytest.mark.parametrize("suffix", [".h5", ".hdf5", ".H5", ".HDF5"])
def test_suffix_in_any_case_is_known(small: Any, suffix: str, tmp_path: Path) -> None:
    path = write_old(small, tmp_path / f"old{suffix}")
    probabilities = load_classifier(str(path)).probabilities(PIXELS)
    np.testing.assert_allclose(probabilities, answers(small)[:, 0], atol=1e-6)


# What is refused


def test_weights_alone_are_refused(small: Any, tmp_path: Path) -> None:
    path = tmp_path / "old.h5"
    with h5py.File(path, "w") as file:
        write_weights(file, small, old_layers(small, Style()))
    message = (
        "it holds weights alone, without the network that they belong to. Save the whole model "
        "where it was made, with model.save()"
    )
    assert why_not(path) == message
    new = tmp_path / "new.weights.h5"
    small.save_weights(new)
    assert why_not(new) == message


def test_another_hdf5_file_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "table.h5"
    with h5py.File(path, "w") as file:
        file["table"] = np.arange(9)
    assert why_not(path) == "it is an HDF5 file, but holds no Keras model"


@pytest.mark.parametrize("length", [8, 100, 2000])
def test_broken_file_is_refused(small: Any, length: int, tmp_path: Path) -> None:
    path = write_old(small, tmp_path / "old.h5")
    path.write_bytes(path.read_bytes()[:length])
    assert why_not(path) == "it is no HDF5 file, or a damaged one"


DAMAGED = "what it says of its network is incomplete or damaged"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "what it says of its network is no JSON"),
        ("[" * 100_000, "what it says of its network is no JSON"),
        ('"Sequential"', "its network is a 'Sequential'; a Sequential or functional model is"),
        ('{"class_name": "Mine"}', "its network is a 'Mine'; a Sequential or functional model is"),
        ('{"class_name": "Sequential"}', DAMAGED),
        ('{"class_name": "Sequential", "config": {}}', DAMAGED),
        ('{"class_name": "Sequential", "config": [7]}', DAMAGED),
        ('{"class_name": "Sequential", "config": []}', "its network has no layers"),
    ],
)
def test_config_that_is_none_is_refused(
    small: Any, config: str, message: str, tmp_path: Path
) -> None:
    def change(file: Any) -> None:
        del file.attrs["model_config"]
        file.attrs.create("model_config", config, dtype=h5py.string_dtype())

    assert why_not(old(small, tmp_path / "old.h5", change)).startswith(message)


@pytest.mark.parametrize("kind", ["Lambda", "TFSMLayer", "MyLayer", "deserialize", "__dict__"])
def test_layer_with_code_of_its_own_is_refused(small: Any, kind: str, tmp_path: Path) -> None:
    code = {"function": ["4wAAAAAAAAAA", None, None], "name": "evil"}

    def change(file: Any) -> None:
        layers = old_layers(small, Style())
        layers.insert(1, {"class_name": kind, "config": code})
        file.attrs["model_config"] = json.dumps(whole_config(layers, Style()))

    assert why_not(old(small, tmp_path / "old.h5", change)) == (
        f"its layer {kind!r} is none of Keras's own, or runs code that comes with the file"
    )


@pytest.mark.parametrize(
    "activation",
    [
        {"class_name": "__lambda__", "config": {"value": ["4wAAAAAAAAAA", None, None]}},
        {"class_name": "function", "config": "system", "module": "os", "registered_name": "system"},
    ],
)
def test_code_in_place_of_an_activation_is_refused(
    small: Any, activation: Any, tmp_path: Path
) -> None:
    def change(file: Any) -> None:
        layers = old_layers(small, Style())
        layers[1]["config"]["activation"] = activation
        file.attrs["model_config"] = json.dumps(whole_config(layers, Style()))

    assert why_not(old(small, tmp_path / "old.h5", change))


def test_unknown_argument_is_named(small: Any, tmp_path: Path) -> None:
    def change(file: Any) -> None:
        layers = old_layers(small, Style())
        layers[1]["config"]["nb_filter"] = 3
        file.attrs["model_config"] = json.dumps(whole_config(layers, Style()))

    assert "nb_filter" in why_not(old(small, tmp_path / "old.h5", change))


def test_weights_of_other_shapes_are_refused(small: Any, tmp_path: Path) -> None:
    def change(file: Any) -> None:
        del file["model_weights/dense_7/dense_7/kernel:0"]
        file["model_weights/dense_7/dense_7/kernel:0"] = np.zeros((4, 1), np.float32)

    assert why_not(old(small, tmp_path / "old.h5", change)) == (
        "layer 4 of those with weights takes [(3, 1), (1,)], and the file has [(4, 1), (1,)]"
    )


def test_weights_of_fewer_layers_are_refused(small: Any, tmp_path: Path) -> None:
    def change(file: Any) -> None:
        attributes = file["model_weights"].attrs
        attributes["layer_names"] = attributes["layer_names"][:-1]

    assert why_not(old(small, tmp_path / "old.h5", change)) == (
        "its network has 4 layers with weights, the file those of 3"
    )


def test_mirrored_convolutions_are_refused(small: Any, tmp_path: Path) -> None:
    def change(file: Any) -> None:
        file["model_weights"].attrs["backend"] = b"theano"

    assert why_not(old(small, tmp_path / "old.h5", change)) == (
        "it was saved by Keras on theano, whose convolutions are mirrored"
    )


# Hostile files

KERNEL = "model_weights/dense_7/dense_7/kernel:0"


def replace_kernel(file: Any, **claims: Any) -> None:
    del file[KERNEL]
    file.create_dataset(KERNEL, **claims)


def test_size_that_is_only_claimed_is_not_believed(small: Any, tmp_path: Path) -> None:
    def change(file: Any) -> None:
        replace_kernel(file, shape=(2**40, 2**40), dtype="f4", chunks=(100, 100))

    message = why_not(old(small, tmp_path / "old.h5", change))
    assert message.startswith("its weights claim to have 483")  # 2 ** 80 * 4


def test_network_that_is_larger_than_its_weights_is_not_made(small: Any, tmp_path: Path) -> None:
    def change(file: Any) -> None:
        layers = old_layers(small, Style())
        layers[-1]["config"]["units"] = 2**34
        layers[1]["config"]["filters"] = 2**20
        file.attrs["model_config"] = json.dumps(whole_config(layers, Style()))

    path = old(small, tmp_path / "old.h5", change)
    began = time.perf_counter()
    assert why_not(path).startswith("layer 1 of those with weights takes [(3, 3, 1, 1048576)")
    assert time.perf_counter() - began < 10
    # Nor are its variables made with those of the next one.
    np.testing.assert_allclose(
        answers(open_hdf5(write_old(small, path), keras)), answers(small), atol=1e-6
    )


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"data": np.arange(3)}, "are no array of floats"),
        ({"data": "text"}, "are no array of floats"),
        ({"data": h5py.Empty("f4")}, "are no array of floats"),
        ({"shape": (3, 1), "dtype": "f4", "external": "other.bin"}, "lie in another file"),
    ],
)
def test_weights_that_are_no_array_in_this_file_are_refused(
    small: Any, claims: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = old(small, tmp_path / "old.h5", lambda file: replace_kernel(file, **claims))
    assert why_not(path) == f"its weights dense_7/kernel:0 {message}"


@pytest.mark.parametrize(
    "link", [h5py.SoftLink("/model_weights"), h5py.ExternalLink("other.h5", "/secret")]
)
def test_links_are_not_followed(small: Any, link: Any, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = np.zeros((3, 1), np.float32)

    def change(file: Any) -> None:
        del file[KERNEL]
        file[KERNEL] = link

    assert why_not(old(small, tmp_path / "old.h5", change)) == (
        "its weights dense_7/kernel:0 are a link"
    )


def test_virtual_array_is_refused(small: Any, tmp_path: Path) -> None:
    layout = h5py.VirtualLayout((3, 1), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "secret", (3, 1))

    def change(file: Any) -> None:
        del file[KERNEL]
        file.create_virtual_dataset(KERNEL, layout)

    assert "lie in another file" in why_not(old(small, tmp_path / "old.h5", change))


def test_link_to_what_never_answers_does_not_hang(small: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    def change(file: Any) -> None:
        del file[KERNEL]
        file[KERNEL] = h5py.ExternalLink("pipe", "/secret")

    assert "are a link" in why_not(old(small, tmp_path / "old.h5", change))


def test_missing_weights_are_named(small: Any, tmp_path: Path) -> None:
    def change(file: Any) -> None:
        del file[KERNEL]

    assert why_not(old(small, tmp_path / "old.h5", change)) == (
        "its weights dense_7/kernel:0 are missing"
    )
