from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from xray_classifier.errors import DatasetError
from xray_classifier.training.checkpoints import Checkpoints

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RUN = {"seed": 1, "training_images": {"normal": 2, "pneumonia": 2}}
EPOCHS = 12
STEPS = 2  # an epoch
X = np.array([[1.0], [-1.0], [2.0], [-2.0]])
LEARNT, WANTED = 2.0, 0.5  # the slope in the training data, and in the validation data


class Killed(BaseException):
    """Stands in for the signal that ends a process."""


class DiesInEpoch(keras.callbacks.Callback):
    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.last = epoch
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch + 1

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.epoch == self.last:
            raise Killed


def line() -> Any:
    """One weight that starts at 0 and passes the best validation loss on its way up."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([np.zeros((1, 1))])
    model.compile(keras.optimizers.Adam(0.1), loss="mse", run_eagerly=True)
    return model


def line_with_dropout() -> Any:
    """The same with half of the inputs, drawn at random, left out."""
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.1), loss="mse", run_eagerly=True)
    return model


def train(
    folder: Path, *further: Any, epochs: int = EPOCHS, build: Callable[[], Any] = line
) -> Checkpoints:
    """Train from where `folder` left it, with early stopping and the plateau rule."""
    companions = [
        keras.callbacks.EarlyStopping("val_loss", patience=3),
        keras.callbacks.ReduceLROnPlateau("val_loss", patience=2, factor=0.3, cooldown=1),
    ]
    checkpoints = Checkpoints(folder, RUN, companions)
    if not checkpoints.stopped:
        done = len(checkpoints.history)
        model = checkpoints.load(done) if done else build()
        model.fit(
            X,
            LEARNT * X,
            batch_size=len(X) // STEPS,
            validation_data=(X, WANTED * X),
            initial_epoch=done,
            epochs=epochs,
            callbacks=[*further, *companions, checkpoints],
            shuffle=False,
            verbose=0,
        )
    return checkpoints


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def last(checkpoints: Checkpoints) -> Any:
    return checkpoints.load(len(checkpoints.history))


def best(checkpoints: Checkpoints) -> Any:
    return checkpoints.load(checkpoints.best_epoch)


def updates(model: Any) -> int:
    """How many updates the optimizer of a model has made."""
    return int(model.optimizer.iterations)


def weight(model: Any) -> float:
    return float(model.get_weights()[0][0, 0])


@pytest.fixture(scope="module")
def whole_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    train(folder)
    return folder


@pytest.fixture
def whole(whole_folder: Path) -> Checkpoints:
    """A run that nothing interrupted, read back from its folder."""
    return Checkpoints(whole_folder, RUN, [])


def assert_same(resumed: Checkpoints, whole: Checkpoints) -> None:
    assert len(resumed.history) == len(whole.history)
    for row, expected in zip(resumed.history, whole.history, strict=True):
        assert row == pytest.approx(expected, rel=1e-6)
    assert resumed.stopped == whole.stopped
    assert resumed.best_epoch == whole.best_epoch
    assert weight(best(resumed)) == pytest.approx(weight(best(whole)), rel=1e-6)
    assert weight(last(resumed)) == pytest.approx(weight(last(whole)), rel=1e-6)
    assert files_in(resumed.folder) == files_in(whole.folder)


# --- what is kept


def test_the_run_of_these_tests_uses_every_rule(whole: Checkpoints) -> None:
    """Otherwise the tests below would prove less than they say."""
    rates = [row["learning_rate"] for row in whole.history]
    assert whole.stopped
    assert 2 < whole.best_epoch < len(whole.history) < EPOCHS
    assert len(set(np.round(rates, 9))) > 1


def test_only_the_last_and_the_best_epoch_are_kept(whole: Checkpoints) -> None:
    assert files_in(whole.folder) == {
        "state.json",
        f"epoch-{whole.best_epoch:02d}.keras",
        f"epoch-{len(whole.history):02d}.keras",
    }


def test_the_best_epoch_is_that_of_the_lowest_validation_loss(whole: Checkpoints) -> None:
    losses = [row["val_loss"] for row in whole.history]
    assert whole.best_epoch == np.argmin(losses) + 1
    # The slope alone explains the loss, so the file can be told from any other epoch's.
    loss = np.mean((X * (weight(best(whole)) - WANTED)) ** 2)
    assert loss == pytest.approx(min(losses), rel=1e-5)


def test_an_epoch_comes_back_with_its_optimizer(whole: Checkpoints) -> None:
    assert updates(best(whole)) == STEPS * whole.best_epoch
    assert updates(last(whole)) == STEPS * len(whole.history)


def test_the_history_names_its_epochs(whole: Checkpoints) -> None:
    assert [row["epoch"] for row in whole.history] == list(range(1, len(whole.history) + 1))
    assert set(whole.history[0]) == {"epoch", "loss", "val_loss", "learning_rate"}


def test_a_new_folder_has_nothing_to_resume(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "runs" / "new", RUN, [])

    assert checkpoints.folder.is_dir()
    assert files_in(checkpoints.folder) == set()
    assert checkpoints.history == []
    assert not checkpoints.stopped


# --- what a resumed run does


@pytest.mark.parametrize("epoch", [1, 3, 5, 6])
def test_a_run_killed_in_any_epoch_ends_as_if_it_had_not_been(
    tmp_path: Path, whole: Checkpoints, epoch: int
) -> None:
    with pytest.raises(Killed, match="^$"):
        train(tmp_path, DiesInEpoch(epoch))
    assert len(Checkpoints(tmp_path, RUN, []).history) == epoch - 1

    assert_same(train(tmp_path), whole)


def test_a_run_killed_in_every_epoch_ends_as_if_it_had_not_been(
    tmp_path: Path, whole: Checkpoints
) -> None:
    for epoch in range(1, len(whole.history)):
        with pytest.raises(Killed, match="^$"):
            train(tmp_path, DiesInEpoch(epoch + 1))

    assert_same(train(tmp_path), whole)


def test_dropout_goes_on_with_the_draws_of_the_run_that_was_killed(tmp_path: Path) -> None:
    def run(folder: Path, *further: Any) -> Checkpoints:
        keras.utils.set_random_seed(5)  # as `trainer.fit` does, resumed or not
        return train(folder, *further, epochs=4, build=line_with_dropout)

    whole = run(tmp_path / "whole")
    with pytest.raises(Killed, match="^$"):
        run(tmp_path / "killed", DiesInEpoch(3))

    assert_same(run(tmp_path / "killed"), whole)


def dies_in_the_middle_of_the_model_file(patch: pytest.MonkeyPatch) -> None:
    real = keras.Model.save

    def save(model: Any, path: Path, *arguments: Any, **options: Any) -> None:
        real(model, path, *arguments, **options)
        if path.name == "epoch-04.keras":
            path.write_bytes(path.read_bytes()[:200])
            raise Killed

    patch.setattr(keras.Model, "save", save)


def dies_before_moving_the_model_file(patch: pytest.MonkeyPatch) -> None:
    dies_before_moving(patch, lambda target: target.name == "epoch-04.keras")


def dies_before_moving_the_state(patch: pytest.MonkeyPatch) -> None:
    def due(target: Path) -> bool:
        return target.name == "state.json" and (target.parent / "epoch-04.keras").exists()

    dies_before_moving(patch, due)


def dies_before_moving(patch: pytest.MonkeyPatch, due: Callable[[Path], bool]) -> None:
    real = os.replace

    def replace(source: Path, target: Path) -> None:
        if due(target):
            raise Killed
        real(source, target)

    patch.setattr(os, "replace", replace)


def dies_after_the_model_file(patch: pytest.MonkeyPatch) -> None:
    real = Checkpoints._write_state

    def write(checkpoints: Checkpoints) -> None:
        if len(checkpoints.history) == 4:
            assert (checkpoints.folder / "epoch-04.keras").exists()
            raise Killed
        real(checkpoints)

    patch.setattr(Checkpoints, "_write_state", write)


@pytest.mark.parametrize(
    "dies",
    [
        dies_in_the_middle_of_the_model_file,
        dies_before_moving_the_model_file,
        dies_after_the_model_file,
        dies_before_moving_the_state,
    ],
)
def test_a_kill_while_epoch_4_is_written_leaves_epoch_3_usable(
    tmp_path: Path, whole: Checkpoints, dies: Callable[[pytest.MonkeyPatch], None]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        dies(patch)
        with pytest.raises(Killed, match="^$"):
            train(tmp_path)

    left = Checkpoints(tmp_path, RUN, [])
    assert left.history == [pytest.approx(row, rel=1e-6) for row in whole.history[:3]]
    assert updates(last(left)) == 3 * STEPS
    assert updates(best(left)) == left.best_epoch * STEPS
    assert_same(train(tmp_path), whole)


def test_a_kill_before_old_files_are_deleted_costs_nothing(
    tmp_path: Path, whole: Checkpoints
) -> None:
    def unlink(_path: Path) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "unlink", unlink)
        with pytest.raises(Killed, match="^$"):
            train(tmp_path)
    assert len(Checkpoints(tmp_path, RUN, []).history) == 2

    assert_same(train(tmp_path), whole)


def test_a_run_that_ended_at_its_last_epoch_can_be_asked_again(
    tmp_path: Path, whole: Checkpoints
) -> None:
    train(tmp_path, epochs=3)

    again = train(tmp_path, epochs=3)

    assert not again.stopped
    assert again.history == [pytest.approx(row, rel=1e-6) for row in whole.history[:3]]
    assert weight(best(again)) == weight(last(again))


def test_a_run_that_early_stopping_ended_stays_ended(
    whole: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras.Model, "fit", lambda *_arguments, **_options: pytest.fail("trained"))

    assert_same(train(whole.folder), whole)


@pytest.mark.parametrize(
    "other", [{**RUN, "seed": 2}, {**RUN, "training_images": {"normal": 1, "pneumonia": 3}}, {}]
)
def test_the_folder_of_another_run_is_refused_and_left_alone(
    whole: Checkpoints, other: dict[str, Any]
) -> None:
    before = {path: path.read_bytes() for path in whole.folder.iterdir()}

    with pytest.raises(DatasetError, match=r"holds another run .*Choose another --out") as caught:
        Checkpoints(whole.folder, other, [])

    assert str(RUN) in str(caught.value)
    assert str(other) in str(caught.value)
    assert {path: path.read_bytes() for path in whole.folder.iterdir()} == before


def test_the_state_is_a_file_that_any_program_can_read(whole: Checkpoints) -> None:
    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is not JSON")

    text = (whole.folder / "state.json").read_text(encoding="utf-8")

    state = json.loads(text, parse_constant=refuse)
    assert state["run"] == RUN
    assert [sorted(one) for one in state["companions"]] == [
        ["best", "wait"],
        ["best", "cooldown_counter", "wait"],
    ]
