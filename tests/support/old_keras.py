"""Model files as old Keras wrote them: HDF5 in its several shapes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]

NAMES = {
    "Conv2D": "conv2d",
    "DepthwiseConv2D": "depthwise_conv2d",
    "BatchNormalization": "batch_normalization",
    "Dropout": "dropout",
    "MaxPooling2D": "max_pooling2d",
    "GlobalAveragePooling2D": "global_average_pooling2d",
    "Flatten": "flatten",
    "Dense": "dense",
}
WEIGHTS = {
    "Conv2D": ("kernel:0", "bias:0"),
    "DepthwiseConv2D": ("depthwise_kernel:0", "bias:0"),
    "BatchNormalization": ("gamma:0", "beta:0", "moving_mean:0", "moving_variance:0"),
    "Dense": ("kernel:0", "bias:0"),
}


@dataclass(frozen=True)
class Style:
    """What differs between files of old Keras.

    Attributes:
        input_layer: the Sequential begins with an InputLayer, as since TensorFlow 2.2.
        initializer_dtype: initializers carry a dtype, as in TensorFlow 1.
        bare: how much of the config is a list only: "layers" below the class, as before
            Keras 2.2.3, or "all" of it.
        text: attributes are text in place of bytes.
        policy: the dtype of a layer is a policy, as in TensorFlow 2 of mixed precision.
        old_norm: BatchNormalization has the name that TensorFlow 1 gave it.
    """

    input_layer: bool = False
    initializer_dtype: bool = False
    bare: str = ""
    text: bool = False
    policy: bool = False
    old_norm: bool = False


def write_old(model: Any, path: Path, style: Style | None = None) -> Path:
    """Write a Sequential as an old Keras did."""
    style = style or Style()
    layers = old_layers(model, style)
    encode = str if style.text else str.encode
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = encode("2.2.4"), encode("tensorflow")
        file.attrs["model_config"] = encode(json.dumps(whole_config(layers, style)))
        write_weights(file.create_group("model_weights"), model, layers, encode)
    return path


def write_weights(
    group: Any, model: Any, layers: Sequence[dict[str, Any]], encode: Any = str.encode
) -> None:
    """Write weights alone, into the root of a file for example."""
    named = [layer["config"]["name"] for layer in layers if layer["class_name"] != "InputLayer"]
    group.attrs["layer_names"] = [encode(name) for name in named]
    group.attrs["backend"], group.attrs["keras_version"] = encode("tensorflow"), encode("2.2.4")
    for name, layer in zip(named, model.layers, strict=True):
        inner = group.create_group(name)
        arrays = layer.get_weights()
        parts = [f"{name}/{part}" for part in WEIGHTS.get(type(layer).__name__, ())]
        inner.attrs["weight_names"] = [encode(part) for part in parts]
        for part, array in zip(parts, arrays, strict=True):
            inner.create_dataset(part, data=array)


def whole_config(layers: list[dict[str, Any]], style: Style) -> Any:
    if style.bare == "all":
        return layers
    inner = layers if style.bare else {"name": "sequential_1", "layers": layers}
    return {"class_name": "Sequential", "config": inner}


def old_layers(model: Any, style: Style) -> list[dict[str, Any]]:
    """The configs of the layers, in the terms of Keras 2."""
    shape = [None, *model.input_shape[1:]]
    layers: list[dict[str, Any]] = []
    for number, layer in enumerate(model.layers, 1):
        kind = type(layer).__name__
        dtype: Any = "float32"
        if style.policy:
            dtype = {"class_name": "Policy", "config": {"name": "float32"}}
        config = {"name": f"{NAMES[kind]}_{number}", "trainable": True, "dtype": dtype}
        if number == 1:
            config["batch_input_shape"] = shape
        config |= _arguments(kind, layer) | _for_training(kind, style)
        name = "BatchNormalizationV1" if style.old_norm and "Norm" in kind else kind
        layers.append({"class_name": name, "config": config})
    if style.input_layer:
        source = {"batch_input_shape": shape, "dtype": "float32", "sparse": False, "ragged": False}
        first = {"class_name": "InputLayer", "config": {**source, "name": "input_1"}}
        return [first, *layers]
    return layers


def _arguments(kind: str, layer: Any) -> dict[str, Any]:
    window = {"padding": "valid", "strides": [1, 1], "data_format": "channels_last"}
    if kind == "Conv2D":
        return window | {
            "filters": layer.filters,
            "kernel_size": list(layer.kernel_size),
            "dilation_rate": [1, 1],
            "activation": layer.activation.__name__,
        }
    if kind == "DepthwiseConv2D":
        return window | {
            "kernel_size": list(layer.kernel_size),
            "depth_multiplier": 1,
            "groups": 1,
            "dilation_rate": [1, 1],
            "activation": layer.activation.__name__,
        }
    if kind == "MaxPooling2D":
        size = list(layer.pool_size)
        return window | {"pool_size": size, "strides": size}
    if kind == "Dense":
        return {"units": layer.units, "activation": layer.activation.__name__}
    if kind == "BatchNormalization":
        return {"axis": [3], "momentum": 0.99, "epsilon": layer.epsilon, "fused": True}
    if kind == "Dropout":
        return {"rate": layer.rate, "noise_shape": None, "seed": None}
    return {"data_format": "channels_last"}


def _for_training(kind: str, style: Style) -> dict[str, Any]:
    if kind not in WEIGHTS:
        return {}
    dtype = {"dtype": "float32"} if style.initializer_dtype else {}
    uniform = {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None}
    glorot = {"class_name": "VarianceScaling", "config": uniform | dtype}
    zeros = {"class_name": "Zeros", "config": dict(dtype)}
    if kind == "BatchNormalization":
        ones = {"class_name": "Ones", "config": dict(dtype)}
        starts = {"beta": zeros, "gamma": ones, "moving_mean": zeros, "moving_variance": ones}
        return {f"{name}_initializer": start for name, start in starts.items()}
    kernel = "depthwise" if kind == "DepthwiseConv2D" else "kernel"
    return {
        "use_bias": True,
        f"{kernel}_initializer": glorot,
        "bias_initializer": zeros,
        **dict.fromkeys((f"{kernel}_regularizer", "bias_regularizer", "activity_regularizer")),
        **dict.fromkeys((f"{kernel}_constraint", "bias_constraint")),
    }
