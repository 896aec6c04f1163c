"""The README says what is so."""

from __future__ import annotations

import re
import shlex

import pytest

from tests.support.places import ROOT
from xray_classifier.cli.main import build_parser
from xray_classifier.inference.warnings import CAUTIONS
from xray_classifier.inputs.decoding import MAX_BYTES
from xray_classifier.inputs.zip_archive import MAX_MEMBERS, MAX_RATIO, MAX_UNPACKED
from xray_classifier.model_card.benchmarks import benchmarks_table, hardness_table
from xray_classifier.model_card.readme import (
    ARCHIVE_END,
    ARCHIVE_START,
    BENCHMARKS_END,
    BENCHMARKS_START,
    END,
    HARDNESS_END,
    HARDNESS_START,
    START,
    STRESS_END,
    STRESS_START,
    findings,
    results_table,
    stress_table,
)
from xray_classifier.model_card.sizing import archive_table

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\.venv/bin/python -m xray_classifier (.+)$", README, re.MULTILINE)


def test_results_table_is_the_one_that_report_writes() -> None:
    shown = README.split(START)[1].split(END)[0].strip()
    assert shown == f"{results_table()}\n\n{findings()}"


def test_stress_table_is_the_one_that_report_writes() -> None:
    shown = README.split(STRESS_START)[1].split(STRESS_END)[0].strip()
    assert shown == stress_table()
    assert "default: change" in shown


def test_benchmarks_table_is_the_one_that_report_writes() -> None:
    shown = README.split(BENCHMARKS_START)[1].split(BENCHMARKS_END)[0].strip()
    assert shown == benchmarks_table()


def test_archive_table_is_the_one_that_report_writes() -> None:
    shown = README.split(ARCHIVE_START)[1].split(ARCHIVE_END)[0].strip()
    assert shown == archive_table()


def test_hardness_table_is_the_one_that_report_writes() -> None:
    shown = README.split(HARDNESS_START)[1].split(HARDNESS_END)[0].strip()
    assert shown == hardness_table()


@pytest.mark.parametrize("command", COMMANDS)
def test_command_is_one_that_exists(command: str) -> None:
    assert build_parser().parse_args(shlex.split(command)).run


def test_commands_were_found() -> None:
    assert len(COMMANDS) >= 8


def test_ci_runs_the_second_command() -> None:
    (second,) = re.findall(r"^python3 -m venv .*requirements-dev.*$", README, re.MULTILINE)
    assert second in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_warnings_are_listed_as_they_are() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", README, re.MULTILINE))
    assert {code: rows.get(code) for code in CAUTIONS} == CAUTIONS


def test_limits_of_archives_are_those_of_the_code() -> None:
    limits = (
        f"{MAX_MEMBERS:,} members, {MAX_BYTES // 2**20} MB each, {MAX_UNPACKED // 2**30} GB in all "
        f"and {MAX_RATIO} times"
    )
    assert limits in README


def test_files_that_are_linked_exist() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert all((ROOT / link).exists() for link in links)
