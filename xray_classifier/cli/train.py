"""Commands that train and calibrate models, and look after data.

What only one command needs is imported there, so that the others start without it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from xray_classifier.cli.options import (
    BAD_DATA,
    Group,
    add_data_options,
    add_folder_argument,
    in_range,
    needs,
    patients_of,
)

TRAINABLE = {
    "article": "the article's CNN, from scratch",
    "default": "EfficientNet-Lite0 from ImageNet weights, kept from looking at the border",
}


def add_commands(group: Group) -> None:
    """Describe these commands and their options."""
    _add_train(group)
    _add_cross_validate(group)
    _add_calibrate(group)
    _add_data(group)


def _add_train(group: Group) -> None:
    parser = group.add_parser("train", help="train a model")
    recipes = parser.add_subparsers(required=True, metavar="RECIPE")
    for name, about in TRAINABLE.items():
        recipe = recipes.add_parser(name, help=about)
        add_data_options(recipe)
        recipe.add_argument("--out", type=Path, required=True, help="folder for the model")
        recipe.add_argument("--seed", type=int, default=1)
        recipe.set_defaults(run=train, recipe=name)

    gate = recipes.add_parser("gate", help="what tells children's chests from everything else")
    add_data_options(gate)
    gate.add_argument("--adults", type=Path, required=True, help="folder of adult chests")
    gate.add_argument("--other", type=Path, required=True, help="folder of what is no radiograph")
    gate.add_argument(
        "--unseen", type=Path, nargs="*", default=[], help="folders of kinds to measure it on"
    )
    gate.add_argument("--out", type=Path, required=True, help="folder for the gate")
    gate.add_argument("--seed", type=int, default=1)
    gate.set_defaults(run=train_gate)


def _add_cross_validate(group: Group) -> None:
    parser = group.add_parser(
        "cross-validate", help="train a recipe fold by fold, for answers that calibrate it"
    )
    parser.add_argument("recipe", choices=TRAINABLE)
    add_data_options(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder for folds and answers")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--folds", type=in_range(int, 2), default=4)
    parser.set_defaults(run=cross_validate)


def _add_calibrate(group: Group) -> None:
    parser = group.add_parser(
        "calibrate", help="make a trained model's numbers probabilities; fit operating points"
    )
    parser.add_argument("model", help="the path of a .keras file that `train` wrote")
    parser.add_argument(
        "--answers", type=Path, required=True, metavar="CSV", help="of `cross-validate`"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the new model")
    parser.set_defaults(run=calibrate)


def _add_data(group: Group) -> None:
    from xray_classifier.data.kaggle import DATASETS

    actions = group.add_parser("data", help="fetch, check or look at a data set")
    subcommands = actions.add_subparsers(required=True, metavar="ACTION")

    fetch = subcommands.add_parser("download", help="fetch the article's data set from Kaggle")
    fetch.add_argument("--dest", type=Path, required=True, help="a new folder")
    fetch.add_argument("--dataset", choices=DATASETS, default=DATASETS[0])
    fetch.set_defaults(run=data_download)

    check = subcommands.add_parser("check", help="count, and look for leaks between splits")
    add_folder_argument(check)
    check.set_defaults(run=data_check)

    show = subcommands.add_parser("show", help="draw a grid of augmented training images")
    add_folder_argument(show)
    show.add_argument(
        "--recipe", choices=TRAINABLE, default="article", help="%(default)s if not given"
    )
    show.add_argument("--out", type=Path, default=Path("augmented.png"), help="a PNG file")
    show.add_argument("--seed", type=int, default=1)
    show.set_defaults(run=data_show)


def train(options: argparse.Namespace) -> int:
    """Train a model by its recipe."""
    from xray_classifier.training import trainer
    from xray_classifier.training.recipes import RECIPES

    recipe = RECIPES[options.recipe]
    print(trainer.train(recipe, options.data, options.out, options.seed, patients_of(options)))
    return 0


def train_gate(options: argparse.Namespace) -> int:
    """Fit the gate, and measure it."""
    from xray_classifier.training.gate_training import train_gate as fit_gate

    target = fit_gate(
        options.data, options.adults, options.other, options.unseen, options.out, options.seed
    )
    print(target)
    return 0


def cross_validate(options: argparse.Namespace) -> int:
    """Train a recipe fold by fold."""
    from xray_classifier.training import cross_validation
    from xray_classifier.training.recipes import RECIPES

    print(
        cross_validation.cross_validate(
            RECIPES[options.recipe],
            options.data,
            options.out,
            options.seed,
            options.folds,
            patients_of(options),
        )
    )
    return 0


def calibrate(options: argparse.Namespace) -> int:
    """Calibrate a model and fit its operating points."""
    with needs("requirements-train.txt"):
        from xray_classifier.training import calibration
    print(calibration.calibrate(options.model, options.answers, options.out))
    return 0


def data_download(options: argparse.Namespace) -> int:
    """Fetch a data set from Kaggle."""
    from xray_classifier.data.kaggle import download

    download(options.dataset, options.dest)
    print(options.dest)
    return 0


def data_check(options: argparse.Namespace) -> int:
    """Count a data set, and look for leaks."""
    from xray_classifier.data.audit import check
    from xray_classifier.data.datasets import find_samples

    found = check(find_samples(options.data, patients_of(options)))
    print(found.report())
    return 0 if found.passed else BAD_DATA


def data_show(options: argparse.Namespace) -> int:
    """Draw augmented training images."""
    from xray_classifier.data.datasets import find_samples, select
    from xray_classifier.files import replace_atomically
    from xray_classifier.training.preview import draw
    from xray_classifier.training.recipes import RECIPES

    samples = select(find_samples(options.data, patients_of(options)), "train", "val", "all")
    figure = draw(samples, RECIPES[options.recipe], options.seed)
    with replace_atomically(options.out) as path:
        figure.savefig(path, format="png")
    print(options.out)
    return 0
