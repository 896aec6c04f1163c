"""Train a small network; tests/system/test_faults.py kills this process, or fills its disk."""

from __future__ import annotations

import sys
from pathlib import Path

import tensorflow as tf

from tests.support.drawn_training import RECIPE, SEED
from xray_classifier.cli import main as cli
from xray_classifier.training import recipes

if __name__ == "__main__":
    tf.config.experimental.enable_op_determinism()
    recipes.RECIPES["article"] = RECIPE
    data, out = map(Path, sys.argv[1:])
    arguments = ["train", "article", "--data", str(data), "--out", str(out), "--seed", str(SEED)]
    sys.exit(cli.main(arguments))
