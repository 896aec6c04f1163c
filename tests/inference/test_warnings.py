from __future__ import annotations

import pytest

from xray_classifier.imaging.grey_levels import FEW, STRETCHED
from xray_classifier.inference.pipeline import NOT_VALID
from xray_classifier.inference.warnings import WARNINGS, sentences
from xray_classifier.models.gate import OUTSIDE_POPULATION


@pytest.mark.parametrize("code", WARNINGS)
def test_each_warning_is_a_code_word_and_a_sentence(code: str) -> None:
    assert code.isidentifier()
    assert code.islower()
    assert WARNINGS[code].endswith(".")


def test_code_words_become_sentences_in_their_order() -> None:
    assert sentences(("view_not_frontal", "burned_in_text")) == [
        WARNINGS["view_not_frontal"],
        WARNINGS["burned_in_text"],
    ]


def test_what_gate_and_grey_levels_warn_of_has_its_sentence() -> None:
    assert {NOT_VALID, OUTSIDE_POPULATION, FEW, STRETCHED} <= WARNINGS.keys()
