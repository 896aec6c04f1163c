"""Recorded figures to the README and the pages of `docs/`: no figure there is typed by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from xray_classifier.errors import DatasetError
from xray_classifier.files import replace_atomically
from xray_classifier.model_card.benchmarks import (
    archive_table,
    benchmarks_table,
    hardness_table,
    host_table,
)
from xray_classifier.model_card.facts import (
    ADULTS,
    HOLDOUT,
    TEST,
    adults_sentence,
    comparison_sentence,
    shift_sentence,
)
from xray_classifier.model_card.markdown import NOT_YET, decimals, percents, proportion, table
from xray_classifier.model_card.rendering import (
    IMAGES,
    NOT_MEASURED,
    image_rows,
    rendering_sentence,
)
from xray_classifier.models.loading import AS_PUBLISHED, DEFAULT_MODEL, model_names
from xray_classifier.models.spec import read_report, read_spec, report_path
from xray_classifier.paths import MODEL_FOLDER, REPOSITORY
from xray_classifier.records.checks import OTHER_RENDERING, Change, StressReport
from xray_classifier.records.evaluation import EvaluationReport, Figures

# What the article states of its own run on the official test: right verdicts of images; loss.
ARTICLE_COUNTS = {"normal": (190, 234), "pneumonia": (379, 390)}
ARTICLE_LOSS = 0.3132

HEADLINE = (
    (AS_PUBLISHED, TEST, "official test set"),
    ("article", TEST, "official test set"),
    (DEFAULT_MODEL, TEST, "official test set"),
    (DEFAULT_MODEL, HOLDOUT, "held-out patients"),
    (DEFAULT_MODEL, ADULTS, "adults of another hospital"),
)
"""The rows of the README's table: model, data, and the data in words."""

_SHARES = ("accuracy", "sensitivity", "specificity")
_HEADING = ("model", "data", "images (patients)", "right", *_SHARES, "AUC", "loss")


def update_docs(root: Path = REPOSITORY, blocks: Mapping[str, Block] | None = None) -> None:
    """Write each block between its marks; where one cannot be written, no page is touched.

    Args:
        root: the folder that the pages are named from.
        blocks: by name; None for `BLOCKS`.

    Raises:
        DatasetError: a page lacks the marks of a block, or a report is of another model file.
    """
    texts: dict[Path, str] = {}
    for name, block in (BLOCKS if blocks is None else blocks).items():
        page = root / block.page
        text = texts[page] if page in texts else page.read_text(encoding="utf-8")
        start, end = marks(name)
        if start not in text or end not in text:
            raise DatasetError(f"{page} lacks the lines {start} and {end}. Restore them.")
        before, after = text.split(start)[0], text.split(end)[1]
        texts[page] = f"{before}{start}\n{block.write()}\n{end}{after}"
    for page, text in texts.items():
        with replace_atomically(page) as temporary:
            temporary.write_text(text, encoding="utf-8")


def marks(name: str) -> tuple[str, str]:
    """Give the lines that a block stands between."""
    return f"<!-- generated: {name} -->", f"<!-- end of {name} -->"


def headline_table(models: Path = MODEL_FOLDER) -> str:
    """Write the few results that the README shows as a Markdown table, the article's first."""
    published = [
        "the article, as published",
        f"official test set, full resolution ({sum(n for _, n in ARTICLE_COUNTS.values())})",
        *_article_proportions(),
        "-",
    ]
    rows = [published]
    for name, data, where in HEADLINE:
        path = models / f"{name}.json"
        found = read_spec(path).results.get(data) if path.exists() else None
        if found:
            place = f"{where} ({found.images:,})"
            auc = decimals(found.figures.auc)
            rows.append([f"`{name}`", place, *_shares(found.figures), auc])
            if name == DEFAULT_MODEL and data in (TEST, HOLDOUT):
                by_rendering = image_rows(found.rendering)
                rows += [[f"`{name}`", f"{where}, {of}", *cells] for of, *cells in by_rendering]
    return table(["model", "measured on (images)", *_SHARES, "AUC"], rows)


def rendering_results(models: Path = MODEL_FOLDER) -> str:
    """Write what each model reaches where rendering does not help; say it of the default one."""
    specs = [read_spec(models / f"{name}.json") for name in model_names(models)]
    rows = [
        [f"{spec.name} ({spec.short_hash})", data, *row]
        for spec in specs
        for data, summary in sorted(spec.results.items())
        if data in (TEST, HOLDOUT) or summary.rendering  # it says nothing about adults
        for row in image_rows(summary.rendering)
    ]
    shown = table(["model", "data", IMAGES, *_SHARES, "AUC"], rows)
    said = [rendering_sentence(spec) for spec in specs if spec.name == DEFAULT_MODEL]
    return "\n\n".join([shown, *said])


def results_table(models: Path = MODEL_FOLDER) -> str:
    """Write every recorded result as a Markdown table, the article's own figures first."""
    rows = [_article_row()]
    for name in model_names(models):
        spec = read_spec(models / f"{name}.json")
        rows += [
            _row(f"{spec.name} ({spec.short_hash})", data, summary)
            for data, summary in sorted(spec.results.items())
        ]
    return table(_HEADING, rows)


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
        f"what was changed ({first.images:,} images)",
        *(f"{name}: change, other verdicts" for name in reports),
    ]
    names = [name for report in reports.values() for name in report.perturbations]
    rows = [
        [name, *(_changes(report.perturbations.get(name)) for report in reports.values())]
        for name in dict.fromkeys([*names, OTHER_RENDERING])
    ]
    rows += [
        [border, *(f"AUC {decimals(report.border_alone[border])}" for report in reports.values())]
        for border in first.border_alone
    ]
    if first.full_resolution:
        name = f"full resolution ({first.full_resolution.images} images)"
        found = (report.full_resolution for report in reports.values())
        rows.append([name, *(_changes(each.change if each else None) for each in found)])
    return table(heading, rows)


def _stress_reports(models: Path) -> dict[str, StressReport]:
    reports = {}
    for name in model_names(models):
        spec = read_spec(models / f"{name}.json")
        report = read_report(StressReport, spec, models)
        path = report_path(StressReport, spec, models)
        if report:
            reports[name] = report
        elif path.exists():
            raise DatasetError(f"{path} is about another file than {name}. Run `stress` again.")
    return reports


def _changes(change: Change | None) -> str:
    if change is None:
        return NOT_MEASURED
    return f"{decimals(change.mean_change)}, {percents(change.verdicts_changed)}"


def _shares(figures: Figures) -> list[str]:
    return [percents(each) for each in (figures.accuracy, figures.sensitivity, figures.specificity)]


def _article_row() -> list[str]:
    right = sum(right for right, _ in ARTICLE_COUNTS.values())
    images = sum(images for _, images in ARTICLE_COUNTS.values())
    return [
        "the article, as published",
        "its own full-resolution test images",
        f"{images}",
        f"{right}",
        *_article_proportions(),
        "-",
        f"{ARTICLE_LOSS}",
    ]


def _article_proportions() -> list[str]:
    right, images = map(sum, zip(*ARTICLE_COUNTS.values(), strict=True))
    counts = ((right, images), ARTICLE_COUNTS["pneumonia"], ARTICLE_COUNTS["normal"])
    return [proportion(*count) for count in counts]


def _row(model: str, data: str, found: EvaluationReport) -> list[str]:
    return [
        model,
        data,
        f"{found.images} ({found.patients})",
        f"{found.confusion.right}",
        *_shares(found.figures),
        decimals(found.figures.auc, 4),
        decimals(found.figures.loss, 4),
    ]


@dataclass(frozen=True)
class Block:
    """What the program writes into a page.

    Attributes:
        page: the file, from the root of the repository.
        write: gives the Markdown.
    """

    page: str
    write: Callable[[], str]


BLOCKS = {
    "headline": Block("README.md", lambda: f"{headline_table()}\n\n{findings()}"),
    "results": Block("docs/evaluation.md", results_table),
    "findings": Block("docs/evaluation.md", findings),
    "stress": Block("docs/evaluation.md", stress_table),
    "rendering": Block("docs/evaluation.md", rendering_results),
    "archive": Block("docs/archive.md", archive_table),
    "benchmarks": Block("docs/performance.md", benchmarks_table),
    "hardness": Block("docs/security.md", hardness_table),
    "host": Block("docs/deployment.md", host_table),
}
"""What is written where: the name in the marks, the page, and what makes it."""
