"""The committed card is the one that the command writes, and nothing is left to be measured."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.etiologies import FACTS, FIGURES, WEAK
from xray_classifier.errors import DatasetError
from xray_classifier.model_card.card import (
    CARD,
    TEMPLATE,
    render_card,
    write_card,
)
from xray_classifier.model_card.facts import TEST
from xray_classifier.models.spec import read_spec, write_spec
from xray_classifier.paths import MODEL_FOLDER

SECTIONS = [  # shared/guide/peers.md, section 5
    "Identity",
    "Intended use",
    "Data",
    "Reference standard",
    "Partitions, and the protocol",
    "Preprocessing and training",
    "Performance",
    "Subgroups",
    "External validation",
    "Failure analysis",
    "Explanation",
    "People, privacy, security",
    "Monitoring and updates",
    "Open science",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of what the card is made of."""
    target = tmp_path / "model"
    shutil.copytree(
        MODEL_FOLDER, target, ignore=shutil.ignore_patterns("article*.keras", "gate.keras")
    )
    return target


def test_committed_card_is_what_the_command_writes() -> None:
    assert (MODEL_FOLDER / CARD).read_text(encoding="utf-8") == render_card()


def test_all_sections_are_there() -> None:
    headings = [line for line in render_card().splitlines() if line.startswith("## ")]
    assert headings == [f"## {n}. {title}" for n, title in enumerate(SECTIONS, 1)]


def test_nothing_is_left_to_be_measured() -> None:
    assert "ot measured yet" not in render_card()


def test_figures_are_those_of_the_json(folder: Path) -> None:
    spec = read_spec(folder / "default.json")
    auc = spec.results[TEST].figures.auc
    card = render_card(folder)
    assert f"{auc.value:.4f} ({auc.low:.4f} to {auc.high:.4f})" in card
    assert spec.sha256 in card
    errors = spec.results[TEST].errors or ()
    assert len(errors) == 58
    for error in errors:
        assert f"`{error.file}`" in card


def test_changed_figure_changes_the_card(folder: Path) -> None:
    path = folder / "default.json"
    facts = json.loads(path.read_text())
    facts["results"][TEST]["figures"]["auc"] = {"value": 0.1234, "low": 0.1, "high": 0.2}
    path.write_text(json.dumps(facts))
    assert write_card(folder) == folder / CARD
    assert "0.1234 (0.1000 to 0.2000)" in (folder / CARD).read_text()


def test_card_can_be_written_before_the_test_was_met(folder: Path) -> None:
    path = folder / "default.json"
    facts = json.loads(path.read_text())
    del facts["results"][TEST]
    path.write_text(json.dumps(facts))
    assert "The official test set was not met yet." in render_card(folder)


def test_missing_model_file_is_an_error(folder: Path) -> None:
    (folder / "default.keras").unlink()
    with pytest.raises(DatasetError, match=r"default\.keras is missing: the card tells how"):
        render_card(folder)


def test_unknown_name_in_the_template_is_an_error(folder: Path) -> None:
    (folder / TEMPLATE).write_text("{{ wisdom }}")
    message = r"template\.md cannot be filled: 'wisdom' is undefined\. It may use: card, spec, "
    with pytest.raises(DatasetError, match=message):
        render_card(folder)


def test_template_that_cannot_be_understood_is_an_error(folder: Path) -> None:
    (folder / TEMPLATE).write_text("{{ card")
    with pytest.raises(DatasetError, match=r"template\.md cannot be filled: unexpected end"):
        render_card(folder)


def test_card_can_be_written_without_the_reports_of_checks(folder: Path) -> None:
    for name in ("explanations", "seeds"):
        (folder / name / "default.json").unlink()
    card = render_card(folder)
    assert "Whether its heatmaps show what it looks at was not measured." in card
    assert "### The spread between seeds\n\nNot measured yet." in card


def test_model_whose_training_is_not_recorded_is_an_error(folder: Path) -> None:
    path = folder / "default.json"
    write_spec(replace(read_spec(path), training=None), path)
    with pytest.raises(DatasetError, match=r"default\.json does not say how the model was trained"):
        render_card(folder)


def test_onnx_file_is_named_with_how_near_its_answers_are(folder: Path) -> None:
    spec = read_spec(folder / "default.json")
    assert spec.onnx
    onnx = replace(spec.onnx, images=321, largest_difference=3e-6)
    write_spec(replace(spec, onnx=onnx), folder / "default.json")
    assert "on 321 radiographs no answer differs by more than 3.0e-06" in render_card(folder)
    write_spec(replace(spec, onnx=None), folder / "default.json")
    assert "ONNX" not in render_card(folder)


def test_second_answer_has_its_part_of_the_card_if_the_model_tells_it(folder: Path) -> None:
    path = folder / "default.json"
    spec = replace(read_spec(path), etiology=None)
    write_spec(spec, path)
    assert "acterial or viral" not in render_card(folder)
    found = replace(spec.results[TEST], bacterial_or_viral=FIGURES)
    write_spec(replace(spec, etiology=FACTS, results=spec.results | {TEST: found}), path)
    card = render_card(folder)
    _, part = card.split("### Bacterial or viral\n\n")
    part, _ = part.split("\n\n## 8. ")
    assert "it assumes that 65.0 % of them are bacterial" in part
    assert "from 40.0 % to 75.0 %" in part
    assert "| out of fold | 3111 |" in part
    assert "| **test** | 390 | 0.880 (0.840 to 0.920) | 82.0 % (78.0 % to 86.0 %) |" in part
    assert "an accuracy of 90.7 % on the official test set" in part
    assert "cannot prove the cause" in part
    assert "Under a verdict of pneumonia" in part
    assert "| second output | probability that a pneumonia is a bacterial one |" in card
    write_spec(replace(spec, etiology=WEAK), path)
    hidden = render_card(folder)
    assert "It is shown nowhere, since its AUC is under 0.85.**" in hidden
    assert "Under a verdict of pneumonia" not in hidden
    assert "probability that a pneumonia is a bacterial one; not shown, see section 7" in hidden
    without = card.replace(card[card.index("### Bacterial or") : card.index("## 8. ")], "")
    write_spec(spec, path)
    assert "\n".join(line for line in without.splitlines() if "second output" not in line) == (
        render_card(folder).rstrip("\n")
    )
