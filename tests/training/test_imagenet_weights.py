from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
import pytest
from keras import layers

from xray_classifier.errors import MissingPackageError, ModelUnavailableError
from xray_classifier.training import imagenet_weights
from xray_classifier.training.architecture import build_lite_network
from xray_classifier.training.efficientnet_lite import apply_folded, build_backbone
from xray_classifier.training.imagenet_weights import (
    Tensors,
    assign,
    fold,
    load_imagenet_weights,
    read_imagenet_tensors,
)
from xray_classifier.training.recipes import SHARP

FOLDED_PARAMETERS = 3_349_424
TOLERANCE = 1e-3  # activations reach 6; 3.4e-5 was the largest difference measured


def one_layer(layer: layers.Layer, channels: int) -> keras.Model:
    return keras.Sequential([keras.Input((8, 8, channels)), layer])


@pytest.mark.parametrize("side", [224, 320])
def test_backbone_has_the_parameters_and_shape_that_it_promises(side: int) -> None:
    backbone = build_backbone(side)
    assert backbone.count_params() == 3_413_024
    assert backbone.output_shape == (None, side // 32, side // 32, 1280)


@pytest.mark.parametrize("side", [96, 224])
def test_activations_equal_those_of_the_pytorch_reference(side: int) -> None:
    torch = pytest.importorskip("torch", reason="needs requirements-train.txt")
    weights = pytest.importorskip(imagenet_weights.PACKAGE, reason="needs requirements-train.txt")
    reference = pytest.importorskip(
        "efficientnet_lite_pytorch", reason="needs the reference, requirements-train.txt"
    ).EfficientNet.from_pretrained(
        "efficientnet-lite0",
        weights_path=weights.EfficientnetLite0ModelFile.get_model_file_path(),
        image_size=side,
    )
    images = np.random.default_rng(3).uniform(-1, 1, (2, side, side, 3)).astype(np.float32)
    with torch.no_grad():
        expected = reference.eval().extract_features(torch.from_numpy(images).permute(0, 3, 1, 2))

    backbone = build_backbone(side)
    load_imagenet_weights(backbone)
    features = keras.ops.convert_to_numpy(backbone(images, training=False))

    assert features.std() > 0.1  # not two dead networks that agree
    np.testing.assert_allclose(
        features, expected.permute(0, 2, 3, 1).numpy(), rtol=0, atol=TOLERANCE
    )


def test_convolution_axes_are_moved() -> None:
    model = one_layer(layers.Conv2D(5, 3, use_bias=False, name="stem"), channels=2)
    kernel = np.arange(5 * 2 * 3 * 3, dtype=np.float32).reshape(5, 2, 3, 3)
    assign(model, {"_conv_stem.weight": kernel})
    assert model.get_weights()[0][1, 2, 1, 4] == kernel[4, 1, 1, 2]


def test_depthwise_axes_are_moved() -> None:
    layer = layers.DepthwiseConv2D(3, use_bias=False, name="block12_depthwise")
    model = one_layer(layer, channels=4)
    kernel = np.arange(4 * 3 * 3, dtype=np.float32).reshape(4, 1, 3, 3)
    assign(model, {"_blocks.12._depthwise_conv.weight": kernel})
    assert model.get_weights()[0][1, 2, 3, 0] == kernel[3, 0, 1, 2]


def test_batch_norm_parameters_are_not_confused() -> None:
    model = one_layer(layers.BatchNormalization(name="block3_expand_bn"), channels=2)
    values: Tensors = {
        "weight": np.array([1, 2], np.float32),
        "bias": np.array([3, 4], np.float32),
        "running_mean": np.array([5, 6], np.float32),
        "running_var": np.array([7, 8], np.float32),
    }
    assign(model, {f"_blocks.3._bn0.{name}": value for name, value in values.items()})
    (layer,) = model.layers
    assert layer.gamma.numpy().tolist() == [1, 2]
    assert layer.beta.numpy().tolist() == [3, 4]
    assert layer.moving_mean.numpy().tolist() == [5, 6]
    assert layer.moving_variance.numpy().tolist() == [7, 8]


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, r"differ in 1 tensors, the first is _conv_stem\.weight"),
        (
            {"_conv_stem.weight": np.ones((5, 2, 3, 3), np.float32), "_extra": np.ones(1)},
            "differ in 1 tensors, the first is _extra",
        ),
        (
            {"_conv_stem.weight": np.ones((5, 2, 1, 1), np.float32)},
            r"shape \(1, 1, 2, 5\) for .*stem/kernel, the network wants \(3, 3, 2, 5\)",
        ),
    ],
    ids=["missing", "left over", "another shape"],
)
def test_weights_of_another_network_are_refused(tensors: Tensors, message: str) -> None:
    model = one_layer(layers.Conv2D(5, 3, use_bias=False, name="stem"), channels=2)
    before = model.get_weights()[0]
    with pytest.raises(ModelUnavailableError, match=message):
        assign(model, tensors)
    np.testing.assert_array_equal(model.get_weights()[0], before)


@pytest.mark.parametrize("module", ["torch", imagenet_weights.PACKAGE])
def test_a_missing_package_is_named(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingPackageError, match=f" {module} is missing.*-train.txt"):
        read_imagenet_tensors()


def test_a_damaged_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="needs requirements-train.txt")
    package = tmp_path / "stand_in_weights"
    (package / imagenet_weights.FILE).parent.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / imagenet_weights.FILE).write_bytes(b"not weights")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(imagenet_weights, "PACKAGE", package.name)
    importlib.invalidate_caches()
    with pytest.raises(ModelUnavailableError, match="cannot be read as PyTorch weights"):
        read_imagenet_tensors()


# Folding


def folded_network(side: int) -> keras.Model:
    grey = keras.Input((side, side, 1))
    return keras.Model(grey, apply_folded(grey))


def shaken_backbone(side: int) -> keras.Model:
    """Random weights, and batch norms that do something."""
    keras.utils.set_random_seed(3)
    draw = np.random.default_rng(3)
    backbone = build_backbone(side)
    for norm in norms(backbone):
        channels = norm.gamma.shape[0]
        low_high = [(0.6, 1.4), (-0.5, 0.5), (-0.3, 0.3), (0.2, 0.6)]  # gamma beta mean variance
        norm.set_weights([draw.uniform(low, high, channels) for low, high in low_high])
    return backbone


def norms(backbone: keras.Model) -> list[layers.BatchNormalization]:
    return [layer for layer in backbone.layers if isinstance(layer, layers.BatchNormalization)]


def assert_folding_changes_nothing(backbone: keras.Model, side: int) -> None:
    images = np.random.default_rng(4).uniform(-1, 1, (2, side, side, 1)).astype(np.float32)
    expected = keras.ops.convert_to_numpy(backbone(images.repeat(3, axis=3), training=False))
    folded = folded_network(side)
    fold(backbone, folded)
    assert expected.std() > 0.1  # not two dead networks that agree
    assert expected.shape == (2, *folded.output_shape[1:])
    np.testing.assert_allclose(folded(images, training=False), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("side", [64, 224])
def test_folded_network_equals_the_unfolded_one_on_grey_images(side: int) -> None:
    assert_folding_changes_nothing(shaken_backbone(side), side)


def test_folded_imagenet_network_equals_the_unfolded_one_on_grey_images() -> None:
    for package in ("torch", imagenet_weights.PACKAGE):
        pytest.importorskip(package, reason="needs requirements-train.txt")
    backbone = build_backbone(224)
    load_imagenet_weights(backbone)
    assert_folding_changes_nothing(backbone, 224)


def test_folding_by_hand() -> None:
    """Three kernels 1, 2, 3 of a stem; factor gamma / sqrt(variance + epsilon) = 3 / .5 = 6."""
    colours = keras.Input((2, 2, 3))
    convolution = layers.Conv2D(1, 1, use_bias=False, name="stem")
    norm = layers.BatchNormalization(epsilon=1e-3, name="stem_bn")
    unfolded = keras.Model(colours, norm(convolution(colours)))
    convolution.set_weights([np.array([1, 2, 3]).reshape(1, 1, 3, 1)])
    norm.set_weights([np.array([value]) for value in (3, 5, 7, 0.25 - 1e-3)])
    target = one_layer(layers.Conv2D(1, 1, name="stem"), channels=1)
    fold(unfolded, target)
    kernel, bias = target.get_weights()
    np.testing.assert_allclose(kernel.ravel(), [36], rtol=1e-5)  # (1 + 2 + 3) * 6
    np.testing.assert_allclose(bias, [5 - 7 * 6], rtol=1e-5)  # beta - mean * factor


def test_folding_scales_each_depthwise_channel_by_its_own_factor() -> None:
    inputs = keras.Input((4, 4, 2))
    convolution = layers.DepthwiseConv2D(3, use_bias=False, name="block0_depthwise")
    norm = layers.BatchNormalization(epsilon=0, name="block0_depthwise_bn")
    unfolded = keras.Model(inputs, norm(convolution(inputs)))
    convolution.set_weights([np.ones((3, 3, 2, 1))])
    norm.set_weights([np.array(pair) for pair in ([2, 10], [0, 1], [0, 1], [1, 4])])
    target = one_layer(layers.DepthwiseConv2D(3, name="block0_depthwise"), channels=2)
    fold(unfolded, target)
    kernel, bias = target.get_weights()
    assert kernel[..., 0, 0].tolist() == [[2] * 3] * 3
    assert kernel[..., 1, 0].tolist() == [[5] * 3] * 3
    assert bias.tolist() == [0, -4]


def test_folded_network_has_its_number_of_parameters() -> None:
    """Each batch norm of 4 numbers a channel becomes a bias of 1; two colours of the stem go."""
    backbone = build_backbone(64)
    channels = sum(norm.gamma.shape[0] for norm in norms(backbone))
    folded = folded_network(64)
    assert folded.count_params() == backbone.count_params() - 3 * channels - 2 * 3 * 3 * 32
    assert folded.count_params() == FOLDED_PARAMETERS
    assert not folded.non_trainable_weights


@pytest.mark.parametrize("side", [250, 500])
def test_every_layer_of_a_network_but_the_last_gets_its_weights(side: int) -> None:
    model = build_lite_network(side, soft=True)
    model.set_weights([np.full_like(weights, np.nan) for weights in model.get_weights()])
    backbone = shaken_backbone(64)
    fold(backbone, model)
    weighted = [layer for layer in model.layers if layer.weights]
    left = [layer.name for layer in weighted if np.isnan(layer.get_weights()[0]).any()]
    assert left == ["probabilities"]
    convolutions = [layer for layer in weighted[:-1] if layer not in norms(model)]
    assert len(convolutions) == len(norms(backbone))
    assert all(np.isfinite(one).all() for layer in weighted[:-1] for one in layer.get_weights())


def test_sharp_recipe_starts_from_the_imagenet_features() -> None:
    for package in ("torch", imagenet_weights.PACKAGE):
        pytest.importorskip(package, reason="needs requirements-train.txt")
    model = SHARP.build(10)
    assert model.optimizer.use_ema
    backbone = build_backbone(224)
    load_imagenet_weights(backbone)
    images = np.random.default_rng(4).random((2, 250, 250, 1), np.float32)
    features = keras.Model(model.input, model.get_layer("features").output)(images)
    normalised = (255 * images[:, 13:-13, 13:-13] - 127) / 128
    expected = backbone(normalised.repeat(3, axis=3), training=False).numpy().mean(axis=(1, 2))
    assert expected.std() > 0.1
    np.testing.assert_allclose(features, expected, rtol=0, atol=1e-4)
