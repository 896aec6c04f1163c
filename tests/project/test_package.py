"""What is installed: ranges and pins agree, and the wheel works away from the checkout."""

from __future__ import annotations

import ast
import csv
import io
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from itertools import chain
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.pictures import encoded, gradient
from tests.support.places import ROOT
from tests.support.source_tree import PAGE, TREES, libraries, room_of
from xray_classifier import __version__

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = ["dev", "ray", "train"]
MODULES = {"pil": "pillow", "sklearn": "scikit-learn"}
"""Names of distributions, where modules have others."""

WITH_STREAMLIT = {"starlette"}
"""Streamlit's own server: which one it brings is its own affair."""

OFFLINE = {"calibration", "data", "evaluation", "rendering", "training"}
"""Rooms that only measuring and training need."""

GIVEN_AWAY = {".json", ".keras", ".md", ".onnx"}
"""Kinds of files in `model/` that are installed: no pictures, no rows of patients."""


def pinned(name: str) -> dict[str, Requirement]:
    """Read a requirements file, and those that it builds on."""
    found: dict[str, Requirement] = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("-r "):
            found |= pinned(line.removeprefix("-r "))
        elif line and not line.startswith("#"):
            requirement = Requirement(line)
            found[canonicalize_name(requirement.name)] = requirement
    return found


def declared(*extras: str) -> dict[str, Requirement]:
    """Collect what pyproject.toml declares for the app and some extras."""
    found: dict[str, Requirement] = {}
    lists = [PROJECT["dependencies"], *(PROJECT["optional-dependencies"][e] for e in extras)]
    for requirement in map(Requirement, chain(*lists)):
        if requirement.name == PROJECT["name"]:
            found |= declared(*requirement.extras)
        else:
            found[canonicalize_name(requirement.name)] = requirement
    return found


@pytest.mark.parametrize("extra", [None, *EXTRAS])
def test_pins_lie_in_the_ranges(extra: str | None) -> None:
    ranges = declared(*([extra] if extra else []))
    pins = pinned(f"requirements-{extra}.txt" if extra else "requirements.txt")
    assert pins.keys() == ranges.keys()
    for name, pin in pins.items():
        (only,) = pin.specifier
        assert only.operator == "==", f"{name} is not pinned"
        assert ranges[name].specifier.contains(only.version), f"{pin} is not {ranges[name]}"
        assert pin.extras == ranges[name].extras


def test_every_extra_has_its_file() -> None:
    assert sorted(PROJECT["optional-dependencies"]) == EXTRAS
    assert {path.name for path in ROOT.glob("requirements*.txt")} == {
        "requirements.txt",
        "requirements-serve.txt",
        *(f"requirements-{extra}.txt" for extra in EXTRAS),
    }


def test_container_installs_the_app_without_keras() -> None:
    app, served = pinned("requirements.txt"), pinned("requirements-serve.txt")
    assert app.keys() - served.keys() == {"tensorflow", "keras", "h5py"}
    assert served.items() <= app.items()


def test_training_needs_neither_a_browser_nor_ray() -> None:
    assert not pinned("requirements-train.txt").keys() & {"playwright", "ray", "pytest"}


def imported(*paths: str) -> set[str]:
    """Name the distributions that files of the package import, wherever in their text."""
    used = {name.lower() for path in paths for name in libraries(ast.walk(TREES[path]))}
    foreign = used - set(sys.stdlib_module_names) - {"xray_classifier"} - WITH_STREAMLIT
    return {canonicalize_name(MODULES.get(name, name)) for name in foreign}


def test_whatever_is_imported_is_declared() -> None:
    assert not imported(*TREES) - declared(*EXTRAS).keys()


def test_page_and_judging_need_nothing_but_the_app() -> None:
    """Community Cloud has no more; the tests' own environment would not notice."""
    judging = {path for path in TREES if room_of(path) not in OFFLINE | {"cli"}}
    assert {PAGE, "inference/pipeline.py"} <= judging
    assert imported(*judging - {"batch/ray_backend.py"}) <= declared().keys()
    assert imported("batch/ray_backend.py") <= declared("ray").keys()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


def build(source: Path, folder: Path) -> Path:
    """Build the wheel as `pip install .` does, with the build backend of this environment."""
    options = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    pip("wheel", "-q", *options, "-w", str(folder), str(source))
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel in an environment of its own, which borrows the libraries of this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    pip("--python", str(folder / "bin" / "python"), "install", "-q", "--no-deps", str(wheel))
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return folder


def pip(*arguments: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_wheel_holds_package_and_models_and_nothing_else(wheel: Path) -> None:
    assert wheel.name == f"xray_classifier-{__version__}-py3-none-any.whl"
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
    package = {f"xray_classifier/{path}" for path in TREES if path != PAGE}
    package |= {f"xray_classifier/app/viewer{end}" for end in (".html", ".css", ".js")}
    package.add("xray_classifier/app/viewer_gestures.js")
    models = {
        f"xray_classifier/{path.relative_to(ROOT).as_posix()}"
        for path in (ROOT / "model").rglob("*")
        if path.suffix in GIVEN_AWAY
    }
    assert "xray_classifier/model/gate/gate.keras" in models
    about = f"xray_classifier-{__version__}.dist-info/"
    assert {name for name in names if not name.startswith(about)} == package | models


def test_nothing_that_lies_beside_the_models_is_given_away(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "xray_classifier").mkdir(parents=True)
    (source / "model" / "gate").mkdir(parents=True)
    for name in ("pyproject.toml", "README.md", "LICENSE", "xray_classifier/__init__.py"):
        shutil.copy(ROOT / name, source / name)
    for name in ("gate/gate.json", "doe_jane.png", "doe_jane.jpeg", "gate/1.dcm", "rows.csv"):
        (source / "model" / name).write_bytes(b"{}")
    with ZipFile(build(source, tmp_path / "built")) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == {"xray_classifier/__init__.py", "xray_classifier/model/gate/gate.json"}


def test_installed_command_judges_with_the_models_that_came_with_it(
    installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "drawn.png").write_bytes(encoded(gradient()))
    run = subprocess.run(
        [installed / "bin" / "xray-classifier", "predict", "drawn.png", "--format", "csv"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    (row,) = csv.DictReader(io.StringIO(run.stdout))
    assert (row["file"], row["status"], row["model"]) == ("drawn.png", "rejected", "default")

    usage = subprocess.run(
        [installed / "bin" / "xray-classifier", "predict", "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert usage.startswith("usage: xray-classifier predict ")

    program = "from xray_classifier.paths import MODEL_FOLDER; print(MODEL_FOLDER)"
    folder = subprocess.run(
        [installed / "bin" / "python", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert Path(folder).is_relative_to(installed)
