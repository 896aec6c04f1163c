from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support.drawn_reports import (
    FILE_NAME,
    INVALID,
    REJECTION,
    RESULT,
    SHA256,
    SPEC,
    a_report,
)
from tests.support.etiologies import FACTS, answered, report_on
from tests.support.pictures import squares
from xray_classifier import __version__
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.inference.etiology import NO_PROOF, etiology_evidence, etiology_sentence
from xray_classifier.inference.heatmap import CAVEAT, UNPROVEN, Explainer
from xray_classifier.inference.warnings import WARNINGS
from xray_classifier.models.classifier import Classifier
from xray_classifier.reports.content import (
    DISCLAIMER,
    CaseReport,
    add_heatmap,
    printable,
    to_json,
)


def test_report_states_verdict_number_and_threshold() -> None:
    report = a_report()
    assert report.headline == "Pneumonia"
    assert report.statement == (
        "Probability of pneumonia 97.3 %, at or above the threshold of 50 %."
    )


def test_report_of_a_normal_image_says_below() -> None:
    report = a_report(replace(RESULT, probability=0.02, verdict="normal", threshold=0.125))
    assert report.headline == "Normal"
    assert report.statement == "Probability of pneumonia 2.0 %, below the threshold of 12.5 %."


def test_report_takes_whatever_verdict_there_is() -> None:
    report = a_report(replace(RESULT, verdict="uncertain", threshold=0.74213))
    assert report.headline == "Uncertain"
    assert report.statement.endswith("97.3 %, too near for a verdict to the threshold of 74.2 %.")


def test_rejected_image_gets_a_report_that_says_why_and_holds_no_number() -> None:
    report = a_report(REJECTION)
    assert report.headline == "Not judged"
    assert report.statement == "It is white. So there is no verdict and no number."
    assert report.facts.keys() == {"Study", "Date", "Model", "SHA-256 of the model", "Program"}


def test_invalid_number_is_headed_as_such() -> None:
    report = a_report(INVALID)
    assert report.headline == "Not valid"
    assert report.statement.startswith("The model's output: pneumonia. Probability of pneumonia 97")
    assert not report.judged
    assert report.facts["Verdict"] == "pneumonia (not valid)"
    assert report.facts["Probability of pneumonia"] == "97.3 % (not valid)"


def test_facts_are_complete_and_leave_the_file_name_out() -> None:
    assert a_report(number=7).facts == {
        "Study": "7",
        "Date": "2026-11-24 12:05 UTC",
        "Verdict": "pneumonia",
        "Probability of pneumonia": "97.3 %",
        "Threshold": "50 %",
        "Operating point": "fixed",
        "Model": "A net (net)",
        "SHA-256 of the model": SHA256,
        "Runtime": "NumPy 2",
        "Program": f"xray-classifier {__version__}",
    }


def test_file_name_is_a_fact_if_it_is_wanted() -> None:
    assert a_report(file_name="a\tb.dcm").facts["File"] == "a\\tb.dcm"


def test_model_that_nothing_vouches_for_is_called_unverified() -> None:
    report = replace(a_report(), spec=replace(SPEC, sha256=""))
    assert report.facts["SHA-256 of the model"] == "unverified"


def test_what_ran_the_model_is_told_where_it_ran() -> None:
    assert a_report().facts["Runtime"] == "NumPy 2"
    assert "Runtime" not in a_report(REJECTION).facts


def richer(**more: Any) -> CaseReport:
    return a_report(replace(RESULT, **more))


def test_what_a_result_holds_beside_becomes_a_fact_and_a_member_of_the_json() -> None:
    report = richer(operating_point="screening", post_test_probability=0.4)
    assert report.facts["Operating point"] == "screening"
    assert report.facts["Post test probability"] == "40.0 %"
    assert json.loads(to_json(report))["operating_point"] == "screening"


def test_what_a_result_does_not_hold_is_no_fact() -> None:
    assert "Post test probability" not in richer().facts


# The second answer


@pytest.mark.parametrize(
    ("etiology", "bacterial", "fact"),
    [
        ("bacterial", 0.87, "bacterial 87.0 %"),
        ("viral", 0.1, "viral 90.0 %"),
        ("uncertain", 0.6, "uncertain (bacterial 60.0 %)"),
    ],
)
def test_etiology_is_said_with_what_it_is_worth(etiology: str, bacterial: float, fact: str) -> None:
    report = report_on(answered(etiology, bacterial))
    assert report.headline == "Pneumonia"
    assert report.facts["If a pneumonia, it looks"] == fact
    assert report.etiology == (
        f"{etiology_sentence(etiology, bacterial)} {NO_PROOF} {etiology_evidence(FACTS)}"
    )
    values = json.loads(to_json(report))
    assert (values["etiology"], values["bacterial_probability"]) == (etiology, bacterial)
    assert values["etiology_sentence"] == report.etiology


@pytest.mark.parametrize("bacterial", [None, 0.9])
def test_report_without_an_etiology_says_nothing_of_it(bacterial: float | None) -> None:
    for report in (report_on(answered(None, bacterial)), report_on(REJECTION), report_on(INVALID)):
        assert report.etiology == ""
        assert not [label for label in report.facts if "looks" in label]
        assert not [name for name in json.loads(to_json(report)) if "etiology" in name]
        assert "bacterial" not in to_json(report)


# JSON


def test_json_holds_all_but_the_picture_and_the_file_name() -> None:
    text = to_json(a_report(number=7))
    assert json.loads(text) == {
        "study": 7,
        "created": "2026-11-24T12:05:30+00:00",
        "status": "ok",
        "verdict": "pneumonia",
        "probability": 0.973,
        "threshold": 0.5,
        "message": "",
        "warnings": [{"code": "view_not_frontal", "sentence": WARNINGS["view_not_frontal"]}],
        "operating_point": "fixed",
        "post_test_probability": None,
        "model": {"name": "net", "title": "A net", "sha256": SHA256},
        "runtime": "NumPy 2",
        "program": {"name": "xray-classifier", "version": __version__},
        "disclaimer": DISCLAIMER,
    }
    assert text.endswith("}\n")


def test_json_names_the_file_if_it_is_wanted() -> None:
    assert json.loads(to_json(a_report(file_name=FILE_NAME)))["file"] == FILE_NAME


def test_json_of_a_rejected_image_says_why() -> None:
    values = json.loads(to_json(a_report(REJECTION)))
    assert (values["status"], values["message"]) == ("rejected", "It is white.")
    assert (values["probability"], values["verdict"]) == (None, None)


def test_disclaimer_says_what_the_page_says() -> None:
    assert DISCLAIMER.startswith("For research and education only. Not a medical device.")
    assert "a radiologist's reading decides" in DISCLAIMER


# The heatmap


def test_heatmap_is_added_with_its_caveat(square_classifier: Classifier) -> None:
    report = a_report(replace(RESULT, image=squares()))
    explained = add_heatmap(report, lambda: Explainer(square_classifier))
    assert explained.heated is not None
    assert explained.heated.shape == (500, 500, 3)
    changed = np.ptp(explained.heated, axis=2) > 0
    assert changed[300:400, 100:200].mean() > 0.5  # the square is hot
    assert not changed[:150].any()
    assert explained.heatmap_note == f"{UNPROVEN} {CAVEAT}"


def test_rejected_image_needs_no_explainer() -> None:
    report = a_report(REJECTION)
    assert add_heatmap(report, lambda: pytest.fail("asked")) is report


def test_model_that_cannot_be_explained_leaves_the_reason() -> None:
    def refuse() -> Explainer:
        raise ModelUnavailableError("This model cannot be explained.")

    explained = add_heatmap(a_report(), refuse)
    assert explained.heated is None
    assert explained.heatmap_note == "This model cannot be explained."


def test_unprintable_signs_are_escaped() -> None:
    assert printable("a\x07\\b\udc80ü") == "a\\x07\\\\b\\udc80ü"
