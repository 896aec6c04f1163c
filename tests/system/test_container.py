"""The container file keeps the main rules for such files, and what it copies is enough to run."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.support.places import ROOT
from tests.support.processes import printed

TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
STEPS: list[tuple[str, str]] = re.findall(r"^([A-Z]+) +(.+)$", TEXT, re.MULTILINE)


def values(instruction: str) -> list[str]:
    return [value.strip() for name, value in STEPS if name == instruction]


def test_base_is_one_of_the_supported_pythons() -> None:
    (base,) = values("FROM")
    assert base in {f"python:3.{minor}-slim" for minor in (11, 12, 13)}


def test_nothing_runs_as_root() -> None:
    assert values("USER") == ["1000"]  # a number, so that a cluster can tell that it is not root
    order = [name for name, _ in STEPS]
    assert order.index("USER") > max(i for i, name in enumerate(order) if name in ("RUN", "COPY"))


def test_packages_are_the_pinned_ones_and_leave_no_cache() -> None:
    (run,) = values("RUN")
    assert "pip install --no-cache-dir -r requirements.txt" in run


def test_files_are_copied_by_name_and_never_added() -> None:
    assert not values("ADD")
    assert all(copy.split()[0] != "." for copy in values("COPY"))
    assert values("WORKDIR") == ["/app"]


def test_commands_are_lists_so_that_signals_reach_the_server() -> None:
    (start,) = values("CMD")
    assert json.loads(start)[:3] == ["streamlit", "run", "webapp.py"]
    (check,) = values("HEALTHCHECK")
    program = json.loads(check.partition("CMD ")[2])
    compile(program[2], "HEALTHCHECK", "exec")
    assert f"127.0.0.1:{values('EXPOSE')[0]}/_stcore/health" in program[2]


def test_image_can_hold_nothing_but_what_is_named() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {copy.split()[0] for copy in values("COPY")}
    assert allowed == copied - {".streamlit"} | {".streamlit/config.toml"}  # no secrets


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A folder with what the image would hold."""
    for copy in values("COPY"):
        source = ROOT / copy.split()[0]
        if source.is_dir():
            shutil.copytree(source, tmp_path / source.name)
        else:
            shutil.copy(source, tmp_path)
    return tmp_path


def test_page_runs_with_what_is_copied(image: Path) -> None:
    program = (
        "from streamlit.testing.v1 import AppTest\n"
        "page = AppTest.from_file('webapp.py', default_timeout=60).run()\n"
        "print(len(page.exception), page.sidebar.selectbox[0].options)"
    )
    assert printed(program, image) == "0 ['default', 'article']"
