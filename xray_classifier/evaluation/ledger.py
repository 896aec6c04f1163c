"""What was measured is kept: figures in the model's JSON, looks at a test set in the ledger."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xray_classifier.errors import ModelUnavailableError
from xray_classifier.files import replace_atomically
from xray_classifier.labels import LABELS
from xray_classifier.models.spec import ModelSpec, read_spec, write_spec
from xray_classifier.paths import MODEL_FOLDER

LEDGER = "EVALUATIONS.md"
TEST_SPLIT = "test"


def describe(summary: dict[str, Any]) -> str:
    """Write the figures of an evaluation for people."""
    (right_normal, false_pneumonia), (false_normal, right_pneumonia) = summary["confusion"]
    right, images = right_normal + right_pneumonia, summary["images"]
    lines = [
        f"{images} images of {summary['patients']} patients, threshold {summary['threshold']}",
        f"right: {right} of {images} ({LABELS[0]} {right_normal} of "
        f"{right_normal + false_pneumonia}, {LABELS[1]} {right_pneumonia} of "
        f"{right_pneumonia + false_normal})",
    ]
    lines += [
        f"{name:12} {value:.4f}  (95 % interval over patients {low:.4f} to {high:.4f})"
        for name, (value, low, high) in summary["figures"].items()
    ]
    for point, figures in summary.get("operating_points", {}).items():
        shown = ", ".join(f"{name} {figures[name][0]:.4f}" for name in figures)
        lines.append(f"{point}: {shown}")
    if "gate" in summary:
        gate = summary["gate"]
        lines.append(f"gate: {gate['rejected']} rejected, {gate['flagged']} flagged")
    if "compared" in summary:
        compared = summary["compared"]
        value, low, high = compared["difference"]["accuracy"]
        lines.append(
            f"accuracy less that of {compared['model']}: {value:.4f} ({low:.4f} to {high:.4f}), "
            f"McNemar p {compared['mcnemar_p']:.2g}, DeLong p {compared['delong_p']:.2g}"
        )
    return "\n".join(lines)


def record(
    spec: ModelSpec, data: Path, split: str, summary: dict[str, Any], folder: Path = MODEL_FOLDER
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
    key = f"{data.resolve().name}/{split}"
    if split == TEST_SPLIT:
        _add_to_ledger(folder / LEDGER, spec, key, summary)
    path = folder / f"{spec.name}.json"
    shipped = read_spec(path) if path.exists() else None
    if shipped and shipped.sha256 == spec.sha256:
        write_spec(replace(shipped, results=shipped.results | {key: summary}), path)


def _add_to_ledger(ledger: Path, spec: ModelSpec, key: str, summary: dict[str, Any]) -> None:
    identity = f"{spec.sha256[:12]} | {summary['data_sha256'][:12]} | {spec.threshold}"
    text = ledger.read_text(encoding="utf-8")
    if f"| {identity} |" in text:
        return  # the same model, data and threshold gave the same figures before
    figures = summary["figures"]
    (normal, _), (_, pneumonia) = summary["confusion"]
    result = (
        f"{normal + pneumonia} of {summary['images']} right, sensitivity "
        f"{figures['sensitivity'][0]:.4f}, specificity {figures['specificity'][0]:.4f}, AUC "
        f"{figures['auc'][0]:.4f}, loss {figures['loss'][0]:.4f}"
    )
    today = datetime.now(UTC).date().isoformat()
    command = f"`evaluate {spec.name} --data {Path(key).parent} --split {Path(key).name}`"
    name = f"{spec.name}, seed {spec.training.get('seed', '?')}"
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
