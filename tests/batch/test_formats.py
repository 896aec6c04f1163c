from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest

from xray_classifier.batch.formats import (
    FORMATS,
    csv_lines,
    csv_of_cases,
    json_lines,
    table_lines,
)
from xray_classifier.batch.scoring import Row

OK = Row("d/a.png", "ok", 0.9731, "pneumonia", 0.5, "tiny", warnings=("colour", "small"))
OK = replace(OK, operating_point="balanced", post_test_probability=0.5)
BAD = Row("d/b.png", "unreadable", None, None, 0.5, "tiny", "The file is empty.")
FIELDS = ["file", "status", "probability", "verdict", "threshold", "model", "message", "warnings"]
FIELDS += ["operating_point", "post_test_probability", "etiology", "bacterial_probability"]
TOLD = replace(OK, etiology="bacterial", bacterial_probability=0.87)

AWKWARD = [
    "two\nlines.png",
    "carriage\rreturn.png",
    "a,b;c.png",
    "\"double\" and 'single'.png",
    "tab\t and space .png",
    "Röntgen-图像.png",
    "not text \udcff\udc80.png",  # how Python shows the bytes ff 80
]


def text(kind: str, *rows: Row) -> str:
    return "".join(f"{line}\n" for line, _ in FORMATS[kind](rows))


def parsed(*rows: Row) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text("csv", *rows), newline="")))


@pytest.mark.parametrize("kind", ["csv", "jsonl", "table"])
def test_each_row_comes_with_its_line(kind: str) -> None:
    rows = [row for _, row in FORMATS[kind]([OK, BAD]) if row is not None]
    assert rows == [OK, BAD]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "table"])
def test_rows_are_written_as_they_come(kind: str) -> None:
    endless = iter(lambda: OK, None)
    shown = FORMATS[kind](row for row in endless if row)
    assert next(row for _, row in shown if row) == OK


# JSON lines


def test_json_line_has_exactly_the_fields_of_the_contract() -> None:
    (line, _), (bad, _) = json_lines([OK, BAD])
    assert json.loads(line) == {
        "file": "d/a.png",
        "status": "ok",
        "probability": 0.9731,
        "verdict": "pneumonia",
        "threshold": 0.5,
        "model": "tiny",
        "message": "",
        "warnings": ["colour", "small"],
        "operating_point": "balanced",
        "post_test_probability": 0.5,
        "etiology": None,
        "bacterial_probability": None,
    }
    assert json.loads(bad) == {
        "file": "d/b.png",
        "status": "unreadable",
        "probability": None,
        "verdict": None,
        "threshold": 0.5,
        "model": "tiny",
        "message": "The file is empty.",
        "warnings": [],
        "operating_point": "",
        "post_test_probability": None,
        "etiology": None,
        "bacterial_probability": None,
    }


@pytest.mark.parametrize("name", AWKWARD)
def test_json_line_gives_the_name_back(name: str) -> None:
    ((line, _),) = json_lines([replace(OK, file=name)])
    assert "\n" not in line
    assert line.isascii()  # any terminal and any encoding can carry it
    assert json.loads(line)["file"] == name


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_line_is_never_nan(value: float) -> None:
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        list(json_lines([replace(OK, probability=value)]))


# CSV


def test_csv_has_a_heading_and_the_fields_of_the_contract() -> None:
    assert text("csv").splitlines() == [",".join(FIELDS)]
    good, bad = parsed(OK, BAD)
    assert good == dict(
        zip(
            FIELDS,
            [
                *("d/a.png", "ok", "0.9731", "pneumonia", "0.5", "tiny", "", "colour;small"),
                *("balanced", "0.5", "", ""),
            ],
            strict=True,
        )
    )
    assert (bad["probability"], bad["verdict"], bad["warnings"]) == ("", "", "")
    assert bad["message"] == "The file is empty."


@pytest.mark.parametrize("name", AWKWARD)
def test_csv_gives_the_name_back(name: str) -> None:
    first, second = parsed(replace(OK, file=name), BAD)
    assert (first["file"], second["file"]) == (name, BAD.file)


def test_csv_gives_the_probability_back_unrounded() -> None:
    (row,) = parsed(replace(OK, probability=0.12345678901234567))
    assert float(row["probability"]) == 0.12345678901234567


def test_csv_heading_belongs_to_no_row() -> None:
    assert next(csv_lines([OK]))[1] is None


# Table


def test_csv_of_cases_has_their_numbers_and_no_file_names() -> None:
    written = csv_of_cases({2: BAD, 1: OK})
    assert OK.file not in written
    first, second = csv.DictReader(io.StringIO(written, newline=""))
    (in_csv,) = parsed(OK)
    left_out = ("file", "etiology", "bacterial_probability")
    assert first == {"study": "1"} | {k: v for k, v in in_csv.items() if k not in left_out}
    assert (second["study"], second["status"]) == ("2", BAD.status)


def test_csv_of_cases_has_file_names_if_asked() -> None:
    written = csv_of_cases({7: TOLD}, file_names=True)
    (line,) = csv.DictReader(io.StringIO(written, newline=""))
    (in_csv,) = parsed(TOLD)
    assert line == {"study": "7"} | in_csv


def test_csv_of_cases_has_the_etiology_if_a_case_has_one() -> None:
    written = csv_of_cases({1: OK, 2: TOLD})
    first, second = csv.DictReader(io.StringIO(written, newline=""))
    assert (first["etiology"], first["bacterial_probability"]) == ("", "")
    assert (second["etiology"], second["bacterial_probability"]) == ("bacterial", "0.87")


def test_table_shows_verdict_probability_and_file() -> None:
    heading, line = text("table", OK).splitlines()
    assert heading.split() == ["verdict", "pneumonia", "file"]
    assert line.split() == ["pneumonia", "97.3", "%", "d/a.png", "(colour,", "small)"]
    assert heading.index("file") == line.index("d/a.png")


def test_table_shows_what_is_wrong_with_a_file() -> None:
    *_, line = text("table", BAD).splitlines()
    assert line.split(maxsplit=1) == ["unreadable", "d/b.png: The file is empty."]


@pytest.mark.parametrize("probability", [0.0, 1.0, 0.99999])
def test_table_never_claims_certainty(probability: float) -> None:
    line = text("table", replace(OK, probability=probability))
    assert "over 99.9 %" in line or "under 0.1 %" in line


@pytest.mark.parametrize("name", AWKWARD)
def test_table_keeps_each_file_on_one_line_that_can_be_printed(name: str) -> None:
    (_, _), (line, _) = table_lines([replace(OK, file=name, warnings=())])
    assert line.isprintable()
    assert line.encode().endswith(b".png")


def test_table_never_mistakes_one_name_for_another() -> None:
    shown = {text("table", replace(OK, file=name)) for name in ("a\nb", r"a\nb")}
    assert len(shown) == 2


@pytest.mark.parametrize(
    ("etiology", "bacterial", "remark"),
    [
        ("bacterial", 0.87, "if so, bacterial 87.0 %"),
        ("viral", 0.1, "if so, viral 90.0 %"),
        ("uncertain", 0.6, "if so, uncertain (bacterial 60.0 %)"),
    ],
)
def test_table_shows_the_etiology_before_the_warnings(
    etiology: str, bacterial: float, remark: str
) -> None:
    row = replace(OK, etiology=etiology, bacterial_probability=bacterial)
    assert text("table", row).splitlines()[1].endswith(f"d/a.png  ({remark}, colour, small)")
    row = replace(row, warnings=())
    assert text("table", row).splitlines()[1].endswith(f"d/a.png  ({remark})")


def test_etiology_comes_back_from_json_and_csv() -> None:
    (line, _) = next(json_lines([TOLD]))
    assert json.loads(line)["etiology"] == "bacterial"
    assert json.loads(line)["bacterial_probability"] == 0.87
    (row,) = parsed(TOLD)
    assert (row["etiology"], row["bacterial_probability"]) == ("bacterial", "0.87")
