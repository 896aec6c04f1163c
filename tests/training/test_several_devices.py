from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from tests.support.places import ROOT, skip
from xray_classifier.training.trainer import strategy


@pytest.mark.parametrize("devices", [None, [], ["CPU:0"]])
def test_one_device_is_left_to_tensorflow(devices: list[str] | None) -> None:
    if devices is None and len(tf.config.list_logical_devices("GPU")) > 1:
        skip("this machine has several GPUs")
    assert strategy(devices) is tf.distribute.get_strategy()


PROGRAM = """
import json
import sys
from dataclasses import replace
from pathlib import Path

import keras
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
from tests.support import drawn_training as drawn
from xray_classifier.training import trainer
from xray_classifier.training.checkpoints import Checkpoints
from xray_classifier.training.recipes import ARTICLE_AS_PUBLISHED

folder = Path(sys.argv[1])
real, replicas, killed = trainer.strategy, [], []

def two():
    chosen = real(["CPU:0", "CPU:1"])
    replicas.append(chosen.num_replicas_in_sync)
    return chosen

def network(steps):
    # As the default model: averaged weights, clipped gradients; and a layer that draws at random,
    # too rarely to change anything.
    dense = keras.layers.Dense(1, activation="sigmoid", kernel_initializer="zeros")
    head = [keras.layers.Rescaling(4, offset=-2), keras.layers.Dropout(1e-9), dense]
    pool = keras.layers.GlobalAveragePooling2D()
    model = keras.Sequential([keras.Input(drawn.SHAPE), pool, *head])
    schedule = keras.optimizers.schedules.CosineDecay(
        0.01, 2 * steps, warmup_target=0.1, warmup_steps=steps
    )
    adam = keras.optimizers.AdamW(schedule, clipnorm=1.0, use_ema=True, ema_momentum=0.9)
    model.compile(adam, loss="binary_crossentropy", metrics=["accuracy"], jit_compile=False)
    return model

def finish(trained, batches):
    trained.optimizer.finalize_variable_values(trained.trainable_variables)
    return ARTICLE_AS_PUBLISHED.finish(trained, batches)

def kill(callback, batch, logs):
    killed.append(batch)
    if len(killed) == 2 * 2 + 1:  # in the third epoch
        raise KeyboardInterrupt

recipe = replace(drawn.RECIPE, build=network, finish=finish, epochs=3, callbacks=list)
data = drawn.draw_radiographs(folder / "data")
trainer.strategy = lambda: real(["CPU:0"])
trainer.train(recipe, data, folder / "one", 7)

trainer.strategy = two
trainer.train(recipe, data, folder / "two", 7)

Checkpoints.on_train_batch_end = kill
try:
    trainer.train(recipe, data, folder / "resumed", 7)
except KeyboardInterrupt:
    del Checkpoints.on_train_batch_end
epochs = len(json.loads((folder / "resumed/checkpoint/state.json").read_text())["history"])
trainer.train(recipe, data, folder / "resumed", 7)

print(json.dumps({
    "replicas": replicas,
    "epochs_before": epochs,
    **{name: {
        "weights": drawn.weights_of(folder / name).tolist(),
        "history": drawn.history_of(folder / name),
    } for name in ("one", "two", "resumed")},
}))
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The same recipe on one device, on two, and on two with an interruption.

    Logical devices can be made only before TensorFlow's first use: in a process of its own.
    """
    folder = tmp_path_factory.mktemp("runs")
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert [path.name for path in Path(folder / "resumed").glob("*.keras")] == [
        "article-as-published.keras"
    ]
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


def test_two_devices_share_every_step(runs: dict[str, Any]) -> None:
    assert runs["replicas"] == [2, 2, 2]


def test_two_devices_learn_what_one_does(runs: dict[str, Any]) -> None:
    assert max(map(abs, runs["one"]["weights"])) > 0.1
    assert runs["two"]["weights"] == pytest.approx(runs["one"]["weights"], rel=1e-4)
    for row, wanted in zip(runs["two"]["history"], runs["one"]["history"], strict=True):
        assert row == pytest.approx(wanted, rel=1e-4)


def test_interrupted_run_on_two_devices_goes_on_as_if_nothing_had_been(
    runs: dict[str, Any],
) -> None:
    assert runs["epochs_before"] == 2
    assert runs["resumed"]["weights"] == pytest.approx(runs["two"]["weights"], rel=1e-5)
    assert len(runs["resumed"]["history"]) == 3
