"""Commands that look after data sets: `data download`, `data check`, `data show`.

What only one command needs is imported there, so that the others start without it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from xray_classifier.cli.options import (
    BAD_DATA,
    TRAINABLE,
    Group,
    add_folder_argument,
    patients_of,
)


def add_commands(group: Group) -> None:
    """Describe these commands and their options."""
    from xray_classifier.data.kaggle import DATASETS

    actions = group.add_parser("data", help="fetch, check or look at a data set")
    subcommands = actions.add_subparsers(required=True, metavar="ACTION")

    fetch = subcommands.add_parser("download", help="fetch the article's data set from Kaggle")
    fetch.add_argument("--dest", type=Path, required=True, help="a new folder")
    fetch.add_argument("--dataset", choices=DATASETS, default=DATASETS[0])
    fetch.set_defaults(run=download)

    audit = subcommands.add_parser("check", help="count, and look for leaks between splits")
    add_folder_argument(audit)
    audit.set_defaults(run=check)

    grid = subcommands.add_parser("show", help="draw a grid of augmented training images")
    add_folder_argument(grid)
    grid.add_argument(
        "--recipe", choices=TRAINABLE, default="article", help="%(default)s if not given"
    )
    grid.add_argument("--out", type=Path, default=Path("augmented.png"), help="a PNG file")
    grid.add_argument("--seed", type=int, default=1)
    grid.set_defaults(run=show)


def download(options: argparse.Namespace) -> int:
    """Fetch a data set from Kaggle."""
    from xray_classifier.data import kaggle

    kaggle.download(options.dataset, options.dest)
    print(options.dest)
    return 0


def check(options: argparse.Namespace) -> int:
    """Count a data set, and look for leaks."""
    from xray_classifier.data import audit
    from xray_classifier.data.datasets import find_samples

    found = audit.check(find_samples(options.data, patients_of(options)))
    print(found.report())
    return 0 if found.passed else BAD_DATA


def show(options: argparse.Namespace) -> int:
    """Draw augmented training images."""
    from xray_classifier.data.datasets import find_samples, select
    from xray_classifier.files import replace_atomically
    from xray_classifier.training.recipes import RECIPES
    from xray_classifier.training.training_images import draw_augmented

    samples = select(find_samples(options.data, patients_of(options)), "train", "val", "all")
    figure = draw_augmented(samples, RECIPES[options.recipe], options.seed)
    with replace_atomically(options.out) as path:
        figure.savefig(path, format="png")
    print(options.out)
    return 0
