from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.python.framework.config import disable_op_determinism

from tests.support.pictures import encoded
from xray_classifier.data.datasets import Sample
from xray_classifier.imaging.preprocessing import Tensor
from xray_classifier.models.keras_network import KerasNetwork
from xray_classifier.models.loading import load_classifier, read_facts
from xray_classifier.models.spec import read_spec
from xray_classifier.training import efficientnet_lite, imagenet_weights, recipes
from xray_classifier.training.architecture import build_article_cnn, default_loss, taught_loss
from xray_classifier.training.checkpoints import Checkpoints
from xray_classifier.training.recipes import (
    ARTICLE,
    ARTICLE_ALONE,
    ARTICLE_AS_PUBLISHED,
    AVERAGES,
    DEFAULT,
    RECIPES,
    SHARP,
    SOFT,
    Recipe,
)
from xray_classifier.training.trainer import train

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

Weights = list[NDArray[np.float32]]


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def in_json(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts as they are read back: tuples have become lists."""
    read: dict[str, Any] = json.loads(json.dumps(facts, allow_nan=False))
    return read


# What a recipe says of itself


def test_recipes_go_by_their_names() -> None:
    named = {"article": ARTICLE, "article-alone": ARTICLE_ALONE, "sharp": SHARP, "soft": SOFT}
    assert {**named, "article-as-published": ARTICLE_AS_PUBLISHED} == RECIPES
    assert {"default": DEFAULT} == AVERAGES
    assert len({recipe.title for recipe in RECIPES.values()} | {DEFAULT.title}) == 6


def test_default_is_the_soft_network_and_half_as_much_of_the_sharp_one() -> None:
    assert DEFAULT.members == (SHARP, SOFT)
    assert sum(DEFAULT.weights) == pytest.approx(1)
    assert DEFAULT.weights[1] == pytest.approx(2 * DEFAULT.weights[0])
    differing = {name for name in SHARP.facts if SHARP.facts[name] != SOFT.facts[name]}
    assert differing == {"trained", "augmentation"}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_facts_fit_into_the_json_of_a_model(recipe: Recipe) -> None:
    text = json.dumps(recipe.facts, allow_nan=False)
    assert json.dumps(json.loads(text)) == text
    assert {"optimizer", "loss", "augmentation"} <= recipe.facts.keys()


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_facts_and_images_come_from_one_augmentation(recipe: Recipe) -> None:
    augmentation: Any = recipe.augment
    fields = {name: value for name, value in asdict(augmentation).items() if value is not None}
    assert recipe.facts["augmentation"] == fields


def test_shipped_models_state_their_recipes() -> None:
    names = ("article", "article-as-published", "default")
    article, as_published, default = (read_facts(name).training for name in names)
    assert article
    assert as_published
    assert default
    assert [each.recipe_name for each in default.networks] == ["sharp", "soft"]
    assert default.recipe["weights"] == dict(zip(("sharp", "soft"), DEFAULT.weights, strict=True))
    recipes_of_them = (ARTICLE, ARTICLE_AS_PUBLISHED, SHARP, SOFT)
    for facts, recipe in zip(
        (article, as_published, *default.networks), recipes_of_them, strict=True
    ):
        settings = {"batch_size": recipe.batch_size, "max_epochs": recipe.epochs}
        assert facts.recipe == settings | in_json(recipe.facts)


# The article's recipe, as published


def test_as_published_article_stops_and_slows_down_by_its_rules() -> None:
    stop, plateau = ARTICLE_AS_PUBLISHED.callbacks()
    assert isinstance(stop, keras.callbacks.EarlyStopping)
    assert (stop.monitor, stop.patience) == ("val_loss", 3)
    assert not stop.restore_best_weights  # the checkpoints keep them
    assert isinstance(plateau, keras.callbacks.ReduceLROnPlateau)
    assert (plateau.monitor, plateau.patience) == ("val_loss", 2)
    assert (plateau.factor, plateau.min_lr) == (0.3, 1e-6)


def test_each_run_gets_callbacks_of_its_own() -> None:
    for first, second in zip(
        ARTICLE_AS_PUBLISHED.callbacks(), ARTICLE_AS_PUBLISHED.callbacks(), strict=True
    ):
        assert first is not second
    assert SOFT.callbacks() == []


def test_as_published_article_builds_the_articles_network() -> None:
    model = ARTICLE_AS_PUBLISHED.build(262)
    assert model.count_params() == 1_467_137
    assert float(model.optimizer.learning_rate) == pytest.approx(0.001)


def test_as_published_article_ships_its_weights_without_the_optimizer() -> None:
    trained = build_article_cnn()
    shipped = ARTICLE_AS_PUBLISHED.finish(trained, [])
    assert not shipped.compiled
    assert [type(layer) for layer in shipped.layers] == [type(layer) for layer in trained.layers]
    assert_same_weights(shipped.get_weights(), trained.get_weights())
    assert shipped.name == "article"


# The article's network, trained well


def test_article_is_fed_half_the_side_and_ships_the_articles_network() -> None:
    model = ARTICLE_ALONE.build(262)
    assert ARTICLE_ALONE.pool == 2
    assert model.input_shape == (None, 250, 250, 1)
    assert model.count_params() == 1_467_137
    model.train_on_batch(noise(2, 250), np.array([0, 1], np.float32))
    averages = averages_in(model)

    shipped = ARTICLE_ALONE.finish(model, [])

    assert [layer.name.split("_")[0] for layer in shipped.layers] == [
        layer.name.split("_")[0] for layer in build_article_cnn().layers
    ]
    assert shipped.input_shape == (None, 500, 500, 1)
    assert shipped.name == "article"
    assert not shipped.compiled
    assert_same_weights(shipped.get_weights(), averages)


def averages_in(model: Any) -> Weights:
    return [average.numpy() for average in model.optimizer._model_variables_moving_average]


def test_article_sees_noise_in_training_only() -> None:
    model = ARTICLE_ALONE.build(262)
    enlarge = keras.Model(model.input, model.layers[-2].output)
    grey = np.full((1, 250, 250, 1), 0.5, np.float32)
    assert np.all(np.asarray(enlarge(grey, training=False)) == 0.5)
    noisy = np.asarray(enlarge(grey, training=True))
    assert noisy.shape == (1, 500, 500, 1)
    assert noisy.std() == pytest.approx(0.02, rel=0.02)


@pytest.fixture
def taught(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The article's network beside a teacher that always answers .75, as a run begins."""
    inputs = keras.Input((500, 500, 1))
    pooled = keras.layers.GlobalAveragePooling2D()(inputs)
    sure = keras.initializers.Constant(np.log(3))
    answers = keras.layers.Dense(2, "sigmoid", kernel_initializer="zeros", bias_initializer=sure)
    teacher = SimpleNamespace(network=KerasNetwork(keras.Model(inputs, answers(pooled))))
    known = {("default", "keras"): teacher}
    monkeypatch.setattr(recipes, "load_classifier", lambda name, runtime: known[name, runtime])
    assert ARTICLE.first == ARTICLE_ALONE
    return ARTICLE.build(100, build_article_cnn())


def test_article_goes_on_from_what_was_made_alone_beside_its_teacher(taught: Any) -> None:
    assert taught.loss is taught_loss
    answers = np.asarray(taught(noise(2, 250), training=True))
    assert answers[:, 1] == pytest.approx(0.75)
    taught.train_on_batch(noise(2, 250), np.array([[0], [1]], np.float32))
    averages = averages_in(taught)

    shipped = ARTICLE.finish(taught, [])

    assert shipped.name == "article"
    assert shipped.output_shape == (None, 1)
    assert_same_weights(shipped.get_weights(), averages)


def test_article_learns_as_its_facts_say(taught: Any) -> None:
    for recipe, model in ((ARTICLE_ALONE, ARTICLE_ALONE.build(100)), (ARTICLE, taught)):
        assert_learns_as_its_facts_say(recipe, model.optimizer)
    assert (ARTICLE_ALONE.epochs, ARTICLE.epochs) == (18, 14)


def assert_learns_as_its_facts_say(recipe: Recipe, optimizer: Any) -> None:
    assert isinstance(optimizer, keras.optimizers.AdamW)
    assert (optimizer.weight_decay, optimizer.clipnorm) == (0.02, 1.0)
    assert (optimizer.use_ema, optimizer.ema_momentum) == (True, 0.99)
    schedule = optimizer._learning_rate
    rates = [float(schedule(step)) for step in (0, 100, 100 * recipe.epochs)]
    assert rates == pytest.approx([2e-5, 1e-3, 1e-5], rel=1e-4)
    assert (recipe.callbacks(), recipe.keep_best) == ([], False)


def noise(n: int, side: int) -> Tensor:
    return rng(0).random((n, side, side, 1), np.float32)


# A network of the default model


def small_network(side: int = 500, *, soft: bool) -> keras.Model:
    """In the place of EfficientNet: pooled, cropped and with dropout like it, 130 weights."""
    layers = keras.layers
    inputs = keras.Input((side, side, 1))
    x = layers.AveragePooling2D(2)(inputs) if side == 500 else inputs
    x = layers.Cropping2D(13)(x)
    x = layers.Flatten()(layers.AveragePooling2D(28)(x))
    outputs = layers.Dense(2, activation="sigmoid")(layers.Dropout(0.2)(x))
    return keras.Model(inputs, outputs, name="default")


def give_weights(source: keras.Model | None, target: keras.Model) -> None:
    """In the place of folding, where the network has no batch norms."""
    if source is not None:
        target.set_weights(source.get_weights())


@pytest.fixture(scope="module", autouse=True)
def small_and_deterministic() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipes, "build_lite_network", small_network)
        patch.setattr(efficientnet_lite, "build_backbone", lambda _side: None)
        patch.setattr(imagenet_weights, "load_imagenet_weights", lambda _backbone: None)
        patch.setattr(imagenet_weights, "fold", give_weights)
        tf.config.experimental.enable_op_determinism()
        yield
        disable_op_determinism()


@pytest.fixture
def compiled() -> Any:
    keras.utils.set_random_seed(1)
    return SOFT.build(100)


def test_default_trains_on_pooled_images(compiled: Any) -> None:
    assert SOFT.pool == 2
    assert compiled.input_shape == (None, 250, 250, 1)


def test_default_learns_as_its_facts_say(compiled: Any) -> None:
    optimizer = compiled.optimizer
    assert isinstance(optimizer, keras.optimizers.AdamW)
    assert (optimizer.weight_decay, optimizer.clipnorm) == (0.02, 1.0)
    assert (optimizer.use_ema, optimizer.ema_momentum) == (True, 0.99)
    assert compiled.loss is default_loss


@pytest.mark.parametrize(
    ("name", "label", "targets"),
    [
        ("person1_bacteria_2.jpeg", 1, (1, 1)),
        ("person1_virus_2.jpeg", 1, (1, 0)),
        ("somebody.jpeg", 1, (1, -1)),
        ("IM-0115-0001.jpeg", 0, (0, -1)),
    ],
)
def test_etiology_is_learned_where_the_name_tells_it(
    name: str, label: int, targets: tuple[float, float]
) -> None:
    assert SOFT.targets(Sample(Path(name), label, "train", "x")) == targets
    for recipe in (ARTICLE, ARTICLE_AS_PUBLISHED):
        assert recipe.targets(Sample(Path(name), label, "train", "x")) == (label,)


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 1e-5),
        (50, (1e-5 + 5e-4) / 2),
        (100, 5e-4),
        (350, (5e-4 + 5e-6) / 2),  # half of the five epochs after the first
        (600, 5e-6),
        (700, 5e-6),
    ],
)
def test_learning_rate_rises_for_an_epoch_then_falls_by_a_cosine(
    step: int, rate: float, compiled: Any
) -> None:
    schedule = compiled.optimizer._learning_rate
    assert float(schedule(step)) == pytest.approx(rate, rel=1e-4)
    assert SOFT.epochs * 100 == 600


def test_default_ships_averaged_weights_that_take_whole_images(compiled: Any) -> None:
    images, labels = noise(8, 250), np.array([[0, -1], [1, 0]] * 4, np.float32)
    for _ in range(3):
        compiled.train_on_batch(images, labels)
    raw = compiled.get_weights()
    averages = [average.numpy() for average in compiled.optimizer._model_variables_moving_average]

    shipped = SOFT.finish(compiled, [])

    assert_same_weights(shipped.get_weights(), averages)
    assert any(np.any(one != average) for one, average in zip(raw, averages, strict=True))
    assert shipped.input_shape == (None, 500, 500, 1)
    assert not shipped.compiled


# A run of a network of default

SHORT = replace(SOFT, batch_size=8, epochs=4)
STEPS = 3  # an epoch: 12 + 12 images
SEED = 7
FILES = {"soft.keras", "soft.json", "history.csv", "history.png"}


class Killed(BaseException):
    """Stands in for the signal that ends a process."""


@pytest.fixture(scope="module")
def radiographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """15 dark and 15 bright images, of which three each are held back."""
    root = tmp_path_factory.mktemp("radiographs")
    names = [f"NORMAL/IM-{number:04d}-0001.png" for number in range(115, 130)]
    names += [f"PNEUMONIA/person{number}_virus_1.png" for number in range(1, 16)]
    for number, name in enumerate(names):
        grey = 60 if "NORMAL" in name else 190
        path = root / "train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded((rng(number).integers(-30, 30, (40, 40)) + grey).astype(np.uint8)))
    return root


class Watched:
    """Keeps the weights after each step of a run; ends it in a chosen step, counted from 1."""

    def __init__(self, patch: pytest.MonkeyPatch, dies_after: int | None = None) -> None:
        self.weights: list[Weights] = []

        def on_train_batch_end(checkpoints: Any, batch: int, logs: Any = None) -> None:
            self.weights.append(checkpoints.model.get_weights())
            if len(self.weights) == dies_after:
                raise Killed

        patch.setattr(Checkpoints, "on_train_batch_end", on_train_batch_end)


@pytest.fixture(scope="module")
def watched(
    radiographs: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Weights]]:
    """What a run writes that nothing interrupted, and the weights after each of its steps."""
    out = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        steps = Watched(patch)
        assert train(SHORT, radiographs, out, SEED) == out / "soft.keras"
    return out, steps.weights


def shipped_by(out: Path) -> Weights:
    weights: Weights = keras.models.load_model(out / "soft.keras").get_weights()
    return weights


def history_of(out: Path) -> list[dict[str, float]]:
    with (out / "history.csv").open(encoding="utf-8", newline="") as stream:
        return [
            {name: float(value) for name, value in row.items()} for row in csv.DictReader(stream)
        ]


def assert_same_weights(found: Weights, expected: Weights) -> None:
    for one, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, wanted)


def test_run_ships_the_average_of_all_its_steps(watched: tuple[Path, list[Weights]]) -> None:
    out, steps = watched
    assert len(steps) == SHORT.epochs * STEPS
    average = steps[0]
    for weights in steps[1:]:
        average = [0.99 * old + 0.01 * new for old, new in zip(average, weights, strict=True)]
    distance = max(abs(raw - mean).max() for raw, mean in zip(steps[-1], average, strict=True))
    assert distance > 1e-3  # so that the last weights could not be taken for the average
    for found, expected in zip(shipped_by(out), average, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_run_ships_its_last_epoch_whichever_was_the_best(
    watched: tuple[Path, list[Weights]],
) -> None:
    out, _ = watched
    facts = read_spec(out / "soft.json").training
    assert facts
    assert (facts.epochs, facts.shipped_epoch) == (4, 4)
    assert facts.recipe_name == "soft"
    assert facts.recipe == {"batch_size": 8, "max_epochs": 4, **in_json(SOFT.facts)}
    assert [row["epoch"] for row in history_of(out)] == [1, 2, 3, 4]
    assert {path.name for path in out.iterdir()} == FILES


def test_a_better_epoch_before_the_last_is_not_shipped(
    watched: tuple[Path, list[Weights]],
    radiographs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same run, with validation losses that say that its second epoch was the best."""
    real = Checkpoints.on_epoch_end

    def worse_after_the_second(checkpoints: Any, epoch: int, logs: Any = None) -> None:
        real(checkpoints, epoch, {**logs, "val_loss": abs(epoch - 1) + 0.1})

    monkeypatch.setattr(Checkpoints, "on_epoch_end", worse_after_the_second)
    train(SHORT, radiographs, tmp_path, SEED)
    losses = [row["val_loss"] for row in history_of(tmp_path)]
    assert np.argmin(losses) == 1
    assert_same_weights(shipped_by(tmp_path), shipped_by(watched[0]))


def test_shipped_model_is_one_that_the_app_loads(watched: tuple[Path, list[Weights]]) -> None:
    out, _ = watched
    classifier = load_classifier(str(out / "soft.keras"))
    assert classifier.spec.name == "soft"
    assert classifier.spec.title == SOFT.title
    assert classifier.remarks == ()
    tensor = np.full((1, 500, 500, 1), 0.5, np.float32)
    kernel, bias = shipped_by(out)
    expected = 1 / (1 + np.exp(-(0.5 * kernel[:, 0].sum() + bias[0])))
    assert classifier.probabilities(tensor)[0] == pytest.approx(expected, abs=1e-6)


def test_a_run_killed_again_and_again_ends_with_the_same_weights(
    watched: tuple[Path, list[Weights]], radiographs: Path, tmp_path: Path
) -> None:
    """In its first step, within its second epoch, at that one's end, and within the last one."""
    whole, _ = watched
    for steps, done in ((1, 0), (STEPS + 2, 1), (STEPS, 1), (2 * STEPS + 2, 3)):
        with pytest.MonkeyPatch.context() as patch:
            Watched(patch, dies_after=steps)
            with pytest.raises(Killed, match="^$"):
                train(SHORT, radiographs, tmp_path, SEED)
        assert not (tmp_path / "soft.keras").exists()
        state = tmp_path / "checkpoint" / "state.json"
        epochs = json.loads(state.read_text())["history"] if state.exists() else []
        assert len(epochs) == done

    train(SHORT, radiographs, tmp_path, SEED)

    assert_same_weights(shipped_by(tmp_path), shipped_by(whole))
    for row, expected in zip(history_of(tmp_path), history_of(whole), strict=True):
        assert row == pytest.approx(expected, rel=1e-6)
    assert {path.name for path in tmp_path.iterdir()} == FILES


def test_the_last_epoch_holds_optimizer_and_averages(
    watched: tuple[Path, list[Weights]], radiographs: Path, tmp_path: Path
) -> None:
    """A run killed in its third epoch can be looked into."""
    _, steps = watched
    with pytest.MonkeyPatch.context() as patch:
        Watched(patch, dies_after=2 * STEPS + 1)
        with pytest.raises(Killed, match="^$"):
            train(SHORT, radiographs, tmp_path, SEED)
    left = keras.models.load_model(tmp_path / "checkpoint" / "epoch-02.keras")
    assert_same_weights(left.get_weights(), steps[2 * STEPS - 1])
    assert int(left.optimizer.iterations) == 2 * STEPS
    averages = left.optimizer._model_variables_moving_average
    assert [average.shape for average in averages] == [one.shape for one in steps[0]]
