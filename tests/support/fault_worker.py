"""Train a small network; tests/system/test_faults.py kills this process, or fills its disk."""

from __future__ import annotations

import sys
from pathlib import Path
from unittest import mock

import tensorflow as tf

from tests.support.drawn_training import RECIPE, SEED
from xray_classifier.cli import main as cli
from xray_classifier.training import recipes


def train(data: Path, out: Path) -> int:
    """Give the status with which the command ends."""
    where = ["--data", str(data), "--out", str(out)]
    with mock.patch.dict(recipes.RECIPES, {RECIPE.name: RECIPE}):
        return cli.main(["train", RECIPE.name, *where, "--seed", str(SEED)])


if __name__ == "__main__":
    tf.config.experimental.enable_op_determinism()
    sys.exit(train(*map(Path, sys.argv[1:])))
