"""Commands that measure models."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.commands import Captured, flat, said
from tests.support.etiologies import two_answer_classifier
from tests.support.recorded import EXPLANATION
from xray_classifier.cli.main import main
from xray_classifier.data.splits import fingerprint
from xray_classifier.evaluation import ledger, saliency_checks
from xray_classifier.evaluation.evaluate import HOLDOUT, samples_of_split
from xray_classifier.evaluation.stress import BORDER_ALONE, PERTURBATIONS
from xray_classifier.model_card import readme as reporting
from xray_classifier.models import loading
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.loading import AS_PUBLISHED
from xray_classifier.models.spec import read_spec, write_spec
from xray_classifier.records.checks import OTHER_RENDERING, ExplanationReport
from xray_classifier.records.evaluation import EvaluationReport
from xray_classifier.records.json_files import read_record
from xray_classifier.rendering import score

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # Keras
    pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built"),
]


def test_evaluation_prints_figures_and_writes_files(
    drawn: Path, tiny: Classifier, few_resamples: None, tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / "results"
    assert main(["evaluate", "tiny", "--data", str(drawn), "--out", str(out)]) == 0
    written = capsys.readouterr()
    first, second, *figures = written.out.splitlines()
    assert first == "4 images of 4 patients, threshold 0.5"
    assert second == "right: 4 of 4 (normal 2 of 2, pneumonia 2 of 2)"
    assert [line.split()[0] for line in figures] == [
        "loss",
        "accuracy",
        "sensitivity",
        "specificity",
        "auc",
        "brier",
        "ece",
        "2",  # hard normals: flat images are rendered as no radiograph is
        "0",
        "hard",
        "all",
        "rendering-balanced",
        "AUC",
        "gate:",
        "accuracy",  # less that of the article's model
    ]
    assert "2 hard normals: specificity 1.0000 (1.0000 to 1.0000)" in figures
    assert "0 hard pneumonias: none" in figures
    assert "hard against hard: none" in figures
    assert str(out) in written.err
    assert {path.name for path in out.iterdir()} == {
        "metrics.json",
        "predictions.csv",
        "classification_report.txt",
        "confusion_matrix.png",
        "roc.png",
        "grid.png",
    }


def test_evaluation_measures_the_second_answer_of_a_model_that_tells_it(
    drawn: Path,
    models: Path,
    few_resamples: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    for number, grey in ((11, 220), (12, 140)):  # sigmoid(8 * grey / 255 - 4) = .95, .60
        flat(drawn / f"test/PNEUMONIA/person{number}_bacteria_1.png", grey)
    monkeypatch.setattr(loading, "load_classifier", lambda *_, **__: two_answer_classifier())
    out = tmp_path / "results"
    assert main(["evaluate", "second", "--data", str(drawn), "--out", str(out)]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "bacterial" in line]
    # the viral ones, of greys 135 and 155, have .56 and .70; .65 is the threshold, .75 the band's
    assert line.startswith("bacterial or viral, 4 pneumonias (2 bacterial) of 4 patients: AUC 0.75")
    assert "accuracy 0.5000 (" in line
    assert "undecided 0.7500 (" in line
    assert "decided_right 1.0000 (" in line
    found = read_record(out / "metrics.json", EvaluationReport).bacterial_or_viral
    assert found is not None
    assert (found.images, found.auc.value) == (4, 0.75)


def test_evaluation_without_a_rendering_score_leaves_its_figures_out(
    drawn: Path,
    tiny: Classifier,
    few_resamples: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    missing = partial(score.read_rendering, tmp_path / "rendering.json")
    monkeypatch.setattr(score, "read_rendering", missing)
    out = tmp_path / "results"
    assert main(["evaluate", "tiny", "--data", str(drawn), "--out", str(out)]) == 0
    assert "hard" not in capsys.readouterr().out
    assert "rendering" not in json.loads((out / "metrics.json").read_text())


def test_evaluation_compares_with_the_baseline_and_spoils_the_images(
    drawn: Path, models: Path, few_resamples: None, tmp_path: Path, capsys: Captured
) -> None:
    spec = replace(read_spec(models / "tiny.json"), name=AS_PUBLISHED)
    write_spec(spec, models / f"{AS_PUBLISHED}.json")
    command = ["evaluate", "tiny", "--data", str(drawn), "--out", str(tmp_path / "out")]
    assert main([*command, "--robustness"]) == 0
    assert f"accuracy less that of {AS_PUBLISHED}: 0.0000" in capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert found["compared"]["mcnemar_p"] == 1
    assert "JPEG quality" in found["robustness"]


def test_evaluation_without_record_leaves_the_model_folder_alone(
    drawn: Path, models: Path, few_resamples: None, tmp_path: Path
) -> None:
    before = {path.name: path.read_bytes() for path in models.iterdir()}
    assert main(["evaluate", "tiny", "--data", str(drawn), "--out", str(tmp_path / "out")]) == 0
    assert {path.name: path.read_bytes() for path in models.iterdir()} == before


def test_recorded_look_is_kept_in_json_and_in_the_ledger(
    drawn: Path, models: Path, few_resamples: None, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = ["evaluate", "tiny", "--data", str(drawn), "--out", str(out), "--record"]
    assert main(command) == 0
    results = read_spec(models / "tiny.json").results
    assert results == {"drawn/test": read_record(out / "metrics.json", EvaluationReport)}
    heading, line = (models / ledger.LEDGER).read_text().splitlines()
    assert heading == "# Looks"
    assert "4 of 4 right" in line
    assert main(["predict", str(drawn), "--model", "tiny"]) == 0  # file and JSON still agree


def test_results_that_cannot_be_written_are_one_line_of_error(
    drawn: Path, tiny: Classifier, few_resamples: None, tmp_path: Path, capsys: Captured
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    assert main(["evaluate", "tiny", "--data", str(drawn), "--out", str(taken)]) == 2
    assert "taken" in capsys.readouterr().err


def test_missing_evaluation_package_is_said(
    drawn: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.delitem(sys.modules, "xray_classifier.evaluation.evaluate", raising=False)
    monkeypatch.delattr("xray_classifier.evaluation.evaluate", raising=False)
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    assert main(["evaluate", "tiny", "--data", str(drawn)]) == 2
    assert "Install it: pip install -r requirements-train.txt" in said(capsys)


def test_stress_prints_a_table_and_writes_it_as_json(
    drawn_holdout: Path, tiny: Classifier, few_resamples: None, tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / "new" / "stress.json"
    assert main(["stress", "tiny", "--data", str(drawn_holdout), "--out", str(out)]) == 0
    first, head, *rows = capsys.readouterr().out.splitlines()
    assert first == "2 images"  # of the patients held out
    assert head.split() == ["changed", "mean", "change", "other", "verdicts", "AUC"]
    assert [row[:30].strip() for row in rows[1:]] == [
        *PERTURBATIONS,
        OTHER_RENDERING,
        *BORDER_ALONE,
    ]

    report = json.loads(out.read_text(encoding="utf-8"))
    holdout = samples_of_split(drawn_holdout, HOLDOUT)
    assert report["data_sha256"] == fingerprint(holdout)
    assert {name: report[name] for name in ("model", "sha256", "threshold", "data", "images")} == {
        "model": "tiny",
        "sha256": "ab" * 32,
        "threshold": 0.5,
        "data": "drawn/holdout",
        "images": 2,
    }
    darker = report["perturbations"]["darker by .1"]
    greys = np.array([grey_of(sample.path) for sample in holdout]) / 255
    change = 1 / (1 + np.exp(4 - 8 * greys)) - 1 / (1 + np.exp(4.8 - 8 * greys))
    mean = darker["mean_change"]["value"]
    assert mean == pytest.approx(change.mean(), abs=1e-5)
    assert f"{mean:.4f}" in next(row for row in rows if "darker" in row)
    assert report["border_alone"].keys() == BORDER_ALONE.keys()
    assert "full_resolution" not in report
    assert list(out.parent.iterdir()) == [out]


def grey_of(path: Path) -> int:
    with Image.open(path) as image:
        return int(np.asarray(image)[0, 0])


def test_stress_compares_with_full_resolution(
    drawn: Path, tiny: Classifier, few_resamples: None, tmp_path: Path, capsys: Captured
) -> None:
    for path in (drawn / "train").rglob("*.png"):
        flat(tmp_path / "full" / path.name, grey_of(path) + 10)
    out = tmp_path / "stress.json"
    command = ["stress", "tiny", "--data", str(drawn), "--split", "train", "--out", str(out)]
    assert main([*command, "--full-resolution", str(tmp_path / "full")]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("full resolution, 4 images")
    found = json.loads(out.read_text(encoding="utf-8"))["full_resolution"]
    assert found["images"] == 4
    assert 0 < found["change"]["mean_change"]["value"] < 2 * 10 / 255


def test_stress_does_not_look_at_a_test_split(
    drawn: Path, tiny: Classifier, capsys: Captured
) -> None:
    assert main(["stress", "tiny", "--data", str(drawn), "--split", "test"]) == 2
    assert "A test split is for `evaluate` only" in said(capsys)


def test_stress_without_patients_to_hold_out_is_refused(
    drawn: Path, tiny: Classifier, capsys: Captured
) -> None:
    assert main(["stress", "tiny", "--data", str(drawn)]) == 2
    assert "holdout" in said(capsys)


def test_missing_stress_package_is_said(
    drawn: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    for name in ("evaluation.stress", "evaluation.evaluate"):
        monkeypatch.delitem(sys.modules, f"xray_classifier.{name}", raising=False)
        monkeypatch.delattr(f"xray_classifier.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    assert main(["stress", "tiny", "--data", str(drawn)]) == 2
    assert "Install it: pip install -r requirements-train.txt" in said(capsys)


def test_update_docs_writes_the_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr(reporting, "update_docs", lambda: called.append("update_docs"))
    assert main(["update-docs"]) == 0
    assert called == ["update_docs"]


@pytest.mark.parametrize(("passed", "status"), [(True, 0), (False, 1)])
def test_check_of_heatmaps_says_whether_they_passed(
    passed: bool,
    status: int,
    drawn_holdout: Path,
    tiny: Classifier,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    asked: list[int] = []
    report = replace(EXPLANATION, passed=passed)

    def check(samples: Any, classifier: Classifier, images: int) -> ExplanationReport:
        asked.append(images)
        return report

    monkeypatch.setattr(saliency_checks, "check", check)
    out = tmp_path / "check.json"
    command = ["explain-check", "--data", str(drawn_holdout), "--images", "7", "--out", str(out)]
    assert main(command) == status
    assert asked == [7]
    assert capsys.readouterr().out == f"{saliency_checks.describe(report)}\n"
    assert read_record(out, ExplanationReport) == report
