from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from xray_classifier.errors import DatasetError
from xray_classifier.files import sha256_of
from xray_classifier.models.loading import KERAS, load_classifier
from xray_classifier.models.saving import save_model
from xray_classifier.models.spec import BACTERIAL, PNEUMONIA, ModelSpec, read_spec, write_spec
from xray_classifier.records.training import ImageSize, TrainingFacts
from xray_classifier.training import averaging
from xray_classifier.training.averaging import train_average
from xray_classifier.training.recipes import DEFAULT, Recipe

DATA = Path("chest_xray")
SEED = 3

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def network(name: str) -> keras.Model:
    """Features and two answers, as the networks of `default` have them; weights by the name."""
    keras.utils.set_random_seed(len(name))
    inputs = keras.Input((500, 500, 1))
    pooled = keras.layers.AveragePooling2D(100)(inputs)
    features = keras.layers.Flatten(name="features")(pooled)
    outputs = keras.layers.Dense(2, activation="sigmoid")(features)
    return keras.Model(inputs, outputs, name=name)


def facts_of(recipe: Recipe, seed: int, images: str = "a" * 64) -> TrainingFacts:
    return TrainingFacts(
        date=f"2026-11-2{len(recipe.name)}",
        data="chest_xray",
        median_source_size=ImageSize(224, 224),
        seed=seed,
        split_seed=2026,
        training_images={"normal": 3, "pneumonia": 4},
        validation_images={"normal": 1, "pneumonia": 1},
        training_sha256=images,
        validation_sha256="b" * 64,
        recipe={"start": recipe.name},
        epochs=6,
        shipped_epoch=6,
        figures_of_that_epoch={"val_loss": 0.3},
        versions={"keras": "3"},
        recipe_name=recipe.name,
    )


Trained = list[tuple[str, Path, Path, int, Any, Any]]


def stand_in(trained: Trained, images: Callable[[Recipe], str] = lambda _: "a" * 64) -> Any:
    """In the place of `train`: writes a network at once, and keeps what was asked for."""

    def train(
        recipe: Recipe, data: Path, out: Path, seed: int, patients: Any, full: Path | None
    ) -> Path:
        trained.append((recipe.name, data, out, seed, patients, full))
        target = out / f"{recipe.name}.keras"
        spec = ModelSpec(
            recipe.name,
            recipe.title,
            target.name,
            answers=(PNEUMONIA, BACTERIAL),
            training=facts_of(recipe, seed, images(recipe)),
        )
        save_model(network(recipe.name), spec, target, write_spec)
        return target

    return train


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Trained:
    runs: Trained = []
    monkeypatch.setattr(averaging, "train", stand_in(runs))
    return runs


def test_networks_are_trained_alike_and_averaged(trained: Trained, tmp_path: Path) -> None:
    path = train_average(DEFAULT, DATA, tmp_path, SEED, {"a.png": "Ann"}, Path("full"))
    assert path == tmp_path / "default.keras"
    asked = (SEED, {"a.png": "Ann"}, Path("full"))
    assert trained == [
        ("sharp", DATA, tmp_path / "sharp", *asked),
        ("soft", DATA, tmp_path / "soft", *asked),
    ]
    tensor = np.random.default_rng(0).random((3, 500, 500, 1), np.float32)
    sharp, soft, both = (
        logits(load_classifier(str(one), runtime=KERAS).answers(tensor))
        for one in (tmp_path / "sharp/sharp.keras", tmp_path / "soft/soft.keras", path)
    )
    assert np.abs(sharp - soft).max() > 0.01
    np.testing.assert_allclose(both, (sharp + 2 * soft) / 3, rtol=0, atol=1e-4)


def logits(probabilities: Any) -> Any:
    return np.log(probabilities / (1 - probabilities))


def test_json_says_how_each_network_was_trained(trained: Trained, tmp_path: Path) -> None:
    train_average(DEFAULT, DATA, tmp_path, SEED)
    spec = read_spec(tmp_path / "default.json")
    assert (spec.name, spec.title, spec.answers) == (
        "default",
        DEFAULT.title,
        (PNEUMONIA, BACTERIAL),
    )
    assert spec.sha256 == sha256_of(tmp_path / "default.keras")
    facts = spec.training
    assert facts
    assert facts.networks == tuple(facts_of(recipe, SEED) for recipe in DEFAULT.members)
    assert (facts.date, facts.seed, facts.recipe_name) == ("2026-11-25", SEED, "default")
    assert facts.training_images == {"normal": 3, "pneumonia": 4}
    weights = json.loads(json.dumps(dict(zip(("sharp", "soft"), DEFAULT.weights, strict=True))))
    assert facts.recipe == {"logits": "weighted mean of the networks'", "weights": weights}
    assert facts.figures_of_that_epoch == {}


def test_networks_that_are_there_are_not_trained_again(trained: Trained, tmp_path: Path) -> None:
    train_average(DEFAULT, DATA, tmp_path, SEED)
    (tmp_path / "default.keras").unlink()
    train_average(DEFAULT, DATA, tmp_path, SEED)
    assert [name for name, *_ in trained] == ["sharp", "soft"]


def test_finished_run_is_not_begun_again(trained: Trained, tmp_path: Path) -> None:
    train_average(DEFAULT, DATA, tmp_path, SEED)
    with pytest.raises(DatasetError, match=r"default\.keras is there already: that run has ended"):
        train_average(DEFAULT, DATA, tmp_path, SEED)


def test_network_of_another_seed_is_refused(trained: Trained, tmp_path: Path) -> None:
    train_average(DEFAULT, DATA, tmp_path, SEED)
    (tmp_path / "default.keras").unlink()
    with pytest.raises(DatasetError, match=r"sharp\.keras has seed 3; wanted is 4"):
        train_average(DEFAULT, DATA, tmp_path, 4)
    spec = read_spec(tmp_path / "sharp" / "sharp.json")
    write_spec(replace(spec, training=None), tmp_path / "sharp" / "sharp.json")
    with pytest.raises(DatasetError, match="has no seed in its JSON; wanted is 3"):
        train_average(DEFAULT, DATA, tmp_path, SEED)


def test_networks_of_other_images_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(averaging, "train", stand_in([], lambda recipe: recipe.name * 8))
    with pytest.raises(DatasetError, match="saw different images"):
        train_average(DEFAULT, DATA, tmp_path, SEED)
    assert not (tmp_path / "default.keras").exists()
