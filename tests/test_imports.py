from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter

import pytest
from conftest import ROOT, printed

PACKAGE = "xray_classifier"
PAGE = "webapp.py"
TREES = {
    path.name: ast.parse(path.read_text(encoding="utf-8"))
    for path in [*(ROOT / PACKAGE).glob("*.py"), ROOT / PAGE]
    if path.exists()
}
PAGE_MODULES = {name for name in TREES if name.startswith("page_")}
MODULES = {name.removesuffix(".py") for name in TREES if name not in ("__init__.py", PAGE)}

MAY_IMPORT_KERAS_AT_ONCE = {
    "architecture.py",
    "augmentation.py",
    "checkpoints.py",
    "distribution.py",
    "training.py",
    "efficientnet_lite.py",
    "perturbations.py",
    "porting.py",
    "gate_training.py",
    "recipes.py",
}
FRAMEWORKS = {"keras", "tensorflow"}


def imported(nodes: Iterator[ast.AST]) -> set[str]:
    """Dotted names of what import statements may load; relative imports are not understood."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module, "write imports in full"
            assert not node.level, "write imports in full"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def at_import_time(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk what runs when a module is imported: no functions, nothing for type checkers only."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from at_import_time(node)


def libraries(nodes: Iterator[ast.AST]) -> set[str]:
    return {name.partition(".")[0] for name in imported(nodes)}


def arrows(tree: ast.AST) -> set[str]:
    """Name the modules of the package that a module imports, wherever in its text."""
    names = {
        name.split(".")[1] for name in imported(ast.walk(tree)) if name.startswith(f"{PACKAGE}.")
    }
    return names & MODULES


GRAPH = {module: arrows(TREES[f"{module}.py"]) for module in MODULES}


def reachable(module: str) -> set[str]:
    found: set[str] = set()
    waiting = {module}
    while waiting:
        found |= waiting
        waiting = set().union(*(GRAPH[name] for name in waiting)) - found
    return found - {module}


def test_graph_knows_a_few_true_arrows() -> None:
    assert "decoding" in GRAPH["pipeline"]
    assert "plots" in GRAPH["training"]  # written `from xray_classifier import plots`
    assert "errors" in reachable("pipeline")


def test_streamlit_is_only_in_the_pages() -> None:
    server = {"streamlit", "starlette"}
    users = {name for name, tree in TREES.items() if server & libraries(ast.walk(tree))}
    assert PAGE in users
    assert users <= {PAGE, *PAGE_MODULES}


def test_nothing_but_pages_knows_pages() -> None:
    pages = {name.removesuffix(".py") for name in PAGE_MODULES}
    users = {name for name, tree in TREES.items() if arrows(tree) & pages}
    assert users <= {PAGE, *PAGE_MODULES}


def test_keras_loads_at_once_only_where_networks_are_built() -> None:
    users = {name for name, tree in TREES.items() if FRAMEWORKS & libraries(at_import_time(tree))}
    assert "architecture.py" in users
    assert users <= MAY_IMPORT_KERAS_AT_ONCE


def test_imports_form_no_cycle() -> None:
    order = list(TopologicalSorter(GRAPH).static_order())  # raises CycleError
    assert set(order) == MODULES


@pytest.mark.parametrize(("module", "below"), [("errors", set()), ("files", {"errors"})])
def test_lowest_modules_know_nothing_of_those_above(module: str, below: set[str]) -> None:
    assert set(GRAPH[module]) == below


@pytest.mark.parametrize(
    "module", ["decoding", "preprocessing", "prediction", "verdict", "pipeline"]
)
def test_answering_does_not_depend_on_training(module: str) -> None:
    above = {"training", "recipes", "porting", "evaluation", "stress", "cli", "__main__"}
    assert not reachable(module) & above


def test_recipes_do_not_know_who_trains_and_measures() -> None:
    assert not reachable("recipes") & {"training", "checkpoints", "evaluation", "stress", "cli"}


def test_stress_needs_no_recipe() -> None:
    assert not reachable("stress") & {"recipes", "training", "porting", "architecture"}


def test_loading_the_page_needs_no_framework() -> None:
    program = (
        "import sys\n"
        f"import {PACKAGE}.pipeline, {PACKAGE}.loading, {PACKAGE}.spec\n"
        "print(sorted({'keras', 'tensorflow', 'streamlit'} & sys.modules.keys()))\n"
        "print(sorted({'pydicom', 'imagecodecs'} & sys.modules.keys()))"
    )
    assert printed(program).split() == ["[]", "[]"]
