"""The package's source as syntax trees, by path inside the package: `inputs/decoding.py`."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.support.places import ROOT

PACKAGE = "xray_classifier"
PAGE = "webapp.py"


def parse(*paths: str) -> dict[str, ast.Module]:
    """Read every file of the package, however deep it lies, and the others that are named."""
    folder = ROOT / PACKAGE
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.py")}
    files |= {path: ROOT / path for path in paths}
    return {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in files.items()}


TREES = parse(PAGE)


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
    """The top-level packages that are imported."""
    return {name.partition(".")[0] for name in imported(nodes)}


def module_of(path: str) -> str:
    """The dotted name of a file: `xray_classifier.inputs.decoding`."""
    return f"{PACKAGE}.{path.removesuffix('.py').replace('/', '.')}".removesuffix(".__init__")


def room_of(path: str) -> str:
    """The room that a file lies in; empty for those beside the rooms."""
    return path.partition("/")[0] if "/" in path else ""


MODULES = {module_of(path): path for path in TREES if path != PAGE}


def arrows(path: str) -> set[str]:
    """Name the files of the package that a file imports, wherever in its text."""
    names = imported(ast.walk(TREES[path])) & MODULES.keys()
    return {MODULES[name] for name in names if not MODULES[name].endswith("__init__.py")}
