"""The verdict on one radiograph: what it is, what it rests on, and what the reader should know."""

from __future__ import annotations

import streamlit as st

from xray_classifier.inference.pipeline import NOT_VALID, Result
from xray_classifier.inference.verdict import NORMAL, PNEUMONIA, UNCERTAIN, percent
from xray_classifier.inference.warnings import NO_DIAGNOSIS, sentences
from xray_classifier.models.gate import ADVICE
from xray_classifier.models.operating_point import OperatingPoint
from xray_classifier.models.spec import OFFICIAL_TEST, ModelSpec
from xray_classifier.records.evaluation import PointFigures

COLOURS = {NORMAL: "blue", PNEUMONIA: "orange", UNCERTAIN: "gray"}


def offer_output(result: Result) -> bool:
    """Say why the gate rejects an image; ask whether the model's number is wanted all the same."""
    st.error(
        f"This is not something I can judge. {result.message} {ADVICE}", icon=":material/block:"
    )
    return st.toggle("Show the model's output anyway")


def show_verdict(result: Result, spec: ModelSpec) -> None:
    """State verdict, probability, operating point, model and what the reader should know."""
    for sentence in sentences(result.warnings):
        st.warning(sentence, icon=":material/warning:")
    mark = "Not valid: " if NOT_VALID in result.warnings else ""
    st.header(f"{mark}{headline(result)}", divider=COLOURS[str(result.verdict)])
    probability = result.probability or 0.0
    st.progress(probability, f"Probability of pneumonia {percent(probability)}")
    if result.post_test_probability is not None:
        after = result.post_test_probability
        st.progress(after, f"With the pre-test probability given: {percent(after)}")
    point = spec.point(result.operating_point)
    st.markdown(explain_point(point))
    st.markdown("  \n".join([*notes_on_numbers(point, spec), model_line(spec, result)]))
    st.warning(NO_DIAGNOSIS, icon=":material/warning:")


def headline(result: Result) -> str:
    """Say the verdict in a few words."""
    probability = result.probability or 0.0
    if result.verdict == UNCERTAIN:
        return "Uncertain" if NOT_VALID in result.warnings else "Uncertain: a human must decide"
    chance = probability if result.verdict == PNEUMONIA else 1 - probability
    return f"{str(result.verdict).capitalize()} {percent(chance)}"


def explain_point(point: OperatingPoint) -> str:
    """Say from which probability on which verdict is given."""
    if point.low == point.high:
        return f"Pneumonia is called from {percent(point.threshold)} on."
    return (
        f"Operating point *{point.name}*: normal below {percent(point.low)}, pneumonia from "
        f"{percent(point.high)} on, and between them uncertain."
    )


def notes_on_numbers(point: OperatingPoint, spec: ModelSpec) -> list[str]:
    """Say what the operating point gave where it was measured, and what the number assumes."""
    notes = []
    where, figures = measured(point, spec)
    if figures:
        parts = [
            f"{name} {percent(figure.value)} ({percent(figure.low)} to {percent(figure.high)})"
            for name, figure in (
                ("sensitivity", figures.sensitivity),
                ("specificity", figures.specificity),
            )
        ]
        notes.append(f"Measured {where}, without the uncertain verdict: {', '.join(parts)}.")
    if spec.calibration_prevalence is not None:
        notes.append(
            f"The probability assumes that {percent(spec.calibration_prevalence)} of such "
            "patients have pneumonia, as among those that the model learned from. Where it is "
            "rarer, give a pre-test probability."
        )
    return notes


def measured(point: OperatingPoint, spec: ModelSpec) -> tuple[str, PointFigures | None]:
    """Find what a point gave on the official test set, or else where it was fitted."""
    found = spec.results.get(OFFICIAL_TEST)
    if found and point.name in found.operating_points:
        where = f"on the {found.images} images of the official test set"
        return where, found.operating_points[point.name]
    return "out of fold, where it was fitted", point.out_of_fold


def model_line(spec: ModelSpec, result: Result) -> str:
    """Name the model, its file, and what ran it."""
    return f"Model: {spec.title} (`{spec.name}`, `{spec.short_hash}`), run by {result.runtime}"
