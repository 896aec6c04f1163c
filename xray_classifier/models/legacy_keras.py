"""A model that an old Keras saved as HDF5: its config in today's terms, and its weights.

Keras 3 opens such files only where their config happens to be one that it writes itself. What is
changed here: a Sequential without InputLayer gets one, a bare list of layers gets its name, and
what only training needs is left out, with all arguments that Keras no longer takes.

Nothing of the file is run: layers are Keras's own, deserialised by Keras in safe mode. No array is
made before the network and the file are known to agree on its shape.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HDF5_SUFFIXES = (".h5", ".hdf5")

_GROWTH = 10  # times the size of the file, for weights that were compressed; Keras does not
_MODELS = {"Sequential": "Sequential", "Model": "Model", "Functional": "Model"}
_OLD_NORMS = ("BatchNormalizationV1", "BatchNormalizationV2")  # of TensorFlow 1
_OF_TRAINING = ("_initializer", "_regularizer", "_constraint")
_OUTDATED = ("fused", "ragged", "renorm", "virtual_batch_size", "implementation")
_WITH_CODE = ("Lambda", "TFSMLayer", "JaxLayer", "FlaxLayer", "TorchModuleWrapper")
_MIRRORED = ("theano", "cntk")  # their convolutions turn the kernel
_NO_GROUPS = ("DepthwiseConv2D", "SeparableConv2D", "Conv2DTranspose")  # and yet they say 1

Config = dict[str, Any]

Shapes = list[list[tuple[int, ...]]]
"""Of the arrays of each layer that has any."""


def open_hdf5(path: Path, keras: Any) -> Any:
    """Open an HDF5 file of Keras, of any version since 2.0.

    Args:
        path: the file.
        keras: the module.

    Returns:
        A Keras model, with its weights.

    Raises:
        ValueError: the file is damaged, no model, holds weights alone or layers that are not
            Keras's own, or its weights do not fit its network. The message says which.
        Exception: whatever else a damaged file leads Keras and h5py into.
    """
    import h5py  # type: ignore[import-untyped]

    with _reading(), h5py.File(path, "r") as file:
        config = _upgraded(_read_config(file), keras)
        saved = _find_weights(file, path.stat().st_size)
        shapes = [[array.shape for array in layer] for layer in saved]
        model = _build(config, shapes, keras)
        for layer, arrays in zip(_weighted(model), saved, strict=True):
            for variable, array in zip(_variables(layer), arrays, strict=True):
                variable.assign(array[()])
    return model


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError, KeyError) as error:  # HDF5's own words are for programmers
        raise ValueError("it is no HDF5 file, or a damaged one") from error


# The file


def _read_config(file: Any) -> Any:
    texts = _texts(file, "model_config")
    if texts:
        try:
            return json.loads(texts[0])
        except (ValueError, RecursionError) as error:
            raise ValueError("what it says of its network is no JSON") from error
    if "layer_names" in file.attrs or "layers" in file:
        raise ValueError(
            "it holds weights alone, without the network that they belong to. Save the whole "
            "model where it was made, with model.save()"
        )
    raise ValueError("it is an HDF5 file, but holds no Keras model")


def _texts(owner: Any, name: str) -> list[str]:
    """Read an attribute of one text or several, bytes or not; none where it is missing."""
    if name not in owner.attrs:
        return []
    stored = owner.attrs.get_id(name)
    if stored.shape is None:
        return []
    if math.prod(stored.shape) * stored.dtype.itemsize > owner.file.id.get_filesize():
        raise ValueError(f"its attribute {name} claims to be larger than the file")
    value = owner.attrs[name]
    values = [value] if stored.shape == () else list(value.ravel())
    return [text.decode() if isinstance(text, bytes) else str(text) for text in values]


def _names(group: Any, name: str) -> list[str]:
    """Read a list that Keras divided into several attributes where it was long."""
    names = _texts(group, name)
    part = 0
    while f"{name}{part}" in group.attrs:
        names += _texts(group, f"{name}{part}")
        part += 1
    return names


def _member(group: Any, name: str) -> Any:
    """Find what lies in this very file; a link may lead out of it."""
    import h5py

    for part in name.split("/"):
        links = group.id.links if isinstance(group, h5py.Group) else None
        if not (links and links.exists(part.encode())):
            raise ValueError(f"its weights {name} are missing")
        if links.get_info(part.encode()).type != h5py.h5l.TYPE_HARD:
            raise ValueError(f"its weights {name} are a link")
        group = group[part]
    return group


def _find_weights(file: Any, size: int) -> list[list[Any]]:
    """Find the arrays of each layer that has any, unread, in the order of the layers."""
    group = _member(file, "model_weights")
    if (writer := "".join(_texts(group, "backend"))) in _MIRRORED:
        raise ValueError(f"it was saved by Keras on {writer}, whose convolutions are mirrored")
    found = []
    for layer in _names(group, "layer_names"):
        inner = _member(group, layer)
        arrays = [_array(inner, name) for name in _names(inner, "weight_names")]
        if arrays:
            found.append(arrays)
    claimed = sum(
        math.prod(array.shape) * array.dtype.itemsize for layer in found for array in layer
    )
    if claimed > _GROWTH * size:
        raise ValueError(f"its weights claim to have {claimed} bytes, in a file of {size}")
    return found


def _array(group: Any, name: str) -> Any:
    import h5py

    array = _member(group, name)
    if not isinstance(array, h5py.Dataset) or array.shape is None or array.dtype.kind != "f":
        raise ValueError(f"its weights {name} are no array of floats")
    if array.external or array.is_virtual:
        raise ValueError(f"its weights {name} lie in another file")
    return array


# The config


def _upgraded(config: Any, keras: Any) -> Config:
    try:
        return _upgrade_model(config, keras)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("what it says of its network is incomplete or damaged") from error


def _upgrade_model(config: Any, keras: Any) -> Config:
    """Put the config of a whole model in the terms of Keras 3."""
    if isinstance(config, list):
        config = {"class_name": "Sequential", "config": config}
    if not isinstance(config, dict) or config.get("class_name") not in _MODELS:
        kind = config.get("class_name") if isinstance(config, dict) else config
        raise ValueError(f"its network is a {kind!r}; a Sequential or functional model is wanted")
    upgraded = _upgrade(config, keras)
    known = {"module": "keras", "registered_name": None}
    return known | {"class_name": _MODELS[config["class_name"]], "config": upgraded["config"]}


def _upgrade(layer: Config, keras: Any) -> Config:
    """Put the config of a layer, or of a model within a model, in the terms of Keras 3."""
    kind = layer["class_name"]
    if kind in _OLD_NORMS:
        kind = "BatchNormalization"
    if kind in _MODELS:
        return layer | {"config": _upgrade_layers(kind, layer["config"], keras)}
    found = vars(keras.layers).get(kind)
    if kind in _WITH_CODE or not (isinstance(found, type) and issubclass(found, keras.Layer)):
        raise ValueError(
            f"its layer {kind!r} is none of Keras's own, or runs code that comes with the file"
        )
    config = {
        key: value
        for key, value in layer["config"].items()
        if not key.endswith(_OF_TRAINING) and key not in _OUTDATED
    }
    if kind != "InputLayer":
        config.pop("batch_input_shape", None)  # what the first layer takes
    if kind in _NO_GROUPS and config.get("groups") == 1:
        del config["groups"]
    if isinstance(config.get("dtype"), dict):  # a policy of TensorFlow 2
        config["dtype"] = config["dtype"]["config"]["name"]
    return layer | {"class_name": kind, "config": config}


def _upgrade_layers(kind: str, config: Any, keras: Any) -> Config:
    if isinstance(config, list):  # before Keras 2.2.3
        config = {"name": "sequential", "layers": config}
    layers = [_upgrade(layer, keras) for layer in config["layers"]]
    if not layers:
        raise ValueError("its network has no layers")
    shape = config["layers"][0]["config"].get("batch_input_shape")
    if kind == "Sequential" and shape and layers[0]["class_name"] != "InputLayer":
        layers.insert(0, _input_layer(shape, layers[0]["config"]))
    for ends in ("input_layers", "output_layers"):  # a list of one is a list to Keras 3
        if len(config.get(ends, ())) == 1:
            config = config | {ends: config[ends][0]}
    return config | {"layers": layers}


def _input_layer(shape: list[int | None], first: Config) -> Config:
    config = {"batch_shape": shape, "dtype": first.get("dtype"), "name": f"{first['name']}_input"}
    return {"class_name": "InputLayer", "config": config}


# The network


def _build(config: Config, saved: Shapes, keras: Any) -> Any:
    """Make the network, once its variables are known to have the shapes of the saved arrays."""
    # Keras keeps a list of variables that wait for their memory, for each thread its own.
    with ThreadPoolExecutor(1) as thread:
        wanted = thread.submit(_wanted_shapes, config, keras).result()
    if wanted != saved:
        raise ValueError(_difference(wanted, saved))
    return _deserialized(config, keras)


def _wanted_shapes(config: Config, keras: Any) -> Shapes:
    """Make the network with variables that have no memory, for their shapes."""
    with keras.StatelessScope(initialize_variables=False):
        model = _deserialized(copy.deepcopy(config), keras)
        return [[tuple(one.shape) for one in _variables(layer)] for layer in _weighted(model)]


def _deserialized(config: Config, keras: Any) -> Any:
    try:
        return keras.saving.deserialize_keras_object(config, safe_mode=True)
    except TypeError as error:  # its reason stands behind the whole config
        raise ValueError(str(error).rpartition("Exception encountered: ")[2]) from error


def _weighted(model: Any) -> list[Any]:
    return [layer for layer in model.layers if layer.weights]


def _variables(layer: Any) -> list[Any]:
    """List the variables of a layer in the order in which HDF5 files have them."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _difference(wanted: Shapes, saved: Shapes) -> str:
    if len(wanted) != len(saved):
        return f"its network has {len(wanted)} layers with weights, the file those of {len(saved)}"
    number, (ours, theirs) = next(
        (number, pair)
        for number, pair in enumerate(zip(wanted, saved, strict=True), 1)
        if pair[0] != pair[1]
    )
    return f"layer {number} of those with weights takes {ours}, and the file has {theirs}"
