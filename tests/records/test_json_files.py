from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from xray_classifier.errors import ModelUnavailableError
from xray_classifier.records.json_files import (
    SCHEMA_VERSION,
    read_record,
    to_json,
    write_record,
)


@dataclass(frozen=True)
class Part:
    value: float
    name: str = "part"

    def __post_init__(self) -> None:
        if self.value > 9:
            raise ValueError(f"A value up to 9 is wanted; received {self.value}.")


@dataclass(frozen=True)
class Whole:
    number: int
    part: Part
    parts: tuple[Part, ...] = ()
    by_name: dict[str, Part] = field(default_factory=dict)
    known: bool | None = None
    anything: Any = None


WHOLE = Whole(1, Part(0.5), (Part(1), Part(2, "b")), {"c": Part(3)}, False, {"zoom": [0.8, 1.2]})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "whole.json"


def write(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({"schema_version": SCHEMA_VERSION, **values}), encoding="utf-8")


def test_a_record_survives_its_file(path: Path) -> None:
    write_record(WHOLE, path)
    assert read_record(path, Whole) == WHOLE


def test_the_file_says_its_version_first_and_leaves_out_what_is_none(path: Path) -> None:
    write_record(Whole(1, Part(0.5)), path)
    values = json.loads(path.read_text(encoding="utf-8"))
    assert [*values] == ["schema_version", "number", "part", "parts", "by_name"]
    assert values["schema_version"] == SCHEMA_VERSION
    assert read_record(path, Whole) == Whole(1, Part(0.5))


def test_what_is_false_or_empty_is_not_left_out() -> None:
    assert to_json(WHOLE)["known"] is False
    assert to_json(Whole(0, Part(0)))["number"] == 0


def test_a_number_that_is_not_finite_is_not_written(path: Path) -> None:
    write_record(WHOLE, path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_record(Whole(1, Part(float("nan"))), path)
    assert path.read_bytes() == before
    assert [*path.parent.iterdir()] == [path]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"number": "1"}, "number is '1'"),
        ({"number": 1.5}, "number is 1.5"),
        ({"number": True}, "number is True"),
        ({"number": None}, "number is None"),
        ({"part": {"value": "x"}}, "part.value is 'x'"),
        ({"part": {"value": False}}, "part.value is False"),
        ({"part": {}}, "part.value is missing"),
        ({"part": {"value": 1, "colour": 2}}, "part.colour is unknown"),
        ({"part": [0.5]}, r"part is \[0.5\]"),
        ({"part": {"value": 10}}, "part: A value up to 9 is wanted; received 10"),
        ({"parts": [{"value": 1}, {"value": None}]}, r"parts\[1\].value is None"),
        ({"parts": {}}, r"parts is \{\}"),
        ({"by_name": {"a/b": {"value": []}}}, r"by_name.a/b.value is \[\]"),
        ({"known": 1}, "known is 1"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(
    values: dict[str, Any], problem: str, path: Path
) -> None:
    write(path, **{"number": 1, "part": {"value": 0.5}} | values)
    with pytest.raises(ModelUnavailableError, match=rf"does not fit this program: {problem}") as it:
        read_record(path, Whole)
    assert str(it.value).endswith("Take model and JSON from the same version.")


def test_all_problems_are_told_at_once(path: Path) -> None:
    write(path, part={"value": "x"}, extra=1)
    wanted = "extra is unknown, number is missing, part.value is 'x'. Take"
    with pytest.raises(ModelUnavailableError, match=wanted):
        read_record(path, Whole)


def test_a_whole_number_is_a_number_and_stays_as_it_is_written(path: Path) -> None:
    write(path, number=1, part={"value": 2})
    assert str(read_record(path, Whole).part.value) == "2"


# --- versions


def double(values: dict[str, Any]) -> dict[str, Any]:
    return {"number": 2 * values["half"], "part": {"value": 1}}


def test_a_file_without_a_version_is_upgraded(path: Path) -> None:
    path.write_text('{"half": 4}', encoding="utf-8")
    assert read_record(path, Whole, double) == Whole(8, Part(1))


def test_a_file_of_this_version_is_not_upgraded(path: Path) -> None:
    write(path, half=4)
    with pytest.raises(ModelUnavailableError, match="half is unknown"):
        read_record(path, Whole, double)


@pytest.mark.parametrize("text", ["{}", '{"half": null}'])
def test_an_old_file_that_cannot_be_upgraded_is_refused(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")
    message = r"whole\.json is of schema version 1 and cannot be brought to version 2"
    with pytest.raises(ModelUnavailableError, match=message):
        read_record(path, Whole, double)


def test_what_an_upgrade_gives_is_checked(path: Path) -> None:
    path.write_text('{"half": "x"}', encoding="utf-8")
    with pytest.raises(ModelUnavailableError, match="does not fit this program: number is 'xx'"):
        read_record(path, Whole, double)


def test_an_old_file_of_a_kind_that_is_not_upgraded_is_refused(path: Path) -> None:
    path.write_text("{}", encoding="utf-8")
    message = "is of schema version 1; this program reads version 2. Take the file from the same"
    with pytest.raises(ModelUnavailableError, match=message):
        read_record(path, Whole)


@pytest.mark.parametrize("version", [3, "2", None, 0, [2], True, 2.0])
def test_a_file_of_another_version_is_refused(version: Any, path: Path) -> None:
    write(path, schema_version=version)
    with pytest.raises(ModelUnavailableError, match="reads version 2 and what is older. Take the"):
        read_record(path, Whole, double)
