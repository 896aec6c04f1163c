"""The command `predict`: many files to a row each, printed or written to an archive's file.

What only some commands need is imported late, so that the others start without it.
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
    add_runtime_option,
    choices_of,
    in_range,
    missing_file,
    needs,
    show_remarks,
)
from xray_classifier.errors import DatasetError

if TYPE_CHECKING:
    from pyarrow import Table

    from xray_classifier.batch.job import PredictionJob
    from xray_classifier.batch.resumable_run import ArchiveRun
    from xray_classifier.models.classifier import Classifier


def add_commands(group: Group) -> None:
    """Describe the command and its options."""
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
    add_runtime_option(parser)
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
        "--workers",
        type=in_range(int, 1),
        help="processes that judge on Ray (default: one a core)",
    )


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
    classifier = load_classifier(options.model, runtime=options.runtime)
    _show_remarks(classifier)
    gate = load_gate(runtime=options.runtime)
    judged = score(files, classifier, gate, choices_of(options))
    total = count(sources_of_files(files)) if can_be_seen() else None  # opens every file and ZIP
    rows = track(judged, "Judging", total)
    unreadable = 0
    for line, row in FORMATS[options.format](rows):
        print(line)
        unreadable += row is not None and row.status == "unreadable"
    return BAD_DATA if unreadable else 0


def _predict_archive(options: argparse.Namespace) -> int:
    """Write the rows to a file, from where an interrupted run left it."""
    from xray_classifier.batch.job import PredictionJob, describe_job
    from xray_classifier.batch.resumable_run import ArchiveRun, count_verdicts
    from xray_classifier.inputs.locations import list_locations
    from xray_classifier.progress import track_groups

    job = PredictionJob(
        options.model,
        not options.no_gate,
        options.operating_point,
        options.pretest,
        options.runtime,
    )
    run = ArchiveRun(options.out, {"paths": options.paths, **describe_job(job)})
    if run.is_whole:
        print(f"note: {run.out} was whole; delete it to judge the files anew.", file=sys.stderr)
    else:
        try:
            run.begin(list_locations(options.paths))
        except FileNotFoundError as error:
            raise missing_file(error) from error
        judged = _start_engine(job, run, options)
        run.write(track_groups(judged, "Judging", run.total, run.done))
    run.finish()
    counts = count_verdicts(run.out)
    print(f"{run.out}: {counts.total()} rows")
    for (status, verdict), rows in sorted(counts.items()):
        print(f"{status:12}{verdict:12}{rows:>12}")
    return BAD_DATA if any(status == "unreadable" for status, _ in counts) else 0


def _show_remarks(classifier: Classifier) -> None:
    """Say on stderr what should be known about the model, and about its columns of etiology."""
    from xray_classifier.inference.etiology import NO_PROOF, etiology_evidence

    show_remarks(classifier)
    facts = classifier.spec.shown_etiology
    if facts:
        print(f"note: bacterial or viral: {NO_PROOF} {etiology_evidence(facts)}", file=sys.stderr)


def _start_engine(
    job: PredictionJob, run: ArchiveRun, options: argparse.Namespace
) -> Iterator[Table]:
    """Judge the waiting files of a run with the engine that was asked for."""
    if options.engine == "ray":
        with needs("requirements-ray.txt"):
            from xray_classifier.batch.ray_backend import run_job
        return run_job(job, run, options.workers, options.address)
    from xray_classifier.batch.job import BATCH_ROWS, Scorer

    scorer = Scorer(job)
    _show_remarks(scorer.classifier)
    return map(scorer, run.waiting(BATCH_ROWS))
