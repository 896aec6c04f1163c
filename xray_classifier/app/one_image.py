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
from xray_classifier.app.verdict import offer_output, show_verdict
from xray_classifier.app.viewer import SENT_SIDE, show_layer, show_viewer
from xray_classifier.errors import ModelUnavailableError, UnreadableImageError
from xray_classifier.imaging.preprocessing import preprocess
from xray_classifier.imaging.radiograph import GreyImage, StoredValues
from xray_classifier.inference.heatmap import Heatmap, caveat
from xray_classifier.inference.pipeline import (
    DEFAULTS,
    REJECTED,
    Choices,
    Result,
    classify,
    classify_radiograph,
    read,
)
from xray_classifier.models.spec import ModelSpec

_HEATMAP = "heatmap"


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


def _heatmap_of(question: str, image: GreyImage, name: str) -> Heatmap:
    """Compute a heatmap; the visitor's last one stays in the session, known by its question."""
    kept: tuple[str, Heatmap] | None = st.session_state.get(_HEATMAP)
    if kept is None or kept[0] != question:
        kept = question, shared_explainer(name, model_source(name)).heatmap(preprocess(image))
        st.session_state[_HEATMAP] = kept
    return kept[1]
