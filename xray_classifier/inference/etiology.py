"""The second answer, bacterial or viral, in words: said only under a verdict of pneumonia."""

from __future__ import annotations

from xray_classifier.inference.verdict import BACTERIAL, UNCERTAIN, VIRAL, percent
from xray_classifier.percent import as_percent
from xray_classifier.records.evaluation import Estimate
from xray_classifier.records.training import EtiologyFacts

NO_PROOF = (
    "A radiograph cannot prove the cause of a pneumonia: treatment must not be chosen by this."
)
"""Stands beside every such answer."""


def etiology_sentence(etiology: str | None, bacterial: float | None) -> str:
    """Say which kind of pneumonia a picture looks like; empty where that is not said.

    Args:
        etiology: "bacterial", "viral", "uncertain" or None, as in `Result`.
        bacterial: the probability of a bacterial one, in [0, 1].

    >>> etiology_sentence("viral", 0.13)
    'If it is a pneumonia, the picture looks like a viral one rather than a bacterial one: 87.0 %.'
    """
    if etiology is None or bacterial is None:
        return ""
    if etiology == UNCERTAIN:
        return (
            "If it is a pneumonia, the picture does not tell a bacterial one from a viral one: "
            f"bacterial {percent(bacterial)}, viral {percent(1 - bacterial)}."
        )
    other, chance = (VIRAL, bacterial) if etiology == BACTERIAL else (BACTERIAL, 1 - bacterial)
    return (
        f"If it is a pneumonia, the picture looks like a {etiology} one rather than a {other} one: "
        f"{percent(chance)}."
    )


def etiology_mark(etiology: str | None, bacterial: float | None) -> str:
    """Say the same in a few words, for a table; arguments as for `etiology_sentence`.

    >>> etiology_mark("uncertain", 0.6)
    'uncertain (bacterial 60.0 %)'
    """
    if etiology is None or bacterial is None:
        return ""
    if etiology == UNCERTAIN:
        return f"{UNCERTAIN} ({BACTERIAL} {percent(bacterial)})"
    return f"{etiology} {percent(bacterial if etiology == BACTERIAL else 1 - bacterial)}"


def etiology_evidence(facts: EtiologyFacts) -> str:
    """Say how often such answers were right out of fold, and what their probabilities assume."""
    found = facts.out_of_fold
    return (
        f"Of the answers to {facts.images:,} pneumonias of {facts.patients:,} children, each kept "
        f"from the network that judged it, {_percents(found.accuracy)} were right if none was left "
        f"uncertain. {_percents(found.undecided)} were left so, and of the others "
        f"{_percents(found.decided_right)} were right (in brackets 95 % intervals). The "
        f"probability assumes that {as_percent(facts.threshold)} of such pneumonias are bacterial, "
        "as among these."
    )


def _percents(figure: Estimate) -> str:
    return f"{as_percent(figure.value)} ({as_percent(figure.low)} to {as_percent(figure.high)})"
