"""What older versions of the program wrote is read with the same numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.recorded import CHANGE, EXPLANATION, FIGURES, POINT_FIGURES, STRESS, trained
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.models.operating_point import OperatingPoint
from xray_classifier.models.spec import ModelSpec, read_spec
from xray_classifier.paths import MODEL_FOLDER
from xray_classifier.records.checks import (
    ExplanationReport,
    ResolutionChange,
    SeedsReport,
    StressReport,
)
from xray_classifier.records.evaluation import (
    Confusion,
    CoveragePoint,
    Curves,
    Estimate,
    Misjudged,
    ReliabilityPoint,
    RocPoint,
    SpoiltFigures,
    Subgroup,
    named_estimates,
)
from xray_classifier.records.json_files import read_record, to_json
from xray_classifier.records.migrations import (
    upgrade_explanation,
    upgrade_seeds,
    upgrade_stress,
)

BARE: dict[str, Any] = {
    "name": "tiny",
    "title": "Tiny",
    "file": "tiny.keras",
    "sha256": "ab" * 32,
    "bytes": 12,
    "threshold": 0.7,
}


def listed(figures: Any) -> dict[str, list[float]]:
    """Figures as version 1 held them."""
    return {
        name: [figure.value, figure.low, figure.high]
        for name, figure in named_estimates(figures).items()
    }


RESULT = {
    "images": 10,
    "patients": 7,
    "data_sha256": "cd" * 32,
    "threshold": 0.7,
    "confusion": [[3, 1], [2, 4]],
    "figures": listed(FIGURES),
}


def model(path: Path, **values: Any) -> ModelSpec:
    path.write_text(json.dumps(BARE | values), encoding="utf-8")
    return read_spec(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tiny.json"


def test_a_model_that_was_only_trained(path: Path) -> None:
    facts = to_json(trained(recipe_name="article"))
    old = facts | {"median_source_size": [224, 200]}
    found = model(path, training=old, calibration={}, operating_points={}, results={})
    assert found == ModelSpec(**BARE, training=trained(recipe_name="article"))


def test_a_model_of_which_nothing_is_recorded(path: Path) -> None:
    assert model(path, training={}, download=None) == ModelSpec(**BARE)


def test_the_epoch_that_ships_was_once_called_the_best(path: Path) -> None:
    old = to_json(trained()) | {"median_source_size": [224, 200]}
    del old["shipped_epoch"], old["figures_of_that_epoch"]
    best = {"best_epoch": 4, "best_validation_loss": 0.13, "best_validation_accuracy": 0.95}
    facts = model(path, training=old | best).training
    assert facts == trained(figures_of_that_epoch={"val_accuracy": 0.95, "val_loss": 0.13})


def test_operating_points_and_calibration(path: Path) -> None:
    old_point = {
        "threshold": 0.7,
        "band": [0.6, 0.8],
        "criterion": "equal",
        "out_of_fold": listed(POINT_FIGURES),
    }
    old_calibration = {
        "method": "by hand",
        "slope": 1.5,
        "intercept": 0.5,
        "images": 9,
        "patients": 7,
        "folds": 4,
        "answers_sha256": "01" * 32,
        "out_of_fold": listed(FIGURES),
    }
    spec = model(path, operating_points={"balanced": old_point}, calibration=old_calibration)
    assert spec.operating_points == (
        OperatingPoint("balanced", 0.7, 0.6, 0.8, "equal", POINT_FIGURES),
    )
    assert spec.calibration is not None
    assert (spec.calibration.slope, spec.calibration.out_of_fold) == (1.5, FIGURES)


def test_results(path: Path) -> None:
    half = [0.5, 0.4, 0.6]
    old = RESULT | {
        "operating_points": {"balanced": listed(POINT_FIGURES)},
        "etiology": {"virus": {"images": 3, "sensitivity": half, "auc": half}},
        "byte_size_auc": 0.8,
        "gate": {"rejected": 1, "flagged": 2, "rejected_files": ["a.png"]},
        "errors": [{"file": "a.png", "label": "normal", "probability": 0.75}],
        "curves": {
            "roc": [[0, 0], [0.1, 0.9]],
            "reliability": [[0.1, 0.2, 80]],
            "coverage": [[1, 0.98]],
        },
        "compared": {
            "model": "article",
            "difference": dict.fromkeys(("accuracy", "sensitivity", "specificity", "auc"), half),
            "mcnemar_p": 0.5,
            "delong_p": 0.25,
        },
        "robustness": {"blur": [{"level": 1, "accuracy": half, "auc": half}]},
    }
    found = model(path, results={"chest_xray/test": old}).results["chest_xray/test"]
    estimate = Estimate(0.5, 0.4, 0.6)
    assert found.confusion == Confusion(3, 1, 2, 4)
    assert found.figures == FIGURES
    assert found.operating_points == {"balanced": POINT_FIGURES}
    assert found.etiology == {"virus": Subgroup(3, estimate, estimate)}
    assert found.curves == Curves(
        (RocPoint(0, 0), RocPoint(0.1, 0.9)),
        (ReliabilityPoint(0.1, 0.2, 80),),
        (CoveragePoint(1, 0.98),),
    )
    assert found.compared is not None
    assert (found.compared.difference.auc, found.compared.delong_p) == (estimate, 0.25)
    assert found.robustness == {"blur": (SpoiltFigures(1, estimate, estimate),)}
    assert found.gate is not None
    assert found.errors == (Misjudged("a.png", "normal", 0.75),)
    assert (found.gate.flagged, found.byte_size_auc) == (2, 0.8)


def test_errors_that_were_never_listed_are_not_taken_for_none() -> None:
    found = read_spec(MODEL_FOLDER / "article-as-published.json").results["adult_nih/all"]
    assert found.confusion.right < found.images
    assert found.errors is None


def test_a_confusion_matrix_of_another_shape_is_refused(path: Path) -> None:
    message = r"tiny\.json is of schema version 1 and cannot be brought to version 2"
    with pytest.raises(ModelUnavailableError, match=message):
        model(path, results={"chest_xray/test": RESULT | {"confusion": [[3, 1]]}})


def test_stress(path: Path) -> None:
    change = {
        "mean_change": [0.0123, 0.01, 0.02],
        "verdicts_changed": [0.025, 0.01, 0.05],
        "auc": [0.9, 0.8, 0.95],
    }
    old = to_json(STRESS) | {
        "auc": [0.95, 0.9, 0.99],
        "perturbations": {"blur": change},
        "border_alone": {"outer 10 % alone": [0.6606, 0.6, 0.7]},
        "full_resolution": {"images": 3, **change},
    }
    path.write_text(json.dumps(old), encoding="utf-8")
    found = read_record(path, StressReport, upgrade_stress)
    assert found == STRESS
    assert found.full_resolution == ResolutionChange(3, CHANGE)


def test_explanations(path: Path) -> None:
    new = to_json(EXPLANATION)
    deletion, randomisation = new.pop("deletion_test"), new.pop("parameter_randomisation_test")
    fraction = deletion.pop("fraction")
    everything = randomisation.pop("all_layers")
    (step,) = randomisation.pop("cascade")
    cascade = [{"down_to": step["down_to"], **step["likeness"]}]
    old = new | {
        "filling": {"hottest": fraction, **deletion},
        "shuffling": {"all": everything, "cascade": cascade, **randomisation},
    }
    path.write_text(json.dumps(old), encoding="utf-8")
    assert read_record(path, ExplanationReport, upgrade_explanation) == EXPLANATION


def test_seeds(path: Path) -> None:
    run = {"sha256": "ab" * 32, "figures": listed(FIGURES)}
    old = {"images": 4, "data_sha256": "cd" * 32, "seeds": {"1": run}}
    path.write_text(json.dumps(old), encoding="utf-8")
    found = read_record(path, SeedsReport, upgrade_seeds)
    assert (found.seeds["1"].sha256, found.seeds["1"].figures) == ("ab" * 32, FIGURES)
