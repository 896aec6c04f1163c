"""Dependencies point one way, as the table in docs/architecture.md says."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter

import pytest

from tests.support.places import ROOT
from tests.support.processes import printed
from tests.support.source_tree import (
    PACKAGE,
    PAGE,
    TREES,
    arrows,
    at_import_time,
    libraries,
    room_of,
)

ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOMS = {
    room: set(re.findall(r"`(\w+)`", allowed))
    for room, allowed in re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", ARCHITECTURE, re.MULTILINE)
}
FILES = set(TREES) - {PAGE}
GRAPH = {path: arrows(path) for path in TREES}
MOST_FILES = 12
MOST_LINES = 300

KERAS_AT_ONCE = {"training"}
"""Where Keras and TensorFlow may load together with the module: rooms and files."""

FRAMEWORKS = {"keras", "tensorflow"}


def reachable(path: str) -> set[str]:
    found: set[str] = set()
    waiting = {path}
    while waiting:
        found |= waiting
        waiting = set().union(*(GRAPH[name] for name in waiting)) - found
    return found - {path}


def test_graph_knows_a_few_true_arrows() -> None:
    assert "inputs/decoding.py" in GRAPH["inference/pipeline.py"]
    assert "evaluation/plots.py" in GRAPH["training/trainer.py"]  # `from ... import plots`
    assert "errors.py" in reachable("inference/pipeline.py")


def test_table_names_every_room() -> None:
    assert ROOMS.keys() == {room_of(path) for path in FILES} - {""}
    assert set().union(*ROOMS.values()) <= ROOMS.keys()


@pytest.mark.parametrize("path", sorted(FILES))
def test_file_imports_what_its_room_may(path: str) -> None:
    room = room_of(path)
    allowed = {"", room, *(ROOMS[room] if room else ())} | (
        {"cli"} if path == "__main__.py" else set()
    )
    assert {room_of(other) for other in GRAPH[path]} <= allowed


def test_rooms_form_no_cycle() -> None:
    assert set(TopologicalSorter(ROOMS).static_order()) == ROOMS.keys()  # raises CycleError


def test_imports_form_no_cycle() -> None:
    assert set(TopologicalSorter(GRAPH).static_order()) >= FILES  # raises CycleError


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_room_is_small_enough_to_look_through(room: str) -> None:
    files = [path for path in FILES if room_of(path) == room and not path.endswith("__init__.py")]
    assert len(files) <= MOST_FILES


@pytest.mark.parametrize("path", sorted(TREES))
def test_file_is_short_enough_to_read(path: str) -> None:
    place = ROOT / path if path == PAGE else ROOT / PACKAGE / path
    assert len(place.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_streamlit_is_only_in_the_pages() -> None:
    server = {"streamlit", "starlette"}
    users = {path for path, tree in TREES.items() if server & libraries(ast.walk(tree))}
    assert PAGE in users
    assert {room_of(path) for path in users - {PAGE}} == {"app"}


def test_keras_loads_at_once_only_where_networks_are_built() -> None:
    users = {path for path, tree in TREES.items() if FRAMEWORKS & libraries(at_import_time(tree))}
    assert "training/architecture.py" in users
    assert all(path in KERAS_AT_ONCE or room_of(path) in KERAS_AT_ONCE for path in users)


def test_judging_knows_nothing_of_training_and_evaluation() -> None:
    judging = {"inputs", "models", "inference", "batch", "reports"}
    known = {
        room_of(other) for path in FILES if room_of(path) in judging for other in reachable(path)
    }
    assert not known & {"data", "evaluation", "training", "cli", "app"}


def test_loading_the_page_needs_no_framework() -> None:
    program = (
        "import sys\n"
        f"import {PACKAGE}.inference.pipeline, {PACKAGE}.models.loading, {PACKAGE}.models.spec\n"
        "print(sorted({'keras', 'tensorflow', 'streamlit'} & sys.modules.keys()))\n"
        "print(sorted({'pydicom', 'imagecodecs'} & sys.modules.keys()))"
    )
    assert printed(program).split() == ["[]", "[]"]
