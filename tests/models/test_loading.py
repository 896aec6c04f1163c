from __future__ import annotations

import gc
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np
import pytest

from tests.support.stand_ins import tiny_model
from tests.support.tensors import flat
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.files import sha256_of
from xray_classifier.models import loading
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.keras_network import KerasNetwork, open_model
from xray_classifier.models.loading import load_classifier, model_names
from xray_classifier.models.onnx_network import OnnxNetwork
from xray_classifier.models.spec import ModelSpec, read_spec, write_spec
from xray_classifier.training.onnx_export import export_network

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # Keras
    pytest.mark.filterwarnings("ignore:Do not pass an `input_shape`:UserWarning"),  # legacy files
    pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built"),
]


@pytest.fixture(scope="module")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny") / "tiny.keras"
    tiny_model().save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path, tiny_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder that holds the model `tiny` and nothing else."""
    monkeypatch.setattr(loading, "MODEL_FOLDER", tmp_path)
    monkeypatch.setattr(loading, "model_names", partial(loading.model_names, tmp_path))
    shutil.copy(tiny_file, tmp_path / "tiny.keras")
    describe(tmp_path / "tiny.keras")
    return tmp_path


def describe(path: Path, **changes: Any) -> None:
    """Write the JSON beside a model file."""
    facts: dict[str, Any] = {
        "name": path.stem,
        "title": path.stem.title(),
        "file": path.name,
        "sha256": sha256_of(path),
        "bytes": path.stat().st_size,
        "threshold": 0.25,
    }
    write_spec(ModelSpec(**{**facts, **changes}), path.with_suffix(".json"))


def answer(classifier: Classifier, grey: float = 0.75) -> float:
    batch = np.full((1, 500, 500, 1), grey, np.float32)
    return float(classifier.probabilities(batch)[0])


EXPECTED = 1 / (1 + np.exp(-2))  # what tiny_model says of 0.75


# --- models that are what their JSON says


def test_a_model_is_loaded_by_its_name(folder: Path) -> None:
    classifier = load_classifier("tiny")

    assert answer(classifier) == pytest.approx(EXPECTED, abs=1e-5)
    assert classifier.spec.threshold == 0.25
    assert classifier.spec.short_hash == sha256_of(folder / "tiny.keras")[:8]
    assert classifier.remarks == ()


def test_the_garbage_collector_rests_while_a_model_is_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resting, open_file = [], open_model

    def watched(*given: Any) -> Any:
        resting.append(not gc.isenabled())
        return open_file(*given)

    monkeypatch.setattr(loading, "open_model", watched)
    load_classifier("tiny")
    (folder / "tiny.keras").write_bytes(b"damaged")
    with pytest.raises(ModelUnavailableError):
        load_classifier("tiny")
    assert resting == [True]
    assert gc.isenabled()


def test_a_model_is_loaded_by_its_path_with_the_json_beside_it(folder: Path) -> None:
    classifier = load_classifier(str(folder / "tiny.keras"))

    assert answer(classifier) == pytest.approx(EXPECTED, abs=1e-5)
    assert classifier.spec.threshold == 0.25
    assert classifier.remarks == ()


def test_the_names_are_those_of_the_json_files(folder: Path) -> None:
    describe(folder / "tiny.keras", name="other")
    (folder / "other.json").write_text("{}", encoding="utf-8")
    (folder / "notes.md").write_text("no model", encoding="utf-8")

    assert model_names(folder) == ["other", "tiny"]


# --- models that are not


@pytest.mark.parametrize("name", ["resnet", "", "tiny.json", "../tiny", "TINY"])
def test_an_unknown_name_is_answered_with_the_known_ones(folder: Path, name: str) -> None:
    with pytest.raises(ModelUnavailableError, match=r"There is no model .*Give one of: tiny;"):
        load_classifier(name)


def test_a_path_that_leads_nowhere_is_named(folder: Path) -> None:
    with pytest.raises(ModelUnavailableError, match=r"There is no model file .*gone\.keras"):
        load_classifier(str(folder / "gone.keras"))


def test_a_missing_file_without_a_source_is_never_answered_for(folder: Path) -> None:
    (folder / "tiny.keras").unlink()

    with pytest.raises(ModelUnavailableError, match=r"tiny\.keras is missing, and nothing says"):
        load_classifier("tiny")


def test_one_altered_byte_is_noticed(folder: Path) -> None:
    path = folder / "tiny.keras"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    with pytest.raises(ModelUnavailableError, match="is not the one that its JSON describes"):
        load_classifier("tiny")


def test_a_truncated_file_is_noticed(folder: Path) -> None:
    path = folder / "tiny.keras"
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(ModelUnavailableError, match="is not the one that its JSON describes"):
        load_classifier("tiny")


@pytest.mark.parametrize("sha256", ["00" * 32, ""])
def test_a_json_with_another_hash_is_named_with_both_hashes(folder: Path, sha256: str) -> None:
    describe(folder / "tiny.keras", sha256=sha256)

    found = sha256_of(folder / "tiny.keras")[:12]
    with pytest.raises(ModelUnavailableError, match=f"{found}… instead of {sha256[:12]}…"):
        load_classifier("tiny")


def test_the_hash_is_checked_before_the_file_is_opened(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    monkeypatch.setattr(loading, "open_model", opened.append)
    (folder / "tiny.keras").write_bytes(b"another file")

    with pytest.raises(ModelUnavailableError, match="is not the one that its JSON describes"):
        load_classifier("tiny")
    assert opened == []


def network(height: int = 500, channels: int = 1, outputs: int = 1) -> Any:
    import keras

    return keras.Sequential(
        [
            keras.Input((height, height, channels)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(outputs, activation="sigmoid"),
        ]
    )


def unbuilt() -> Any:
    """A network that was never told its input."""
    import keras

    return keras.Sequential([keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1)])


def with_lambda() -> Any:
    import keras

    model = tiny_model()
    model.add(keras.layers.Lambda(lambda x: x / 2))
    return model


def with_nan() -> Any:
    model = tiny_model()
    model.set_weights([np.array([[np.nan]]), np.array([0.0])])
    return model


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: network(height=224), r"takes \(None, 224, 224, 1\) and gives \(None, 1\); wanted"),
        (lambda: network(channels=3), r"takes \(None, 500, 500, 3\) and gives \(None, 1\); wanted"),
        (lambda: network(outputs=2), r"takes \(None, 500, 500, 1\) and gives \(None, 2\); wanted"),
        (unbuilt, r"The model in .* wanted is a classifier"),
        (with_lambda, r"cannot be opened by Keras .*(?i:lambda)"),
        (with_nan, r"answered \[nan\], which is no probability"),
    ],
    ids=["224 px", "colour", "two outputs", "unbuilt", "lambda", "NaN"],
)
@pytest.mark.parametrize("verified", [True, False])
def test_another_network_is_refused_even_with_the_right_hash(
    folder: Path, build: Any, message: str, verified: bool
) -> None:
    path = folder / "other.keras"
    build().save(path)
    if verified:
        describe(path)

    with pytest.raises(ModelUnavailableError, match=message):
        load_classifier(str(path))


def test_a_path_is_never_answered_for_by_another_file(folder: Path) -> None:
    """`tiny.json` describes `tiny.keras`; who gives `tiny.h5` does not ask for that."""
    legacy_h5(folder / "tiny.h5", side=500)

    with pytest.raises(ModelUnavailableError, match=r"describes tiny\.keras"):
        load_classifier(str(folder / "tiny.h5"))


# --- what runs a model


@pytest.fixture
def exported(folder: Path) -> Path:
    """The folder, where `tiny` has an ONNX file, too."""
    export_network(str(folder / "tiny.keras"), flat(0.25, 0.75))
    return folder


def kind(runtime: str | None = None) -> type:
    return type(load_classifier("tiny", runtime=runtime).network)


def test_model_is_run_by_onnx_runtime_where_it_was_exported(exported: Path) -> None:
    classifier = load_classifier("tiny")
    assert isinstance(classifier.network, OnnxNetwork)
    assert answer(classifier) == pytest.approx(EXPECTED, abs=1e-5)
    assert classifier.spec == load_classifier("tiny", runtime="keras").spec
    assert classifier.remarks == ()


def test_model_is_run_by_keras_where_it_was_not(folder: Path) -> None:
    assert kind() is KerasNetwork


def test_runtime_can_be_chosen(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (kind("keras"), kind("onnx"), kind("auto")) == (KerasNetwork, OnnxNetwork, OnnxNetwork)
    monkeypatch.setenv("XRAY_CLASSIFIER_RUNTIME", "keras")
    assert (kind(), kind("onnx")) == (KerasNetwork, OnnxNetwork)
    monkeypatch.setenv("XRAY_CLASSIFIER_RUNTIME", "")
    assert kind() is OnnxNetwork


def test_unknown_runtime_is_answered_with_the_known_ones(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XRAY_CLASSIFIER_RUNTIME", "torch")
    with pytest.raises(
        ModelUnavailableError, match=r"no runtime 'torch'\. Give one of: auto, onnx,"
    ):
        load_classifier("tiny")


def damage_onnx(folder: Path) -> None:
    (folder / "tiny.onnx").write_bytes(b"damaged")


def remove_onnx(folder: Path) -> None:
    (folder / "tiny.onnx").unlink()


def describe_another_source(folder: Path) -> None:
    spec = read_spec(folder / "tiny.json")
    assert spec.onnx
    onnx = replace(spec.onnx, source_sha256="00" * 32)
    write_spec(replace(spec, onnx=onnx), folder / "tiny.json")


def vouch_for_rubbish(folder: Path) -> None:
    """A file that the JSON vouches for, and that the installed runtime cannot open."""
    damage_onnx(folder)
    spec = read_spec(folder / "tiny.json")
    assert spec.onnx
    onnx = replace(spec.onnx, sha256=sha256_of(folder / "tiny.onnx"))
    write_spec(replace(spec, onnx=onnx), folder / "tiny.json")


FAULTS = [
    (damage_onnx, r"tiny\.onnx is not the one that its JSON describes: sha256 "),
    (remove_onnx, r"tiny\.onnx cannot be read \(No such file"),
    (describe_another_source, r"tiny\.onnx was made from another Keras file \(0{12}…\) than"),
    (vouch_for_rubbish, r"tiny\.onnx cannot be opened by ONNX Runtime "),
]


@pytest.mark.parametrize(("spoil", "reason"), FAULTS)
def test_onnx_file_that_is_not_in_order_gives_keras_with_a_sentence(
    exported: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], None], reason: str
) -> None:
    spoil(exported)
    classifier = load_classifier("tiny")
    assert isinstance(classifier.network, KerasNetwork)
    assert answer(classifier) == pytest.approx(EXPECTED, abs=1e-5)
    (said,) = [record.getMessage() for record in caplog.records]
    assert re.search(f"{reason}.* Keras runs the model instead\\.$", said)


@pytest.mark.parametrize(("spoil", "reason"), FAULTS)
def test_onnx_file_that_is_not_in_order_is_an_error_where_it_was_asked_for(
    exported: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    spoil(exported)
    with pytest.raises(ModelUnavailableError, match=reason):
        load_classifier("tiny", runtime="onnx")


def test_model_that_was_not_exported_is_an_error_where_onnx_was_asked_for(folder: Path) -> None:
    with pytest.raises(ModelUnavailableError, match=r"tiny\.keras was not exported to ONNX"):
        load_classifier("tiny", runtime="onnx")


def test_file_without_json_is_run_by_keras_only(tmp_path: Path, tiny_file: Path) -> None:
    path = str(shutil.copy(tiny_file, tmp_path / "bare.keras"))
    assert isinstance(load_classifier(path).network, KerasNetwork)
    with pytest.raises(ModelUnavailableError, match=r"bare\.keras has no JSON beside it, so"):
        load_classifier(path, runtime="onnx")


def test_altered_keras_file_is_noticed_although_onnx_would_run(exported: Path) -> None:
    """Who puts another network there is not answered by the old one."""
    (exported / "tiny.keras").write_bytes(b"another network")
    for runtime in ("auto", "onnx", "keras"):
        with pytest.raises(ModelUnavailableError, match=r"tiny\.keras is not the one that"):
            load_classifier("tiny", runtime=runtime)


def test_keras_file_is_not_needed_nor_fetched_where_onnx_runs(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(loading, "fetch", lambda *arguments: asked.append(arguments))
    (exported / "tiny.keras").unlink()
    assert kind() is OnnxNetwork
    assert asked == []


# --- where a missing file is fetched from


@pytest.mark.parametrize(
    ("given", "environment", "in_json", "expected"),
    [
        ("given", "environment", "json", "given"),
        (None, "environment", "json", "environment"),
        (None, None, "json", "json"),
        (None, "", "json", "json"),
        (None, None, None, None),
    ],
)
def test_the_source_is_the_one_given_then_the_environments_then_the_jsons(
    folder: Path,
    tiny_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: str | None,
    environment: str | None,
    in_json: str | None,
    expected: str | None,
) -> None:
    asked: list[str | None] = []

    def fetch(spec: ModelSpec, path: Path, source: str | None) -> None:
        asked.append(source)
        shutil.copy(tiny_file, path)

    monkeypatch.setattr(loading, "fetch", fetch)
    monkeypatch.delenv("XRAY_CLASSIFIER_TINY_URL", raising=False)
    if environment is not None:
        monkeypatch.setenv("XRAY_CLASSIFIER_TINY_URL", environment)
    describe(folder / "tiny.keras", download=in_json)
    (folder / "tiny.keras").unlink()

    classifier = load_classifier("tiny", source=given)

    assert asked == [expected]
    assert answer(classifier) == pytest.approx(EXPECTED, abs=1e-5)


def test_a_file_that_is_there_is_not_fetched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(loading, "fetch", lambda *arguments: asked.append(arguments))

    load_classifier("tiny", source="https://example.org/tiny.keras")

    assert asked == []


def test_what_was_fetched_is_verified_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "tiny.keras").unlink()
    monkeypatch.setattr(loading, "fetch", lambda _spec, path, _source: path.write_bytes(b"page"))

    with pytest.raises(ModelUnavailableError, match="is not the one that its JSON describes"):
        load_classifier("tiny")


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("article", "XRAY_CLASSIFIER_ARTICLE_URL"),
        ("dense-net", "XRAY_CLASSIFIER_DENSE_NET_URL"),
    ],
)
def test_the_variable_is_named_after_the_model(name: str, variable: str) -> None:
    assert loading.source_variable(name) == variable


# --- the article's kind of file: HDF5, written by an old Keras


def legacy_h5(path: Path, side: int) -> None:
    """Write a network as the Keras of TensorFlow 2.3 did, optimizer with `decay` and all.

    Convolution, pooling, flattening and a dense layer, with weights that make an even image of
    grey v come out as sigmoid(8 v - 4).
    """
    pool = 125 if side == 500 else side // 4
    flattened = ((side - 2) // pool) ** 2
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[1, 1] = 1
    weights = {
        "conv2d": {"kernel:0": kernel, "bias:0": np.zeros(1, np.float32)},
        "max_pooling2d": {},
        "flatten": {},
        "dense": {
            "kernel:0": np.full((flattened, 1), 8 / flattened, np.float32),
            "bias:0": np.array([-4], np.float32),
        },
    }
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.4.0"
        file.attrs["backend"] = "tensorflow"
        file.attrs["model_config"] = json.dumps(legacy_config(side, pool)).encode()
        file.attrs["training_config"] = json.dumps(LEGACY_TRAINING).encode()
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in weights]
        group.attrs["keras_version"] = b"2.4.0"
        group.attrs["backend"] = b"tensorflow"
        for layer, arrays in weights.items():
            inner = group.create_group(layer)
            names = [f"{layer}/{name}".encode() for name in arrays]
            inner.attrs["weight_names"] = names or np.array([], "S1")
            for name, array in arrays.items():
                inner.create_dataset(f"{layer}/{name}", data=array)
        optimizer = file.create_group("optimizer_weights")
        optimizer.attrs["weight_names"] = [b"Adam/iter:0"]
        optimizer.create_dataset("Adam/iter:0", data=np.int64(6550))


LEGACY_TRAINING = {
    "loss": "binary_crossentropy",
    "metrics": ["accuracy"],
    "weighted_metrics": None,
    "loss_weights": None,
    "optimizer_config": {
        "class_name": "Adam",
        "config": {
            "name": "Adam",
            "learning_rate": 0.001,
            "decay": 0.0,
            "beta_1": 0.9,
            "beta_2": 0.999,
            "epsilon": 1e-07,
            "amsgrad": False,
        },
    },
}


def legacy_config(side: int, pool: int) -> dict[str, Any]:
    shape = [None, side, side, 1]
    common = {"trainable": True, "dtype": "float32"}
    trained = {
        "use_bias": True,
        "kernel_initializer": {"class_name": "GlorotUniform", "config": {"seed": None}},
        "bias_initializer": {"class_name": "Zeros", "config": {}},
        **dict.fromkeys(("kernel_regularizer", "bias_regularizer", "activity_regularizer")),
        **dict.fromkeys(("kernel_constraint", "bias_constraint")),
    }
    source = {"batch_input_shape": shape, "dtype": "float32", "sparse": False, "ragged": False}
    convolution = {
        "name": "conv2d",
        "batch_input_shape": shape,
        "filters": 1,
        "kernel_size": [3, 3],
        "strides": [1, 1],
        "padding": "valid",
        "data_format": "channels_last",
        "dilation_rate": [1, 1],
        "groups": 1,
        "activation": "relu",
    }
    pooling = {
        "name": "max_pooling2d",
        "pool_size": [pool, pool],
        "padding": "valid",
        "strides": [pool, pool],
        "data_format": "channels_last",
    }
    layers = [
        ("InputLayer", {**source, "name": "conv2d_input"}),
        ("Conv2D", {**convolution, **common, **trained}),
        ("MaxPooling2D", {**pooling, **common}),
        ("Flatten", {"name": "flatten", "data_format": "channels_last", **common}),
        ("Dense", {"name": "dense", "units": 1, "activation": "sigmoid", **common, **trained}),
    ]
    return {
        "class_name": "Sequential",
        "config": {
            "name": "sequential",
            "layers": [{"class_name": name, "config": config} for name, config in layers],
        },
    }


def test_a_legacy_file_without_json_is_loaded_and_said_to_be_unverified(tmp_path: Path) -> None:
    path = tmp_path / "old.h5"
    legacy_h5(path, side=500)

    classifier = load_classifier(str(path))

    assert answer(classifier) == pytest.approx(EXPECTED, abs=1e-5)
    assert classifier.spec.threshold == 0.5
    assert classifier.spec.name == "old"
    assert classifier.spec.sha256 == ""
    assert classifier.spec.short_hash == "unverified"
    assert classifier.remarks == (
        f"{path} has no JSON beside it: its hash is unverified.",
        "Threshold 0.5 is assumed.",
    )


def test_a_file_that_todays_keras_wrote_as_h5_is_loaded_too(tmp_path: Path) -> None:
    from keras.src.legacy.saving.legacy_h5_format import save_model_to_hdf5

    path = tmp_path / "tiny.h5"
    save_model_to_hdf5(tiny_model(), path)

    assert answer(load_classifier(str(path))) == pytest.approx(EXPECTED, abs=1e-5)


def test_a_legacy_file_of_another_shape_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.h5"
    legacy_h5(path, side=150)

    with pytest.raises(ModelUnavailableError, match=r"takes \(None, 150, 150, 1\) and gives"):
        load_classifier(str(path))


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("content", [b"", b"no model", b"PK\x03\x04 cut off", b"\x89HDF\r\n\x1a\n"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)

    with pytest.raises(ModelUnavailableError, match=rf"broken{suffix} cannot be opened by Keras"):
        load_classifier(str(path))


def test_a_truncated_file_without_json_is_refused(tmp_path: Path, tiny_file: Path) -> None:
    path = tmp_path / "cut.keras"
    path.write_bytes(tiny_file.read_bytes()[:-100])

    with pytest.raises(ModelUnavailableError, match=r"cut\.keras cannot be opened by Keras"):
        load_classifier(str(path))


def test_a_folder_in_place_of_the_file_is_refused(folder: Path) -> None:
    (folder / "tiny.keras").unlink()
    (folder / "tiny.keras").mkdir()

    with pytest.raises(ModelUnavailableError, match=r"cannot be read \(Is a directory\)"):
        load_classifier("tiny")
