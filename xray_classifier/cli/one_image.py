"""Commands about one image: `explain` draws its heatmap, `case-report` writes a report on it.

What only one command needs is imported there, so that the others start without it.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
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
    show_remarks,
)
from xray_classifier.errors import DatasetError, UnreadableImageError
from xray_classifier.inference.pipeline import Choices, Result, classify_radiograph, read

if TYPE_CHECKING:
    from xray_classifier.imaging.radiograph import Radiograph
    from xray_classifier.models.classifier import Classifier


def add_commands(group: Group) -> None:
    """Describe these commands and their options."""
    _add_explain(group)
    _add_case_report(group)


def _add_explain(group: Group) -> None:
    from xray_classifier.inference.heatmap import OPACITY

    parser = group.add_parser("explain", help="draw where the model saw pneumonia in an image")
    parser.add_argument("file", type=Path, metavar="FILE", help="an image")
    parser.add_argument("--out", type=Path, required=True, metavar="PNG", help="shows the patient")
    add_model_option(parser)
    add_runtime_option(parser)
    parser.add_argument(
        "--opacity",
        type=in_range(float, 0, 1),
        default=OPACITY,
        help=f"0 to 1 (default: {OPACITY})",
    )
    parser.set_defaults(run=explain)


def _add_case_report(group: Group) -> None:
    parser = group.add_parser(
        "case-report",
        help="write a report on one image, as PDF, JSON or DICOM",
    )
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
    add_runtime_option(parser)
    add_choice_options(parser)
    parser.add_argument(
        "--with-file-name", action="store_true", help="name the image's file in the report"
    )
    parser.add_argument(
        "--keep-identity",
        action="store_true",
        help="copy name and identifiers of the patient from a DICOM file to the DICOM report",
    )
    parser.set_defaults(run=case_report)


def explain(options: argparse.Namespace) -> int:
    """Draw the heatmap of one image beside the image."""
    from xray_classifier.evaluation import plots
    from xray_classifier.files import replace_atomically
    from xray_classifier.imaging.preprocessing import preprocess
    from xray_classifier.inference.heatmap import Explainer, caveat, heading, overlay, shrink

    radiograph = _decode(options.file, _read(options.file))
    if radiograph is None:
        return BAD_DATA
    classifier, result = _classify(radiograph, options, Choices(use_gate=False))
    heatmap = Explainer(classifier).heatmap(preprocess(radiograph.image))
    shown = shrink(radiograph.image)
    figure = plots.explanation(
        shown,
        overlay(shown, heatmap, options.opacity),
        heading(result, classifier.spec),
        caveat(heatmap, classifier.spec),
    )
    with replace_atomically(options.out) as path:
        figure.savefig(path, format="png", dpi=120)
    print(options.out)
    return 0


def case_report(options: argparse.Namespace) -> int:
    """Write a report on one image."""
    from xray_classifier.files import replace_atomically
    from xray_classifier.inference.heatmap import Explainer
    from xray_classifier.reports.content import CaseReport
    from xray_classifier.reports.export import check_request, export

    data = _read(options.file)
    ending = check_request(options.out.name, data, options.keep_identity)
    radiograph = _decode(options.file, data)
    if radiograph is None:
        return BAD_DATA
    classifier, result = _classify(radiograph, options, choices_of(options))
    name = options.file.name if options.with_file_name else ""
    report = CaseReport(result, classifier.spec, datetime.now(UTC), file_name=name)
    source = data if options.keep_identity else None
    content = export(report, ending, lambda: Explainer(classifier), source)
    with replace_atomically(options.out) as path:
        path.write_bytes(content)
    print(options.out)
    return 0


def _read(path: Path) -> bytes:
    """Read the file that was named.

    Raises:
        DatasetError: there is none.
    """
    from xray_classifier.inputs.sources import read_image_file

    if not path.is_file():
        raise DatasetError(f"There is no file {path}. Check the path.")
    return read_image_file(path)


def _decode(path: Path, data: bytes) -> Radiograph | None:
    """Decode the file, or say on stderr why that cannot be done."""
    try:
        return read(data)
    except UnreadableImageError as error:
        print(f"error: {path}: {error}", file=sys.stderr)
        return None


def _classify(
    radiograph: Radiograph, options: argparse.Namespace, choices: Choices
) -> tuple[Classifier, Result]:
    """Load the model and let it judge the image; tell on stderr what is to be known about both."""
    from xray_classifier.models.gate import load_gate
    from xray_classifier.models.loading import load_classifier

    classifier = load_classifier(options.model, runtime=options.runtime)
    show_remarks(classifier)
    gate = load_gate(runtime=options.runtime)
    result = classify_radiograph(radiograph, classifier, gate, choices)
    for note in result.warnings:
        print(f"note: {note}", file=sys.stderr)
    return classifier, result
