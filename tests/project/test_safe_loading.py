"""Nothing in the package runs what a file tells it to run."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.support.source_tree import TREES, imported

UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__", "system", "popen"}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func).rpartition(".")[2], node


def keywords(call: ast.Call) -> dict[str | None, str]:
    return {word.arg: ast.unparse(word.value) for word in call.keywords}


@pytest.mark.parametrize("module", TREES)
def test_no_module_deserialises_code(module: str) -> None:
    names = {name.partition(".")[0] for name in imported(ast.walk(TREES[module]))}
    assert not names & UNSAFE_MODULES
    for name, call in calls(TREES[module]):
        given = keywords(call)
        bare = isinstance(call.func, ast.Name)
        assert not (bare and name in UNSAFE_CALLS), name
        assert given.get("allow_pickle", "False") == "False"
        assert given.get("shell", "False") == "False"
        assert given.get("safe_mode", "True") == "True"
        assert "unsafe_allow_html" not in given


def test_models_are_loaded_in_safe_mode() -> None:
    loads = [call for name, call in calls(TREES["models/keras_network.py"]) if name == "load_model"]
    assert [keywords(call).get("safe_mode") for call in loads] == ["True"]
