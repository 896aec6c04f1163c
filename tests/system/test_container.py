"""The container file keeps the main rules for such files, and what it copies is enough to run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import ROOT
from tests.support.processes import printed
from tests.support.visitors import BASE_PATH, serve

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
    assert "pip install --no-cache-dir -r requirements-serve.txt" in run


def test_files_are_copied_by_name_and_never_added() -> None:
    assert not values("ADD")
    assert all(copy.split()[0] != "." for copy in values("COPY"))
    assert values("WORKDIR") == ["/app"]


def test_commands_are_lists_so_that_signals_reach_the_server() -> None:
    (start,) = values("CMD")
    assert json.loads(start)[:3] == ["streamlit", "run", "webapp.py"]
    assert f"--server.port={values('EXPOSE')[0]}" in json.loads(start)
    assert health_check()[:2] == ["python", "-c"]


# The health check


def health_check() -> list[str]:
    (check,) = values("HEALTHCHECK")
    return json.loads(check.partition("CMD ")[2])


def exit_status(port: int, **environment: str) -> int:
    """Run the health check as the container does, but for the port of the server."""
    _, option, program = health_check()
    assert program.count(f"'127.0.0.1', {values('EXPOSE')[0]},") == 1
    program = program.replace(values("EXPOSE")[0], str(port))
    run = subprocess.run(
        [sys.executable, option, program],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
    )
    return run.returncode


@pytest.mark.parametrize("base", ["", "/clinic/xray"])
def test_health_check_finds_the_server_below_its_path(base: str, tmp_path: Path) -> None:
    with serve(tmp_path, environment={BASE_PATH: base} if base else {}) as server:
        port = server.port
        for written in (base, f"{base}/", base.strip("/")):
            assert exit_status(port, **{BASE_PATH: written}) == 0
        assert exit_status(port, **{BASE_PATH: "another"}) == 1
        # A proxy for what is outside is not asked for this very machine.
        assert exit_status(port, **{BASE_PATH: base}, http_proxy="http://127.0.0.1:9") == 0
        if not base:
            assert exit_status(port) == 0
    assert exit_status(port, **{BASE_PATH: base}) == 1  # it was stopped


# What the image holds


def is_let_in(path: str) -> bool:
    """Tell whether `.dockerignore` lets a file in, by Docker's rules: the last match counts.

    `**` stands for any folders or none, `*` for anything but "/", and what is said of a folder
    holds for all that is in it.
    """
    let_in = True
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            rule = re.escape(line.removeprefix("!"))
            rule = rule.replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
            if re.fullmatch(f"{rule}(/.*)?", path):
                let_in = line.startswith("!")
    return let_in


@pytest.mark.parametrize(
    "path",
    [
        *(
            "webapp.py",
            "requirements-serve.txt",
            ".streamlit/config.toml",
            "xray_classifier/errors.py",
        ),
        *("xray_classifier/app/judge.py", "model/default.keras", "model/default.json"),
        *("model/gate/gate.keras", "model/gate/gate.onnx", "model/MODEL_CARD.md"),
    ],
)
def test_what_the_page_needs_gets_into_the_image(path: str) -> None:
    assert is_let_in(path)


@pytest.mark.parametrize(
    "path",
    [
        *("model/child.png", "model/gate/child.dcm", "model/rows.csv", "model/out_of_fold/a.csv"),
        *("model/child.JPEG", "model/scans/child", "model/old.h5", "model/x.keras.bak"),
        *("xray_classifier/child.png", "xray_classifier/__pycache__/errors.cpython-312.pyc"),
        *(".streamlit/secrets.toml", ".git/config", "data/child.png", "secrets.toml", "child.png"),
        *("tests/conftest.py", ".venv/pyvenv.cfg", "shared/data/child.jpeg", "docs/deployment.md"),
    ],
)
def test_nothing_else_gets_into_it(path: str) -> None:
    assert not is_let_in(path)


def copied() -> set[str]:
    """Name the files of this checkout that the image would hold."""
    sources = [ROOT / source for copy in values("COPY") for source in copy.split()[:-1]]
    files = {file for source in sources for file in (source, *source.rglob("*")) if file.is_file()}
    return {name for name in (str(file.relative_to(ROOT)) for file in files) if is_let_in(name)}


def test_all_files_of_the_program_are_copied_and_no_others() -> None:
    kinds = {Path(name).suffix for name in copied()}
    assert kinds == {
        *(".py", ".html", ".css", ".js", ".txt", ".toml", ".md"),
        *(".keras", ".onnx", ".json"),
    }
    program = {str(file.relative_to(ROOT)) for file in (ROOT / "xray_classifier").rglob("*.py")}
    assert program < copied()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A folder with what the image would hold."""
    for name in copied():
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    return tmp_path


def test_page_runs_with_what_is_copied(image: Path) -> None:
    program = (
        "from streamlit.testing.v1 import AppTest\n"
        "page = AppTest.from_file('webapp.py', default_timeout=60).run()\n"
        "print(len(page.exception), page.sidebar.selectbox[0].options)"
    )
    assert printed(program, image) == "0 ['default', 'article']"
