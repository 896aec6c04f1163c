"""A Keras model's network to an ONNX file, proven to give the same answers.

What is converted is the `tf.function` that judging runs (`KerasNetwork.function`), by tf2onnx
(https://github.com/onnx/tensorflow-onnx).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from xray_classifier.errors import DatasetError, ModelUnavailableError
from xray_classifier.files import replace_atomically, sha256_of
from xray_classifier.imaging.preprocessing import Tensor
from xray_classifier.models.gate import (
    GATE_FILE,
    KINDS,
    GateSpec,
    read_gate_spec,
    write_gate_spec,
)
from xray_classifier.models.keras_network import KerasNetwork
from xray_classifier.models.loading import describe_model, load_verified
from xray_classifier.models.network import Network
from xray_classifier.models.onnx_network import DENSE, KERNELS, MAPS, VECTOR, OnnxNetwork
from xray_classifier.models.spec import ModelSpec, read_spec, write_spec
from xray_classifier.records.export import OnnxFacts

OPSET = 18
"""Version of ONNX's operators: the first whose Resize takes the axes that it is to resize."""

MOST = 1e-5
"""The largest difference of two answers with which a file is written."""

GATE = "gate"
"""What names the gate where models are named."""


def export_network(model: str, tensors: Iterable[Tensor]) -> OnnxFacts:
    """Write a model's ONNX file beside its Keras file, if both give the same answers.

    Args:
        model: a model's name or path, as for `load_classifier`; or "gate".
        tensors: of radiographs, shape (500, 500, 1), float32 in [0, 1].

    Returns:
        What the JSON now says of the file.

    Raises:
        ModelUnavailableError: the model has no JSON, its file is not the one that the JSON
            describes, it cannot be converted, or the answers differ by more than `MOST`.
        DatasetError: there are no tensors.
        OutputError: nothing can be written there.
    """
    description, spec, outputs = _describe(model)
    path = description.parent / spec.file
    network = KerasNetwork(load_verified(path, spec.sha256, (None, outputs)))
    target = path.with_suffix(".onnx")
    with replace_atomically(target) as temporary:
        temporary.write_bytes(convert(network))
        exported = OnnxNetwork(temporary, outputs)
        images, difference = compare(network, exported, tensors)
        if not difference <= MOST:
            raise ModelUnavailableError(
                f"The ONNX file of {spec.file} gives other answers, by up to {difference:.2g} "
                f"where {MOST:g} is allowed. Nothing was written."
            )
        facts = OnnxFacts(
            file=target.name,
            sha256=sha256_of(temporary),
            bytes=temporary.stat().st_size,
            source_sha256=spec.sha256,
            opset=OPSET,
            converter=f"{_converter()}; {network.runtime}; {exported.runtime}",
            images=images,
            largest_difference=difference,
        )
    _write(replace(spec, onnx=facts), description)
    return facts


def compare(one: Network, other: Network, tensors: Iterable[Tensor]) -> tuple[int, float]:
    """Show the same tensors to two networks.

    Returns:
        How many there were, and the largest difference between two answers.

    Raises:
        DatasetError: there were none.
    """
    images, largest = 0, 0.0
    for tensor in tensors:
        batch = tensor[np.newaxis]
        differences = np.abs(one.answers(batch) - other.answers(batch))
        largest = float(np.max([largest, *differences.reshape(-1)]))  # NaN, if one is
        images += 1
    if not images:
        raise DatasetError("There is no radiograph to compare with. Give a folder that holds some.")
    return images, largest


def convert(network: KerasNetwork) -> bytes:
    """Convert a Keras network to the content of an ONNX file.

    Raises:
        ModelUnavailableError: the converter made no valid graph of it.
    """
    import onnx
    import tf2onnx

    function = network.function
    try:
        model, _ = tf2onnx.convert.from_function(
            function,
            input_signature=function.input_signature,
            opset=OPSET,
            custom_op_handlers={"ResizeBilinear": (_resize, [])},
        )
        _keep_constants(model.graph, function.get_concrete_function())
        _give_what_lies_within(model)
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # whatever a layer that it does not know leads it into
        raise ModelUnavailableError(f"The network cannot be converted to ONNX: {error}") from error
    return model.SerializeToString()


def _keep_constants(graph: Any, traced: Any) -> None:
    """Put into the graph the constants that a layer holds beside its weights.

    TensorFlow hands them to the function as it does its argument, so that tf2onnx takes them for
    inputs of the network: mean and deviation of a Normalization layer, for example.
    """
    import onnx

    held = {
        tensor.name: value.numpy()
        for tensor, value in zip(traced.inputs[1:], traced.captured_inputs, strict=True)
        if tensor.dtype != "resource"
    }
    used = {name for node in graph.node for name in node.input}
    (tensors, *constants) = graph.input
    for constant in constants:
        graph.input.remove(constant)
        if constant.name in used:
            value = np.asarray(held[constant.name])
            graph.initializer.append(onnx.numpy_helper.from_array(value, constant.name))
    for entry in (tensors, *graph.output):
        entry.type.tensor_type.shape.dim[0].dim_param = "n"


def _give_what_lies_within(model: Any) -> None:
    """Make outputs, by names that say what they are, of the steps of a network like the article's.

    Only a network whose every convolution is followed by a maximum pooling has such steps.
    """
    import onnx

    graph = model.graph
    by_kind: dict[str, list[Any]] = {}
    for node in graph.node:
        by_kind.setdefault(node.op_type, []).append(node)
    poolings, convolutions = by_kind.get("MaxPool", []), by_kind.get("Conv", [])
    products = by_kind.get("MatMul", [])
    if not (poolings and products) or len(poolings) != len(convolutions):
        return
    sums = {node.output[0] for node in by_kind.get("Add", [])}
    dense = [node for node in by_kind.get("Relu", []) if node.input[0] in sums]
    names = {products[0].input[0]: VECTOR}
    for name, tensors in (
        (MAPS, [node.output[0] for node in poolings]),
        (KERNELS, [node.input[1] for node in convolutions]),
        (DENSE, [node.output[0] for node in dense]),
    ):
        names |= {tensor: f"{name}_{number}" for number, tensor in enumerate(tensors, start=1)}
    alone = len(names) == 1 + 2 * len(poolings) + len(dense)  # no weights are shared
    if not alone or names.keys() & {entry.name for entry in (*graph.input, *graph.output)}:
        return
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for weights in graph.initializer:
        weights.name = names.get(weights.name, weights.name)
    shapes = {weights.name: list(weights.dims) for weights in graph.initializer}
    for name in names.values():  # the shapes of what is computed are inferred
        graph.output.append(
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shapes.get(name))
        )
    with_shapes = onnx.shape_inference.infer_shapes(model).graph.output
    del graph.output[:]
    graph.output.extend(with_shapes)


def _resize(context: Any, node: Any, _name: str, _arguments: Any) -> None:
    """Convert a bilinear resizing by the size that it leads to.

    tf2onnx gives the factor, of which the size is computed anew in half the precision: 230 pixels
    times 200/230 are 199.
    """
    if not node.get_attr_value("half_pixel_centers"):
        raise ValueError("only resizing by half pixel centres can be converted")
    tensors, kind = node.input[0], context.get_dtype(node.output[0])
    n, height, width, channels = context.get_shape(node.output[0])
    before = [n, channels, *context.get_shape(tensors)[1:3]]
    outputs = list(node.output)
    context.remove_node(node.name)
    channels_first = context.make_node(
        "Transpose", [tensors], attr={"perm": [0, 3, 1, 2]}, shapes=[before], dtypes=[kind]
    )
    resized = context.make_node(
        "Resize",
        [channels_first.output[0], "", "", _constant(context, [height, width])],
        attr={"axes": [2, 3], "mode": "linear", "coordinate_transformation_mode": "half_pixel"},
        shapes=[[n, channels, height, width]],
        dtypes=[kind],
    )
    context.make_node(
        "Transpose",
        [resized.output[0]],
        attr={"perm": [0, 2, 3, 1]},
        outputs=outputs,
        shapes=[[n, height, width, channels]],
        dtypes=[kind],
    )


def _constant(context: Any, values: list[int]) -> str:
    from tf2onnx.utils import make_name

    return str(context.make_const(make_name("constant"), np.array(values, np.int64)).output[0])


def _converter() -> str:
    import onnx
    import tf2onnx

    return f"tf2onnx {tf2onnx.__version__}, onnx {onnx.__version__}"


def _describe(model: str) -> tuple[Path, ModelSpec | GateSpec, int]:
    """Find a network's JSON, read it, and tell how many answers the network gives."""
    if model == GATE:
        return GATE_FILE, read_gate_spec(GATE_FILE), len(KINDS) + 1
    description = describe_model(model)
    if description is None:
        raise ModelUnavailableError(
            f"{model} has no JSON beside it, which could say of what the ONNX file was made. Give "
            "a model of `train`."
        )
    spec = read_spec(description)
    return description, spec, len(spec.answers)


def _write(spec: ModelSpec | GateSpec, description: Path) -> None:
    if isinstance(spec, GateSpec):
        write_gate_spec(spec, description)
    else:
        write_spec(spec, description)
