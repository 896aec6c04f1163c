from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.places import ROOT
from tests.support.recorded import CHANGE, RENDERING, STRESS, SUMMARY
from xray_classifier.errors import DatasetError
from xray_classifier.model_card.readme import (
    BLOCKS,
    Block,
    findings,
    headline_table,
    marks,
    rendering_results,
    results_table,
    stress_table,
    update_docs,
)
from xray_classifier.models.spec import OFFICIAL_TEST as TEST
from xray_classifier.models.spec import ModelSpec, write_spec
from xray_classifier.records.checks import OTHER_RENDERING, StressReport
from xray_classifier.records.evaluation import Estimate
from xray_classifier.records.json_files import write_record

SPEC = ModelSpec("tiny", "Tiny", "tiny.keras", sha256="ab" * 32, bytes=1)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with one model that was measured twice."""
    results = {"set/test": SUMMARY, "set/holdout": SUMMARY}
    folder = tmp_path / "model"
    folder.mkdir()
    write_spec(replace(SPEC, results=results), folder / "tiny.json")
    return folder


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_article_stands_first_with_its_counts(models: Path) -> None:
    heading, rule, article, *_ = map(cells, results_table(models).splitlines())
    assert len(heading) == len(rule) == len(article)
    assert dict(zip(heading, article, strict=True)) == {
        "model": "the article, as published",
        "data": "its own full-resolution test images",
        "images (patients)": "624",
        "right": "569",
        "accuracy": "91.2 % (88.7 % to 93.2 %)",
        "sensitivity": "97.2 % (95.0 % to 98.4 %)",
        "specificity": "81.2 % (75.7 % to 85.7 %)",
        "AUC": "-",
        "loss": "0.3132",
    }


def test_recorded_result_stands_with_its_intervals(models: Path) -> None:
    assert cells(results_table(models).splitlines()[-1]) == [
        "tiny (abababab)",
        "set/test",
        "10 (7)",
        "7",
        "70.0 % (55.0 % to 85.0 %)",
        "66.7 % (50.0 % to 80.0 %)",
        "75.0 % (60.0 % to 90.0 %)",
        "0.8124 (0.7000 to 0.9000)",
        "0.5123 (0.4000 to 0.6000)",
    ]


def test_results_are_sorted_by_model_and_data(models: Path) -> None:
    results = dict.fromkeys(("z/test", "a/test"), SUMMARY)
    write_spec(replace(SPEC, name="big", results=results), models / "big.json")
    shown = [cells(line)[:2] for line in results_table(models).splitlines()[3:]]
    assert shown == [
        ["big (abababab)", "a/test"],
        ["big (abababab)", "z/test"],
        ["tiny (abababab)", "set/holdout"],
        ["tiny (abababab)", "set/test"],
    ]


def test_model_that_was_not_measured_has_no_row(tmp_path: Path) -> None:
    write_spec(SPEC, tmp_path / "tiny.json")
    assert "tiny" not in results_table(tmp_path)


def test_findings_are_those_of_the_default_model(models: Path) -> None:
    assert findings(models) == "Not measured yet."
    figures = replace(SUMMARY.figures, auc=Estimate(0.6, 0.4, 0.7))
    adults = replace(SUMMARY, images=9, figures=figures)
    spec = replace(SPEC, name="default", results={"adult_nih/all": adults})
    write_spec(spec, models / "default.json")
    assert "On 9 images of adults of another hospital its AUC is 0.600" in findings(models)


def test_headline_has_the_article_and_what_was_measured_of_ours(tmp_path: Path) -> None:
    results = {"chest_xray/test": SUMMARY, "chest_xray/train": SUMMARY}
    write_spec(replace(SPEC, name="default", results=results), tmp_path / "default.json")
    _, _, article, *ours = map(cells, headline_table(tmp_path).splitlines())
    assert article[:3] == [
        "the article, as published",
        "official test set, full resolution (624)",
        "91.2 % (88.7 % to 93.2 %)",
    ]
    assert ours == [
        [
            "`default`",
            "official test set (10)",
            "70.0 % (55.0 % to 85.0 %)",
            "66.7 % (50.0 % to 80.0 %)",
            "75.0 % (60.0 % to 90.0 %)",
            "0.812 (0.700 to 0.900)",
        ],
        ["`default`", "official test set, hard", *["not measured"] * 4],
        ["`default`", "official test set, balanced", *["not measured"] * 4],
    ]


# Pages

ONE, OTHER = marks("one"), marks("other")
BEFORE, AFTER = "# Title\n\n| an | other table |\n\n", "\n\nEnd – with an umlaut: ü\n"
DRAWN = {
    "one": Block("README.md", lambda: "a new table"),
    "other": Block("README.md", lambda: "20.9 % and\n100 %"),
    "third": Block("docs/page.md", lambda: "elsewhere"),
}


def fill(folder: Path, *texts: str) -> None:
    """Write both pages, with these texts between the marks."""
    one, other, third = texts
    (folder / "docs").mkdir(exist_ok=True)
    readme = f"{BEFORE}{ONE[0]}\n{one}\n{ONE[1]}\n{OTHER[0]}\n{other}\n{OTHER[1]}{AFTER}"
    (folder / "README.md").write_text(readme, encoding="utf-8")
    start, end = marks("third")
    (folder / "docs" / "page.md").write_text(f"{start}\n{third}\n{end}\n", encoding="utf-8")


def pages(folder: Path) -> list[str]:
    return [page.read_text(encoding="utf-8") for page in sorted(folder.rglob("*.md"))]


def test_only_what_stands_between_the_marks_is_replaced(tmp_path: Path) -> None:
    fill(tmp_path, "a new table", "20.9 % and\n100 %", "elsewhere")
    expected = pages(tmp_path)
    fill(tmp_path, "old", "", "old\nold")
    update_docs(tmp_path, DRAWN)
    assert pages(tmp_path) == expected


def test_a_second_update_changes_nothing(tmp_path: Path) -> None:
    fill(tmp_path, "", "", "")
    update_docs(tmp_path, DRAWN)
    once = pages(tmp_path)
    update_docs(tmp_path, DRAWN)
    assert pages(tmp_path) == once


@pytest.mark.parametrize("text", ["", *marks("third"), "generated: third"])
def test_page_without_marks_is_an_error_and_all_pages_stay(text: str, tmp_path: Path) -> None:
    fill(tmp_path, "old", "old", "old")
    (tmp_path / "docs" / "page.md").write_text(text, encoding="utf-8")
    before = pages(tmp_path)
    with pytest.raises(DatasetError, match=r"page\.md lacks the lines <!-- generated: third.*Rest"):
        update_docs(tmp_path, DRAWN)
    assert pages(tmp_path) == before


def test_every_page_that_is_written_has_one_place_for_it() -> None:
    for name, block in BLOCKS.items():
        text = (ROOT / block.page).read_text(encoding="utf-8")
        assert [text.count(mark) for mark in marks(name)] == [1, 1], name


# Stress

REPORT = replace(STRESS, sha256=SPEC.sha256)


def write_report(models: Path, name: str, report: StressReport) -> None:
    write_record(report, models / "stress" / f"{name}.json")


def test_stress_of_each_model_stands_side_by_side(models: Path) -> None:
    write_spec(replace(SPEC, name="big"), models / "big.json")
    for name in ("tiny", "big"):
        write_report(models, name, REPORT)
    assert [*map(cells, stress_table(models).splitlines())] == [
        [
            "what was changed (1,040 images)",
            *(f"{name}: change, other verdicts" for name in ("big", "tiny")),
        ],
        ["---", "---", "---"],
        ["blur", *["0.012 (0.010 to 0.020), 2.5 % (1.0 % to 5.0 %)"] * 2],
        [OTHER_RENDERING, *["not measured"] * 2],
        ["outer 10 % alone", *["AUC 0.661 (0.600 to 0.700)"] * 2],
        ["full resolution (3 images)", *["0.012 (0.010 to 0.020), 2.5 % (1.0 % to 5.0 %)"] * 2],
    ]


def test_row_that_one_model_lacks_is_not_measured_of_it(models: Path) -> None:
    write_spec(replace(SPEC, name="big"), models / "big.json")
    write_report(models, "big", replace(REPORT, full_resolution=None))
    changes = {"blur": CHANGE, OTHER_RENDERING: CHANGE}
    write_report(models, "tiny", replace(REPORT, perturbations=changes))
    found = {name: rest for name, *rest in map(cells, stress_table(models).splitlines())}
    measured = "0.012 (0.010 to 0.020), 2.5 % (1.0 % to 5.0 %)"
    assert found[OTHER_RENDERING] == ["not measured", measured]
    assert found["blur"] == [measured, measured]


def test_rendering_stands_for_each_model_and_data(models: Path) -> None:
    results = {
        "a/test": replace(SUMMARY, rendering=RENDERING),
        "b/all": SUMMARY,  # the score says nothing about other patients
        TEST: SUMMARY,
    }
    write_spec(replace(SPEC, results=results), models / "tiny.json")
    _, _, *rows = map(cells, rendering_results(models).splitlines())
    assert rows == [
        [
            "tiny (abababab)",
            "a/test",
            "hard (76 + 218)",
            "79.0 % (70.0 % to 85.0 %)",
            "80.0 % (70.0 % to 90.0 %)",
            "75.0 % (60.0 % to 85.0 %)",
            "0.880 (0.800 to 0.950)",
        ],
        [
            "tiny (abababab)",
            "a/test",
            "balanced (as 289)",
            "70.0 % (55.0 % to 85.0 %)",
            "66.7 % (50.0 % to 80.0 %)",
            "75.0 % (60.0 % to 90.0 %)",
            "0.970 (0.950 to 0.990)",
        ],
        ["tiny (abababab)", TEST, "hard", *["not measured"] * 4],
        ["tiny (abababab)", TEST, "balanced", *["not measured"] * 4],
    ]


def test_nothing_stressed_is_said(models: Path) -> None:
    assert stress_table(models) == "Not measured yet."


def test_model_without_a_report_has_no_column(models: Path) -> None:
    write_spec(replace(SPEC, name="big"), models / "big.json")
    write_report(models, "tiny", REPORT)
    assert "big" not in stress_table(models)


def test_report_of_another_file_is_refused(models: Path) -> None:
    write_report(models, "tiny", replace(REPORT, sha256="ef" * 32))
    with pytest.raises(DatasetError, match=r"tiny\.json is about another file than tiny"):
        stress_table(models)
