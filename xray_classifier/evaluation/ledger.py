"""What was measured is kept: figures in the model's JSON, looks at a test set in the ledger."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from xray_classifier.errors import ModelUnavailableError
from xray_classifier.evaluation.evaluate import data_name
from xray_classifier.files import replace_atomically
from xray_classifier.labels import LABELS
from xray_classifier.models.spec import ModelSpec, read_spec, write_spec
from xray_classifier.paths import MODEL_FOLDER
from xray_classifier.records.evaluation import (
    Estimate,
    EtiologyFigures,
    EvaluationReport,
    RenderingFigures,
    named_estimates,
)

LEDGER = "EVALUATIONS.md"
TEST_SPLIT = "test"


def describe(summary: EvaluationReport) -> str:
    """Write the figures of an evaluation for people."""
    counts = summary.confusion
    lines = [
        f"{summary.images} images of {summary.patients} patients, threshold {summary.threshold}",
        f"right: {counts.right} of {summary.images} ({LABELS[0]} {counts.true_normal} of "
        f"{counts.normals}, {LABELS[1]} {counts.true_pneumonia} of {counts.pneumonias})",
    ]
    for name, figure in named_estimates(summary.figures).items():
        interval = f"95 % interval over patients {figure.low:.4f} to {figure.high:.4f}"
        lines.append(f"{name:12} {figure.value:.4f}  ({interval})")
    for point, figures in summary.operating_points.items():
        shown = named_estimates(figures).items()
        lines.append(f"{point}: " + ", ".join(f"{name} {each.value:.4f}" for name, each in shown))
    if summary.rendering:
        lines += _describe_rendering(summary.rendering)
    if summary.bacterial_or_viral:
        lines.append(_describe_etiology(summary.bacterial_or_viral))
    if summary.gate:
        lines.append(f"gate: {summary.gate.rejected} rejected, {summary.gate.flagged} flagged")
    if summary.compared:
        compared = summary.compared
        less = compared.difference.accuracy
        lines.append(
            f"accuracy less that of {compared.model}: {less.value:.4f} ({less.low:.4f} to "
            f"{less.high:.4f}), McNemar p {compared.mcnemar_p:.2g}, DeLong p "
            f"{compared.delong_p:.2g}"
        )
    return "\n".join(lines)


def _describe_rendering(found: RenderingFigures) -> list[str]:
    """Write the figures where rendering does not help; the groups are those of `hard`."""
    hard, lines = found.hard, []
    for images, what, figure in (
        (f"{hard.normals} hard normals", "specificity", hard.specificity),
        (f"{hard.pneumonias} hard pneumonias", "sensitivity", hard.sensitivity),
        ("hard against hard", "AUC", hard.auc),
        ("all hard images", "accuracy", hard.accuracy),
    ):
        lines.append(f"{images}: {what} {_with_interval(figure)}" if figure else f"{images}: none")
    shown = ", ".join(
        f"{name} {_with_interval(each)}" for name, each in named_estimates(found.balanced).items()
    )
    return [
        *lines,
        f"rendering-balanced (as {found.effective_images:.0f} images): {shown}",
        f"AUC of the rendering alone: {_with_interval(found.rendering_auc)}; once balanced: "
        f"{_with_interval(found.balanced_rendering_auc)}",
    ]


def _describe_etiology(found: EtiologyFigures) -> str:
    """Write the figures of the second answer; `sensitivity` would name a pneumonia's."""
    point = found.point
    shown = {
        "AUC": found.auc,
        "accuracy": point.accuracy,
        "undecided": point.undecided,
        "decided_right": point.decided_right,
    }
    figures = ", ".join(f"{name} {_with_interval(each)}" for name, each in shown.items())
    return (
        f"bacterial or viral, {found.images} pneumonias ({found.bacterial} bacterial) of "
        f"{found.patients} patients: {figures}"
    )


def _with_interval(figure: Estimate) -> str:
    return f"{figure.value:.4f} ({figure.low:.4f} to {figure.high:.4f})"


def record(
    spec: ModelSpec, data: Path, split: str, summary: EvaluationReport, folder: Path = MODEL_FOLDER
) -> None:
    """Keep a look at a test split in the ledger, and a shipped model's figures in its JSON.

    Raises:
        ModelUnavailableError: the model has no JSON beside it, so nothing vouches for it.
    """
    if not spec.sha256:
        raise ModelUnavailableError(
            f"{spec.file} has no JSON beside it, so that nothing says what was measured. Figures "
            "are kept for models that `train` wrote."
        )
    key = data_name(data, split)
    if split == TEST_SPLIT:
        _add_to_ledger(folder / LEDGER, spec, key, summary)
    path = folder / f"{spec.name}.json"
    shipped = read_spec(path) if path.exists() else None
    if shipped and shipped.sha256 == spec.sha256:
        write_spec(replace(shipped, results=shipped.results | {key: summary}), path)


def _add_to_ledger(ledger: Path, spec: ModelSpec, key: str, summary: EvaluationReport) -> None:
    identity = f"{spec.sha256[:12]} | {summary.data_sha256[:12]} | {spec.threshold}"
    text = ledger.read_text(encoding="utf-8")
    if f"| {identity} |" in text:
        return  # the same model, data and threshold gave the same figures before
    figures = summary.figures
    result = (
        f"{summary.confusion.right} of {summary.images} right, sensitivity "
        f"{figures.sensitivity.value:.4f}, specificity {figures.specificity.value:.4f}, AUC "
        f"{figures.auc.value:.4f}, loss {figures.loss.value:.4f}"
    )
    today = datetime.now(UTC).date().isoformat()
    command = f"`evaluate {spec.name} --data {Path(key).parent} --split {Path(key).name}`"
    name = f"{spec.name}, seed {spec.training.seed if spec.training else '?'}"
    line = f"| {today} | {_commit()} | {name} | {identity} | {command} | {result} |\n"
    with replace_atomically(ledger) as temporary:
        temporary.write_text(text + line, encoding="utf-8")


def _commit() -> str:
    """Name the commit that the program runs from, "unknown" outside a repository."""
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty"],  # noqa: S607 - whichever git is installed
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return answer.stdout.strip()
