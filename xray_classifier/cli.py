"""The command line: `python -m xray_classifier COMMAND`.

Results go to stdout; progress, remarks and errors go to stderr. Exit status: 0 well, 1 the data
are not in order, 2 wrong usage or something missing.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from xray_classifier.errors import DatasetError, XrayClassifierError
from xray_classifier.loading import DEFAULT_MODEL

TRAINABLE = {
    "article": "the article's CNN, from scratch",
    "default": "EfficientNet-Lite0 from ImageNet weights, kept from looking at the border",
}

BAD_DATA = 1
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
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a path that cannot be read or written
        print(f"error: {error}", file=sys.stderr)
        return BAD_USAGE
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    return status


def build_parser() -> argparse.ArgumentParser:
    """Describe all commands and options."""
    parser = argparse.ArgumentParser(
        prog="python -m xray_classifier",
        description="Pneumonia on chest radiographs of children of 1 to 5 years. "
        "For research and education; not a medical device.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_predict(commands)
    _add_evaluate(commands)
    _add_train(commands)
    _add_data(commands)
    _add_summary(commands)
    _add_report(commands)
    return parser


Commands = argparse._SubParsersAction


def _add_predict(commands: Commands[argparse.ArgumentParser]) -> None:
    from xray_classifier.tables import FORMATS

    parser = commands.add_parser("predict", help="judge image files and folders")
    parser.add_argument("paths", nargs="+", metavar="PATH", help="an image, or a folder of them")
    _add_model_option(parser)
    parser.add_argument("--format", choices=sorted(FORMATS), default="table")
    parser.add_argument(
        "--no-gate",
        action="store_true",
        help="judge also what is no chest radiograph, with the warning not_valid",
    )
    parser.set_defaults(run=_predict)


def _predict(options: argparse.Namespace) -> int:

    from xray_classifier.gate import load_gate
    from xray_classifier.loading import load_classifier
    from xray_classifier.progress import track
    from xray_classifier.scoring import list_files, score
    from xray_classifier.tables import FORMATS

    try:
        files = list_files(options.paths)
    except FileNotFoundError as error:
        raise DatasetError(f"There is no file or folder {error}. Check the path.") from error
    classifier = load_classifier(options.model)
    for remark in classifier.remarks:
        print(f"note: {remark}", file=sys.stderr)
    judged = score(files, classifier, load_gate(), enforce=not options.no_gate)
    rows = track(judged, "Judging", len(files))
    unreadable = 0
    for line, row in FORMATS[options.format](rows):
        print(line)
        unreadable += row is not None and row.status == "unreadable"
    return BAD_DATA if unreadable else 0


def _add_evaluate(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("evaluate", help="measure a model on labelled radiographs")
    parser.add_argument("model", help="a model's name, or the path of a .keras or .h5 file")
    _add_data_options(parser)
    parser.add_argument(
        "--split",
        default="test",
        help="test (default), train, val, all (a folder without splits) or holdout (the patients "
        "of train and val that training validates on)",
    )
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder for the files")
    parser.add_argument(
        "--record",
        action="store_true",
        help="keep the figures in the model's JSON; a look at a test split goes into the ledger",
    )
    parser.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> int:
    try:
        from xray_classifier import evaluation, records
    except ModuleNotFoundError as error:
        raise _missing_package(error, "requirements-dev.txt") from error
    from xray_classifier.loading import load_classifier

    samples = evaluation.samples_of_split(options.data, options.split, _patients(options))
    classifier = load_classifier(options.model)
    result = evaluation.evaluate(samples, classifier)
    evaluation.write_evaluation(result, options.data, options.out)
    print(records.describe(result.summary))
    print(f"Figures, plots and probabilities are in {options.out}/", file=sys.stderr)
    if options.record:
        records.record(classifier.spec, options.data, options.split, result.summary)
    return 0


def _add_train(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("train", help="train a model")
    recipes = parser.add_subparsers(required=True, metavar="RECIPE")
    for name, about in TRAINABLE.items():
        recipe = recipes.add_parser(name, help=about)
        _add_data_options(recipe)
        recipe.add_argument("--out", type=Path, required=True, help="folder for the model")
        recipe.add_argument("--seed", type=int, default=1)
        recipe.set_defaults(run=_train, recipe=name)

    gate = recipes.add_parser("gate", help="what tells children's chests from everything else")
    _add_data_options(gate)
    gate.add_argument("--adults", type=Path, required=True, help="folder of adult chests")
    gate.add_argument("--other", type=Path, required=True, help="folder of what is no radiograph")
    gate.add_argument(
        "--unseen", type=Path, nargs="*", default=[], help="folders of kinds to measure it on"
    )
    gate.add_argument("--out", type=Path, required=True, help="folder for the gate")
    gate.add_argument("--seed", type=int, default=1)
    gate.set_defaults(run=_train_gate)


def _train_gate(options: argparse.Namespace) -> int:
    try:
        from xray_classifier import gate_training
    except ModuleNotFoundError as error:
        raise _missing_package(error, "requirements-train.txt") from error

    print(
        gate_training.train_gate(
            options.data, options.adults, options.other, options.unseen, options.out, options.seed
        )
    )
    return 0


def _train(options: argparse.Namespace) -> int:
    from xray_classifier.recipes import RECIPES
    from xray_classifier.training import train

    recipe = RECIPES[options.recipe]
    print(train(recipe, options.data, options.out, options.seed, _patients(options)))
    return 0


def _add_data(commands: Commands[argparse.ArgumentParser]) -> None:
    from xray_classifier.kaggle_data import DATASETS

    actions = commands.add_parser("data", help="fetch, check or look at a data set")
    subcommands = actions.add_subparsers(required=True, metavar="ACTION")

    fetch = subcommands.add_parser("download", help="fetch the article's data set from Kaggle")
    fetch.add_argument("--dest", type=Path, required=True, help="a new folder")
    fetch.add_argument("--dataset", choices=DATASETS, default=DATASETS[0])
    fetch.set_defaults(run=_data_download)

    check = subcommands.add_parser("check", help="count, and look for leaks between splits")
    _add_folder_argument(check)
    check.set_defaults(run=_data_check)

    show = subcommands.add_parser("show", help="draw a grid of augmented training images")
    _add_folder_argument(show)
    show.add_argument("--out", type=Path, default=Path("augmented.png"), help="a PNG file")
    show.add_argument("--seed", type=int, default=1)
    show.set_defaults(run=_data_show)


def _data_download(options: argparse.Namespace) -> int:
    from xray_classifier.kaggle_data import download

    download(options.dataset, options.dest)
    print(options.dest)
    return 0


def _data_check(options: argparse.Namespace) -> int:
    from xray_classifier.dataset_check import check
    from xray_classifier.datasets import find_samples

    found = check(find_samples(options.data, _patients(options)))
    print(found.report())
    return 0 if found.passed else BAD_DATA


def _data_show(options: argparse.Namespace) -> int:
    from xray_classifier.augmented_grid import draw
    from xray_classifier.datasets import find_samples, select
    from xray_classifier.files import replace_atomically

    samples = select(find_samples(options.data, _patients(options)), "train", "val", "all")
    figure = draw(samples, options.seed)
    with replace_atomically(options.out) as path:
        figure.savefig(path, format="png")
    print(options.out)
    return 0


def _add_summary(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("summary", help="print a model's layers, or draw them")
    _add_model_option(parser)
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the architecture")
    parser.set_defaults(run=_summary)


def _summary(options: argparse.Namespace) -> int:
    from xray_classifier.loading import load_classifier

    model = load_classifier(options.model).model
    model.summary(line_length=80)
    if options.plot:
        try:
            import visualkeras
        except ModuleNotFoundError as error:
            raise _missing_package(error, "requirements-dev.txt") from error
        from xray_classifier.files import replace_atomically

        for layer in model.layers:  # visualkeras 0.2 reads what Keras 3 no longer has
            layer.output_shape = layer.output.shape
        with replace_atomically(options.plot) as path:
            visualkeras.layered_view(
                model, legend=True, legend_text_spacing_offset=0, to_file=str(path)
            )
        print(options.plot)
    return 0


def _add_report(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("report", help="write the recorded figures into the README")
    parser.set_defaults(run=_report)


def _report(_options: argparse.Namespace) -> int:
    try:
        from xray_classifier import reporting
    except ModuleNotFoundError as error:
        raise _missing_package(error, "requirements-dev.txt") from error
    reporting.update_readme()
    return 0


def _add_model_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        metavar="NAME|PATH",
        help=f"a model in model/ (default: {DEFAULT_MODEL}), or a .keras or .h5 file",
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


def _patients(options: argparse.Namespace) -> dict[str, str] | None:
    from xray_classifier.datasets import read_patients

    return read_patients(options.patients) if options.patients else None


def _missing_package(error: ModuleNotFoundError, requirements: str) -> DatasetError:
    return DatasetError(
        f"The package {error.name} is missing. Install it: pip install -r {requirements}"
    )
