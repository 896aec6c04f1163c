"""The verdict is seen on its scale, and stated with what it rests on."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from streamlit.testing.v1 import AppTest

from tests.support.drawn_reports import INVALID, RESULT
from tests.support.etiologies import FACTS, answered
from tests.support.recorded import POINT_FIGURES, SUMMARY
from tests.support.stand_ins import pointed_classifier
from xray_classifier.app.verdict import (
    ETIOLOGY,
    UNMEASURED,
    links_to_more,
    measured,
    notes_on_numbers,
)
from xray_classifier.inference.etiology import NO_PROOF, etiology_evidence, etiology_sentence
from xray_classifier.inference.warnings import NO_DIAGNOSIS, WARNINGS
from xray_classifier.models import loading
from xray_classifier.models.operating_point import OperatingPoint
from xray_classifier.models.spec import ModelSpec

if TYPE_CHECKING:
    from xray_classifier.inference.pipeline import Result

PICTURE = re.compile(r"!\[(.*?)\]\(data:image/svg\+xml;base64,(.*?)\)")
NORMAL = replace(RESULT, probability=0.02, verdict="normal", operating_point="balanced")


def script(result: object, spec: object) -> None:
    from xray_classifier.app.verdict import show_verdict

    show_verdict(result, spec)  # type: ignore[arg-type]  # no import is known out there


def drawn(result: Result, spec: ModelSpec) -> AppTest:
    page = AppTest.from_function(script, args=(result, spec), default_timeout=60).run()
    assert not page.exception
    return page


def scale_of(page: AppTest) -> str:
    """The SVG of the scale."""
    found = PICTURE.findall("".join(element.value for element in page.markdown))
    (scale,) = (picture for words, picture in found if words)
    return base64.b64decode(scale).decode()


def test_scale_is_a_picture_with_words_and_its_keys_need_none() -> None:
    page = drawn(replace(NORMAL, post_test_probability=0.1), pointed_classifier().spec)
    found = PICTURE.findall("".join(element.value for element in page.markdown))
    words = [alternative for alternative, _ in found]
    assert [word for word in words if word] == [
        "Scale from 0 to 100 %: normal below 60.0 %, uncertain in between, pneumonia from 80.0 % "
        "on. Marked: Probability of pneumonia 2.0 %; With the pre-test probability given: 10.0 %, "
        "in the zone normal."
    ]
    assert len(words) == 6  # two marks, the scale, three zones
    for _, picture in found:
        assert ElementTree.fromstring(base64.b64decode(picture)).tag.endswith("svg")  # noqa: S314
    assert [element.value for element in page.caption] == ["0 %", "50 %", "100 %"]


def test_warnings_stay_outside_the_fold_and_all_else_about_the_number_is_in_it() -> None:
    spec = pointed_classifier().spec
    page = drawn(replace(NORMAL, warnings=("outside_population",)), spec)
    said = [element.value for element in page.warning]
    assert said == [WARNINGS["outside_population"], NO_DIAGNOSIS]
    (fold,) = page.expander
    assert fold.label == "What this number means"
    assert not fold.warning
    folded = " ".join(element.value for element in fold.markdown)
    for part in (
        "Operating point *balanced*: normal below 60.0 %, pneumonia from 80.0 % on",
        "assumes that 74.0 %",
        "Pointed (`pointed`, `efefefef`), run by NumPy 2",
        "(model?model=pointed#how-well-it-does)",
    ):
        assert part in folded, part


def test_number_that_is_not_valid_is_drawn_without_the_colour_of_a_verdict() -> None:
    spec = ModelSpec("m", "M", "m.keras")
    valid, invalid = scale_of(drawn(RESULT, spec)), scale_of(drawn(INVALID, spec))
    assert "#c8631a" in valid
    assert "#c8631a" not in invalid
    page = drawn(INVALID, spec)
    shown = " ".join(element.value for element in page.markdown)
    assert "**Probability of pneumonia 97.3 % (not valid)**" in shown
    assert "in the zone" not in shown
    assert "healthy children" not in shown
    assert page.header[0].value == "Not valid: Pneumonia 97.3 %"
    assert page.header[0].divider == "gray"


@pytest.mark.parametrize(
    ("model", "point", "sentence"),
    [
        ("default", "balanced", "24 were called ill; of 100 ill ones, 1 was missed"),
        ("default", "screening", "37 were called ill; of 100 ill ones, 1 was missed"),
        ("default", "confirming", "14 were called ill; of 100 ill ones, 1 was missed"),
        ("article", "fixed", "21 were called ill; of 100 ill ones, 4 were missed"),
        ("article-as-published", "fixed", "37 were called ill; of 100 ill ones, 3 were missed"),
    ],
)
def test_frequencies_of_the_chosen_point_stand_under_the_scale(
    model: str, point: str, sentence: str
) -> None:
    page = drawn(replace(NORMAL, operating_point=point), loading.read_facts(model))
    whole = f"Of 100 healthy children like those of the official test, {sentence} (no verdict left"
    assert [element.value for element in page.markdown if element.value.startswith(whole)]


def test_frequencies_that_were_not_measured_are_said_to_be_so() -> None:
    page = drawn(RESULT, ModelSpec("m", "M", "m.keras"))
    assert UNMEASURED in [element.value for element in page.markdown]


def test_figures_at_another_threshold_are_not_taken_for_a_fixed_point() -> None:
    spec = ModelSpec("m", "M", "m.keras", results={"chest_xray/test": SUMMARY})
    assert measured(spec.point(), spec) is not None  # SUMMARY is at .5, as is the point
    assert measured(OperatingPoint.fixed(0.4), spec) is None


def test_links_name_model_and_point_and_lead_to_headings_that_there_are() -> None:
    spec = ModelSpec("m & n", "M", "m.keras")
    assert links_to_more(spec.point(), spec) == (
        "About the model: [how this was measured](model?model=m+%26+n#how-well-it-does), "
        "[where it fails](model?model=m+%26+n#where-it-fails)."
    )
    page = AppTest.from_string(
        "from xray_classifier.app.model import show_model_page; show_model_page('default')"
    ).run(timeout=60)
    default = loading.read_facts("default")
    links = re.findall(r"\((.+?)#(.+?)\)", links_to_more(default.point("screening"), default))
    assert {address for address, _ in links} == {"model?point=screening"}
    assert "(model#how-well-it-does)" in links_to_more(default.point(), default)
    anchors = {heading.anchor for heading in page.header}
    assert {anchor for _, anchor in links} <= anchors


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


TELLING = ModelSpec("m", "M", "m.keras", etiology=FACTS)


@pytest.mark.parametrize(
    ("etiology", "bacterial"), [("bacterial", 0.87), ("viral", 0.1), ("uncertain", 0.6)]
)
def test_second_answer_is_folded_away_under_a_pneumonia(etiology: str, bacterial: float) -> None:
    page = drawn(answered(etiology, bacterial), TELLING)
    assert [fold.label for fold in page.expander] == ["What this number means", ETIOLOGY]
    fold = page.expander[1]
    assert not fold.proto.expanded
    said = [element.value for element in fold.markdown]
    assert said == [etiology_sentence(etiology, bacterial), f"**{NO_PROOF}**"]
    assert [element.value for element in fold.caption] == [etiology_evidence(FACTS)]
    (header,) = page.header
    assert header.value == "Pneumonia 97.3 %"


@pytest.mark.parametrize(
    "result",
    [
        answered(None, None),
        answered(None, 0.9),
        replace(NORMAL, operating_point="fixed", bacterial=0.9),
        replace(RESULT, verdict="uncertain", bacterial=0.9),
        replace(INVALID, bacterial=0.9),
    ],
)
def test_nothing_is_said_of_bacteria_where_it_is_not_told(result: Result) -> None:
    for spec in (TELLING, replace(TELLING, etiology=None)):
        page = drawn(result, spec)
        assert [fold.label for fold in page.expander] == ["What this number means"]
        assert "bacterial" not in str(page.main)
