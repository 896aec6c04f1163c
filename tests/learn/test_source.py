from __future__ import annotations

import ast
import re

import pytest

from tests.support.places import ROOT
from tests.support.processes import printed
from tests.support.source_tree import PACKAGE, TREES
from xray_classifier.imaging.preprocessing import scale
from xray_classifier.learn.experiments import EXPERIMENTS
from xray_classifier.learn.source import source_of

SHOWN = re.findall(
    r'show_code\("([\w/.]+)", "(\w+)"\)',
    (ROOT / PACKAGE / "app" / "learn_steps.py").read_text(encoding="utf-8"),
)


def test_source_is_the_function_whole() -> None:
    text = source_of("imaging/preprocessing.py", "scale")
    assert text.startswith("def scale(")
    assert text.endswith("[..., np.newaxis]")
    assert scale.__doc__ is not None
    assert scale.__doc__ in text


def test_lines_of_every_step_are_found() -> None:
    assert len(SHOWN) >= 5
    places = [*SHOWN, *(("learn/experiments.py", one.change.__name__) for one in EXPERIMENTS)]
    for place, name in places:
        assert isinstance(ast.parse(source_of(place, name)).body[0], ast.FunctionDef)
        assert place in TREES


def test_function_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"imaging/preprocessing\.py has no function shrink"):
        source_of("imaging/preprocessing.py", "shrink")


def test_reading_a_network_s_lines_starts_no_framework() -> None:
    program = (
        "import sys\n"
        "from xray_classifier.learn.source import source_of\n"
        "source_of('training/architecture.py', 'build_article_cnn')\n"
        "print(sorted({'keras', 'tensorflow'} & sys.modules.keys()))"
    )
    assert printed(program).strip() == "[]"
