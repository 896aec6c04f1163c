from __future__ import annotations

import argparse
from collections.abc import Callable

import pytest

from xray_classifier.cli.options import in_range, needs
from xray_classifier.errors import MissingPackageError

PROBABILITY = in_range(float, 0, 1, inclusive=False)
OPACITY = in_range(float, 0, 1)
COUNT = in_range(int, 2)


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (PROBABILITY, ".5", 0.5),
        (OPACITY, "0", 0.0),
        (OPACITY, "1", 1.0),
        (COUNT, "2", 2),
        (COUNT, "99999", 99999),
    ],
)
def test_number_in_its_range_is_taken(
    parse: Callable[[str], float], text: str, value: float
) -> None:
    assert parse(text) == value
    assert type(parse(text)) is type(value)


@pytest.mark.parametrize(
    ("parse", "text", "complaint"),
    [
        (PROBABILITY, "0", "0 is not between 0 and 1"),
        (PROBABILITY, "1", "1 is not between 0 and 1"),
        (PROBABILITY, "nan", "nan is not between 0 and 1"),
        (OPACITY, "-0.1", "-0.1 is not between 0 and 1"),
        (OPACITY, "1.5", "1.5 is not between 0 and 1"),
        (COUNT, "1", "1 is too few; give 2 or more"),
    ],
)
def test_number_out_of_its_range_is_told(
    parse: Callable[[str], float], text: str, complaint: str
) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"^{complaint}$"):
        parse(text)


@pytest.mark.parametrize(("parse", "kind"), [(OPACITY, "float"), (COUNT, "int")])
def test_what_is_no_number_is_told(
    parse: Callable[[str], float], kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--number", type=parse)
    with pytest.raises(SystemExit, match="^2$"):
        parser.parse_args(["--number", "x"])
    assert f"argument --number: invalid {kind} value: 'x'" in capsys.readouterr().err


def test_package_that_is_missing_is_named_with_its_remedy() -> None:
    wanted = r"^The package none_such is missing\. Install it: pip install -r requirements-x\.txt$"
    with pytest.raises(MissingPackageError, match=wanted), needs("requirements-x.txt"):
        import none_such  # type: ignore[import-not-found]  # noqa: F401
