"""What the commands do: options to what is printed and written, and the exit status.

What only one command needs is imported there, so that the others start without it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from xray_classifier.errors import DatasetError, UnreadableImageError
from xray_classifier.pipeline import Choices

if TYPE_CHECKING:
    from pyarrow import Table

    from xray_classifier.archive_run import ArchiveRun
    from xray_classifier.archive_scoring import Order

BAD_DATA = 1
BASELINE = "article"
"""Every other model is compared with this one, where it is there."""


def predict(options: argparse.Namespace) -> int:
    """Judge files, one row each."""
    if options.engine != "ray" and (options.address or options.workers):
        raise DatasetError("--workers and --address are for --engine ray: give that, too.")
    if options.out:
        return _predict_archive(options)
    if options.engine == "ray":
        raise DatasetError("--engine ray writes its rows to a file: give --out results.parquet.")
    from xray_classifier.gate import load_gate
    from xray_classifier.loading import load_classifier
    from xray_classifier.progress import track
    from xray_classifier.scoring import list_files, score
    from xray_classifier.sources import count, sources_of_files
    from xray_classifier.tables import FORMATS

    try:
        files = list_files(options.paths)
    except FileNotFoundError as error:
        raise _missing_file(error) from error
    classifier = load_classifier(options.model)
    for remark in classifier.remarks:
        print(f"note: {remark}", file=sys.stderr)
    judged = score(files, classifier, load_gate(), _choices(options))
    rows = track(judged, "Judging", count(sources_of_files(files)))
    unreadable = 0
    for line, row in FORMATS[options.format](rows):
        print(line)
        unreadable += row is not None and row.status == "unreadable"
    return BAD_DATA if unreadable else 0


def _predict_archive(options: argparse.Namespace) -> int:
    """Write the rows to a file, from where an interrupted run left it."""
    from xray_classifier import archive_run, archive_scoring
    from xray_classifier.locations import list_locations
    from xray_classifier.progress import track_groups

    order = archive_scoring.Order(
        options.model, not options.no_gate, options.operating_point, options.pretest
    )
    facts = archive_scoring.describe_order(order)
    run = archive_run.ArchiveRun(options.out, {"paths": options.paths, **facts})
    if run.is_whole:
        print(f"note: {run.out} was whole; delete it to judge the files anew.", file=sys.stderr)
    else:
        try:
            run.begin(list_locations(options.paths))
        except FileNotFoundError as error:
            raise _missing_file(error) from error
        judged = _judge_archive(order, run, options)
        run.write(track_groups(judged, "Judging", run.total, run.done))
    run.finish()
    counts = archive_run.count_verdicts(run.out)
    print(f"{run.out}: {counts.total()} rows")
    for (status, verdict), rows in sorted(counts.items()):
        print(f"{status:12}{verdict:12}{rows:>12}")
    return BAD_DATA if any(status == "unreadable" for status, _ in counts) else 0


def _judge_archive(order: Order, run: ArchiveRun, options: argparse.Namespace) -> Iterator[Table]:
    """Start the engine that was asked for."""
    if options.engine == "ray":
        try:
            from xray_classifier.ray_engine import judge
        except ModuleNotFoundError as error:
            raise _missing_package(error, "requirements-ray.txt") from error
        return judge(order, run, options.workers, options.address)
    from xray_classifier.archive_scoring import BATCH_ROWS, Scorer

    scorer = Scorer(order)
    for remark in scorer.classifier.remarks:
        print(f"note: {remark}", file=sys.stderr)
    return map(scorer, run.waiting(BATCH_ROWS))


def evaluate(options: argparse.Namespace) -> int:
    """Measure a model on a split, and keep the figures if asked to."""
    try:
        from xray_classifier import evaluation, records, review
        from xray_classifier.robustness import robustness
    except ModuleNotFoundError as error:
        raise _missing_package(error, "requirements-dev.txt") from error
    from xray_classifier.gate import load_gate
    from xray_classifier.loading import load_classifier, model_names

    samples = evaluation.samples_of_split(options.data, options.split, _patients(options))
    classifier = load_classifier(options.model)
    result = evaluation.evaluate(samples, classifier)
    found = result.summary | review.review(result, classifier.spec, load_gate())
    baseline = options.baseline or (BASELINE if BASELINE in model_names() else None)
    if baseline and baseline != classifier.spec.name:
        its = evaluation.evaluate(samples, load_classifier(baseline))
        found["compared"] = review.against(result, its, baseline)
    if options.robustness:
        found["robustness"] = robustness(samples, classifier)
    evaluation.write_evaluation(result, found, options.data, options.out)
    print(records.describe(found))
    print(f"Figures, plots and probabilities are in {options.out}/", file=sys.stderr)
    if options.record:
        records.record(classifier.spec, options.data, options.split, found)
    return 0


def cross_validate(options: argparse.Namespace) -> int:
    """Train a recipe fold by fold."""
    from xray_classifier import cross_validation
    from xray_classifier.recipes import RECIPES

    print(
        cross_validation.cross_validate(
            RECIPES[options.recipe],
            options.data,
            options.out,
            options.seed,
            options.folds,
            _patients(options),
        )
    )
    return 0


def calibrate(options: argparse.Namespace) -> int:
    """Calibrate a model and fit its operating points."""
    try:
        from xray_classifier import calibrating
    except ModuleNotFoundError as error:
        raise _missing_package(error, "requirements-dev.txt") from error
    print(calibrating.calibrate(options.model, options.answers, options.out))
    return 0


def stress(options: argparse.Namespace) -> int:
    """Measure what changes a model's answers that should not."""
    try:
        from xray_classifier import evaluation
        from xray_classifier import stress as stressing
    except ModuleNotFoundError as error:
        raise _missing_package(error, "requirements-dev.txt") from error
    from xray_classifier.loading import load_classifier

    if options.split == "test":
        raise DatasetError(
            "A test split is for `evaluate` only: a model is chosen by what stress shows. Take "
            "--split holdout."
        )
    samples = evaluation.samples_of_split(options.data, options.split, _patients(options))
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


def explain(options: argparse.Namespace) -> int:
    """Draw the heatmap of one image beside the image."""
    from xray_classifier import explanation, plots
    from xray_classifier.decoding import decode
    from xray_classifier.files import replace_atomically
    from xray_classifier.gate import load_gate
    from xray_classifier.loading import load_classifier
    from xray_classifier.pipeline import classify_radiograph
    from xray_classifier.preprocessing import preprocess

    data = _read_image(options.file)
    try:
        radiograph = decode(data)
    except UnreadableImageError as error:
        print(f"error: {options.file}: {error}", file=sys.stderr)
        return BAD_DATA
    classifier = load_classifier(options.model)
    result = classify_radiograph(radiograph, classifier, load_gate(), Choices(enforce=False))
    for note in (*classifier.remarks, *result.warnings):
        print(f"note: {note}", file=sys.stderr)
    heatmap = explanation.Explainer(classifier).heatmap(preprocess(radiograph.image))
    shown = explanation.shrink(radiograph.image)
    figure = plots.explanation(
        shown,
        explanation.overlay(shown, heatmap, options.opacity),
        explanation.heading(result, classifier.spec),
        explanation.caveat(heatmap, classifier.spec),
    )
    with replace_atomically(options.out) as path:
        figure.savefig(path, format="png", dpi=120)
    print(options.out)
    return 0


def explain_check(options: argparse.Namespace) -> int:
    """Measure whether heatmaps show what the model looks at; 1 if they do not."""
    try:
        from xray_classifier import explanation_check
        from xray_classifier.evaluation import HOLDOUT, samples_of_split
    except ModuleNotFoundError as error:
        raise _missing_package(error, "requirements-dev.txt") from error
    from xray_classifier.files import replace_atomically
    from xray_classifier.loading import load_classifier

    samples = samples_of_split(options.data, HOLDOUT, _patients(options))
    figures = explanation_check.check(samples, load_classifier(options.model), options.images)
    print(explanation_check.describe(figures))
    if options.out:
        with replace_atomically(options.out) as path:
            path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0 if figures["passed"] else BAD_DATA


def study(options: argparse.Namespace) -> int:
    """Write a report on one image."""
    from datetime import UTC, datetime

    from xray_classifier.decoding import decode
    from xray_classifier.explanation import Explainer
    from xray_classifier.files import replace_atomically
    from xray_classifier.gate import load_gate
    from xray_classifier.loading import load_classifier
    from xray_classifier.pipeline import classify_radiograph
    from xray_classifier.study_export import check_request, export
    from xray_classifier.study_report import StudyReport

    data = _read_image(options.file)
    ending = check_request(options.out.name, data, options.keep_identity)
    try:
        radiograph = decode(data)
    except UnreadableImageError as error:
        print(f"error: {options.file}: {error}", file=sys.stderr)
        return BAD_DATA
    classifier = load_classifier(options.model)
    result = classify_radiograph(radiograph, classifier, load_gate(), _choices(options))
    for note in (*classifier.remarks, *result.warnings):
        print(f"note: {note}", file=sys.stderr)
    name = options.file.name if options.with_file_name else ""
    report = StudyReport(result, classifier.spec, datetime.now(UTC), file_name=name)
    source = data if options.keep_identity else None
    content = export(report, ending, lambda: Explainer(classifier), source)
    with replace_atomically(options.out) as path:
        path.write_bytes(content)
    print(options.out)
    return 0


def train(options: argparse.Namespace) -> int:
    """Train a model by its recipe."""
    from xray_classifier import training
    from xray_classifier.recipes import RECIPES

    recipe = RECIPES[options.recipe]
    print(training.train(recipe, options.data, options.out, options.seed, _patients(options)))
    return 0


def train_gate(options: argparse.Namespace) -> int:
    """Fit the gate, and measure it."""
    from xray_classifier.gate_training import train_gate as fit_gate

    target = fit_gate(
        options.data, options.adults, options.other, options.unseen, options.out, options.seed
    )
    print(target)
    return 0


def data_download(options: argparse.Namespace) -> int:
    """Fetch a data set from Kaggle."""
    from xray_classifier.kaggle_data import download

    download(options.dataset, options.dest)
    print(options.dest)
    return 0


def data_check(options: argparse.Namespace) -> int:
    """Count a data set, and look for leaks."""
    from xray_classifier.dataset_check import check
    from xray_classifier.datasets import find_samples

    found = check(find_samples(options.data, _patients(options)))
    print(found.report())
    return 0 if found.passed else BAD_DATA


def data_show(options: argparse.Namespace) -> int:
    """Draw augmented training images."""
    from xray_classifier.augmented_grid import draw
    from xray_classifier.datasets import find_samples, select
    from xray_classifier.files import replace_atomically

    samples = select(find_samples(options.data, _patients(options)), "train", "val", "all")
    figure = draw(samples, options.seed)
    with replace_atomically(options.out) as path:
        figure.savefig(path, format="png")
    print(options.out)
    return 0


def summary(options: argparse.Namespace) -> int:
    """Print a model's layers, or draw them too."""
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


def report(_options: argparse.Namespace) -> int:
    """Write the recorded figures into the README."""
    try:
        from xray_classifier import reporting
    except ModuleNotFoundError as error:
        raise _missing_package(error, "requirements-dev.txt") from error
    reporting.update_readme()
    return 0


def spread(options: argparse.Namespace) -> int:
    """Measure models that differ in their seed only."""
    try:
        from xray_classifier import evaluation
        from xray_classifier import spread as spreading
    except ModuleNotFoundError as error:
        raise _missing_package(error, "requirements-dev.txt") from error

    samples = evaluation.samples_of_split(options.data, evaluation.HOLDOUT, _patients(options))
    spreading.write_spread(spreading.measure_spread(samples, options.models), options.out)
    print(options.out)
    return 0


def card(_options: argparse.Namespace) -> int:
    """Write the model card."""
    try:
        from xray_classifier import model_card
    except ModuleNotFoundError as error:
        raise _missing_package(error, "requirements-dev.txt") from error
    print(model_card.write_card())
    return 0


def _choices(options: argparse.Namespace) -> Choices:
    return Choices(options.operating_point, options.pretest, enforce=not options.no_gate)


def _read_image(path: Path) -> bytes:
    from xray_classifier.sources import read_image_file

    if not path.is_file():
        raise DatasetError(f"There is no file {path}. Check the path.")
    return read_image_file(path)


def _patients(options: argparse.Namespace) -> dict[str, str] | None:
    from xray_classifier.datasets import read_patients

    return read_patients(options.patients) if options.patients else None


def _missing_file(error: FileNotFoundError) -> DatasetError:
    return DatasetError(f"There is no file or folder {error}. Check the path.")


def _missing_package(error: ModuleNotFoundError, requirements: str) -> DatasetError:
    return DatasetError(
        f"The package {error.name} is missing. Install it: pip install -r {requirements}"
    )
