"""What several commands share: options, and what is made of them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeAlias

from xray_classifier.errors import DatasetError
from xray_classifier.inference.pipeline import Choices
from xray_classifier.models.loading import DEFAULT_MODEL

BAD_DATA = 1
"""Exit status where the data are not in order."""

Group: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_model_option(parser: argparse.ArgumentParser) -> None:
    """Offer `--model`."""
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        metavar="NAME|PATH",
        help=f"a model in model/ (default: {DEFAULT_MODEL}), or a .keras or .h5 file",
    )


def add_choice_options(parser: argparse.ArgumentParser) -> None:
    """Offer what `choices_of` reads."""
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


def add_model_argument(parser: argparse.ArgumentParser) -> None:
    """Ask for a model."""
    parser.add_argument("model", help="a model's name, or the path of a .keras or .h5 file")


def add_split_option(parser: argparse.ArgumentParser, default: str) -> None:
    """Offer `--split`."""
    parser.add_argument(
        "--split",
        default=default,
        help="test, train, val, all (a folder without splits) or holdout (the patients of train "
        f"and val that training validates on); default: {default}",
    )


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Ask for `--data`, and what `patients_of` reads."""
    parser.add_argument("--data", type=Path, required=True, help="folder of the data set")
    add_patients_option(parser)


def add_folder_argument(parser: argparse.ArgumentParser) -> None:
    """Ask for a data set, and what `patients_of` reads."""
    parser.add_argument("data", type=Path, metavar="DIR", help="folder of the data set")
    add_patients_option(parser)


def add_patients_option(parser: argparse.ArgumentParser) -> None:
    """Offer what `patients_of` reads."""
    parser.add_argument(
        "--patients",
        type=Path,
        metavar="CSV",
        help="a table with the columns file and patient, for data whose file names do not tell",
    )


def _probability(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def choices_of(options: argparse.Namespace) -> Choices:
    """Gather what the user chose about the verdicts."""
    return Choices(options.operating_point, options.pretest, use_gate=not options.no_gate)


def read_image(path: Path) -> bytes:
    """Read a file that was named.

    Raises:
        DatasetError: there is none.
    """
    from xray_classifier.inputs.sources import read_image_file

    if not path.is_file():
        raise DatasetError(f"There is no file {path}. Check the path.")
    return read_image_file(path)


def patients_of(options: argparse.Namespace) -> dict[str, str] | None:
    """Read the table of patients, where one is given."""
    from xray_classifier.data.datasets import read_patients

    return read_patients(options.patients) if options.patients else None


def missing_file(error: FileNotFoundError) -> DatasetError:
    """Say which path names no file."""
    return DatasetError(f"There is no file or folder {error}. Check the path.")


def missing_package(error: ModuleNotFoundError, requirements: str) -> DatasetError:
    """Say what is to be installed."""
    return DatasetError(
        f"The package {error.name} is missing. Install it: pip install -r {requirements}"
    )
