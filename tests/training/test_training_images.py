from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.drawn_training import RECIPE, SEED, SHAPE, network
from tests.support.pictures import encoded
from xray_classifier.data.datasets import Sample, find_samples
from xray_classifier.errors import DatasetError
from xray_classifier.training import training_images
from xray_classifier.training.recipes import ARTICLE_AS_PUBLISHED, SOFT
from xray_classifier.training.training_images import (
    Batches,
    balanced_class_weights,
    count_labels,
    draw_augmented,
    images_in,
    load_images,
)

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

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

    images, targets = load_images([sample], replace(ARTICLE_AS_PUBLISHED, pool=2))

    expected = np.zeros((1, 250, 250), np.uint8)
    expected[0, :3, :3] = [[25, 1, 0], [255, 0, 0], [0, 0, 64]]
    np.testing.assert_array_equal(images, expected)
    assert images.dtype == np.uint8
    assert targets.tolist() == [[1]]
    np.testing.assert_array_equal(load_images([sample], ARTICLE_AS_PUBLISHED)[0], image[np.newaxis])


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    gone = Sample(tmp_path / "IM-0115-0001.png", 0, "train", "IM-0115")

    with pytest.raises(DatasetError, match=r"IM-0115-0001\.png: .*No such file"):
        load_images([gone], ARTICLE_AS_PUBLISHED)


def test_folder_gives_what_can_be_read_in_the_order_of_the_paths(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "b.png").write_bytes(encoded(np.full((40, 40), 9, np.uint8)))
    (tmp_path / "a.png").write_bytes(encoded(np.full((40, 40), 5, np.uint8)))
    (tmp_path / "deep" / "c.png").write_bytes(encoded(np.full((40, 40), 7, np.uint8)))
    (tmp_path / "notes.txt").write_text("no image")
    assert [int(image[0, 0]) for image in images_in(tmp_path)] == [5, 9, 7]


def test_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no images"):
        images_in(tmp_path)


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
    images = np.broadcast_to((10 * numbers).astype(np.uint8)[:, None, None], (10, *SHAPE[:2]))
    return images, (numbers[:, None] % 2).astype(np.float32)


def numbers_in(batch: Any) -> list[int]:
    """Which pictures a batch shows. Zoom, shear and flip leave an even grey as it is."""
    tensors, labels, _ = batch
    assert tensors.shape[1:] == SHAPE
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


def test_images_weigh_as_their_class_does(pictures: Pictures) -> None:
    batches = Batches(*pictures, FOURS, seed=SEED, class_weights={0: 2.0, 1: 0.5})
    for _, labels, weights in (batches[index] for index in range(len(batches))):
        np.testing.assert_array_equal(weights, np.where(labels[:, 0] == 1, 0.5, 2.0))
    assert Batches(*pictures, FOURS)[0][2].tolist() == [1, 1, 1, 1]


def test_augmentation_is_told_the_labels(pictures: Pictures) -> None:
    """The rendering of the other class can only be taken by who knows the class."""
    images, labels = pictures
    told: list[list[float]] = []

    def augment(batch: Any, given: Any, _rng: Any) -> Any:
        told.append(given.tolist())
        return batch

    targets = np.hstack([labels, np.full_like(labels, -1)])
    batches = Batches(images, targets, replace(FOURS, augment=augment), seed=SEED)
    _, answers, _ = batches[0]
    assert told == [answers[:, 0].tolist()]
    assert answers.shape == (4, 2)


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
    images = np.random.default_rng(3).integers(0, 256, (10, *SHAPE[:2]), np.uint8)
    return images, np.zeros((10, 1), np.float32)


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

    images, labels = load_images(samples, ARTICLE_AS_PUBLISHED)

    assert labels.tolist() == [[0], [0], [1], [1]]
    batch, *_ = Batches(images, labels, FOURS)[0]
    for tensor, sample in zip(batch, samples, strict=True):
        np.testing.assert_array_equal(tensor, preprocess(decode(sample.path.read_bytes()).image))


# --- a look at what the network sees


GREYS = (10, 90, 170, 250)


@pytest.fixture
def greys(tmp_path: Path) -> list[Sample]:
    """Four images, each of one grey: the darker two normal, the brighter two pneumonia."""
    found = []
    for grey in GREYS:
        path = tmp_path / f"{grey}.png"
        path.write_bytes(encoded(np.full((40, 50), grey, np.uint8)))
        found.append(Sample(path, int(grey > 128), "train", str(grey)))
    return found


def shown_in(figure: Any) -> list[Any]:
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes]


def test_each_image_is_shown_once_as_the_network_sees_it(greys: list[Sample]) -> None:
    shown = shown_in(draw_augmented(greys, ARTICLE_AS_PUBLISHED, seed=1))
    assert {picture.shape for picture in shown} == {(500, 500)}
    assert sorted(int(np.median(picture)) for picture in shown) == list(GREYS)


def test_default_recipe_changes_smaller_images_in_its_own_way(greys: list[Sample]) -> None:
    shown = shown_in(draw_augmented(greys, SOFT, seed=1))
    assert {picture.shape for picture in shown} == {(250, 250)}
    assert any(np.ptp(picture) > 0 for picture in shown), "noise, shade, text or a foreign border"


def test_each_image_bears_its_label(greys: list[Sample]) -> None:
    figure = draw_augmented(greys, ARTICLE_AS_PUBLISHED, seed=1)
    titles = [axes.get_title() for axes in figure.axes]
    bright = [np.median(picture) > 128 for picture in shown_in(figure)]
    assert titles == ["pneumonia" if positive else "normal" for positive in bright]


def test_file_that_cannot_be_read_is_named(greys: list[Sample]) -> None:
    greys[2].path.write_bytes(b"no image")
    with pytest.raises(DatasetError, match=r"170\.png: .*Remove or replace the file"):
        draw_augmented(greys, ARTICLE_AS_PUBLISHED, seed=1)


def test_choice_and_augmentation_follow_from_the_seed(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(np.random.default_rng(0).integers(0, 256, (60, 60), np.uint8)))
    sample = Sample(path, 0, "train", "a")
    one, same, other = (
        shown_in(draw_augmented([sample], ARTICLE_AS_PUBLISHED, seed))[0] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_no_more_images_are_drawn_than_fit(
    greys: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_images, "SHOWN", 3)
    medians = [
        int(np.median(picture))
        for picture in shown_in(draw_augmented(greys, ARTICLE_AS_PUBLISHED, seed=1))
    ]
    assert len(set(medians)) == 3
