from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.recorded import (
    ALL_FIGURES,
    CALIBRATION,
    EXPLANATION,
    POINT_FIGURES,
    SHA256,
    STRESS,
    SUMMARY,
    trained,
)
from tests.support.stand_ins import POINTS
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.models.loading import model_names
from xray_classifier.models.operating_point import OperatingPoint
from xray_classifier.models.spec import (
    ModelSpec,
    read_report,
    read_spec,
    report_path,
    write_spec,
)
from xray_classifier.paths import MODEL_FOLDER
from xray_classifier.records.checks import (
    ExplanationReport,
    SeedRun,
    SeedsReport,
    StressReport,
)
from xray_classifier.records.evaluation import (
    Comparison,
    CoveragePoint,
    Curves,
    Difference,
    Estimate,
    GateCounts,
    Misjudged,
    ReliabilityPoint,
    RocPoint,
    SpoiltFigures,
    Subgroup,
)
from xray_classifier.records.json_files import write_record

GOOD: dict[str, Any] = {
    "name": "tiny",
    "title": "Tiny",
    "file": "tiny.keras",
    "sha256": "ab" * 32,
    "bytes": 12,
    "threshold": 0.4,
}

HALF = Estimate(0.5, 0.4, 0.6)
EVERYTHING = replace(
    SUMMARY,
    figures=ALL_FIGURES,
    operating_points={"balanced": POINT_FIGURES},
    etiology={"virus": Subgroup(3, HALF, HALF)},
    byte_size_auc=0.83,
    gate=GateCounts(1, 2, ("Röntgen.png",)),
    errors=(Misjudged("a.png", "normal", 0.75),),
    curves=Curves(
        (RocPoint(0, 0), RocPoint(1, 1)), (ReliabilityPoint(0.5, 0.4, 9),), (CoveragePoint(1, 0.9),)
    ),
    compared=Comparison("article", Difference(HALF, HALF, HALF, HALF), 0.5, 0.25),
    robustness={"blur": (SpoiltFigures(1, HALF, HALF), SpoiltFigures(2, HALF, HALF))},
)
"""All that `evaluate` can measure."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tiny.json"


def write(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({"schema_version": 2, **GOOD, **changes}), encoding="utf-8")


def test_a_spec_survives_writing_and_reading(path: Path) -> None:
    spec = ModelSpec(
        **GOOD,
        download="https://example.org/tiny.keras",
        calibration_prevalence=0.74,
        calibration=CALIBRATION,
        operating_points=(*POINTS, OperatingPoint("third", 0.5, 0.5, 0.5, "", POINT_FIGURES)),
        training=trained(),
        results={"chest_xray/test": EVERYTHING, "adult_nih/all": SUMMARY},
    )

    write_spec(spec, path)

    assert read_spec(path) == spec


def test_writing_leaves_readable_text_and_nothing_else(path: Path) -> None:
    write_spec(ModelSpec(**{**GOOD, "title": "Röntgen"}), path)

    text = path.read_text(encoding="utf-8")
    assert "Röntgen" in text
    assert text.endswith("}\n")
    assert list(path.parent.iterdir()) == [path]


def test_what_may_be_left_out_has_the_values_of_the_article(path: Path) -> None:
    write(path)

    spec = read_spec(path)

    assert spec == ModelSpec(**GOOD)
    assert spec.labels == ("normal", "pneumonia")
    assert spec.input_shape == (500, 500, 1)
    assert spec.scaling == "1/255"
    assert spec.download is None


@pytest.mark.parametrize(("sha256", "short"), [("ab" * 32, "abababab"), ("", "unverified")])
def test_the_short_hash_has_eight_digits_or_says_unverified(sha256: str, short: str) -> None:
    assert ModelSpec("tiny", "Tiny", "tiny.keras", sha256).short_hash == short


def test_a_missing_file_is_named(path: Path) -> None:
    wanted = re.escape(f"{path} cannot be read (No such file or directory)")
    with pytest.raises(ModelUnavailableError, match=wanted):
        read_spec(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not valid JSON"),
        (b'{"name": "tiny",', "is not valid JSON"),
        (b"\xff\xfe{}", "is not valid JSON"),
        (b'["tiny"]', "holds no JSON object"),
        (b"null", "holds no JSON object"),
    ],
)
def test_what_is_no_json_object_is_refused(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)

    with pytest.raises(ModelUnavailableError, match=message) as caught:
        read_spec(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("field", sorted(GOOD))
def test_a_missing_field_is_named(path: Path, field: str) -> None:
    rest = {name: value for name, value in GOOD.items() if name != field}
    path.write_text(json.dumps({"schema_version": 2} | rest), encoding="utf-8")

    with pytest.raises(ModelUnavailableError, match=f"{field} is missing"):
        read_spec(path)


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("name", 7, "7"),
        ("title", None, "None"),
        ("file", ["tiny.keras"], r"\['tiny.keras'\]"),
        ("sha256", 0, "0"),
        ("bytes", "12", "'12'"),
        ("bytes", 1.5, "1.5"),
        ("threshold", "0.5", "'0.5'"),
        ("threshold", None, "None"),
        ("download", 7, "7"),
        ("labels", "normal", "'normal'"),
        ("input_shape", None, "None"),
        ("training", "seed 1", "'seed 1'"),
        ("results", [], r"\[\]"),
    ],
)
def test_a_field_of_the_wrong_type_is_named_with_its_value(
    path: Path, field: str, value: Any, shown: str
) -> None:
    write(path, **{field: value})

    with pytest.raises(ModelUnavailableError, match=f"{field} is {shown}"):
        read_spec(path)


def test_an_unknown_field_is_named(path: Path) -> None:
    write(path, treshold=0.3)

    with pytest.raises(ModelUnavailableError, match="treshold is unknown"):
        read_spec(path)


def test_all_problems_are_told_at_once(path: Path) -> None:
    write(path, bytes="x", colour=1)

    with pytest.raises(ModelUnavailableError, match="colour is unknown, bytes is 'x'"):
        read_spec(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("labels", ["pneumonia", "normal"]),
        ("input_shape", [224, 224, 3]),
        ("scaling", "1/127.5 - 1"),
    ],
)
def test_an_input_that_this_program_does_not_feed_is_refused(
    path: Path, field: str, value: Any
) -> None:
    write(path, **{field: value})

    with pytest.raises(ModelUnavailableError, match=f"tiny says {field} .*feeds its models"):
        read_spec(path)


@pytest.mark.parametrize("threshold", [0, 1, 0.0, 1.0, 1.5, -0.1, float("nan"), float("inf")])
def test_a_threshold_outside_0_and_1_is_refused(path: Path, threshold: float) -> None:
    write(path, threshold=threshold)

    with pytest.raises(ModelUnavailableError, match=f"says threshold {threshold}; wanted is a"):
        read_spec(path)


def test_a_band_that_does_not_hold_its_threshold_is_named_with_its_place(path: Path) -> None:
    point = {"name": "balanced", "threshold": 0.7, "low": 0.8, "high": 0.9}
    write(path, operating_points=[point])

    message = r"operating_points\[0\]: The band of operating point balanced goes from 0.8 to 0.9"
    with pytest.raises(ModelUnavailableError, match=message):
        read_spec(path)


def test_points_are_found_by_name_and_the_first_one_without() -> None:
    spec = ModelSpec(**GOOD, operating_points=POINTS)
    assert spec.point_names == ["balanced", "screening"]
    assert (spec.point(), spec.point("screening")) == POINTS
    with pytest.raises(ModelUnavailableError, match="no operating point 'x'; it has: balanced, sc"):
        spec.point("x")


def test_a_model_without_fitted_points_has_a_fixed_one_at_its_threshold() -> None:
    spec = ModelSpec(**GOOD)
    assert spec.point_names == ["fixed"]
    assert spec.point() == OperatingPoint.fixed(0.4)


# --- reports

TINY = ModelSpec("tiny", "Tiny", "tiny.keras", SHA256)
SEEDS = SeedsReport(10, "cd" * 32, {"1": SeedRun(SHA256, ALL_FIGURES)})


@pytest.mark.parametrize("report", [STRESS, EXPLANATION, SEEDS], ids=lambda one: one.folder)
def test_a_report_is_on_the_model_file_that_it_names(report: Any, tmp_path: Path) -> None:
    kind = type(report)
    assert read_report(kind, TINY, tmp_path) is None
    path = report_path(kind, TINY, tmp_path)
    assert path == tmp_path / kind.folder / "tiny.json"
    write_record(report, path)
    assert read_report(kind, TINY, tmp_path) == report
    assert read_report(kind, replace(TINY, sha256="ef" * 32), tmp_path) is None


def test_a_damaged_report_is_named(tmp_path: Path) -> None:
    path = report_path(StressReport, TINY, tmp_path)
    path.parent.mkdir()
    path.write_text("{", encoding="utf-8")
    with pytest.raises(ModelUnavailableError, match=r"stress/tiny\.json is not valid JSON"):
        read_report(StressReport, TINY, tmp_path)


@pytest.mark.parametrize("name", model_names())
def test_the_shipped_models_have_all_reports_that_the_page_shows(name: str) -> None:
    spec = read_spec(MODEL_FOLDER / f"{name}.json")
    assert read_report(StressReport, spec) is not None
    assert read_report(ExplanationReport, spec) is not None
