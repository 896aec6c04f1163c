"""Recorded figures to the README: no figure there is typed by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from xray_classifier.errors import DatasetError
from xray_classifier.files import replace_atomically
from xray_classifier.model_card.benchmarks import (
    BENCHMARKS,
    HARDNESS,
    benchmarks_table,
    hardness_table,
)
from xray_classifier.model_card.facts import adults_sentence, comparison_sentence, shift_sentence
from xray_classifier.model_card.sizing import ARCHIVE, archive_table
from xray_classifier.model_card.tables import NOT_YET, decimal, percent, proportion
from xray_classifier.models.loading import DEFAULT_MODEL, model_names
from xray_classifier.models.spec import read_spec
from xray_classifier.paths import MODEL_FOLDER, REPOSITORY

README = REPOSITORY / "README.md"
START, END = "<!-- results: written by `report` -->", "<!-- end of results -->"
STRESS_START, STRESS_END = "<!-- stress: written by `report` -->", "<!-- end of stress -->"
STRESS_FOLDER = "stress"
BENCHMARKS_START = "<!-- benchmarks: written by `report` -->"
BENCHMARKS_END = "<!-- end of benchmarks -->"
HARDNESS_START, HARDNESS_END = "<!-- hardness: written by `report` -->", "<!-- end of hardness -->"
ARCHIVE_START, ARCHIVE_END = "<!-- archive: written by `report` -->", "<!-- end of archive -->"

# What the article states of its own run on the official test: right verdicts of images; loss.
ARTICLE_COUNTS = {"normal": (190, 234), "pneumonia": (379, 390)}
ARTICLE_LOSS = 0.3132

_HEADING = (
    "| model | data | images (patients) | right | accuracy | sensitivity | specificity | AUC "
    "| loss |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def update_readme(
    readme: Path = README,
    models: Path = MODEL_FOLDER,
    benchmarks: Path = BENCHMARKS,
    archive: Path = ARCHIVE,
    hardness: Path = HARDNESS,
) -> None:
    """Replace each table between its marks.

    Raises:
        DatasetError: the marks are missing.
    """
    text = readme.read_text(encoding="utf-8")
    for start, end, table in (
        (START, END, f"{results_table(models)}\n\n{findings(models)}"),
        (STRESS_START, STRESS_END, stress_table(models)),
        (BENCHMARKS_START, BENCHMARKS_END, benchmarks_table(benchmarks)),
        (ARCHIVE_START, ARCHIVE_END, archive_table(archive)),
        (HARDNESS_START, HARDNESS_END, hardness_table(hardness)),
    ):
        if start not in text or end not in text:
            raise DatasetError(f"{readme} lacks the lines {start} and {end}. Restore them.")
        before, after = text.split(start)[0], text.split(end)[1]
        text = f"{before}{start}\n{table}\n{end}{after}"
    with replace_atomically(readme) as temporary:
        temporary.write_text(text, encoding="utf-8")


def results_table(models: Path = MODEL_FOLDER) -> str:
    """Write every recorded result as a Markdown table, the article's own figures first."""
    rows = [_article_row()]
    for name in model_names(models):
        spec = read_spec(models / f"{name}.json")
        rows += [
            _row(f"{spec.name} ({spec.short_hash})", data, summary)
            for data, summary in sorted(spec.results.items())
        ]
    return "\n".join([_HEADING, *rows])


def findings(models: Path = MODEL_FOLDER) -> str:
    """Say in sentences what the figures of the default model come to."""
    path = models / f"{DEFAULT_MODEL}.json"
    if not path.exists():
        return NOT_YET
    spec = read_spec(path)
    return " ".join([comparison_sentence(spec), shift_sentence(spec), adults_sentence(spec)])


def stress_table(models: Path = MODEL_FOLDER) -> str:
    """Write what `stress` measured for each model as a Markdown table, side by side.

    Raises:
        DatasetError: a report is that of another model file.
    """
    reports = _stress_reports(models)
    if not reports:
        return NOT_YET
    first = next(iter(reports.values()))
    heading = [
        f"what was changed ({first['images']:,} images)",
        *(f"{name}: change, other verdicts" for name in reports),
    ]
    lines = [heading, ["---"] * len(heading)]
    for change in first["perturbations"]:
        cells = (_changes(report["perturbations"][change]) for report in reports.values())
        lines.append([change, *cells])
    for border in first["border_alone"]:
        cells = (f"AUC {decimal(report['border_alone'][border])}" for report in reports.values())
        lines.append([border, *cells])
    if "full_resolution" in first:
        cells = (_changes(report["full_resolution"]) for report in reports.values())
        lines.append([f"full resolution ({first['full_resolution']['images']} images)", *cells])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _stress_reports(models: Path) -> dict[str, dict[str, Any]]:
    reports = {}
    for name in model_names(models):
        path = models / STRESS_FOLDER / f"{name}.json"
        if not path.exists():
            continue
        report = json.loads(path.read_text(encoding="utf-8"))
        if report["sha256"] != read_spec(models / f"{name}.json").sha256:
            raise DatasetError(f"{path} is about another file than {name}. Run `stress` again.")
        reports[name] = report
    return reports


def _changes(found: dict[str, list[float]]) -> str:
    return f"{decimal(found['mean_change'])}, {percent(found['verdicts_changed'])}"


def _article_row() -> str:
    right = sum(right for right, _ in ARTICLE_COUNTS.values())
    images = sum(images for _, images in ARTICLE_COUNTS.values())
    cells = [
        "the article, as published",
        "its own full-resolution test images",
        f"{images}",
        f"{right}",
        proportion(right, images),
        proportion(*ARTICLE_COUNTS["pneumonia"]),
        proportion(*ARTICLE_COUNTS["normal"]),
        "-",
        f"{ARTICLE_LOSS}",
    ]
    return f"| {' | '.join(cells)} |"


def _row(model: str, data: str, summary: dict[str, Any]) -> str:
    figures = summary["figures"]
    percents = (percent(figures[name]) for name in ("accuracy", "sensitivity", "specificity"))
    right = summary["confusion"][0][0] + summary["confusion"][1][1]
    cells = [
        model,
        data,
        f"{summary['images']} ({summary['patients']})",
        f"{right}",
        *percents,
        decimal(figures["auc"], 4),
        decimal(figures["loss"], 4),
    ]
    return f"| {' | '.join(cells)} |"
