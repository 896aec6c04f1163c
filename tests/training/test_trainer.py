from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.python.framework.config import disable_op_determinism

from tests.support.drawn_training import (
    MAX_EPOCHS,
    RATE,
    RECIPE,
    SEED,
    draw,
    draw_radiographs,
    history_of,
    network,
    weights_of,
)
from xray_classifier.data.datasets import find_samples, select
from xray_classifier.data.splits import fingerprint, part_of, split_by_patient
from xray_classifier.errors import DatasetError
from xray_classifier.files import sha256_of
from xray_classifier.imaging.preprocessing import scale
from xray_classifier.models.spec import read_spec
from xray_classifier.training import trainer
from xray_classifier.training.checkpoints import Checkpoints
from xray_classifier.training.recipes import ARTICLE_AS_PUBLISHED, STOP_PATIENCE
from xray_classifier.training.trainer import describe_run, train
from xray_classifier.training.training_images import Batches, load_images

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FILES = {"article-as-published.keras", "article-as-published.json", "history.csv", "history.png"}


@pytest.fixture(scope="module", autouse=True)
def deterministic() -> Iterator[None]:
    tf.config.experimental.enable_op_determinism()
    yield
    disable_op_determinism()


@pytest.fixture(scope="module")
def radiographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_radiographs(tmp_path_factory.mktemp("radiographs"))


@pytest.fixture(scope="module")
def whole(radiographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run writes that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole")
    assert train(RECIPE, radiographs, out, SEED) == out / "article-as-published.keras"
    return out


@pytest.fixture(scope="module")
def killed(radiographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run leaves that was killed by the system while it wrote the model of epoch 5.

    By then early stopping and the plateau rule have both begun to wait.
    """
    out = tmp_path_factory.mktemp("killed")
    process = multiprocessing.get_context("spawn").Process(
        target=_train_until_killed, args=(radiographs, out)
    )
    process.start()
    process.join(timeout=120)
    assert process.exitcode == -signal.SIGKILL
    process.close()
    return out


def _train_until_killed(data: Path, out: Path) -> None:
    """Run in a process of its own: train, and die with half a model file written."""
    tf.config.experimental.enable_op_determinism()
    real = keras.Model.save

    def save(model: Any, path: Path, *arguments: Any, **options: Any) -> None:
        real(model, path, *arguments, **options)
        if path.name == "epoch-05.keras":
            os.truncate(path, path.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    keras.Model.save = save
    train(RECIPE, data, out, SEED)


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def assert_same(resumed: Path, whole: Path) -> None:
    history, expected = history_of(resumed), history_of(whole)
    assert len(history) == len(expected)
    for row, wanted in zip(history, expected, strict=True):
        assert row == pytest.approx(wanted, rel=1e-6)
    np.testing.assert_allclose(weights_of(resumed), weights_of(whole), rtol=1e-6)
    assert files_in(resumed) == FILES


# --- a whole run


def test_a_run_leaves_model_history_and_plot_and_no_checkpoints(whole: Path) -> None:
    assert files_in(whole) == FILES


def test_the_run_of_these_tests_uses_every_rule(whole: Path) -> None:
    """Otherwise the tests of this module would prove less than they say."""
    history = history_of(whole)
    best = int(np.argmin([row["val_loss"] for row in history])) + 1
    assert 1 < best < 5 <= len(history) - 1
    assert len(history) == best + STOP_PATIENCE < MAX_EPOCHS
    assert history[-1]["learning_rate"] == pytest.approx(0.3 * RATE)


def test_the_history_has_one_row_an_epoch(whole: Path) -> None:
    history = history_of(whole)

    assert [row["epoch"] for row in history] == list(range(1, len(history) + 1))
    assert set(history[0]) == {
        "epoch",
        "loss",
        "accuracy",
        "val_loss",
        "val_accuracy",
        "learning_rate",
    }


def test_the_plot_of_the_history_is_an_image(whole: Path) -> None:
    with Image.open(whole / "history.png") as image:
        assert image.format == "PNG"
        assert image.width > image.height > 200


def test_the_model_is_that_of_the_lowest_validation_loss(whole: Path, radiographs: Path) -> None:
    _, validation = split_by_patient(select(find_samples(radiographs), "train"))
    images, targets = load_images(validation, RECIPE)
    slope, offset = weights_of(whole)

    # What the network computes, by hand.
    brightness = images.mean((1, 2)) / 255
    probability = 1 / (1 + np.exp(-(slope * (4 * brightness - 2) + offset)))
    loss = -np.mean(np.log(np.where(targets[:, 0] == 1, probability, 1 - probability)))

    losses = [row["val_loss"] for row in history_of(whole)]
    assert loss == pytest.approx(min(losses), abs=1e-4)
    assert sorted(losses)[1] - min(losses) > 1e-3


def test_the_model_file_holds_no_optimizer(whole: Path) -> None:
    import io

    import h5py  # type: ignore[import-untyped]

    with zipfile.ZipFile(whole / "article-as-published.keras") as archive:
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(weights) as file:
        assert "layers" in file
        assert "optimizer" not in file
    assert not keras.models.load_model(whole / "article-as-published.keras").compiled


def test_the_json_says_how_the_model_was_made(whole: Path, radiographs: Path) -> None:
    spec = read_spec(whole / "article-as-published.json")
    history = history_of(whole)
    best = int(np.argmin([row["val_loss"] for row in history])) + 1

    assert (spec.name, spec.title, spec.file) == (
        "article-as-published",
        ARTICLE_AS_PUBLISHED.title,
        "article-as-published.keras",
    )
    assert spec.sha256 == sha256_of(whole / "article-as-published.keras")
    assert spec.bytes == (whole / "article-as-published.keras").stat().st_size
    facts = spec.training
    assert facts
    assert facts.recipe_name == "article-as-published"
    assert facts.recipe.items() >= json.loads(json.dumps(ARTICLE_AS_PUBLISHED.facts)).items()
    assert facts.recipe["batch_size"] == 16
    assert facts.recipe["max_epochs"] == MAX_EPOCHS
    assert (facts.epochs, facts.shipped_epoch) == (len(history), best)
    assert facts.figures_of_that_epoch == pytest.approx(history[best - 1])
    assert str(facts.median_source_size) == "40 x 40"
    expected = describe_run(*split_by_patient(find_samples(radiographs)), SEED)
    assert asdict(facts).items() >= json.loads(json.dumps(expected)).items()


def test_finishing_sees_the_training_images_unchanged(radiographs: Path, tmp_path: Path) -> None:
    seen: list[Any] = []

    def finish(trained: keras.Model, batches: Iterable[Any]) -> keras.Model:
        seen.extend(batches)
        return RECIPE.finish(trained, [])

    train(replace(RECIPE, finish=finish), radiographs, tmp_path, SEED)
    training, _ = split_by_patient(select(find_samples(radiographs), "train"))
    wanted, _ = load_images(training, RECIPE)
    np.testing.assert_allclose(np.concatenate(seen), scale(wanted))
    assert max(len(batch) for batch in seen) <= RECIPE.batch_size


def test_a_run_that_has_ended_is_not_begun_again(whole: Path, radiographs: Path) -> None:
    before = {path: path.read_bytes() for path in whole.iterdir()}

    with pytest.raises(
        DatasetError, match=r"article-as-published\.keras is there already.*another --out"
    ):
        train(RECIPE, radiographs, whole, SEED)

    assert {path: path.read_bytes() for path in whole.iterdir()} == before


def test_the_test_split_is_never_opened(radiographs: Path, tmp_path: Path) -> None:
    data = shutil.copytree(radiographs, tmp_path / "data")
    for name in ("NORMAL/IM-0001-0001.png", "PNEUMONIA/person1_virus_6.png"):
        (data / "test" / name).parent.mkdir(parents=True)
        (data / "test" / name).write_bytes(b"no image")

    train(replace(RECIPE, epochs=1), data, tmp_path / "out", SEED)

    assert len(history_of(tmp_path / "out")) == 1


def test_a_part_is_trained_on_and_validated_on_held_out_patients(
    radiographs: Path, tmp_path: Path
) -> None:
    target = train(replace(RECIPE, epochs=1), radiographs, tmp_path, SEED, images=12)

    facts = read_spec(target.with_suffix(".json")).training
    assert facts is not None
    assert facts.training_images == {"normal": 6, "pneumonia": 6}  # of 12 and 12
    assert sum(facts.validation_images.values()) == 4  # of 6; each class its share, rounded
    held_out = split_by_patient(find_samples(radiographs))[1]
    assert facts.validation_sha256 == fingerprint(part_of(held_out, 3))


def test_a_part_too_small_to_validate_on_is_refused(radiographs: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="too few patients to hold some back for validation"):
        train(RECIPE, radiographs, tmp_path, SEED, images=1)


# --- interrupted runs


class Killed(BaseException):
    """Stands in for the signal that ends a process."""


def test_the_killed_run_left_four_whole_epochs(killed: Path) -> None:
    assert files_in(killed) == {"checkpoint"}
    state = killed / "checkpoint" / "state.json"
    assert state.read_text(encoding="utf-8").count('"val_loss"') == 4
    assert not (killed / "checkpoint" / "epoch-05.keras").exists()


def test_a_killed_run_goes_on_as_if_nothing_had_been(
    killed: Path, whole: Path, radiographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = shutil.copytree(killed, tmp_path / "out")
    begun: list[int] = []
    real = Batches.__init__

    def watch(batches: Batches, *arguments: Any, **options: Any) -> None:
        real(batches, *arguments, **options)
        begun.append(batches.epoch)

    monkeypatch.setattr(Batches, "__init__", watch)

    train(RECIPE, radiographs, out, SEED)

    assert begun[0] == 4  # epochs count from 0 here
    assert_same(out, whole)


@pytest.mark.parametrize("step", [1, 2])
def test_a_run_interrupted_within_an_epoch_goes_on_as_if_nothing_had_been(
    whole: Path, radiographs: Path, tmp_path: Path, step: int
) -> None:
    def interrupt(_callback: Any, batch: int, logs: Any) -> None:
        drawn.append(batch)
        if len(drawn) == 4 * 2 + step:  # in epoch 5, as above
            raise Killed

    drawn: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "on_train_batch_end", interrupt)
        with pytest.raises(Killed, match="^$"):
            train(RECIPE, radiographs, tmp_path, SEED)

    train(RECIPE, radiographs, tmp_path, SEED)

    assert_same(tmp_path, whole)


def test_a_run_killed_after_its_last_epoch_still_gets_its_files(
    whole: Path, radiographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*_arguments: Any) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "_write_history", kill)
        with pytest.raises(Killed, match="^$"):
            train(RECIPE, radiographs, tmp_path, SEED)
    assert files_in(tmp_path) == {"checkpoint"}
    monkeypatch.setattr(keras.Model, "fit", lambda *_arguments, **_options: pytest.fail("trained"))

    train(RECIPE, radiographs, tmp_path, SEED)

    assert_same(tmp_path, whole)


def test_a_run_that_used_all_its_epochs_still_gets_its_files(
    killed: Path, whole: Path, radiographs: Path, tmp_path: Path
) -> None:
    """Four epochs are done; with four at most, only the files are left to be written."""
    out = shutil.copytree(killed, tmp_path / "out")

    train(replace(RECIPE, epochs=4), radiographs, out, SEED)

    assert len(history_of(out)) == 4
    np.testing.assert_allclose(weights_of(out), weights_of(whole), rtol=1e-6)
    assert files_in(out) == FILES


def test_checkpoints_of_another_seed_are_refused(
    killed: Path, radiographs: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(killed, tmp_path / "out")

    with pytest.raises(DatasetError, match=r"checkpoint holds another run .*Choose another --out"):
        train(RECIPE, radiographs, out, SEED + 1)
    assert files_in(out) == {"checkpoint"}


def test_checkpoints_of_another_recipe_are_refused(
    killed: Path, radiographs: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(killed, tmp_path / "out")
    other = replace(RECIPE, name="other")

    with pytest.raises(DatasetError, match=r"checkpoint holds another run .*'other'"):
        train(other, radiographs, out, SEED)


def test_checkpoints_of_other_images_are_refused(
    killed: Path, radiographs: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(killed, tmp_path / "out")
    data = shutil.copytree(radiographs, tmp_path / "data")
    draw(data / "train" / "NORMAL" / "IM-0115-0001.png", number=99, bright=False)

    with pytest.raises(DatasetError, match=r"checkpoint holds another run .*Choose another --out"):
        train(RECIPE, data, out, SEED)


def test_the_same_images_in_another_folder_are_the_same_run(
    radiographs: Path, tmp_path: Path
) -> None:
    moved = shutil.copytree(radiographs, tmp_path / "moved")

    runs = [
        describe_run(*split_by_patient(find_samples(data)), SEED) for data in (radiographs, moved)
    ]

    assert runs[0] == runs[1]
    assert runs[0]["training_images"] == {"normal": 12, "pneumonia": 12}
    assert runs[0]["validation_images"] == {"normal": 3, "pneumonia": 3}


# --- a run that goes on from another one


def test_first_run_is_made_once_and_gone_on_from(radiographs: Path, tmp_path: Path) -> None:
    """The second run is interrupted before its first epoch, and begun anew."""
    begun: list[Any] = []
    received: list[Any] = []

    def build_first(steps: int) -> Any:
        begun.append(steps)
        return network(steps)

    def build_second(steps: int, made: Any) -> Any:
        received.append(made.get_weights())
        if len(received) == 1:
            raise KeyboardInterrupt
        return network(steps)

    first = replace(RECIPE, name="first", build=build_first, epochs=2)
    second = replace(RECIPE, build=build_second, epochs=1, first=first)
    with pytest.raises(KeyboardInterrupt):
        train(second, radiographs, tmp_path / "out", SEED)
    train(second, radiographs, tmp_path / "out", SEED)

    alone = keras.models.load_model(train(first, radiographs, tmp_path / "alone", SEED))
    assert begun == [2, 2]  # once each
    for weights in received:
        for one, wanted in zip(weights, alone.get_weights(), strict=True):
            np.testing.assert_allclose(one, wanted, rtol=1e-6)
    assert files_in(tmp_path / "out") == FILES


# --- data that cannot be used


def test_an_unreadable_file_is_named(radiographs: Path, tmp_path: Path) -> None:
    data = shutil.copytree(radiographs, tmp_path / "data")
    broken = data / "train" / "PNEUMONIA" / "person3_virus_1.png"
    broken.write_bytes(broken.read_bytes()[:100])

    with pytest.raises(DatasetError, match=r"person3_virus_1\.png: .*Remove or replace the file"):
        train(RECIPE, data, tmp_path / "out", SEED)


def test_a_data_set_without_one_class_is_refused(radiographs: Path, tmp_path: Path) -> None:
    data = shutil.copytree(radiographs, tmp_path / "data")
    shutil.rmtree(data / "train" / "PNEUMONIA")

    with pytest.raises(DatasetError, match=r"images of both classes; .*'pneumonia': 0"):
        train(RECIPE, data, tmp_path / "out", SEED)


def test_a_data_set_too_small_to_validate_on_is_refused(radiographs: Path, tmp_path: Path) -> None:
    for name in ("NORMAL/IM-0115-0001.png", "PNEUMONIA/person1_virus_1.png"):
        (tmp_path / "data" / name).parent.mkdir(parents=True)
        shutil.copy(radiographs / "train" / name, tmp_path / "data" / name)

    with pytest.raises(DatasetError, match="validation"):
        train(RECIPE, tmp_path / "data", tmp_path / "out", SEED)


def test_a_run_that_diverged_ships_no_model_and_says_why(
    radiographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = [{"epoch": 1, "loss": 0.5, "val_loss": 0.6}]
    history += [{"epoch": 2, "loss": float("nan"), "val_loss": float("nan")}]
    monkeypatch.setattr(trainer, "fit", lambda *_: SimpleNamespace(history=history))
    monkeypatch.setattr(trainer, "finish", lambda *_: (2, None))
    monkeypatch.setattr(trainer, "_write_history", lambda *_: None)
    wanted = r"diverged: in epoch 2, which would ship, loss, val_loss is no number"
    with pytest.raises(DatasetError, match=wanted):
        train(RECIPE, radiographs, tmp_path, SEED)
    assert not list(tmp_path.iterdir())
