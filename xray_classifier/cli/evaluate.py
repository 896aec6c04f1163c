"""Commands that show and measure models, and write down what was found.

What only one command needs is imported there, so that the others start without it.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from xray_classifier.cli.options import (
    BAD_DATA,
    Group,
    add_data_options,
    add_model_argument,
    add_model_option,
    add_split_option,
    in_range,
    needs,
    patients_of,
)
from xray_classifier.errors import DatasetError
from xray_classifier.models.loading import AS_PUBLISHED
from xray_classifier.records.json_files import write_record


def add_commands(group: Group) -> None:
    """Describe these commands and their options."""
    _add_summary(group)
    _add_evaluate(group)
    _add_stress(group)
    _add_explain_check(group)
    _add_seeds(group)
    _add_update_docs(group)
    _add_card(group)


def _add_summary(group: Group) -> None:
    parser = group.add_parser("summary", help="print a model's layers, or draw them")
    add_model_option(parser)
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the architecture")
    parser.set_defaults(run=summary)


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
        help=f"what to compare with on the same images (default: {AS_PUBLISHED}, if it is there)",
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
    parser.add_argument(
        "--images",
        type=in_range(int, 2),  # a paired test needs some
        default=50,
        help="how many (default: 50)",
    )
    parser.add_argument("--out", type=Path, metavar="JSON", help="a file for the figures")
    parser.set_defaults(run=explain_check)


def _add_seeds(group: Group) -> None:
    parser = group.add_parser(
        "seeds",
        help="measure models that differ in their seed only, on the hold-out",
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="names or .keras files")
    add_data_options(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="JSON", help="for the figures")
    parser.set_defaults(run=seeds)


def _add_update_docs(group: Group) -> None:
    parser = group.add_parser(
        "update-docs",
        help="write the recorded figures into the README and docs/",
    )
    parser.set_defaults(run=update_docs)


def _add_card(group: Group) -> None:
    parser = group.add_parser("card", help="write model/MODEL_CARD.md from what was measured")
    parser.set_defaults(run=card)


def summary(options: argparse.Namespace) -> int:
    """Print a model's layers, or draw them too."""
    from xray_classifier.models.keras_network import keras_model
    from xray_classifier.models.loading import KERAS, load_classifier

    model = keras_model(load_classifier(options.model, runtime=KERAS).network)
    model.summary(line_length=80)
    if options.plot:
        with needs("requirements-train.txt"):
            import visualkeras
        from xray_classifier.files import replace_atomically

        for layer in model.layers:  # visualkeras 0.2 reads what Keras 3 no longer has
            layer.output_shape = layer.output.shape
        with replace_atomically(options.plot) as path:
            visualkeras.layered_view(
                model, legend=True, legend_text_spacing_offset=0, to_file=str(path)
            )
        print(options.plot)
    return 0


def evaluate(options: argparse.Namespace) -> int:
    """Measure a model on a split, and keep the figures if asked to."""
    with needs("requirements-train.txt"):
        from xray_classifier.evaluation import error_analysis, ledger
        from xray_classifier.evaluation import evaluate as evaluation
        from xray_classifier.evaluation.rendering import by_rendering
        from xray_classifier.evaluation.robustness import robustness
        from xray_classifier.rendering.score import read_rendering
    from xray_classifier.models.gate import load_gate
    from xray_classifier.models.loading import KERAS, load_classifier, model_names

    samples = evaluation.samples_of_split(options.data, options.split, patients_of(options))
    classifier = load_classifier(options.model, runtime=KERAS)
    result = evaluation.evaluate(samples, classifier)
    found = error_analysis.review(result, classifier.spec, load_gate(runtime=KERAS))
    rendering = read_rendering()
    if rendering:
        found = replace(
            found, rendering=by_rendering(result, classifier.spec.operating_points, rendering)
        )
    baseline = options.baseline or (AS_PUBLISHED if AS_PUBLISHED in model_names() else None)
    if baseline and baseline != classifier.spec.name:
        its = evaluation.evaluate(samples, load_classifier(baseline, runtime=KERAS))
        found = replace(found, compared=error_analysis.against(result, its, baseline))
    if options.robustness:
        found = replace(found, robustness=robustness(samples, classifier))
    evaluation.write_evaluation(result, found, options.data, options.out)
    print(ledger.describe(found))
    print(f"Figures, plots and probabilities are in {options.out}/", file=sys.stderr)
    if options.record:
        ledger.record(classifier.spec, options.data, options.split, found)
    return 0


def stress(options: argparse.Namespace) -> int:
    """Measure what changes a model's answers that should not."""
    with needs("requirements-train.txt"):
        from xray_classifier.evaluation import evaluate as evaluation
        from xray_classifier.evaluation import stress as stressing
    from xray_classifier.models.loading import KERAS, load_classifier

    if options.split == "test":
        raise DatasetError(
            "A test split is for `evaluate` only: a model is chosen by what stress shows. Take "
            "--split holdout."
        )
    samples = evaluation.samples_of_split(options.data, options.split, patients_of(options))
    classifier = load_classifier(options.model, runtime=KERAS)
    full = None
    if options.full_resolution:  # first: it is quick to say that the folder is a wrong one
        full = stressing.compare_resolutions(samples, options.full_resolution, classifier)
    data = evaluation.data_name(options.data, options.split)
    report = stressing.stress(samples, classifier, data, full)
    print(stressing.describe(report))
    if options.out:
        write_record(report, options.out)
    return 0


def explain_check(options: argparse.Namespace) -> int:
    """Measure whether heatmaps show what the model looks at; 1 if they do not."""
    with needs("requirements-train.txt"):
        from xray_classifier.evaluation import saliency_checks
        from xray_classifier.evaluation.evaluate import HOLDOUT, samples_of_split
    from xray_classifier.models.loading import KERAS, load_classifier

    samples = samples_of_split(options.data, HOLDOUT, patients_of(options))
    classifier = load_classifier(options.model, runtime=KERAS)
    report = saliency_checks.check(samples, classifier, options.images)
    print(saliency_checks.describe(report))
    if options.out:
        write_record(report, options.out)
    return 0 if report.passed else BAD_DATA


def seeds(options: argparse.Namespace) -> int:
    """Measure models that differ in their seed only."""
    with needs("requirements-train.txt"):
        from xray_classifier.evaluation import evaluate as evaluation
        from xray_classifier.evaluation.seeds import measure_seeds

    samples = evaluation.samples_of_split(options.data, evaluation.HOLDOUT, patients_of(options))
    write_record(measure_seeds(samples, options.models), options.out)
    print(options.out)
    return 0


def update_docs(_options: argparse.Namespace) -> int:
    """Write the recorded figures into the README and docs/."""
    with needs("requirements-train.txt"):
        from xray_classifier.model_card import readme
    readme.update_docs()
    return 0


def card(_options: argparse.Namespace) -> int:
    """Write the model card."""
    with needs("requirements-train.txt"):
        from xray_classifier.model_card import card as model_card
    print(model_card.write_card())
    return 0
