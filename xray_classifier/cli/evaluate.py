"""Commands that measure models, and write down what was found.

What only one command needs is imported there, so that the others start without it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from xray_classifier.cli.options import (
    BAD_DATA,
    Group,
    add_data_options,
    add_model_argument,
    add_model_option,
    add_split_option,
    missing_package,
    patients_of,
)
from xray_classifier.errors import DatasetError

BASELINE = "article"
"""Every other model is compared with this one, where it is there."""


def add_commands(group: Group) -> None:
    """Describe these commands and their options."""
    _add_evaluate(group)
    _add_stress(group)
    _add_explain_check(group)
    _add_spread(group)
    _add_report(group)
    _add_card(group)


def _add_evaluate(group: Group) -> None:
    parser = group.add_parser("evaluate", help="measure a model on labelled radiographs")
    add_model_argument(parser)
    add_data_options(parser)
    add_split_option(parser, "test")
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
    parser.set_defaults(run=evaluate)


def _add_stress(group: Group) -> None:
    parser = group.add_parser(
        "stress", help="measure what a model makes of changes that leave the lungs as they were"
    )
    add_model_argument(parser)
    add_data_options(parser)
    add_split_option(parser, "holdout")
    parser.add_argument(
        "--full-resolution",
        type=Path,
        metavar="DIR",
        help="the same radiographs, under the same names, at full resolution: compare with them",
    )
    parser.add_argument("--out", type=Path, metavar="JSON", help="write the figures to this file")
    parser.set_defaults(run=stress)


def _add_explain_check(group: Group) -> None:
    parser = group.add_parser(
        "explain-check", help="measure whether heatmaps show what the model looks at"
    )
    add_data_options(parser)
    add_model_option(parser)
    parser.add_argument("--images", type=_image_count, default=50, help="how many (default: 50)")
    parser.add_argument("--out", type=Path, metavar="JSON", help="a file for the figures")
    parser.set_defaults(run=explain_check)


def _add_spread(group: Group) -> None:
    parser = group.add_parser(
        "spread", help="measure models that differ in their seed only, on the hold-out"
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="names or .keras files")
    add_data_options(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="JSON", help="for the figures")
    parser.set_defaults(run=spread)


def _add_report(group: Group) -> None:
    parser = group.add_parser("report", help="write the recorded figures into the README and docs/")
    parser.set_defaults(run=report)


def _add_card(group: Group) -> None:
    parser = group.add_parser("card", help="write model/MODEL_CARD.md from what was measured")
    parser.set_defaults(run=card)


def _image_count(text: str) -> int:
    value = int(text)
    if value < 2:  # a paired test needs some
        raise argparse.ArgumentTypeError(f"{text} is too few; give 2 or more")
    return value


def evaluate(options: argparse.Namespace) -> int:
    """Measure a model on a split, and keep the figures if asked to."""
    try:
        from xray_classifier.evaluation import error_analysis, ledger
        from xray_classifier.evaluation import evaluate as evaluation
        from xray_classifier.evaluation.robustness import robustness
    except ModuleNotFoundError as error:
        raise missing_package(error, "requirements-dev.txt") from error
    from xray_classifier.models.gate import load_gate
    from xray_classifier.models.loading import load_classifier, model_names

    samples = evaluation.samples_of_split(options.data, options.split, patients_of(options))
    classifier = load_classifier(options.model)
    result = evaluation.evaluate(samples, classifier)
    found = result.summary | error_analysis.review(result, classifier.spec, load_gate())
    baseline = options.baseline or (BASELINE if BASELINE in model_names() else None)
    if baseline and baseline != classifier.spec.name:
        its = evaluation.evaluate(samples, load_classifier(baseline))
        found["compared"] = error_analysis.against(result, its, baseline)
    if options.robustness:
        found["robustness"] = robustness(samples, classifier)
    evaluation.write_evaluation(result, found, options.data, options.out)
    print(ledger.describe(found))
    print(f"Figures, plots and probabilities are in {options.out}/", file=sys.stderr)
    if options.record:
        ledger.record(classifier.spec, options.data, options.split, found)
    return 0


def stress(options: argparse.Namespace) -> int:
    """Measure what changes a model's answers that should not."""
    try:
        from xray_classifier.evaluation import evaluate as evaluation
        from xray_classifier.evaluation import stress as stressing
    except ModuleNotFoundError as error:
        raise missing_package(error, "requirements-dev.txt") from error
    from xray_classifier.models.loading import load_classifier

    if options.split == "test":
        raise DatasetError(
            "A test split is for `evaluate` only: a model is chosen by what stress shows. Take "
            "--split holdout."
        )
    samples = evaluation.samples_of_split(options.data, options.split, patients_of(options))
    classifier = load_classifier(options.model)
    pairs = {}
    if options.full_resolution:  # first: it is quick to say that the folder is a wrong one
        found = stressing.compare_resolutions(samples, options.full_resolution, classifier)
        pairs["full_resolution"] = found
    report = stressing.stress(samples, classifier) | pairs
    print(stressing.describe(report))
    if options.out:
        identity = stressing.identify(samples, classifier.spec, options.data, options.split)
        stressing.write(identity | report, options.out)
    return 0


def explain_check(options: argparse.Namespace) -> int:
    """Measure whether heatmaps show what the model looks at; 1 if they do not."""
    try:
        from xray_classifier.evaluation import saliency_checks
        from xray_classifier.evaluation.evaluate import HOLDOUT, samples_of_split
    except ModuleNotFoundError as error:
        raise missing_package(error, "requirements-dev.txt") from error
    from xray_classifier.files import replace_atomically
    from xray_classifier.models.loading import load_classifier

    samples = samples_of_split(options.data, HOLDOUT, patients_of(options))
    figures = saliency_checks.check(samples, load_classifier(options.model), options.images)
    print(saliency_checks.describe(figures))
    if options.out:
        with replace_atomically(options.out) as path:
            path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0 if figures["passed"] else BAD_DATA


def spread(options: argparse.Namespace) -> int:
    """Measure models that differ in their seed only."""
    try:
        from xray_classifier.evaluation import evaluate as evaluation
        from xray_classifier.evaluation import seeds as spreading
    except ModuleNotFoundError as error:
        raise missing_package(error, "requirements-dev.txt") from error

    samples = evaluation.samples_of_split(options.data, evaluation.HOLDOUT, patients_of(options))
    spreading.write_spread(spreading.measure_spread(samples, options.models), options.out)
    print(options.out)
    return 0


def report(_options: argparse.Namespace) -> int:
    """Write the recorded figures into the README and docs/."""
    try:
        from xray_classifier.model_card import readme
    except ModuleNotFoundError as error:
        raise missing_package(error, "requirements-dev.txt") from error
    readme.update_docs()
    return 0


def card(_options: argparse.Namespace) -> int:
    """Write the model card."""
    try:
        from xray_classifier.model_card import card as model_card
    except ModuleNotFoundError as error:
        raise missing_package(error, "requirements-dev.txt") from error
    print(model_card.write_card())
    return 0
