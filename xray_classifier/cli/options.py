"""What several commands share: options, and what is made of them."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from xray_classifier.errors import DatasetError, missing_package
from xray_classifier.inference.pipeline import Choices
from xray_classifier.models.loading import DEFAULT_MODEL, RUNTIMES

if TYPE_CHECKING:
    from xray_classifier.models.classifier import Classifier

BAD_DATA = 1
"""Exit status where the data are not in order."""

TRAINABLE = {
    "article": "the article's CNN: what article-alone makes, taught by the model default",
    "article-alone": "the same from scratch, kept from looking at border and rendering",
    "article-as-published": "the same, as the article trains it",
    "sharp": "EfficientNet-Lite0 from ImageNet weights, kept from looking at border and rendering",
    "soft": "the same on blurred radiographs",
}
"""The recipes by name; `training.recipes` itself would bring Keras along."""

AVERAGED = {"default": "sharp and soft, and their average"}
"""The models that average networks of several recipes."""

Group: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


Number = TypeVar("Number", int, float)


def in_range(
    kind: type[Number], low: float, high: float = math.inf, *, inclusive: bool = True
) -> Callable[[str], Number]:
    """Make the `type` of an option that takes numbers of a range only.

    Args:
        kind: int or float.
        low: the least that is taken.
        high: the most; infinite for no limit.
        inclusive: False if the ends themselves are not taken.

    Returns:
        A function from text to number; it raises ArgumentTypeError for one that is out of range.
    """

    def parse(text: str) -> Number:
        value = kind(text)
        if low < value < high or (inclusive and value in (low, high)):
            return value
        wanted = f"not between {low} and {high}"
        if math.isinf(high):
            wanted = f"too few; give {low} or more"
        raise argparse.ArgumentTypeError(f"{text} is {wanted}")

    parse.__name__ = kind.__name__  # argparse names it where the text is no number at all
    return parse


def add_model_option(parser: argparse.ArgumentParser) -> None:
    """Offer `--model`."""
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        metavar="NAME|PATH",
        help=f"a model in model/ (default: {DEFAULT_MODEL}), or a .keras or .h5 file",
    )


def add_runtime_option(parser: argparse.ArgumentParser) -> None:
    """Offer `--runtime`."""
    parser.add_argument(
        "--runtime",
        choices=RUNTIMES,
        help="what runs the network (default: auto, which is ONNX Runtime where the model was "
        "exported for it, else Keras)",
    )


def show_remarks(classifier: Classifier) -> None:
    """Say on stderr what runs the model, and what else should be known about it."""
    spec, runtime = classifier.spec, classifier.network.runtime
    remarks = (f"{spec.name} ({spec.short_hash}) is run by {runtime}.", *classifier.remarks)
    for remark in remarks:
        print(f"note: {remark}", file=sys.stderr)


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
        type=in_range(float, 0, 1, inclusive=False),
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


def choices_of(options: argparse.Namespace) -> Choices:
    """Gather what the user chose about the verdicts."""
    return Choices(options.operating_point, options.pretest, use_gate=not options.no_gate)


def patients_of(options: argparse.Namespace) -> dict[str, str] | None:
    """Read the table of patients, where one is given."""
    from xray_classifier.data.patients import read_patients

    return read_patients(options.patients) if options.patients else None


def missing_file(error: FileNotFoundError) -> DatasetError:
    """Say which path names no file."""
    return DatasetError(f"There is no file or folder {error}. Check the path.")


@contextmanager
def needs(requirements_file: str) -> Iterator[None]:
    """Import what is perhaps not installed in such a block.

    Args:
        requirements_file: with all that the command needs.

    Raises:
        MissingPackageError: with a message that says how it is installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise missing_package(error, requirements_file) from error
