from __future__ import annotations

import csv
import json
import multiprocessing
import os
import shutil
import signal
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image
from tensorflow.python.framework.config import disable_op_determinism

from tests.support.pictures import encoded
from xray_classifier.data.datasets import Sample, find_samples, select, split_by_patient
from xray_classifier.errors import DatasetError
from xray_classifier.files import sha256_of
from xray_classifier.models.spec import read_spec
from xray_classifier.training import trainer
from xray_classifier.training.checkpoints import Checkpoints
from xray_classifier.training.recipes import ARTICLE, STOP_PATIENCE
from xray_classifier.training.trainer import (
    Batches,
    balanced_class_weights,
    count_labels,
    describe_run,
    load_images,
    train,
)

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SEED = 7
RATE = 0.1
MAX_EPOCHS = 8
PER_CLASS = 15  # 12 + 12 to train, two batches; 3 + 3 to validate
FILES = {"article.keras", "article.json", "history.csv", "history.png"}


# --- drawn radiographs and a network of two parameters


def network(_steps: int) -> Any:
    """Judge by mean brightness; starts undecided."""
    model = keras.Sequential(
        [
            keras.Input((500, 500, 1)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Rescaling(4, offset=-2),
            keras.layers.Dense(1, activation="sigmoid", kernel_initializer="zeros"),
        ]
    )
    adam = keras.optimizers.Adam(RATE)
    model.compile(adam, loss="binary_crossentropy", metrics=["accuracy"])
    return model


RECIPE = replace(ARTICLE, build=network, epochs=MAX_EPOCHS)


def draw_radiographs(root: Path) -> Path:
    """Draw images on which the best validation loss lies in the middle of a run.

    In training all pneumonias are bright and all normals dark. In validation one of three is the
    other way round, so the network first gets better and then too sure of itself.
    """
    names = [f"NORMAL/IM-{number:04d}-0001.png" for number in range(115, 115 + PER_CLASS)]
    names += [f"PNEUMONIA/person{number}_virus_1.png" for number in range(1, 1 + PER_CLASS)]
    for number, name in enumerate(names):
        draw(root / "train" / name, number, bright=True)
    parts = split_by_patient(find_samples(root))
    for part, exception in zip(parts, (None, 0), strict=True):
        for label in (0, 1):
            for index, sample in enumerate(one for one in part if one.label == label):
                bright = bool(label) ^ (index == exception)
                draw(
                    sample.path,
                    names.index(sample.path.relative_to(root / "train").as_posix()),
                    bright,
                )
    return root


def draw(path: Path, number: int, bright: bool) -> None:
    """Draw noise that is the same for the same number, and around one level of brightness."""
    noise = np.random.default_rng(number).integers(-30, 30, (40, 40))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded((noise + (200 if bright else 50)).astype(np.uint8)))


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
    assert train(RECIPE, radiographs, out, SEED) == out / "article.keras"
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


def history_of(out: Path) -> list[dict[str, float]]:
    with (out / "history.csv").open(encoding="utf-8", newline="") as stream:
        return [
            {name: float(value) for name, value in row.items()} for row in csv.DictReader(stream)
        ]


def weights_of(out: Path) -> NDArray[np.float32]:
    kernel, bias = keras.models.load_model(out / "article.keras").get_weights()
    return np.array([kernel[0, 0], bias[0]])


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
    images, labels = load_images(validation)
    slope, offset = weights_of(whole)

    # What the network computes, by hand.
    brightness = images.mean((1, 2)) / 255
    probability = 1 / (1 + np.exp(-(slope * (4 * brightness - 2) + offset)))
    loss = -np.mean(np.log(np.where(labels == 1, probability, 1 - probability)))

    losses = [row["val_loss"] for row in history_of(whole)]
    assert loss == pytest.approx(min(losses), abs=1e-4)
    assert sorted(losses)[1] - min(losses) > 1e-3


def test_the_model_file_holds_no_optimizer(whole: Path) -> None:
    import io

    import h5py  # type: ignore[import-untyped]

    with zipfile.ZipFile(whole / "article.keras") as archive:
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(weights) as file:
        assert "layers" in file
        assert "optimizer" not in file
    assert not keras.models.load_model(whole / "article.keras").compiled


def test_the_json_says_how_the_model_was_made(whole: Path, radiographs: Path) -> None:
    spec = read_spec(whole / "article.json")
    history = history_of(whole)
    best = int(np.argmin([row["val_loss"] for row in history])) + 1

    assert (spec.name, spec.title, spec.file) == ("article", ARTICLE.title, "article.keras")
    assert spec.sha256 == sha256_of(whole / "article.keras")
    assert spec.bytes == (whole / "article.keras").stat().st_size
    facts = spec.training
    assert facts["recipe_name"] == "article"
    assert facts["recipe"].items() >= json.loads(json.dumps(ARTICLE.facts)).items()
    assert facts["recipe"]["batch_size"] == 16
    assert facts["recipe"]["max_epochs"] == MAX_EPOCHS
    assert (facts["epochs"], facts["shipped_epoch"]) == (len(history), best)
    assert facts["figures_of_that_epoch"] == pytest.approx(history[best - 1])
    assert facts["median_source_size"] == [40, 40]
    expected = describe_run(*split_by_patient(find_samples(radiographs)), SEED)
    assert facts.items() >= json.loads(json.dumps(expected)).items()


def test_a_run_that_has_ended_is_not_begun_again(whole: Path, radiographs: Path) -> None:
    before = {path: path.read_bytes() for path in whole.iterdir()}

    with pytest.raises(DatasetError, match=r"article\.keras is there already.*another --out"):
        train(RECIPE, radiographs, whole, SEED)

    assert {path: path.read_bytes() for path in whole.iterdir()} == before


def test_the_test_split_is_never_opened(radiographs: Path, tmp_path: Path) -> None:
    data = shutil.copytree(radiographs, tmp_path / "data")
    for name in ("NORMAL/IM-0001-0001.png", "PNEUMONIA/person1_virus_6.png"):
        (data / "test" / name).parent.mkdir(parents=True)
        (data / "test" / name).write_bytes(b"no image")

    train(replace(RECIPE, epochs=1), data, tmp_path / "out", SEED)

    assert len(history_of(tmp_path / "out")) == 1


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


# --- data that cannot be used


def test_an_unreadable_file_is_named(radiographs: Path, tmp_path: Path) -> None:
    data = shutil.copytree(radiographs, tmp_path / "data")
    broken = data / "train" / "PNEUMONIA" / "person3_virus_1.png"
    broken.write_bytes(broken.read_bytes()[:100])

    with pytest.raises(DatasetError, match=r"person3_virus_1\.png: .*Remove or replace the file"):
        train(RECIPE, data, tmp_path / "out", SEED)


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    gone = Sample(tmp_path / "IM-0115-0001.png", 0, "train", "IM-0115")

    with pytest.raises(DatasetError, match=r"IM-0115-0001\.png: .*No such file"):
        load_images([gone])


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


# --- images in memory


def test_pooled_images_are_the_means_of_their_squares(tmp_path: Path) -> None:
    """A file of 500 pixels a side is not resized, so every mean can be worked out by hand."""
    image = np.zeros((500, 500), np.uint8)
    image[:2, :2] = [[10, 20], [30, 41]]  # mean 25.25
    image[:2, 2:4] = [[0, 1], [1, 1]]  # mean .75
    image[2:4, :2] = 255
    image[4, 4] = 255  # mean 63.75
    (tmp_path / "a.png").write_bytes(encoded(image))
    sample = Sample(tmp_path / "a.png", 1, "train", "a")

    images, labels = load_images([sample], pool=2)

    expected = np.zeros((1, 250, 250), np.uint8)
    expected[0, :3, :3] = [[25, 1, 0], [255, 0, 0], [0, 0, 64]]
    np.testing.assert_array_equal(images, expected)
    assert images.dtype == np.uint8
    assert labels.tolist() == [1]
    np.testing.assert_array_equal(load_images([sample])[0], image[np.newaxis])


# --- class weights


def samples_of(*labels: int) -> list[Sample]:
    return [
        Sample(Path(f"{number}.png"), label, "train", str(number))
        for number, label in enumerate(labels)
    ]


@pytest.mark.parametrize(
    ("labels", "weights"),
    [
        ((0, 1), {0: 1.0, 1: 1.0}),
        ((0, 1, 1, 1), {0: 2.0, 1: 2 / 3}),
        ((1, 0, 0, 0, 0), {0: 0.625, 1: 2.5}),
    ],
)
def test_classes_weigh_the_same_in_all(labels: Sequence[int], weights: dict[int, float]) -> None:
    assert balanced_class_weights(samples_of(*labels)) == pytest.approx(weights)


def test_the_weights_of_the_articles_counts() -> None:
    weights = balanced_class_weights(samples_of(*[0] * 1082, *[1] * 3110))

    assert weights == pytest.approx({0: 1.93715, 1: 0.673955}, abs=1e-5)


@pytest.mark.parametrize(("labels", "missing"), [((0, 0), "pneumonia"), ((1,), "normal")])
def test_a_class_without_images_has_no_weight(labels: Sequence[int], missing: str) -> None:
    with pytest.raises(DatasetError, match=f"images of both classes; there are: .*'{missing}': 0"):
        balanced_class_weights(samples_of(*labels))


def test_labels_are_counted_by_name() -> None:
    assert count_labels(samples_of(1, 0, 1)) == {"normal": 1, "pneumonia": 2}
    assert count_labels([]) == {"normal": 0, "pneumonia": 0}


# --- batches


Pictures = tuple[NDArray[np.uint8], NDArray[np.float32]]


FOURS = replace(RECIPE, batch_size=4)


@pytest.fixture
def pictures() -> Pictures:
    """Ten images for three batches; each is one grey, ten times its number, label odd or even."""
    numbers = np.arange(10)
    images = np.broadcast_to((10 * numbers).astype(np.uint8)[:, None, None], (10, 500, 500))
    return images, (numbers % 2).astype(np.float32)


def numbers_in(batch: Any) -> list[int]:
    """Which pictures a batch shows. Zoom, shear and flip leave an even grey as it is."""
    tensors, labels = batch
    assert tensors.shape[1:] == (500, 500, 1)
    assert tensors.dtype == np.float32
    numbers = [round(float(tensor.mean()) * 25.5) for tensor in tensors]
    assert labels[:, 0].tolist() == [number % 2 for number in numbers]
    return numbers


def order(batches: Batches) -> list[int]:
    return [number for index in range(len(batches)) for number in numbers_in(batches[index])]


def test_an_epoch_shows_every_image_once_with_its_label(pictures: Pictures) -> None:
    batches = Batches(*pictures, FOURS, seed=SEED)

    assert [len(batches[index][0]) for index in range(len(batches))] == [4, 4, 2]
    assert sorted(order(batches)) == list(range(10))


def test_each_epoch_has_its_own_order(pictures: Pictures) -> None:
    batches = Batches(*pictures, FOURS, seed=SEED)
    orders = []
    for _ in range(4):
        orders.append(tuple(order(batches)))
        batches.on_epoch_end()

    assert len(set(orders)) == 4
    assert all(sorted(one) == list(range(10)) for one in orders)


def test_each_seed_has_its_own_order(pictures: Pictures) -> None:
    assert order(Batches(*pictures, FOURS, seed=1)) != order(Batches(*pictures, FOURS, seed=2))


@pytest.fixture
def noise() -> Pictures:
    """Ten images for three batches, on which every alteration shows."""
    images = np.random.default_rng(3).integers(0, 256, (10, 500, 500), np.uint8)
    return images, np.zeros(10, np.float32)


def test_a_batch_follows_from_seed_epoch_and_index_alone(noise: Pictures) -> None:
    long_run = Batches(*noise, FOURS, seed=SEED)
    long_run.on_epoch_end()
    long_run.on_epoch_end()

    resumed = Batches(*noise, FOURS, seed=SEED, epoch=2)

    for index in (1, 0, 1):
        np.testing.assert_array_equal(resumed[index][0], long_run[index][0])


def test_an_image_is_altered_in_another_way_each_epoch(noise: Pictures) -> None:
    images, labels = noise
    batches = Batches(images[:1], labels[:1], FOURS, seed=SEED)
    first = batches[0][0]
    batches.on_epoch_end()

    assert np.abs(batches[0][0] - first).mean() > 0.01


def test_validation_images_come_in_order_and_unaltered(noise: Pictures) -> None:
    images, labels = noise
    batches = Batches(images, labels, FOURS)

    for _ in range(2):
        for index in range(3):
            expected = images[4 * index : 4 * index + 4, :, :, None] / np.float32(255)
            np.testing.assert_allclose(batches[index][0], expected, atol=1e-7)
        batches.on_epoch_end()


def test_keras_draws_every_batch_of_an_epoch_once_and_none_ahead(
    pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[int, int]] = []
    real = Batches.__getitem__

    def watch(batches: Batches, index: int) -> Any:
        if batches.seed is not None:
            drawn.append((batches.epoch, index))
        return real(batches, index)

    def fit(done: int, epochs: int) -> list[tuple[int, int]]:
        drawn.clear()
        network(3).fit(
            Batches(*pictures, FOURS, seed=SEED, epoch=done),
            validation_data=Batches(*pictures, FOURS),
            initial_epoch=done,
            epochs=epochs,
            shuffle=False,
            verbose=0,
        )
        peeks = 2  # before training, Keras learns the shapes from two batches
        return drawn[peeks:]

    monkeypatch.setattr(Batches, "__getitem__", watch)

    whole = fit(0, epochs=3)

    first = whole[0][0]
    assert whole == [(first + epoch, index) for epoch in range(3) for index in range(3)]
    assert fit(1, epochs=3) == whole[3:]


@pytest.mark.data
def test_real_radiographs_are_loaded_as_the_model_will_see_them(data: Path) -> None:
    from xray_classifier.imaging.preprocessing import preprocess
    from xray_classifier.inputs.decoding import decode

    samples = find_samples(data / "originals")[10:14]

    images, labels = load_images(samples)

    assert labels.tolist() == [0, 0, 1, 1]
    batch, _ = Batches(images, labels, FOURS)[0]
    for tensor, sample in zip(batch, samples, strict=True):
        np.testing.assert_array_equal(tensor, preprocess(decode(sample.path.read_bytes()).image))
