"""The verdict is stated with what it rests on."""

from __future__ import annotations

from dataclasses import replace

from tests.support.recorded import POINT_FIGURES, SUMMARY
from tests.support.stand_ins import pointed_classifier
from xray_classifier.app.verdict import notes_on_numbers


def test_what_the_test_set_gave_stands_beside_the_point() -> None:
    test = replace(SUMMARY, images=624, operating_points={"balanced": POINT_FIGURES})
    results = {"chest_xray/test": test}
    spec = replace(pointed_classifier().spec, results=results)
    note = notes_on_numbers(spec.point("balanced"), spec)[0]
    assert note == (
        "Measured on the 624 images of the official test set, without the uncertain verdict: "
        "sensitivity 95.0 % (90.0 % to 98.0 %), specificity 80.0 % (70.0 % to 90.0 %)."
    )


def test_out_of_fold_figures_stand_in_until_the_test_set_is_met() -> None:
    spec = pointed_classifier().spec
    point = replace(spec.point("screening"), out_of_fold=POINT_FIGURES)
    assert "Measured out of fold, where it was fitted" in notes_on_numbers(point, spec)[0]
