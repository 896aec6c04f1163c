"""Every command in the pages for people is one that exists, with options that it knows."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise

import pytest

from benchmarks.__main__ import _parser as benchmarks_parser
from tests.support.markdown_pages import PAGES, blocks, code_spans
from tests.support.places import ROOT
from xray_classifier.cli.main import build_parser

PROGRAMS = re.compile(r"(\w+=\S+ )*(\.venv/bin/|python3? -m |pip |xray-classifier |docker )")
OUTSIDE = {"apt-get", "docker", "strace", "pip-audit"}
"""Programs that are not ours, and whose options are theirs."""

FIXED = {"python3 -m venv .venv", "ruff check .", "ruff format .", "mypy"}


def commands(text: str) -> list[str]:
    """Give each command: the lines of shell blocks, and code in sentences that begins like one."""
    lines = [line for block in blocks(text, "bash") for line in block.splitlines()]
    lines += [span for span in code_spans(text) if PROGRAMS.match(span)]
    return [part.strip() for line in lines for part in line.split("&&") if part.strip()]


COMMANDS = [(page, command) for page, text in PAGES.items() for command in commands(text)]


def words_of(command: str) -> list[str]:
    """Split a command: program first, without its folder, nor variables set for it."""
    words = shlex.split(command, comments=True)
    while re.match(r"\w+=", words[0]):
        words.pop(0)
    return [words[0].removeprefix(".venv/bin/"), *words[1:]]


def check(command: str, markers: set[str]) -> None:
    """Fail where the command is none, or has an option or file that is not there."""
    match words_of(command):
        case ["xray-classifier", *rest]:
            check_module("xray_classifier", rest, markers)
        case ["python", "-m", module, *rest]:
            check_module(module, rest, markers)
        case ["python", file] | ["streamlit", "run", file, *_]:
            assert (ROOT / file).is_file()
        case ["pip", "install", *rest]:
            files = [word for before, word in pairwise(rest) if before == "-r"]
            assert all((ROOT / file).is_file() for file in files)
        case [program, *rest]:
            assert program in OUTSIDE or " ".join([program, *rest]) in FIXED


def check_module(module: str, words: list[str], markers: set[str]) -> None:
    """Ask the parser of one of our own programs."""
    match module:
        case "xray_classifier":
            assert build_parser().parse_args(words).run
        case "benchmarks":
            benchmarks_parser().parse_args(words)
        case "benchmarks.archive":
            known = (ROOT / "benchmarks" / "archive.py").read_text(encoding="utf-8")
            assert all(f'"{word}"' in known for word in words if word.startswith("-"))
        case "pytest":
            check_pytest(words, markers)
        case _:
            raise AssertionError(f"{module} is no program of ours")


def check_pytest(words: list[str], markers: set[str]) -> None:
    """Places, marks and our own option must be there."""
    rest = iter(words)
    for word in rest:
        if word == "-m":
            assert next(rest) in markers
        elif word == "--measured":
            assert next(rest).endswith(".json")
        elif word.startswith("-"):
            assert word in {"-q", "--durations=10"}
        else:
            assert (ROOT / word).exists()


@pytest.fixture
def markers(pytestconfig: pytest.Config) -> set[str]:
    """The marks that the tests know."""
    return {line.partition(":")[0] for line in pytestconfig.getini("markers")}


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_command_is_one_that_exists(page: str, command: str, markers: set[str]) -> None:
    check(command, markers)


@pytest.mark.parametrize(
    "command",
    [
        ".venv/bin/python -m xray_classifier predict one.png --fomrat csv",
        "xray-classifier foresee one.png",
        ".venv/bin/python -m benchmarks --slow",
        ".venv/bin/python -m benchmarks.archive --slow",
        ".venv/bin/python -m pytest -m slow",
        ".venv/bin/python -m pytest tests/nowhere",
        ".venv/bin/pip install -q -r requirements-none.txt",
        ".venv/bin/python docs/none.py",
        ".venv/bin/python -m nothing",
        ".venv/bin/streamlit run none.py",
        "rm -r model",
    ],
)
def test_wrong_command_is_found(command: str, markers: set[str]) -> None:
    with pytest.raises((AssertionError, SystemExit)):
        check(command, markers)


def test_commands_were_found() -> None:
    found = {page for page, _ in COMMANDS}
    quiet = {"docs/architecture.md", "docs/dicom.md"}
    assert found == PAGES.keys() - quiet
    assert len(COMMANDS) >= 50
    assert ("CONTRIBUTING.md", ".venv/bin/python -m xray_classifier card") in COMMANDS


def test_no_command_needs_a_folder_outside_the_checkout() -> None:
    assert [(page, command) for page, command in COMMANDS if "../" in command] == []


def test_every_command_is_described() -> None:
    known = re.findall(r"^ {4}([\w-]+)", build_parser().format_help(), re.MULTILINE)
    table = PAGES["docs/command-line.md"].split("| command | what it does |")[1].split("\n\n")[0]
    assert sorted(known) == sorted(re.findall(r"^\| `([\w-]+)` \| ", table, re.MULTILINE))
