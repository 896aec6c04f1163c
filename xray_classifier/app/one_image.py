"""One radiograph on the page: verdict, image, heatmap."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import streamlit as st

from xray_classifier.app.export import offer_reports
from xray_classifier.app.session import (
    TURNS,
    model_source,
    shared_classifier,
    shared_explainer,
    shared_gate,
)
from xray_classifier.app.viewer import SENT_SIDE, show_layer, show_viewer
from xray_classifier.errors import ModelUnavailableError, UnreadableImageError
from xray_classifier.imaging.preprocessing import preprocess
from xray_classifier.imaging.radiograph import GreyImage, StoredValues
from xray_classifier.inference.heatmap import Heatmap, caveat
from xray_classifier.inference.pipeline import (
    DEFAULTS,
    NOT_VALID,
    REJECTED,
    Choices,
    Result,
    classify,
    classify_radiograph,
    read,
)
from xray_classifier.inference.verdict import NORMAL, PNEUMONIA, UNCERTAIN, percent
from xray_classifier.inference.warnings import NO_DIAGNOSIS, sentences
from xray_classifier.models.gate import ADVICE
from xray_classifier.models.operating_point import OperatingPoint
from xray_classifier.models.spec import OFFICIAL_TEST, ModelSpec
from xray_classifier.records.evaluation import PointFigures

COLOURS = {NORMAL: "blue", PNEUMONIA: "orange", UNCERTAIN: "gray"}


def show_one(
    data: bytes,
    name: str,
    choices: Choices = DEFAULTS,
    file_name: str = "",
    number: int = 1,
    walk: str = "",
) -> None:
    """Judge an image, show what came of it and offer reports.

    Args:
        data: the whole file.
        name: of the model.
        choices: what the visitor chose.
        file_name: put into reports only on demand; empty if unknown.
        number: of the case; it stands for the file in reports.
        walk: names the images among which the viewer keeps its view; empty for one alone.
    """
    with TURNS:
        _judge_and_show(data, name, choices, file_name, number, walk)


def _judge_and_show(
    data: bytes, name: str, choices: Choices, file_name: str, number: int, walk: str
) -> None:
    try:
        radiograph = read(data, keep_stored=True)
        with st.spinner("Starting the model. After a pause this takes some seconds …"):
            classifier, gate = shared_classifier(name, model_source(name)), shared_gate()
        with st.spinner("Looking at the image …"):
            result = classify_radiograph(radiograph, classifier, gate, choices)
        if result.status == REJECTED and offer_output(result):
            choices = replace(choices, use_gate=False)
            result = classify_radiograph(radiograph, classifier, gate, choices)
    except UnreadableImageError as error:
        st.error(str(error), icon=":material/broken_image:")
    except ModelUnavailableError as error:
        st.error(
            f"The model cannot be used, so there is no verdict. {error}", icon=":material/error:"
        )
    else:
        show(result, radiograph.stored, classifier.spec, name, walk)
        again = partial(classify, data, classifier, gate, choices)
        offer_reports(data, file_name, again, classifier.spec, name, number)


def show(
    result: Result, stored: StoredValues | None, spec: ModelSpec, name: str, walk: str
) -> None:
    """Show the verdict beside the radiograph; on a phone it comes first."""
    left, right = st.columns([1, 1.3], gap="large")
    judged = result.status != REJECTED
    with left:
        if judged:
            show_verdict(result, spec)
    with right:
        question = show_viewer(stored or result.image, name if judged else "", walk)
        st.caption(describe_size(result.image, stored))
        if question:
            show_heatmap(question, result.image, name, spec)


def describe_size(image: GreyImage, stored: StoredValues | None = None) -> str:
    """Say how large a radiograph is, what its values are, and whether the viewer has it reduced."""
    height, width = image.shape
    size = f"As decoded: {width} x {height} pixels, grey"
    if stored is not None:
        size += (
            ". The viewer has the values of the file: window and level are counted in them. The "
            "model judges 8 bits, those of the window to begin with"
        )
    if max(image.shape) <= SENT_SIDE:
        return size
    return (
        f"{size}. The viewer has it reduced to {SENT_SIDE} at its longer side; its zoom, and one "
        "to one, count the pixels of the file."
    )


def show_heatmap(question: str, image: GreyImage, name: str, spec: ModelSpec) -> None:
    """Give the viewer the heatmap that it asked for, and say how to read it, or why there is none.

    Args:
        question: what `show_viewer` returned.
        image: the radiograph.
        name: of the model.
        spec: the facts about the model.
    """
    try:
        with st.spinner("Asking the model …"):
            heatmap = _heatmap_of(question, image, name)
    except ModelUnavailableError as error:
        show_layer(question, None)
        st.error(str(error), icon=":material/error:")
    else:
        note = caveat(heatmap, spec)
        with st.container(gap=None):  # the layer takes no room on the page
            show_layer(question, heatmap, note)
            st.caption("Heatmap: from violet, some effect, to yellow, most")
        st.warning(note, icon=":material/warning:")


@st.cache_data(scope="session", max_entries=1, show_spinner=False)
def _heatmap_of(question: str, _image: GreyImage, _name: str) -> Heatmap:  # noqa: ARG001
    """Compute a heatmap; by its question the visitor's last one is kept while the page is open."""
    return shared_explainer(_name, model_source(_name)).heatmap(preprocess(_image))


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
