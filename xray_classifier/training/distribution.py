"""Which devices train: one, or all GPUs of this machine as one."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf


def strategy(devices: Sequence[str] | None = None) -> tf.distribute.Strategy:
    """Choose how a model built in the strategy's scope is trained.

    With several devices each step's batch is divided among them, and their gradients are averaged:
    the same steps as on one device, up to rounding and to batches that do not divide evenly.

    Args:
        devices: names as TensorFlow gives them; the GPUs of this machine if None.
    """
    if devices is None:
        devices = [device.name for device in tf.config.list_logical_devices("GPU")]
    if len(devices) < 2:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy(list(devices))
