"""Commands that train and calibrate models, and write them for another runtime.

What only one command needs is imported there, so that the others start without it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from xray_classifier.cli.options import (
    AVERAGED,
    TRAINABLE,
    Group,
    add_data_options,
    in_range,
    missing_file,
    needs,
    patients_of,
)
from xray_classifier.errors import DatasetError, UnreadableImageError
from xray_classifier.imaging.preprocessing import Tensor, preprocess
from xray_classifier.inputs.decoding import decode
from xray_classifier.inputs.listing import list_files
from xray_classifier.inputs.sources import read_image_file

MOST_IMAGES = 300
"""Of one folder, that `export` compares on."""


def add_commands(group: Group) -> None:
    """Describe these commands and their options."""
    _add_train(group)
    _add_cross_validate(group)
    _add_compare(group)
    _add_calibrate(group)
    _add_export(group)


def _add_train(group: Group) -> None:
    parser = group.add_parser("train", help="train a model")
    recipes = parser.add_subparsers(required=True, metavar="RECIPE")
    for name, about in {**TRAINABLE, **AVERAGED}.items():
        recipe = recipes.add_parser(name, help=about)
        add_data_options(recipe)
        recipe.add_argument("--out", type=Path, required=True, help="folder for the model")
        recipe.add_argument("--seed", type=int, default=1)
        _add_full_resolution(recipe)
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

    rendering = recipes.add_parser(
        "rendering", help="what tells the label by how a machine renders the picture"
    )
    add_data_options(rendering)
    rendering.add_argument("--out", type=Path, required=True, help="folder for the score")
    rendering.set_defaults(run=train_rendering)


def _add_cross_validate(group: Group) -> None:
    parser = group.add_parser(
        "cross-validate", help="train a recipe fold by fold, for answers that calibrate it"
    )
    parser.add_argument("recipe", choices=[*TRAINABLE, *AVERAGED])
    add_data_options(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder for folds and answers")
    parser.add_argument("--seed", type=int, default=11)
    _add_full_resolution(parser)
    parser.add_argument("--folds", type=in_range(int, 2), default=4)
    parser.set_defaults(run=cross_validate)


def _add_full_resolution(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--full-resolution",
        type=Path,
        metavar="DIR",
        help="some of the same radiographs, under the same names, at full resolution: show them, "
        "too",
    )


def _add_compare(group: Group) -> None:
    parser = group.add_parser(
        "compare", help="say which of two recipes is ahead, by their cross-validations"
    )
    parser.add_argument("first", type=Path, help="out_of_fold.csv of one recipe")
    parser.add_argument("second", type=Path, help="that of another one, on the same images")
    parser.set_defaults(run=compare)


def _add_calibrate(group: Group) -> None:
    parser = group.add_parser(
        "calibrate", help="make a trained model's numbers probabilities; fit operating points"
    )
    parser.add_argument("model", help="the path of a .keras file that `train` wrote")
    parser.add_argument(
        "--answers", type=Path, required=True, metavar="CSV", help="of `cross-validate`"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the new model")
    parser.add_argument(
        "--plain",
        action="store_true",
        help="count every image once; else images are weighted so that rendering tells nothing, "
        "where the answers have the column rendering",
    )
    parser.set_defaults(run=calibrate)


def _add_export(group: Group) -> None:
    parser = group.add_parser(
        "export", help="write a model for ONNX Runtime, if it gives the same answers there"
    )
    parser.add_argument(
        "model", help="a model's name, the path of a .keras file that has a JSON, or gate"
    )
    parser.add_argument(
        "--images",
        nargs="+",
        required=True,
        metavar="PATH",
        help=f"radiographs to compare on; {MOST_IMAGES} of a folder at most, evenly chosen",
    )
    parser.set_defaults(run=export)


def train(options: argparse.Namespace) -> int:
    """Train a model by its recipe, or the networks of an average."""
    from xray_classifier.training import averaging, trainer
    from xray_classifier.training.recipes import AVERAGES, RECIPES

    where = (options.data, options.out, options.seed, patients_of(options))
    full = options.full_resolution
    if options.recipe in AVERAGES:
        print(averaging.train_average(AVERAGES[options.recipe], *where, full=full))
    else:
        print(trainer.train(RECIPES[options.recipe], *where, full=full))
    return 0


def train_gate(options: argparse.Namespace) -> int:
    """Fit the gate, and measure it."""
    from xray_classifier.training.gate_training import train_gate as fit_gate

    target = fit_gate(
        options.data, options.adults, options.other, options.unseen, options.out, options.seed
    )
    print(target)
    return 0


def train_rendering(options: argparse.Namespace) -> int:
    """Fit the rendering score."""
    with needs("requirements-train.txt"):
        from xray_classifier.training import cross_validation

    print(
        cross_validation.train_rendering(options.data, options.out, patients=patients_of(options))
    )
    return 0


def cross_validate(options: argparse.Namespace) -> int:
    """Train a recipe fold by fold, or each of an average."""
    from xray_classifier.training import cross_validation
    from xray_classifier.training.recipes import AVERAGES, RECIPES

    where = (options.data, options.out, options.seed, options.folds, patients_of(options))
    full = options.full_resolution
    if options.recipe in AVERAGES:
        print(cross_validation.cross_validate_average(AVERAGES[options.recipe], *where, full))
    else:
        print(cross_validation.cross_validate(RECIPES[options.recipe], *where, full))
    return 0


def compare(options: argparse.Namespace) -> int:
    """Compare the out-of-fold answers of two recipes."""
    with needs("requirements-train.txt"):
        from xray_classifier.calibration import comparison
        from xray_classifier.calibration.out_of_fold import read_out_of_fold

    first, second = read_out_of_fold(options.first), read_out_of_fold(options.second)
    print(comparison.describe(comparison.compare_recipes(first, second)))
    return 0


def calibrate(options: argparse.Namespace) -> int:
    """Calibrate a model and fit its operating points."""
    with needs("requirements-train.txt"):
        from xray_classifier.calibration import calibrate as calibration
    print(calibration.calibrate(options.model, options.answers, options.out, options.plain))
    return 0


def export(options: argparse.Namespace) -> int:
    """Write a model's ONNX file, once it is proven to be the same network."""
    with needs("requirements-train.txt"):
        from xray_classifier.training.onnx_export import export_network

        facts = export_network(options.model, _tensors_of(options.images))
    print(
        f"{facts.file}: {facts.bytes:,} bytes, sha256 {facts.sha256}; on {facts.images} images "
        f"no answer differs by more than {facts.largest_difference:.1e}"
    )
    return 0


def _tensors_of(paths: Sequence[str]) -> Iterator[Tensor]:
    """Prepare images, evenly chosen among those of each path.

    Raises:
        DatasetError: there is no such path, or one of the files is no radiograph.
    """
    for path in paths:
        try:
            files = list(list_files([path]).items())
        except FileNotFoundError as error:
            raise missing_file(error) from error
        count = min(len(files), MOST_IMAGES)
        for name, file in (files[number * len(files) // count] for number in range(count)):
            try:
                yield preprocess(decode(read_image_file(file)).image)
            except UnreadableImageError as error:
                raise DatasetError(f"{name}: {error}") from error
