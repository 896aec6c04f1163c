"""A network's graph, read back from its answer: logit, feature maps, and where these lie.

Reading the traced TensorFlow graph works for any Keras model, where its layers do not: a reloaded
`Sequential` gives stale layer outputs without gradients, a nested model hides its layers. Nothing
here computes; the functions take symbolic tensors of a `tf.function` that is being traced, with an
unknown batch size.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from xray_classifier.errors import ModelUnavailableError
from xray_classifier.models.keras_network import last_operation

_CONVOLUTIONS = {"Conv2D", "DepthwiseConv2dNative"}
_POOLINGS = {"MaxPool", "AvgPool"}
_CROPPING = "StridedSlice"
_PADDINGS = {"Pad", "PadV2", "MirrorPad"}
_RESIZING = ("Resize", "ScaleAndTranslate")


class Axis(NamedTuple):
    """Where the cells of a map lie along one axis of the input, in pixels.

    Attributes:
        cells: how many there are.
        start: the centre of what the first cell sees; the centre of the first pixel is 0.
        step: from one cell's centre to the next one's.
    """

    cells: int
    start: float = 0
    step: float = 1

    @property
    def span(self) -> slice:
        """The pixels from the first cell's centre to the last one's."""
        end = self.start + self.step * (self.cells - 1)
        return slice(max(0, math.ceil(self.start)), math.floor(end) + 1)


def logit_of(answer: Any) -> Any:
    """Find the score before the sigmoid that gave a probability.

    A confident network's sigmoid is flat, so that its gradient says nothing of what moved it.

    Raises:
        ModelUnavailableError: the network does not end in a sigmoid.
    """
    last = last_operation(answer)
    if last.type != "Sigmoid":
        raise ModelUnavailableError(
            f"This model cannot be explained: it ends in {last.type}, not in a sigmoid."
        )
    return last.inputs[0]


def coarsest_maps_of(logit: Any, count: int) -> list[Any]:
    """Find the convolutional feature maps, shape (n, rows, columns, channels), before the logit.

    Returns:
        At most `count`, the coarsest first: of each size the one that is nearest to the logit.

    Raises:
        ModelUnavailableError: no convolution leads to the logit.
    """
    path = list(_way_back(_nearest_map(logit)))
    while path and path[-1].op.type not in _CONVOLUTIONS:
        path.pop()  # the picture and what is done to it before the first convolution
    if not path:
        raise ModelUnavailableError(
            "This model cannot be explained: it has no convolution, so nothing in it belongs to a "
            "place in the picture."
        )
    by_size: dict[tuple[int, int], Any] = {}
    for tensor in path:
        by_size.setdefault((tensor.shape[1], tensor.shape[2]), tensor)
    return list(by_size.values())[:count]


def axes_of(feature_map: Any) -> tuple[Axis, Axis]:
    """Work out where the rows and the columns of a map lie on the network's input.

    Convolutions without padding and cropped margins shift a map inwards, so that stretching it
    over the whole picture would misplace it, by up to 29 of 500 pixels in the article's network.

    Raises:
        ModelUnavailableError: an operation changes the size in an unknown way.
    """
    rows, columns = (Axis(feature_map.shape[axis]) for axis in (1, 2))
    for tensor in _way_back(feature_map):
        rows, columns = _through(tensor.op, 1, rows), _through(tensor.op, 2, columns)
    return rows, columns


def _is_computed(tensor: Any) -> bool:
    """Tell what depends on the picture from weights: its batch size is unknown."""
    return bool(tensor.shape.rank) and tensor.shape[0] is None


def _is_map(tensor: Any) -> bool:
    return _is_computed(tensor) and tensor.shape.rank == 4 and tensor.shape[1:3].num_elements() != 1


def _nearest_map(logit: Any) -> Any | None:
    waiting = deque([logit])
    while waiting:
        tensor = waiting.popleft()
        if _is_map(tensor):
            return tensor
        waiting.extend(source for source in tensor.op.inputs if _is_computed(source))
    return None


def _way_back(feature_map: Any | None) -> Iterator[Any]:
    """Go from a map to the input; where branches meet their maps lie alike, so any one will do."""
    tensor = feature_map
    while tensor is not None:
        yield tensor
        tensor = next(filter(_is_map, tensor.op.inputs), None)


def _through(operation: Any, axis: int, after: Axis) -> Axis:
    """Carry positions on an operation's output over to its input."""
    source = next(filter(_is_map, operation.inputs), None)
    if source is None:
        return after
    before, size = source.shape[axis], operation.outputs[0].shape[axis]
    if operation.type in _CONVOLUTIONS | _POOLINGS:
        start, step = _of_window(operation, axis, before, size)
    elif operation.type in {_CROPPING, *_PADDINGS}:
        start, step = _of_shift(operation, axis), 1
    elif size == before or operation.type.startswith(_RESIZING):
        start, step = (before / size - 1) / 2, before / size
    else:
        raise ModelUnavailableError(
            f"This model cannot be explained: where its maps lie is unknown after {operation.type}."
        )
    return Axis(after.cells, start + step * after.start, step * after.step)


def _of_window(operation: Any, axis: int, before: int, size: int) -> tuple[float, float]:
    step = operation.get_attr("strides")[axis]
    if operation.type in _POOLINGS:
        extent = operation.get_attr("ksize")[axis]
    else:
        kernel = operation.inputs[1].shape[axis - 1]
        extent = (kernel - 1) * operation.get_attr("dilations")[axis] + 1
    padding = 0
    if operation.get_attr("padding") == b"SAME":
        padding = max((size - 1) * step + extent - before, 0) // 2
    return (extent - 1) / 2 - padding, step


def _of_shift(operation: Any, axis: int) -> float:
    """Read what a cropping leaves out, or a padding adds, before the first row or column."""
    import tensorflow as tf

    amount = tf.get_static_value(operation.inputs[1])[axis]
    return float(amount) if operation.type == _CROPPING else -float(amount[0])
