"""Measured results to the model card: its figures are never typed by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, StrictUndefined, TemplateError

from xray_classifier.errors import DatasetError
from xray_classifier.evaluation.metrics import RESAMPLES
from xray_classifier.files import replace_atomically
from xray_classifier.model_card import facts, rendering, tables
from xray_classifier.model_card.facts import ADULTS, TEST
from xray_classifier.model_card.markdown import NOT_YET, decimals, percents, proportion, table
from xray_classifier.model_card.networks import geometry, recipe_table
from xray_classifier.model_card.readme import ARTICLE_COUNTS, stress_table
from xray_classifier.models.gate import read_gate_spec
from xray_classifier.models.loading import DEFAULT_MODEL
from xray_classifier.models.spec import ModelSpec, read_report, read_spec
from xray_classifier.paths import MODEL_FOLDER
from xray_classifier.percent import as_percent
from xray_classifier.records.checks import ExplanationReport, GateShares, SeedsReport
from xray_classifier.records.training import TrainingFacts

TEMPLATE, CARD = "card_template.md", "MODEL_CARD.md"


def write_card(folder: Path = MODEL_FOLDER) -> Path:
    """Write MODEL_CARD.md beside the models.

    Raises:
        DatasetError: the template asks for something that nothing measures.
        ModelUnavailableError: what is recorded of the model cannot be read.
    """
    target = folder / CARD
    with replace_atomically(target) as path:
        path.write_text(render_card(folder), encoding="utf-8")
    return target


def render_card(folder: Path = MODEL_FOLDER) -> str:
    """Fill the template with what was measured of the default model.

    Raises:
        DatasetError: as for `write_card`.
        ModelUnavailableError: as for `write_card`.
    """
    card = read_card(folder)
    markdown = Environment(undefined=StrictUndefined, keep_trailing_newline=True)  # noqa: S701
    known = {
        "card": card,
        "spec": card.spec,
        "tables": tables,
        "facts": facts,
        "rendering": rendering,
        "percent": as_percent,
    }
    try:
        template = markdown.from_string((folder / TEMPLATE).read_text(encoding="utf-8"))
        return template.render(known)
    except TemplateError as error:
        raise DatasetError(
            f"{folder / TEMPLATE} cannot be filled: {error}. It may use: {', '.join(known)}."
        ) from error


@dataclass(frozen=True)
class Card:
    """What the card tells, beside tables and sentences that others show, too.

    Attributes:
        folder: of the models.
        spec: of the model that the card is about.
        training: of this model.
        explanation: what `explain-check` measured of it; None where it was not.
        seeds: what `seeds` measured of it; None where it was not.
        gate: what was measured of the gate, by kind of image.
    """

    folder: Path
    spec: ModelSpec
    training: TrainingFacts
    explanation: ExplanationReport | None
    seeds: SeedsReport | None
    gate: Mapping[str, GateShares]

    resamples = f"{RESAMPLES:,}"

    @property
    def prevalence(self) -> str:
        """The prevalence that the probabilities are calibrated for."""
        return as_percent(self.spec.calibration_prevalence or 0)

    def identity(self) -> str:
        """Write what the model is."""
        spec, training = self.spec, self.training
        versions = ", ".join(f"{name} {number}" for name, number in training.versions.items())
        rows = [
            ("name", f"`{spec.name}`, {spec.title}"),
            ("file", f"`{spec.file}`, {spec.bytes / 1e6:.1f} MB, sha256 `{spec.sha256}`"),
            *_onnx_row(spec),
            ("trained", f"{training.date}, seed {training.seed}"),
            ("made with", versions),
            ("input", "(500, 500, 1), grey, float32 in [0, 1]"),
            ("output", f"probability of pneumonia at a prevalence of {self.prevalence}"),
            *_second_output_row(spec),
            ("licence", "Apache-2.0"),
            ("contact", "the issues of this repository"),
        ]
        return table(("", ""), rows)

    def counts(self) -> str:
        """Count the images of each part by label."""
        parts = {
            "trained on": self.training.training_images,
            "hold-out": self.training.validation_images,
        }
        rows = [
            (name, f"{counts['normal']}", f"{counts['pneumonia']}")
            for name, counts in parts.items()
        ]
        if TEST in self.spec.results:
            counts = self.spec.results[TEST].confusion
            rows.append(("official test", f"{counts.normals}", f"{counts.pneumonias}"))
        return table(("images", "normal", "pneumonia"), rows)

    def prevalences(self) -> str:
        """Say how frequent pneumonia is in each part."""
        parts = [f"{self.prevalence} where the model was trained and calibrated"]
        if TEST in self.spec.results:
            found = self.spec.results[TEST]
            share = found.confusion.pneumonias / found.images
            parts.append(f"{as_percent(share)} in the official test set")
        return ", ".join(parts)

    def ledger(self) -> str:
        """Count the looks at the test set."""
        text = (self.folder / "EVALUATIONS.md").read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if line.startswith("| 20")]
        return f"Models and thresholds that met the official test set so far: {len(lines)}."

    def recipe(self) -> str:
        """Write the settings of the training."""
        return recipe_table(self.training)

    def external(self) -> str:
        """Say what was measured on adults."""
        found = self.spec.results.get(ADULTS)
        if not found or not found.gate:
            return NOT_YET
        figures, gate = found.figures, found.gate
        return (
            f"{found.images} adults from another hospital (NIH ChestX-ray14, labels mined from "
            f"reports): AUC {decimals(figures.auc)}, accuracy {percents(figures.accuracy)}. Of "
            f"these the gate flags {gate.flagged} as outside the population and rejects "
            f"{gate.rejected}; some of them were used to fit the gate, the rest stand in "
            "section 10."
        )

    def byte_size_auc(self) -> str:
        """Give the AUC of the size of the files alone."""
        found = self.spec.results.get(TEST)
        auc = found.byte_size_auc if found else None
        return "(not measured yet)" if auc is None else f"{auc:.2f}"

    def article(self) -> str:
        """Give the accuracy that the article states of itself."""
        right, images = map(sum, zip(*ARTICLE_COUNTS.values(), strict=True))
        return proportion(right, images)

    def stress(self) -> str:
        """Write what `stress` measured of all models."""
        return stress_table(self.folder)

    def geometry(self) -> str:
        """Say what each network does to the picture before its first convolution.

        Raises:
            DatasetError: the model's file, which tells it, is missing.
        """
        return geometry(self.folder / self.spec.file)


def read_card(folder: Path) -> Card:
    """Read all that is recorded of the default model.

    Raises:
        DatasetError: how it was trained is not recorded.
        ModelUnavailableError: something cannot be read.
    """
    path = folder / f"{DEFAULT_MODEL}.json"
    spec = read_spec(path)
    if not spec.training:
        raise DatasetError(f"{path} does not say how the model was trained: the card tells it.")
    return Card(
        folder,
        spec,
        spec.training,
        explanation=read_report(ExplanationReport, spec, folder),
        seeds=read_report(SeedsReport, spec, folder),
        gate=read_gate_spec(folder / "gate" / "gate.json").results,
    )


def _second_output_row(spec: ModelSpec) -> list[tuple[str, str]]:
    """Say what the second answer is; nothing if there is none."""
    if spec.etiology is None:
        return []
    hidden = "" if spec.etiology.shown else "; not shown, see section 7"
    return [("second output", f"probability that a pneumonia is a bacterial one{hidden}")]


def _onnx_row(spec: ModelSpec) -> list[tuple[str, str]]:
    """Say which file judging runs, and that it is the same network; nothing if there is none."""
    if spec.onnx is None:
        return []
    return [
        (
            "the same for ONNX Runtime",
            f"`{spec.onnx.file}`, {spec.onnx.bytes / 1e6:.1f} MB, sha256 `{spec.onnx.sha256}`; on "
            f"{spec.onnx.images} radiographs no answer differs by more than "
            f"{spec.onnx.largest_difference:.1e}",
        )
    ]
