from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from xray_classifier.errors import ModelUnavailableError
from xray_classifier.models.spec import ModelSpec, read_spec, write_spec

GOOD: dict[str, Any] = {
    "name": "tiny",
    "title": "Tiny",
    "file": "tiny.keras",
    "sha256": "ab" * 32,
    "bytes": 12,
    "threshold": 0.4,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tiny.json"


def write(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**GOOD, **changes}), encoding="utf-8")


def test_a_spec_survives_writing_and_reading(path: Path) -> None:
    spec = ModelSpec(
        **GOOD,
        download="https://example.org/tiny.keras",
        training={"seed": 1, "split": {"training": [1082, 3110]}},
        results={"test": {"accuracy": 0.9, "title": "Röntgen"}},
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
    path.write_text(json.dumps(rest), encoding="utf-8")

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
        ("threshold", 1, "1"),
        ("threshold", None, "None"),
        ("download", 7, "7"),
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
    path.write_text(json.dumps({**GOOD, "bytes": "x", "colour": 1}), encoding="utf-8")

    with pytest.raises(ModelUnavailableError, match="colour is unknown, bytes is 'x'"):
        read_spec(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("labels", ["pneumonia", "normal"]),
        ("labels", "normal"),
        ("input_shape", [224, 224, 3]),
        ("input_shape", None),
        ("scaling", "1/127.5 - 1"),
    ],
)
def test_an_input_that_this_program_does_not_feed_is_refused(
    path: Path, field: str, value: Any
) -> None:
    write(path, **{field: value})

    with pytest.raises(ModelUnavailableError, match=f"tiny says {field} .*feeds its models"):
        read_spec(path)


@pytest.mark.parametrize("threshold", [0.0, 1.0, 1.5, -0.1, float("nan"), float("inf")])
def test_a_threshold_outside_0_and_1_is_refused(path: Path, threshold: float) -> None:
    write(path, threshold=threshold)

    with pytest.raises(ModelUnavailableError, match=f"says threshold {threshold}; wanted is a"):
        read_spec(path)
