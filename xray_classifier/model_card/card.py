"""Measured results to the model card: its figures are never typed by hand."""

from __future__ import annotations

import json
from pathlib import Path
from string import Template
from zipfile import ZipFile

from xray_classifier.errors import DatasetError
from xray_classifier.evaluation.metrics import RESAMPLES
from xray_classifier.files import replace_atomically
from xray_classifier.model_card import tables
from xray_classifier.model_card.facts import adults_sentence, shift_sentence
from xray_classifier.model_card.readme import ARTICLE_COUNTS, stress_table
from xray_classifier.model_card.tables import (
    ADULTS,
    NOT_YET,
    TEST,
    decimal,
    percent,
    proportion,
    table,
)
from xray_classifier.models.loading import DEFAULT_MODEL
from xray_classifier.models.spec import INPUT_SHAPE, ModelSpec, read_spec
from xray_classifier.paths import MODEL_FOLDER

TEMPLATE, CARD = "card_template.md", "MODEL_CARD.md"


def write_card(folder: Path = MODEL_FOLDER) -> Path:
    """Write MODEL_CARD.md beside the models.

    Raises:
        DatasetError: the template asks for something that nothing measures.
    """
    target = folder / CARD
    with replace_atomically(target) as path:
        path.write_text(render_card(folder), encoding="utf-8")
    return target


def render_card(folder: Path = MODEL_FOLDER) -> str:
    """Fill the template with what was measured of the default model.

    Raises:
        DatasetError: as for `write_card`.
    """
    spec = read_spec(folder / f"{DEFAULT_MODEL}.json")
    values = {name: make(spec, folder) for name, make in _PARTS.items()}
    try:
        return Template((folder / TEMPLATE).read_text(encoding="utf-8")).substitute(values)
    except (KeyError, ValueError) as error:
        raise DatasetError(
            f"{folder / TEMPLATE} asks for {error}, which is not known. Known are: "
            f"{', '.join(sorted(values))}."
        ) from error


def _identity(spec: ModelSpec, _folder: Path) -> str:
    training = spec.training
    versions = ", ".join(f"{name} {number}" for name, number in training["versions"].items())
    rows = [
        ("name", f"`{spec.name}`, {spec.title}"),
        ("file", f"`{spec.file}`, {spec.bytes / 1e6:.1f} MB, sha256 `{spec.sha256}`"),
        ("trained", f"{training['date']}, seed {training['seed']}"),
        ("made with", versions),
        ("input", "(500, 500, 1), grey, float32 in [0, 1]"),
        ("output", f"probability of pneumonia at a prevalence of {_prevalence(spec, _folder)}"),
        ("licence", "Apache-2.0"),
        ("contact", "the issues of this repository"),
    ]
    return table(("", ""), rows)


def _counts(spec: ModelSpec, _folder: Path) -> str:
    rows = [
        (name, f"{counts['normal']}", f"{counts['pneumonia']}")
        for name, counts in (
            ("trained on", spec.training["training_images"]),
            ("hold-out", spec.training["validation_images"]),
        )
    ]
    if TEST in spec.results:
        (a, b), (c, d) = spec.results[TEST]["confusion"]
        rows.append(("official test", f"{a + b}", f"{c + d}"))
    return table(("images", "normal", "pneumonia"), rows)


def _prevalences(spec: ModelSpec, _folder: Path) -> str:
    parts = [f"{_prevalence(spec, _folder)} where the model was trained and calibrated"]
    if TEST in spec.results:
        _, ill = spec.results[TEST]["confusion"]
        parts.append(f"{sum(ill) / spec.results[TEST]['images']:.1%} in the official test set")
    return ", ".join(parts)


def _prevalence(spec: ModelSpec, _folder: Path) -> str:
    return f"{spec.calibration_prevalence or 0:.1%}"


def _ledger(_spec: ModelSpec, folder: Path) -> str:
    text = (folder / "EVALUATIONS.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| 20")]
    return f"Looks at the official test set so far, with all models: {len(lines)}."


def _recipe(spec: ModelSpec, _folder: Path) -> str:
    rows = [(name.replace("_", " "), f"{value}") for name, value in spec.training["recipe"].items()]
    return table(("", ""), rows)


def _external(spec: ModelSpec, _folder: Path) -> str:
    found = spec.results.get(ADULTS)
    if not found:
        return NOT_YET
    figures = found["figures"]
    gate = found["gate"]
    return (
        f"{found['images']} adults from another hospital (NIH ChestX-ray14, labels mined from "
        f"reports): AUC {decimal(figures['auc'])}, accuracy {percent(figures['accuracy'])}. Of "
        f"these the gate flags {gate['flagged']} as outside the population and rejects "
        f"{gate['rejected']}; some of them were used to fit the gate, the rest stand in section 10."
    )


def _byte_size(spec: ModelSpec, _folder: Path) -> str:
    found = spec.results.get(TEST)
    return f"{found['byte_size_auc']:.2f}" if found else "(not measured yet)"


def _source_size(spec: ModelSpec, _folder: Path) -> str:
    width, height = spec.training["median_source_size"]
    return f"{width} x {height}"


def _geometry(spec: ModelSpec, folder: Path) -> str:
    """Say what the network does to the picture before its first convolution, from its own file."""
    path = folder / spec.file
    if not path.exists():
        raise DatasetError(f"{path} is missing: the card tells how it looks at a picture.")
    with ZipFile(path) as archive:
        layers = json.loads(archive.read("config.json"))["config"]["layers"]
    side, steps = INPUT_SHAPE[0], []
    for layer in layers:
        facts = layer["config"]
        match layer["class_name"]:
            case "AveragePooling2D":
                side //= facts["pool_size"][0]
                steps.append(f"averaging to {side} x {side}")
            case "Cropping2D":
                cut = facts["cropping"][0][0]
                steps.append(f"the outer {cut / side:.0%} cut off at each edge")
                side -= 2 * cut
                steps.append(f"which leaves {side} x {side}")
            case "Resizing":
                side = facts["height"]
                steps.append(f"resizing to {side} x {side}")
            case "Conv2D":
                break
    return ", ".join(steps)


def _article(_spec: ModelSpec, _folder: Path) -> str:
    right, images = map(sum, zip(*ARTICLE_COUNTS.values(), strict=True))
    return proportion(right, images)


def _stress(_spec: ModelSpec, folder: Path) -> str:
    return stress_table(folder)


def _explanation(spec: ModelSpec, folder: Path) -> str:
    path = folder / "explanations" / f"{spec.name}.json"
    report = json.loads(path.read_text(encoding="utf-8"))
    logit = report["filling"]["logit"]
    if report["sha256"] != spec.sha256:
        return "They were not checked for this model file."
    passed = "They passed" if report["passed"] else "**They failed**"
    return (
        f"{passed} the check on {report['images']} held-out radiographs called pneumonia: filling "
        f"the hottest tenth with the mean lowers the logit by {logit['hottest']:.2f}, the same "
        f"shapes elsewhere by {logit['random']:.2f} (paired Wilcoxon, p {logit['p']:.0e}); "
        "shuffling the network's weights destroys them (rank correlation "
        f"{report['shuffling']['all'][0]['rank_correlation']:.2f})."
    )


def _commands(_spec: ModelSpec, _folder: Path) -> str:
    data = "--data ../shared/data/chest_xray"
    run = "python -m xray_classifier"
    return "\n".join(
        [
            f"{run} cross-validate default {data} --out runs/folds",
            f"{run} train default {data} --out runs/default --seed 1",
            f"{run} calibrate runs/default/default.keras --answers runs/folds/out_of_fold.csv "
            "--out model",
            f"{run} evaluate default {data} --split holdout --record",
            f"{run} evaluate default {data} --robustness --record",
            f"{run} evaluate default --data ../shared/data/adult_nih --split all --record",
            f"{run} card",
        ]
    )


_PARTS = {
    "resamples": lambda _spec, _folder: f"{RESAMPLES:,}",
    "title": lambda spec, _folder: spec.title,
    "identity": _identity,
    "source_size": _source_size,
    "counts": _counts,
    "prevalences": _prevalences,
    "prevalence": _prevalence,
    "holdout_images": lambda spec, _f: f"{sum(spec.training['validation_images'].values())}",
    "split_seed": lambda spec, _folder: f"{spec.training['split_seed']}",
    "folds": lambda spec, _folder: f"{spec.calibration['folds']}",
    "seed": lambda spec, _folder: f"{spec.training['seed']}",
    "ledger": _ledger,
    "geometry": _geometry,
    "recipe": _recipe,
    "performance": tables.performance,
    "points": tables.points,
    "thresholds": tables.thresholds,
    "predictive": tables.predictive,
    "spread": tables.spread,
    "shift": lambda spec, _folder: shift_sentence(spec),
    "compared": tables.compared,
    "article": _article,
    "subgroups": tables.subgroups,
    "external": _external,
    "adults": lambda spec, _folder: adults_sentence(spec),
    "byte_size": _byte_size,
    "stress": _stress,
    "robustness": tables.robustness,
    "gate": tables.gate,
    "coverage": tables.coverage,
    "errors": tables.errors,
    "explanation": _explanation,
    "commands": _commands,
}
