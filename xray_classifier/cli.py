"""The command line: `python -m xray_classifier COMMAND`.

Results go to stdout; progress, remarks and errors go to stderr. Exit status: 0 well, 1 the data
are not in order, 2 wrong usage or something missing.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from xray_classifier import commands
from xray_classifier.errors import XrayClassifierError
from xray_classifier.loading import DEFAULT_MODEL

TRAINABLE = {
    "article": "the article's CNN, from scratch",
    "default": "EfficientNet-Lite0 from ImageNet weights, kept from looking at the border",
}

BAD_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's notes on the CPU
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # file names may hold bytes that are no text
            stream.reconfigure(errors="backslashreplace")
    options = build_parser().parse_args(arguments)
    try:
        status = int(options.run(options))
        sys.stdout.flush()  # here, where a reader that has gone is still caught
    except XrayClassifierError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_USAGE
    except BrokenPipeError:  # the reader, `head` for example, has seen enough
        _drop_output()
        return 0
    except OSError as error:  # a path that cannot be read or written, or a full disk
        print(f"error: {error}", file=sys.stderr)
        if error.errno == errno.ENOSPC:
            _drop_output()
        return BAD_USAGE
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    return status


def _drop_output() -> None:
    """Let what is still buffered go nowhere, so that Python does not try again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def build_parser() -> argparse.ArgumentParser:
    """Describe all commands and options."""
    parser = argparse.ArgumentParser(
        prog="python -m xray_classifier",
        description="Pneumonia on chest radiographs of children of 1 to 5 years. "
        "For research and education; not a medical device.",
    )
    group = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_predict(group)
    _add_evaluate(group)
    _add_stress(group)
    _add_explain(group)
    _add_explain_check(group)
    _add_study(group)
    _add_train(group)
    _add_cross_validate(group)
    _add_calibrate(group)
    _add_data(group)
    _add_summary(group)
    _add_spread(group)
    _add_report(group)
    _add_card(group)
    return parser


Group: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _add_predict(group: Group) -> None:
    from xray_classifier.tables import FORMATS

    parser = group.add_parser("predict", help="judge image files, folders and ZIP archives")
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="an image, or a folder or ZIP archive of them; with --out also a pattern in quotes, "
        "or a URI",
    )
    _add_model_option(parser)
    parser.add_argument("--format", choices=sorted(FORMATS), default="table")
    _add_choice_options(parser)
    _add_archive_options(parser)
    parser.set_defaults(run=commands.predict)


def _add_archive_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        type=Path,
        metavar="PARQUET",
        help="write the rows to this file instead; run again to go on after an interruption",
    )
    parser.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="what judges with --out"
    )
    parser.add_argument("--address", help="of a Ray cluster (default: Ray on this machine)")
    parser.add_argument(
        "--workers", type=_worker_count, help="processes that judge on Ray (default: one a core)"
    )


def _add_evaluate(group: Group) -> None:
    parser = group.add_parser("evaluate", help="measure a model on labelled radiographs")
    _add_model_argument(parser)
    _add_data_options(parser)
    _add_split_option(parser, "test")
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder for the files")
    parser.add_argument(
        "--record",
        action="store_true",
        help="keep the figures in the model's JSON; a look at a test split goes into the ledger",
    )
    parser.add_argument(
        "--baseline",
        metavar="NAME|PATH",
        help="a model to compare with on the same images (default: article, where it is there)",
    )
    parser.add_argument(
        "--robustness", action="store_true", help="judge the images also ever more spoilt"
    )
    parser.set_defaults(run=commands.evaluate)


def _add_stress(group: Group) -> None:
    parser = group.add_parser(
        "stress", help="measure what a model makes of changes that leave the lungs as they were"
    )
    _add_model_argument(parser)
    _add_data_options(parser)
    _add_split_option(parser, "holdout")
    parser.add_argument(
        "--full-resolution",
        type=Path,
        metavar="DIR",
        help="the same radiographs, under the same names, at full resolution: compare with them",
    )
    parser.add_argument("--out", type=Path, metavar="JSON", help="write the figures to this file")
    parser.set_defaults(run=commands.stress)


def _add_explain(group: Group) -> None:
    from xray_classifier.explanation import OPACITY

    parser = group.add_parser("explain", help="draw where the model saw pneumonia in an image")
    parser.add_argument("file", type=Path, metavar="FILE", help="an image")
    parser.add_argument("--out", type=Path, required=True, metavar="PNG", help="shows the patient")
    _add_model_option(parser)
    parser.add_argument(
        "--opacity", type=_opacity, default=OPACITY, help=f"0 to 1 (default: {OPACITY})"
    )
    parser.set_defaults(run=commands.explain)


def _add_explain_check(group: Group) -> None:
    parser = group.add_parser(
        "explain-check", help="measure whether heatmaps show what the model looks at"
    )
    _add_data_options(parser)
    _add_model_option(parser)
    parser.add_argument("--images", type=_image_count, default=50, help="how many (default: 50)")
    parser.add_argument("--out", type=Path, metavar="JSON", help="a file for the figures")
    parser.set_defaults(run=commands.explain_check)


def _add_study(group: Group) -> None:
    parser = group.add_parser("study", help="write a report on one image, as PDF, JSON or DICOM")
    parser.add_argument("file", type=Path, metavar="FILE", help="an image")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="REPORT",
        help=".pdf, .json, .dcm (a picture) or .sr.dcm (a Structured Report); PDF and picture show "
        "the patient",
    )
    _add_model_option(parser)
    _add_choice_options(parser)
    parser.add_argument(
        "--with-file-name", action="store_true", help="name the image's file in the report"
    )
    parser.add_argument(
        "--keep-identity",
        action="store_true",
        help="copy name and identifiers of the patient from a DICOM file to the DICOM report",
    )
    parser.set_defaults(run=commands.study)


def _add_train(group: Group) -> None:
    parser = group.add_parser("train", help="train a model")
    recipes = parser.add_subparsers(required=True, metavar="RECIPE")
    for name, about in TRAINABLE.items():
        recipe = recipes.add_parser(name, help=about)
        _add_data_options(recipe)
        recipe.add_argument("--out", type=Path, required=True, help="folder for the model")
        recipe.add_argument("--seed", type=int, default=1)
        recipe.set_defaults(run=commands.train, recipe=name)

    gate = recipes.add_parser("gate", help="what tells children's chests from everything else")
    _add_data_options(gate)
    gate.add_argument("--adults", type=Path, required=True, help="folder of adult chests")
    gate.add_argument("--other", type=Path, required=True, help="folder of what is no radiograph")
    gate.add_argument(
        "--unseen", type=Path, nargs="*", default=[], help="folders of kinds to measure it on"
    )
    gate.add_argument("--out", type=Path, required=True, help="folder for the gate")
    gate.add_argument("--seed", type=int, default=1)
    gate.set_defaults(run=commands.train_gate)


def _add_cross_validate(group: Group) -> None:
    parser = group.add_parser(
        "cross-validate", help="train a recipe fold by fold, for answers that calibrate it"
    )
    parser.add_argument("recipe", choices=TRAINABLE)
    _add_data_options(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder for folds and answers")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--folds", type=_fold_count, default=4)
    parser.set_defaults(run=commands.cross_validate)


def _add_calibrate(group: Group) -> None:
    parser = group.add_parser(
        "calibrate", help="make a trained model's numbers probabilities; fit operating points"
    )
    parser.add_argument("model", help="the path of a .keras file that `train` wrote")
    parser.add_argument(
        "--answers", type=Path, required=True, metavar="CSV", help="of `cross-validate`"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the new model")
    parser.set_defaults(run=commands.calibrate)


def _add_data(group: Group) -> None:
    from xray_classifier.kaggle_data import DATASETS

    actions = group.add_parser("data", help="fetch, check or look at a data set")
    subcommands = actions.add_subparsers(required=True, metavar="ACTION")

    fetch = subcommands.add_parser("download", help="fetch the article's data set from Kaggle")
    fetch.add_argument("--dest", type=Path, required=True, help="a new folder")
    fetch.add_argument("--dataset", choices=DATASETS, default=DATASETS[0])
    fetch.set_defaults(run=commands.data_download)

    check = subcommands.add_parser("check", help="count, and look for leaks between splits")
    _add_folder_argument(check)
    check.set_defaults(run=commands.data_check)

    show = subcommands.add_parser("show", help="draw a grid of augmented training images")
    _add_folder_argument(show)
    show.add_argument("--out", type=Path, default=Path("augmented.png"), help="a PNG file")
    show.add_argument("--seed", type=int, default=1)
    show.set_defaults(run=commands.data_show)


def _add_summary(group: Group) -> None:
    parser = group.add_parser("summary", help="print a model's layers, or draw them")
    _add_model_option(parser)
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the architecture")
    parser.set_defaults(run=commands.summary)


def _add_report(group: Group) -> None:
    parser = group.add_parser("report", help="write the recorded figures into the README")
    parser.set_defaults(run=commands.report)


def _add_spread(group: Group) -> None:
    parser = group.add_parser(
        "spread", help="measure models that differ in their seed only, on the hold-out"
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="names or .keras files")
    _add_data_options(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="JSON", help="for the figures")
    parser.set_defaults(run=commands.spread)


def _add_card(group: Group) -> None:
    parser = group.add_parser("card", help="write model/MODEL_CARD.md from what was measured")
    parser.set_defaults(run=commands.card)


def _add_model_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        metavar="NAME|PATH",
        help=f"a model in model/ (default: {DEFAULT_MODEL}), or a .keras or .h5 file",
    )


def _add_choice_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-gate",
        action="store_true",
        help="judge also what is no chest radiograph, with the warning not_valid",
    )
    parser.add_argument(
        "--operating-point",
        metavar="NAME",
        help="balanced (default), screening or confirming, where the model has them",
    )
    parser.add_argument(
        "--pretest",
        type=_probability,
        metavar="P",
        help="probability of pneumonia without the radiograph, between 0 and 1: adds the post-test "
        "probability",
    )


def _add_model_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="a model's name, or the path of a .keras or .h5 file")


def _add_split_option(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--split",
        default=default,
        help="test, train, val, all (a folder without splits) or holdout (the patients of train "
        f"and val that training validates on); default: {default}",
    )


def _add_data_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help="folder of the data set")
    _add_patients_option(parser)


def _add_folder_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, metavar="DIR", help="folder of the data set")
    _add_patients_option(parser)


def _add_patients_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--patients",
        type=Path,
        metavar="CSV",
        help="a table with the columns file and patient, for data whose file names do not tell",
    )


def _opacity(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def _probability(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def _fold_count(text: str) -> int:
    value = int(text)
    if value < 2:
        raise argparse.ArgumentTypeError(f"{text} is too few; give 2 or more")
    return value


def _worker_count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is too few; give 1 or more")
    return value


def _image_count(text: str) -> int:
    value = int(text)
    if value < 2:  # a paired test needs some
        raise argparse.ArgumentTypeError(f"{text} is too few; give 2 or more")
    return value
