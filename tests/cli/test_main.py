"""All commands: usage, help, errors."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Captured, said
from tests.support.places import ROOT
from xray_classifier.cli.main import build_parser, main
from xray_classifier.data import kaggle as kaggle_data

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # Keras
    pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built"),
]


def commands(parser: argparse.ArgumentParser, *path: str) -> Iterator[tuple[str, ...]]:
    """Name every command and every group of commands, none by an old name."""
    yield path
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                if inner.prog.endswith(f" {name}"):
                    yield from commands(inner, *path, name)


ALL = sorted(" ".join(path) for path in commands(build_parser()))


GROUPS = {"", "data", "train"}


def test_commands_are_those_of_the_readme() -> None:
    assert {*ALL} == GROUPS | {
        "calibrate",
        "card",
        "compare",
        "cross-validate",
        "data check",
        "data download",
        "data show",
        "evaluate",
        "explain",
        "explain-check",
        "export",
        "case-report",
        "predict",
        "seeds",
        "stress",
        "summary",
        "train article",
        "train article-alone",
        "train article-as-published",
        "train default",
        "train gate",
        "train rendering",
        "train sharp",
        "train soft",
        "update-docs",
    }


@pytest.mark.parametrize("command", ALL)
def test_each_command_explains_itself(command: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit, match="^0$"):
        main([*command.split(), "--help"])
    assert f"usage: python -m xray_classifier {command}".rstrip() in capsys.readouterr().out


@pytest.mark.parametrize("command", sorted(GROUPS))
def test_group_without_a_command_is_wrong_usage(command: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit, match="^2$"):
        main(command.split())
    written = capsys.readouterr()
    assert "the following arguments are required" in written.err
    assert written.out == ""


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("predict", "required: PATH"),
        ("predict a.png --format xml", "argument --format: invalid choice: 'xml'"),
        ("predict a.png --nonsense", "unrecognized arguments: --nonsense"),
        ("evaluate tiny", "required: --data"),
        ("evaluate --data d", "required: model"),
        ("stress tiny", "required: --data"),
        ("stress --data d", "required: model"),
        ("train article --data d", "required: --out"),
        ("train default --data d", "required: --out"),
        ("train article --data d --out o --seed one", "argument --seed: invalid int value"),
        ("data download", "required: --dest"),
        ("data download --dest d --dataset cats", "argument --dataset: invalid choice: 'cats'"),
        ("data check", "required: DIR"),
        ("diagnose", "invalid choice: 'diagnose'"),
    ],
)
def test_wrong_usage_is_told(command: str, complaint: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit, match="^2$"):
        main(command.split())
    written = capsys.readouterr()
    assert complaint in written.err
    assert written.out == ""


@pytest.mark.parametrize(
    "command",
    [
        "evaluate tiny --data {0}",
        "stress tiny --data {0}",
        "data check {0}",
        "train article --data {0} --out o",
    ],
)
def test_unusable_data_are_one_line_of_error(
    command: str, tmp_path: Path, capsys: Captured
) -> None:
    assert main(command.format(tmp_path / "none").split()) == 2
    assert "none is not a folder" in said(capsys)


def test_missing_patient_table_is_one_line_of_error(drawn: Path, capsys: Captured) -> None:
    assert main(["data", "check", str(drawn), "--patients", "none.csv"]) == 2
    assert "The patient table none.csv cannot be read" in said(capsys)


def test_interruption_ends_a_command_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, tmp_path: Path
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(kaggle_data, "download", interrupted)
    assert main(["data", "download", "--dest", str(tmp_path / "data")]) == 130
    assert capsys.readouterr() == ("", "Interrupted.\n")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_reader_that_has_seen_enough_is_no_error(unbuffered: str, drawn: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    run = subprocess.run(
        [sys.executable, "-m", "xray_classifier", "data", "check", str(drawn)],
        cwd=ROOT,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (run.returncode, run.stderr) == (0, "")
