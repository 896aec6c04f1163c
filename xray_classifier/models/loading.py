"""Model name or path to a classifier whose file is the one that its JSON describes.

What runs it is ONNX Runtime where the network was exported for it, else Keras.
"""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from xray_classifier.errors import ModelUnavailableError
from xray_classifier.files import sha256_of
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.download import fetch
from xray_classifier.models.keras_network import KerasNetwork, Shape, open_model
from xray_classifier.models.legacy_keras import HDF5_SUFFIXES
from xray_classifier.models.network import Network
from xray_classifier.models.onnx_network import OnnxNetwork
from xray_classifier.models.spec import ModelSpec, read_spec
from xray_classifier.paths import MODEL_FOLDER
from xray_classifier.records.export import OnnxFacts

DEFAULT_MODEL = "default"
AS_PUBLISHED = "article-as-published"
"""The article's network as the article trains it: other models are compared with it."""
MODEL_SUFFIXES = (".keras", *HDF5_SUFFIXES)

AUTO, ONNX, KERAS = "auto", "onnx", "keras"
RUNTIMES = (AUTO, ONNX, KERAS)
RUNTIME_VARIABLE = "XRAY_CLASSIFIER_RUNTIME"

_log = logging.getLogger(__name__)


class NetworkFacts(Protocol):
    """What the facts of a model and those of the gate say alike."""

    @property
    def file(self) -> str:
        """Name of the Keras file."""

    @property
    def sha256(self) -> str:
        """The hash of the Keras file, hexadecimal."""

    @property
    def onnx(self) -> OnnxFacts | None:
        """The same network for ONNX Runtime."""


def model_names(folder: Path = MODEL_FOLDER) -> list[str]:
    """List the names of the models that come with the program."""
    return sorted(path.stem for path in folder.glob("*.json"))


@contextmanager
def collector_paused() -> Iterator[None]:
    """Look for no garbage meanwhile, in any thread.

    TensorFlow's import makes very many objects that stay; looking through them again and again
    would hold up the first verdict.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@collector_paused()
def load_classifier(
    model: str = DEFAULT_MODEL, source: str | None = None, runtime: str | None = None
) -> Classifier:
    """Load a model once it is proven to be the one that its JSON describes.

    Args:
        model: the name of a model in `model/`, or the path of a `.keras` or `.h5` file. A file
            without a JSON beside it is loaded unverified, with threshold .5, and says so in the
            classifier's remarks.
        source: Google Drive id or URL to fetch a missing file from. Without it the environment
            variable `XRAY_CLASSIFIER_<NAME>_URL` is asked, then the JSON.
        runtime: what is to run it: "onnx", "keras", or "auto" for the first of them that can.
            Without it the environment variable `XRAY_CLASSIFIER_RUNTIME` is asked, then "auto".

    Raises:
        ModelUnavailableError: no such model or runtime, or the model's file is missing, damaged,
            another one than its JSON says, or no classifier of (500, 500, 1) tensors.
    """
    description = describe_model(model)
    if description is None:
        return _load_unverified(Path(model), runtime)
    spec = read_spec(description)
    _check_name(model, description, spec)
    path = description.parent / spec.file

    def get() -> None:
        fetch(spec, path, source or os.environ.get(source_variable(spec.name)) or spec.download)

    return Classifier(open_network(spec, path.parent, len(spec.answers), runtime, get), spec)


def open_network(
    spec: NetworkFacts,
    folder: Path,
    outputs: int,
    runtime: str | None = None,
    get: Callable[[], None] | None = None,
) -> Network:
    """Open a network with the runtime that is asked for, once its files are proven.

    Args:
        spec: its facts.
        folder: where its files lie.
        outputs: how many answers it must give to each tensor.
        runtime: as for `load_classifier`.
        get: brings the Keras file where it is missing and needed.

    Raises:
        ModelUnavailableError: no such runtime, or a file is missing, damaged, another one than
            the facts say, or of another shape.
    """
    chosen = _choose_runtime(runtime)
    path = folder / spec.file
    if chosen == ONNX or (chosen == AUTO and spec.onnx):
        if path.exists():  # who puts another network there is not answered by the old one
            _verify(path, spec.sha256)
        try:
            return _open_onnx(spec, folder, outputs)
        except ModelUnavailableError as error:
            if chosen == ONNX:
                raise
            _log.warning("%s Keras runs the model instead.", error)
    if get and not path.exists():
        get()
    return KerasNetwork(load_verified(path, spec.sha256, (None, outputs)))


def _choose_runtime(runtime: str | None) -> str:
    chosen = runtime or os.environ.get(RUNTIME_VARIABLE) or AUTO
    if chosen not in RUNTIMES:
        raise ModelUnavailableError(
            f"There is no runtime {chosen!r}. Give one of: {', '.join(RUNTIMES)}; as --runtime or "
            f"in the environment variable {RUNTIME_VARIABLE}."
        )
    return chosen


def _open_onnx(spec: NetworkFacts, folder: Path, outputs: int) -> OnnxNetwork:
    """Open the ONNX file that was made from the Keras file of these facts."""
    exported = spec.onnx
    if exported is None:
        raise ModelUnavailableError(
            f"{spec.file} was not exported to ONNX. Do so with the command `export`, or choose "
            "another runtime."
        )
    if exported.source_sha256 != spec.sha256:
        raise ModelUnavailableError(
            f"The ONNX file {folder / exported.file} was made from another Keras file "
            f"({exported.source_sha256[:12]}…) than {spec.file} ({spec.sha256[:12]}…). Export that "
            "one anew."
        )
    _verify(folder / exported.file, exported.sha256)
    return OnnxNetwork(folder / exported.file, outputs)


def read_facts(name: str) -> ModelSpec:
    """Read the facts about a model in `model/`, without loading it.

    Raises:
        ModelUnavailableError: no such model, or its JSON is not in order.
    """
    if name not in model_names():
        raise _unknown(name)
    return read_spec(MODEL_FOLDER / f"{name}.json")


def load_verified(path: Path, sha256: str, output_shape: Shape) -> Any:
    """Open a Keras file from (n, 500, 500, 1) tensors once its hash is proven.

    Raises:
        ModelUnavailableError: the file is missing, another one, damaged, or of other shapes.
    """
    _verify(path, sha256)
    return open_model(path, output_shape)


def describe_model(model: str) -> Path | None:
    """Find the JSON of a model given by name or path; None for a file that has none.

    Raises:
        ModelUnavailableError: no model of that name, or no such file.
    """
    path = Path(model)
    if path.suffix.lower() in MODEL_SUFFIXES:
        description = path.with_suffix(".json")
        if description.exists():
            return description
        if path.is_file():
            return None
        raise ModelUnavailableError(f"There is no model file {path}. Check the path.")
    if model not in model_names():
        raise _unknown(model)
    return MODEL_FOLDER / f"{model}.json"


def _unknown(model: str) -> ModelUnavailableError:
    return ModelUnavailableError(
        f"There is no model {model!r}. Give one of: {', '.join(model_names()) or '(none)'}; "
        "or the path of a .keras or .h5 file."
    )


def _check_name(model: str, description: Path, spec: ModelSpec) -> None:
    name = Path(model).name
    if Path(model).suffix.lower() in MODEL_SUFFIXES and name != spec.file:
        raise ModelUnavailableError(
            f"{description} describes {spec.file}, not {name}. Give that file, or move one of them."
        )


def source_variable(name: str) -> str:
    """Name the environment variable that says where a model's file can be fetched."""
    return f"XRAY_CLASSIFIER_{name.upper().replace('-', '_')}_URL"


def _load_unverified(path: Path, runtime: str | None) -> Classifier:
    if _choose_runtime(runtime) == ONNX:
        raise ModelUnavailableError(
            f"{path} has no JSON beside it, so no ONNX file is proven to be the same network. "
            "Choose another runtime."
        )
    spec = ModelSpec(name=path.stem, title=path.name, file=path.name)
    remarks = (
        f"{path} has no JSON beside it: its hash is unverified.",
        f"Threshold {spec.threshold} is assumed.",
    )
    return Classifier(KerasNetwork(open_model(path, (None, 1))), spec, remarks)


def _verify(path: Path, sha256: str) -> None:
    try:
        found = sha256_of(path)
    except OSError as error:
        raise ModelUnavailableError(
            f"The model file {path} cannot be read ({error.strerror})."
        ) from error
    if found != sha256:
        raise ModelUnavailableError(
            f"The model file {path} is not the one that its JSON describes: sha256 "
            f"{found[:12]}… instead of {sha256[:12]}…. Restore both from the repository, or "
            "delete the file so that it is fetched anew."
        )
