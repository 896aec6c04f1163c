"""Commands that judge images: `predict`, `explain`, `study`; and `summary` of a model.

What only one command needs is imported there, so that the others start without it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from xray_classifier.cli.options import (
    BAD_DATA,
    Group,
    add_choice_options,
    add_model_option,
    choices_of,
    missing_file,
    missing_package,
    read_image,
)
from xray_classifier.errors import DatasetError, UnreadableImageError

if TYPE_CHECKING:
    from pyarrow import Table

    from xray_classifier.batch.job import PredictionJob
    from xray_classifier.batch.resumable_run import ArchiveRun


def add_commands(group: Group) -> None:
    """Describe these commands and their options."""
    _add_predict(group)
    _add_explain(group)
    _add_study(group)
    _add_summary(group)


def _add_predict(group: Group) -> None:
    from xray_classifier.batch.formats import FORMATS

    parser = group.add_parser("predict", help="judge image files, folders and ZIP archives")
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="an image, or a folder or ZIP archive of them; with --out also a pattern in quotes, "
        "or a URI",
    )
    add_model_option(parser)
    parser.add_argument("--format", choices=sorted(FORMATS), default="table")
    add_choice_options(parser)
    _add_archive_options(parser)
    parser.set_defaults(run=predict)


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


def _add_explain(group: Group) -> None:
    from xray_classifier.inference.heatmap import OPACITY

    parser = group.add_parser("explain", help="draw where the model saw pneumonia in an image")
    parser.add_argument("file", type=Path, metavar="FILE", help="an image")
    parser.add_argument("--out", type=Path, required=True, metavar="PNG", help="shows the patient")
    add_model_option(parser)
    parser.add_argument(
        "--opacity", type=_opacity, default=OPACITY, help=f"0 to 1 (default: {OPACITY})"
    )
    parser.set_defaults(run=explain)


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
    add_model_option(parser)
    add_choice_options(parser)
    parser.add_argument(
        "--with-file-name", action="store_true", help="name the image's file in the report"
    )
    parser.add_argument(
        "--keep-identity",
        action="store_true",
        help="copy name and identifiers of the patient from a DICOM file to the DICOM report",
    )
    parser.set_defaults(run=study)


def _add_summary(group: Group) -> None:
    parser = group.add_parser("summary", help="print a model's layers, or draw them")
    add_model_option(parser)
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the architecture")
    parser.set_defaults(run=summary)


def _opacity(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def _worker_count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is too few; give 1 or more")
    return value


def predict(options: argparse.Namespace) -> int:
    """Judge files, one row each."""
    if options.engine != "ray" and (options.address or options.workers):
        raise DatasetError("--workers and --address are for --engine ray: give that, too.")
    if options.out:
        return _predict_archive(options)
    if options.engine == "ray":
        raise DatasetError("--engine ray writes its rows to a file: give --out results.parquet.")
    from xray_classifier.batch.formats import FORMATS
    from xray_classifier.batch.scoring import score
    from xray_classifier.inputs.listing import list_files
    from xray_classifier.inputs.sources import count, sources_of_files
    from xray_classifier.models.gate import load_gate
    from xray_classifier.models.loading import load_classifier
    from xray_classifier.progress import can_be_seen, track

    try:
        files = list_files(options.paths)
    except FileNotFoundError as error:
        raise missing_file(error) from error
    classifier = load_classifier(options.model)
    for remark in classifier.remarks:
        print(f"note: {remark}", file=sys.stderr)
    judged = score(files, classifier, load_gate(), choices_of(options))
    total = count(sources_of_files(files)) if can_be_seen() else None  # opens every file and ZIP
    rows = track(judged, "Judging", total)
    unreadable = 0
    for line, row in FORMATS[options.format](rows):
        print(line)
        unreadable += row is not None and row.status == "unreadable"
    return BAD_DATA if unreadable else 0


def _predict_archive(options: argparse.Namespace) -> int:
    """Write the rows to a file, from where an interrupted run left it."""
    from xray_classifier.batch import job, resumable_run
    from xray_classifier.inputs.locations import list_locations
    from xray_classifier.progress import track_groups

    order = job.PredictionJob(
        options.model, not options.no_gate, options.operating_point, options.pretest
    )
    facts = job.describe_job(order)
    run = resumable_run.ArchiveRun(options.out, {"paths": options.paths, **facts})
    if run.is_whole:
        print(f"note: {run.out} was whole; delete it to judge the files anew.", file=sys.stderr)
    else:
        try:
            run.begin(list_locations(options.paths))
        except FileNotFoundError as error:
            raise missing_file(error) from error
        judged = _judge_archive(order, run, options)
        run.write(track_groups(judged, "Judging", run.total, run.done))
    run.finish()
    counts = resumable_run.count_verdicts(run.out)
    print(f"{run.out}: {counts.total()} rows")
    for (status, verdict), rows in sorted(counts.items()):
        print(f"{status:12}{verdict:12}{rows:>12}")
    return BAD_DATA if any(status == "unreadable" for status, _ in counts) else 0


def _judge_archive(
    order: PredictionJob, run: ArchiveRun, options: argparse.Namespace
) -> Iterator[Table]:
    """Start the engine that was asked for."""
    if options.engine == "ray":
        try:
            from xray_classifier.batch.ray_backend import run_job
        except ModuleNotFoundError as error:
            raise missing_package(error, "requirements-ray.txt") from error
        return run_job(order, run, options.workers, options.address)
    from xray_classifier.batch.job import BATCH_ROWS, Scorer

    scorer = Scorer(order)
    for remark in scorer.classifier.remarks:
        print(f"note: {remark}", file=sys.stderr)
    return map(scorer, run.waiting(BATCH_ROWS))


def explain(options: argparse.Namespace) -> int:
    """Draw the heatmap of one image beside the image."""
    from xray_classifier.evaluation import plots
    from xray_classifier.files import replace_atomically
    from xray_classifier.imaging.preprocessing import preprocess
    from xray_classifier.inference import heatmap as explanation
    from xray_classifier.inference.pipeline import Choices, classify_radiograph
    from xray_classifier.inputs.decoding import decode
    from xray_classifier.models.gate import load_gate
    from xray_classifier.models.loading import load_classifier

    data = read_image(options.file)
    try:
        radiograph = decode(data)
    except UnreadableImageError as error:
        print(f"error: {options.file}: {error}", file=sys.stderr)
        return BAD_DATA
    classifier = load_classifier(options.model)
    result = classify_radiograph(radiograph, classifier, load_gate(), Choices(use_gate=False))
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


def study(options: argparse.Namespace) -> int:
    """Write a report on one image."""
    from datetime import UTC, datetime

    from xray_classifier.files import replace_atomically
    from xray_classifier.inference.heatmap import Explainer
    from xray_classifier.inference.pipeline import classify_radiograph
    from xray_classifier.inputs.decoding import decode
    from xray_classifier.models.gate import load_gate
    from xray_classifier.models.loading import load_classifier
    from xray_classifier.reports.content import CaseReport
    from xray_classifier.reports.export import check_request, export

    data = read_image(options.file)
    ending = check_request(options.out.name, data, options.keep_identity)
    try:
        radiograph = decode(data)
    except UnreadableImageError as error:
        print(f"error: {options.file}: {error}", file=sys.stderr)
        return BAD_DATA
    classifier = load_classifier(options.model)
    result = classify_radiograph(radiograph, classifier, load_gate(), choices_of(options))
    for note in (*classifier.remarks, *result.warnings):
        print(f"note: {note}", file=sys.stderr)
    name = options.file.name if options.with_file_name else ""
    report = CaseReport(result, classifier.spec, datetime.now(UTC), file_name=name)
    source = data if options.keep_identity else None
    content = export(report, ending, lambda: Explainer(classifier), source)
    with replace_atomically(options.out) as path:
        path.write_bytes(content)
    print(options.out)
    return 0


def summary(options: argparse.Namespace) -> int:
    """Print a model's layers, or draw them too."""
    from xray_classifier.models.loading import load_classifier

    model = load_classifier(options.model).model
    model.summary(line_length=80)
    if options.plot:
        try:
            import visualkeras
        except ModuleNotFoundError as error:
            raise missing_package(error, "requirements-dev.txt") from error
        from xray_classifier.files import replace_atomically

        for layer in model.layers:  # visualkeras 0.2 reads what Keras 3 no longer has
            layer.output_shape = layer.output.shape
        with replace_atomically(options.plot) as path:
            visualkeras.layered_view(
                model, legend=True, legend_text_spacing_offset=0, to_file=str(path)
            )
        print(options.plot)
    return 0
