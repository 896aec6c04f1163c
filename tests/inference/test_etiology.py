from __future__ import annotations

import pytest

from tests.support.etiologies import FACTS
from xray_classifier.inference.etiology import (
    NO_PROOF,
    etiology_evidence,
    etiology_mark,
    etiology_sentence,
)


@pytest.mark.parametrize(
    ("etiology", "bacterial", "sentence", "mark"),
    [
        (
            "bacterial",
            0.87,
            "looks like a bacterial one rather than a viral one: 87.0 %.",
            "bacterial 87.0 %",
        ),
        (
            "viral",
            0.0871,
            "looks like a viral one rather than a bacterial one: 91.3 %.",
            "viral 91.3 %",
        ),
        (
            "uncertain",
            0.6,
            "does not tell a bacterial one from a viral one: bacterial 60.0 %, viral 40.0 %.",
            "uncertain (bacterial 60.0 %)",
        ),
        (
            "viral",
            0.00001,
            "looks like a viral one rather than a bacterial one: over 99.9 %.",
            "viral over 99.9 %",
        ),
    ],
)
def test_answer_is_said_soberly_with_its_probability(
    etiology: str, bacterial: float, sentence: str, mark: str
) -> None:
    whole = f"If it is a pneumonia, the picture {sentence}"
    assert etiology_sentence(etiology, bacterial) == whole
    assert etiology_mark(etiology, bacterial) == mark


@pytest.mark.parametrize(("etiology", "bacterial"), [(None, None), (None, 0.9), ("viral", None)])
def test_nothing_is_said_where_there_is_no_answer(
    etiology: str | None, bacterial: float | None
) -> None:
    assert etiology_sentence(etiology, bacterial) == ""
    assert etiology_mark(etiology, bacterial) == ""


def test_evidence_is_that_of_the_facts() -> None:
    assert etiology_evidence(FACTS) == (
        "Of the answers to 3,111 pneumonias of 1,700 children, each kept from the network that "
        "judged it, 83.0 % (81.0 % to 85.0 %) were right if none was left uncertain. 25.0 % "
        "(23.0 % to 27.0 %) were left so, and of the others 91.0 % (90.0 % to 92.0 %) were right "
        "(in brackets 95 % intervals). The probability assumes that 65.0 % of such pneumonias are "
        "bacterial, as among these."
    )


def test_what_stands_beside_it_warns_of_treating_by_it() -> None:
    assert "cannot prove the cause" in NO_PROOF
    assert "treatment must not be chosen by this" in NO_PROOF
