"""EfficientNet-Lite0 up to its last feature map, untrained.

Tan & Le 2019 (arXiv:1905.11946) in the "lite" form of tensorflow/tpu
(models/official/efficientnet/lite): no squeeze-and-excitation, ReLU6 for swish. The reference's
stochastic depth (drop-connect 0.2 while training) is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import keras
from keras import layers

from xray_classifier.imaging.preprocessing import Tensor

IMAGENET_MEAN = 127.0
IMAGENET_STD = 128.0
"""The ImageNet weights take (pixel in [0, 255] - mean) / std, the same for red, green and blue.

Source: MEAN_RGB and STDDEV_RGB of lite/efficientnet_lite_builder.py in tensorflow/tpu.
"""


class Stage(NamedTuple):
    """Blocks in a row; the stride is the first one's."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    filters: int


STEM_FILTERS = 32
STAGES = (
    Stage(repeats=1, kernel=3, stride=1, expansion=1, filters=16),
    Stage(repeats=2, kernel=3, stride=2, expansion=6, filters=24),
    Stage(repeats=2, kernel=5, stride=2, expansion=6, filters=40),
    Stage(repeats=3, kernel=3, stride=2, expansion=6, filters=80),
    Stage(repeats=3, kernel=5, stride=1, expansion=6, filters=112),
    Stage(repeats=4, kernel=5, stride=2, expansion=6, filters=192),
    Stage(repeats=1, kernel=3, stride=1, expansion=6, filters=320),
)
HEAD_FILTERS = 1280
BLOCKS = sum(stage.repeats for stage in STAGES)

FIXED_BLOCKS = 3
"""While training, the stem and so many blocks stay as ImageNet left them. They work on the largest
maps, and need half of the time of a step; what they look for are edges and spots."""


def build_backbone(side: int) -> keras.Model:
    """Build the network without pooling and classifier: 3,413,024 parameters, random weights.

    Args:
        side: height and width of the input in pixels, a multiple of 32; ImageNet's was 224.

    Returns:
        A model from (n, side, side, 3), normalised by `IMAGENET_MEAN` and `IMAGENET_STD`, to
        (n, side / 32, side / 32, 1280) in [0, 6]. Layers are named stem, block<i>_expand,
        block<i>_depthwise, block<i>_project and head, each with its batch norm <name>_bn.
    """
    inputs = keras.Input((side, side, 3))
    return keras.Model(inputs, _stack(inputs, folded_blocks=0), name="efficientnet_lite0")


def apply_folded(grey: keras.KerasTensor) -> keras.KerasTensor:
    """Apply the network to one grey channel, without batch norms; the layers have biases instead.

    A batch norm whose statistics are fixed is a scale and a shift of each channel, so it can be
    folded into the convolution before it; equal red, green and blue fold into one channel. Both
    make the same function, in half the time; `imagenet_weights.fold` gives the layers their
    weights.

    Args:
        grey: shape (n, side, side, 1), normalised as for `build_backbone`.

    Returns:
        Shape (n, side / 32, side / 32, 1280) in [0, 6].
    """
    return _stack(grey, folded_blocks=BLOCKS)


def apply_trainable(grey: keras.KerasTensor) -> keras.KerasTensor:
    """Apply the network to one grey channel, with batch norms after the first, folded blocks.

    Args and result are those of `apply_folded`.
    """
    return _stack(grey, folded_blocks=FIXED_BLOCKS)


def settle(model: keras.Model, batches: Iterable[Tensor]) -> None:
    """Give batch norms the mean statistics of the batches, now that the weights are final.

    While training they follow weights that move and pictures that are changed at random
    ("precise batch norm": Wu & Johnson 2021, arXiv:2105.07576).
    """
    norms = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    for number, batch in enumerate(batches, start=1):
        for norm in norms:
            norm.momentum = 1 - 1 / number
        model(batch, training=True)


def _stack(x: keras.KerasTensor, folded_blocks: int) -> keras.KerasTensor:
    """Apply all blocks, the first ones folded; the stem with them, the head with all."""
    x = _relu6(_convolve(x, STEM_FILTERS, "stem", folded_blocks > 0, kernel=3, stride=2))
    block = 0
    for stage in STAGES:
        for repeat in range(stage.repeats):
            stride = 1 if repeat else stage.stride
            x = _block(x, stage, stride, f"block{block}", block < folded_blocks)
            block += 1
    return _relu6(_convolve(x, HEAD_FILTERS, "head", folded_blocks == BLOCKS))


def _block(
    x: keras.KerasTensor, stage: Stage, stride: int, name: str, folded: bool
) -> keras.KerasTensor:
    """Widen by 1x1, filter each channel, narrow by 1x1; add the input where shapes allow."""
    y = x
    if stage.expansion > 1:
        y = _relu6(_convolve(y, stage.expansion * x.shape[-1], f"{name}_expand", folded))
    depthwise = layers.DepthwiseConv2D(
        stage.kernel, stride, padding="same", use_bias=folded, name=f"{name}_depthwise"
    )
    y = _relu6(_normalise(depthwise(y), f"{name}_depthwise", folded))
    y = _convolve(y, stage.filters, f"{name}_project", folded)
    return layers.Add(name=f"{name}_add")([x, y]) if x.shape == y.shape else y


def _convolve(
    x: keras.KerasTensor, filters: int, name: str, folded: bool, kernel: int = 1, stride: int = 1
) -> keras.KerasTensor:
    convolution = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=folded, name=name)
    return _normalise(convolution(x), name, folded)


def _normalise(x: keras.KerasTensor, name: str, folded: bool) -> keras.KerasTensor:
    if folded:
        return x
    return layers.BatchNormalization(momentum=0.99, epsilon=1e-3, name=f"{name}_bn")(x)


def _relu6(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Activation("relu6")(x)
