"""One radiograph on the page: verdict, image, heatmap."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from xray_classifier.app.export import offer_reports
from xray_classifier.app.session import (
    TURNS,
    model_source,
    shared_classifier,
    shared_explainer,
    shared_gate,
)
from xray_classifier.app.verdict import offer_output, show_verdict
from xray_classifier.errors import ModelUnavailableError, UnreadableImageError
from xray_classifier.imaging.preprocessing import preprocess
from xray_classifier.imaging.radiograph import GreyImage
from xray_classifier.inference.heatmap import OPACITY, Heatmap, caveat, overlay, shrink
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


def show_one(
    data: bytes, name: str, choices: Choices = DEFAULTS, file_name: str = "", number: int = 1
) -> None:
    """Judge an image, show what came of it and offer reports.

    Args:
        data: the whole file.
        name: of the model.
        choices: what the visitor chose.
        file_name: put into reports only on demand; empty if unknown.
        number: of the case; it stands for the file in reports.
    """
    with TURNS:
        _judge_and_show(data, name, choices, file_name, number)


def _judge_and_show(data: bytes, name: str, choices: Choices, file_name: str, number: int) -> None:
    try:
        radiograph = read(data)
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
        show(result, classifier.spec, name)
        again = partial(classify, data, classifier, gate, choices)
        offer_reports(data, file_name, again, classifier.spec, name, number)


def show(result: Result, spec: ModelSpec, name: str) -> None:
    """Show the verdict beside the radiograph; on a phone it comes first."""
    left, right = st.columns([1, 1.3], gap="large")
    judged = result.status != REJECTED
    with left:
        if judged:
            show_verdict(result, spec)
    with right:
        asked = judged and st.toggle("Where did the model look?")
        heatmap = heatmap_of(result.image, name) if asked else None
        height, width = result.image.shape
        caption = f"As decoded: {width} x {height} pixels, grey"
        image = shrink(result.image)
        if heatmap is None:
            show_image(st.container(), image, caption)
        else:
            show_with_heatmap(image, caption, heatmap, spec)


def heatmap_of(image: GreyImage, name: str) -> Heatmap | None:
    """Compute a heatmap, or say why there is none."""
    try:
        with st.spinner("Asking the model …"):
            return shared_explainer(name, model_source(name)).heatmap(preprocess(image))
    except ModelUnavailableError as error:
        st.error(str(error), icon=":material/error:")
        return None


def show_image(place: DeltaGenerator, image: GreyImage, caption: str) -> None:
    """Show the radiograph."""
    place.image(image, caption=caption, alt="The image as decoded", width="stretch")


@st.fragment  # the slider draws this anew, and judges nothing again
def show_with_heatmap(image: GreyImage, caption: str, heatmap: Heatmap, spec: ModelSpec) -> None:
    """Show the radiograph beside its heatmap."""
    opacity = st.slider("Opacity of the heatmap in %", 0, 100, round(100 * OPACITY), step=5)
    left, right = st.columns(2)
    left.image(
        overlay(image, heatmap, opacity / 100),
        caption="Heatmap: from violet, some effect, to yellow, most",
        alt="The image under its heatmap",
        width="stretch",
    )
    show_image(right, image, caption)
    st.warning(caveat(heatmap, spec), icon=":material/warning:")
