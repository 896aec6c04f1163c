"""Fit the gate: ImageNet features, a classifier of kinds, and the distance from the children.

The features are those of EfficientNet-Lite0 as ImageNet left it, from two depths, averaged over a
grid of 4 x 4 so that the layout of a chest is seen. The distance is that of probabilistic
principal components (Tipping and Bishop, JRSS B 61, 1999), which needs no example of what it is to
refuse; the classifier (multinomial logistic regression) knows the kinds that were at hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from xray_classifier.data.datasets import Sample, find_samples, read_image, select
from xray_classifier.data.splits import fingerprint, split_by_patient
from xray_classifier.imaging import perturbations
from xray_classifier.imaging.preprocessing import SIDE, resize, scale
from xray_classifier.imaging.radiograph import GreyImage
from xray_classifier.models.gate import ADULT, CHILD, KINDS, GateSpec, decide, write_gate_spec
from xray_classifier.models.saving import save_model
from xray_classifier.progress import track
from xray_classifier.records.checks import GateShares
from xray_classifier.training.efficientnet_lite import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    apply_folded,
    build_backbone,
)
from xray_classifier.training.imagenet_weights import fold, load_imagenet_weights
from xray_classifier.training.training_images import images_in

POOL = 4  # 500 to 125 pixels: finer detail would tell the sources apart
FEATURE_LAYERS = {"block4_add": 4, "block10_add": 2}  # and what makes 4 x 4 of each
COMPONENTS = 128
CLIP = 3.0  # standard deviations; bounds what a single feature can say of an alien image
REGULARISATION = 0.003
REJECT_FROM = 0.5
OUTSIDE_PERCENTILE = 99.5  # of the training children
REJECT_PERCENTILE = 98.0  # of the adults used for fitting
BATCH_SIZE = 16

Features = NDArray[np.float32]
Images = list[GreyImage]


def train_gate(
    data: Path, adults: Path, other: Path, unseen: Sequence[Path], out: Path, seed: int = 1
) -> Path:
    """Fit the gate, measure it, and write gate.keras and gate.json to `out`.

    Args:
        data: the children, as `find_samples` understands it; the hold-out and the test split
            are not used.
        adults: a folder of adult chest radiographs; every other file is used, the rest measured.
        other: a folder of what is no radiograph; likewise.
        unseen: folders of other kinds of images, for measuring only.
        out: a folder.
        seed: of the random changes.

    Returns:
        The path of the gate's file.

    Raises:
        DatasetError: a folder holds no images.
    """
    rng = np.random.default_rng(seed)
    training, _ = _split(data)
    children = [resize(read_image(sample)) for sample in track(training, "Reading", len(training))]
    fitted = {ADULT: images_in(adults)[::2], "other": images_in(other)[::2]}
    extractor = build_extractor()
    kinds = make_kinds(children, fitted, rng)
    features = {kind: extract(extractor, images) for kind, images in kinds.items()}
    model = assemble(extractor, features)
    target = out / "gate.keras"
    facts = {
        "date": datetime.now(UTC).date().isoformat(),
        "seed": seed,
        "children_sha256": fingerprint(training),
        "images": {kind: len(rows) for kind, rows in features.items()},
    }
    spec = _fit_limits(model, children[::4], fitted[ADULT], target.name, facts)
    measured = measure_kinds(model, spec, data, adults, other, unseen)
    save_model(model, measured, target, write_gate_spec)
    return target


def _fit_limits(
    model: keras.Model, children: Images, adults: Images, file: str, facts: dict[str, Any]
) -> GateSpec:
    """Choose the distances from which on the gate flags and rejects."""
    return GateSpec(
        file=file,
        sha256="",  # hash and size are those of a file yet to be written
        bytes=0,
        reject_from=REJECT_FROM,
        reject_distance=_percentile(model, adults, REJECT_PERCENTILE),
        outside_distance=_percentile(model, children, OUTSIDE_PERCENTILE),
        training=facts,
    )


def _split(data: Path) -> tuple[list[Sample], list[Sample]]:
    """Give the children to fit the gate to, and those held out."""
    return split_by_patient(select(find_samples(data), "train", "val", "all"))


def make_kinds(
    children: Images, fitted: dict[str, Images], rng: np.random.Generator
) -> dict[str, Images]:
    """Make examples of every kind; sharpness, light and margin are random in each of them."""
    chests = [*_draw(children, len(children) // 12, rng), *fitted[ADULT]]
    turned = (np.flipud, lambda image: np.rot90(image, 2), np.rot90, lambda i: np.rot90(i, 3))
    return {
        CHILD: [degrade(image, rng) for image in children],
        ADULT: [degrade(image, rng) for image in fitted[ADULT] for _ in range(5)],
        "other": [degrade(image, rng) for image in fitted["other"] for _ in range(4)],
        "inverted": [255 - degrade(image, rng) for image in chests],
        "turned": [
            np.ascontiguousarray(turned[index % 4](degrade(image, rng)))
            for index, image in enumerate([*chests, *chests])
        ],
        "part": [cut_part(degrade(image, rng), rng) for image in chests],
    }


def degrade(image: GreyImage, rng: np.random.Generator) -> GreyImage:
    """Change at random what must not matter: margin, resolution, light, JPEG quality, noise."""
    batch = perturbations.crop(scale(image[np.newaxis]), rng.uniform(0, 0.06))
    side = int(rng.choice([112, 160, 224, 300, 400, SIDE]))
    batch = perturbations.downsample(batch, side)
    batch = perturbations.adjust_gamma(batch, float(np.exp(rng.uniform(-0.25, 0.25))))
    batch = perturbations.shift_grey(batch, rng.uniform(-0.08, 0.08), rng.uniform(0.8, 1.2))
    if rng.random() < 0.5:
        batch = perturbations.compress(batch, int(rng.integers(25, 95)))
    if rng.random() < 0.2:
        batch = perturbations.add_noise(batch, rng, rng.uniform(0.005, 0.03))
    return np.round(batch[0, ..., 0] * 255).astype(np.uint8)


def cut_part(image: GreyImage, rng: np.random.Generator) -> GreyImage:
    """Cut out 12 to 48 % of the area somewhere, and resize that to the square."""
    area, ratio = rng.uniform(0.12, 0.48), np.exp(rng.uniform(-0.4, 0.4))
    height = min(1.0, np.sqrt(area * ratio))
    tall, wide = int(SIDE * height), int(SIDE * min(1.0, area / height))
    top, left = rng.integers(0, SIDE - tall + 1), rng.integers(0, SIDE - wide + 1)
    return resize(np.ascontiguousarray(image[top : top + tall, left : left + wide]))


def build_extractor() -> keras.Model:
    """Build the frozen ImageNet network: (n, 500, 500, 1) in [0, 1] to (n, 2584) features."""
    inputs = keras.Input((SIDE, SIDE, 1))
    grey = layers.AveragePooling2D(POOL)(inputs)
    normalised = layers.Rescaling(255 / IMAGENET_STD, -IMAGENET_MEAN / IMAGENET_STD)(grey)
    network = keras.Model(inputs, apply_folded(normalised))
    backbone = build_backbone(224)
    load_imagenet_weights(backbone)
    fold(backbone, network)
    parts = []
    for name, pool in FEATURE_LAYERS.items():
        maps = network.get_layer(name).output
        parts.append(layers.Flatten()(layers.AveragePooling2D(pool)(maps)))
        parts.append(layers.GlobalMaxPooling2D()(maps))
    return keras.Model(inputs, layers.Concatenate()(parts))


def extract(extractor: keras.Model, images: Images) -> Features:
    """Compute the features of resized images, shape (n, 2584)."""
    starts = range(0, len(images), BATCH_SIZE)
    batches = (scale(np.stack(images[start : start + BATCH_SIZE])) for start in starts)
    rows = [extractor(batch, training=False) for batch in track(batches, "Looking", len(starts))]
    return np.concatenate(rows).astype(np.float32)


def assemble(extractor: keras.Model, features: dict[str, Features]) -> keras.Model:
    """Fit classifier and distance to the features, and build one network of standard layers."""
    children = features[CHILD]
    mean, variance = children.mean(axis=0), children.var(axis=0) + 1e-6
    normal = layers.Normalization(mean=mean, variance=variance)(extractor.output)
    kinds = _kind_layers(normal, features, mean, variance)
    distance = _distance_layers(normal, (children - mean) / np.sqrt(variance))
    return keras.Model(extractor.input, layers.Concatenate()([kinds, distance]), name="gate")


def _kind_layers(
    normal: keras.KerasTensor,
    features: dict[str, Features],
    mean: Features,
    variance: Features,
) -> keras.KerasTensor:
    rows = np.concatenate([features[kind] for kind in KINDS])
    labels = np.repeat(range(len(KINDS)), [len(features[kind]) for kind in KINDS])
    clipped = np.clip((rows - mean) / np.sqrt(variance), -CLIP, CLIP)
    fitted = LogisticRegression(C=REGULARISATION, max_iter=300, class_weight="balanced")
    fitted.fit(clipped, labels)
    bounded = layers.Rescaling(1.0, -CLIP)(
        layers.ReLU(max_value=2 * CLIP)(layers.Rescaling(1.0, CLIP)(normal))
    )
    dense = layers.Dense(len(KINDS), activation="softmax")
    kinds = dense(bounded)
    dense.set_weights([fitted.coef_.T, fitted.intercept_])
    return kinds


def _distance_layers(normal: keras.KerasTensor, children: Features) -> keras.KerasTensor:
    """Distance inside the principal components plus distance from them, each about 1."""
    _, lengths, axes = np.linalg.svd(children, full_matrices=False)
    directions = axes[:COMPONENTS].T
    variances = lengths[:COMPONENTS] ** 2 / len(children)
    projection = children @ directions
    inside = (projection**2 / variances).sum(axis=1)
    outside = (children**2).sum(axis=1) - (projection**2).sum(axis=1)

    project = layers.Dense(COMPONENTS, use_bias=False)
    projected = project(normal)
    project.set_weights([directions])
    whitened = layers.Normalization(mean=np.zeros(COMPONENTS), variance=variances)(projected)
    square = layers.Dot(axes=1)
    near = layers.Rescaling(1 / np.median(inside))(square([whitened, whitened]))
    rest = layers.Subtract()([square([normal, normal]), square([projected, projected])])
    return layers.Add()([near, layers.Rescaling(1 / np.median(outside))(rest)])


def measure_gate(model: Any, spec: GateSpec, images: Images) -> GateShares:
    """Count what the gate does with resized images: shares rejected and flagged."""
    outputs = extract(model, images)
    decisions = [decide(row.astype(np.float64), spec) for row in outputs]
    return GateShares(
        images=len(images),
        rejected=float(np.mean([bool(decision.reason) for decision in decisions])),
        outside_population=float(np.mean([decision.outside_population for decision in decisions])),
    )


def measure_kinds(
    model: Any, spec: GateSpec, data: Path, adults: Path, other: Path, unseen: Sequence[Path]
) -> GateSpec:
    """Measure the gate on what it was not fitted to, and keep that in its facts.

    Args:
        model: the gate's network.
        spec: its facts.
        data: the children; their hold-out is used, as it is and changed.
        adults: the folder used for fitting; the files that were left out are used.
        other: likewise.
        unseen: folders of other kinds of images, each measured under its name.
    """
    rng = np.random.default_rng(0)
    _, holdout = _split(data)
    children = [resize(read_image(sample)) for sample in holdout]
    some = _draw(children, 200, rng)
    sets: dict[str, Images] = {
        "held-out children": children,
        "held-out children, degraded": [degrade(image, rng) for image in children],
        "held-out children, inverted": [255 - image for image in some],
        "held-out children, upside down": [image[::-1].copy() for image in some],
        "held-out children, on the side": [np.rot90(image).copy() for image in some],
        "held-out children, under half the area": [cut_part(image, rng) for image in some],
        "held-out adults": images_in(adults)[1::2],
        f"held-out {other.name}": images_in(other)[1::2],
        **{folder.name: images_in(folder) for folder in unseen},
    }
    return replace(
        spec, results={name: measure_gate(model, spec, images) for name, images in sets.items()}
    )


def _draw(images: Images, count: int, rng: np.random.Generator) -> Images:
    chosen = rng.choice(len(images), min(count, len(images)), replace=False)
    return [images[index] for index in chosen]


def _percentile(model: keras.Model, images: Images, percent: float) -> float:
    return float(np.percentile(extract(model, images)[:, -1], percent))
