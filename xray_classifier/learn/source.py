"""The lines of this program that do a step, read from the version that is installed."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


@cache
def source_of(place: str, name: str) -> str:
    """Read a function's text without importing its module, which may need TensorFlow.

    Args:
        place: file in the package, as imaging/preprocessing.py.
        name: of a function at the top level of it.

    Raises:
        KeyError: there is no such function.
    """
    text = (_PACKAGE / place).read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return ast.get_source_segment(text, node) or ""
    raise KeyError(f"{place} has no function {name}")
