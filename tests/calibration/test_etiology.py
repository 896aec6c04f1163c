from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xray_classifier.calibration.etiology import calibrate_etiology
from xray_classifier.calibration.out_of_fold import OutOfFold


def answers(telling: float, n: int = 600) -> OutOfFold:
    """A third normal, a third bacterial, a third viral; the logits of the latter lie apart."""
    rng = np.random.default_rng(3)
    kinds = np.array(["", "bacteria", "virus"] * (n // 3))
    sign = np.select([kinds == "bacteria", kinds == "virus"], [1, -1], 0)
    logits = rng.normal(telling * sign, 1)
    return OutOfFold(
        labels=(kinds != "").astype(np.intp),
        probabilities=np.full(n, 0.5),
        patients=tuple(str(number // 2) for number in range(n)),
        folds=2,
        etiologies=tuple(kinds.tolist()),
        bacterial=1 / (1 + np.exp(-logits)),
    )


def test_second_answer_is_calibrated_on_pneumonias_of_known_etiology() -> None:
    found = answers(telling=1.5)
    facts = calibrate_etiology(found).facts
    assert facts
    assert facts.images == 400
    assert facts.threshold == 0.5  # the fraction of bacterial ones
    assert facts.low <= facts.threshold <= facts.high
    assert facts.auc.low < facts.auc.value < facts.auc.high
    assert 0.95 < facts.auc.value < 1
    assert facts.shown
    assert facts.out_of_fold.decided_right.value > 0.9
    assert facts.out_of_fold.undecided.value < 0.1


def test_normals_and_unknown_ones_change_nothing() -> None:
    found = answers(telling=1.5)
    bacterial = found.bacterial
    assert bacterial is not None
    unlike = replace(found, bacterial=np.where(found.labels == 1, bacterial, 0.99))
    assert calibrate_etiology(unlike) == calibrate_etiology(found)


def test_band_leaves_out_what_keeps_the_decided_ones_from_being_right() -> None:
    facts = calibrate_etiology(answers(telling=1.05, n=3000)).facts
    assert facts
    assert facts.out_of_fold.accuracy.value < 0.87
    assert facts.out_of_fold.decided_right.value > 0.9
    assert 0.05 < facts.out_of_fold.undecided.value <= 0.5


def test_second_answer_that_hardly_tells_is_calibrated_and_measured_but_not_shown() -> None:
    second = calibrate_etiology(answers(telling=0.5))
    assert second.facts
    assert second.facts.auc.value < 0.85
    assert not second.facts.shown
    assert second.scale.slope == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize(
    "less", [{"bacterial": None}, {"etiologies": ("",) * 600}, {"etiologies": ()}]
)
def test_answers_that_tell_of_no_etiology_leave_it_as_it_is(less: dict[str, object]) -> None:
    second = calibrate_etiology(replace(answers(1.5), **less))  # type: ignore[arg-type]
    assert (second.scale.slope, second.scale.intercept, second.facts) == (1, 0, None)
