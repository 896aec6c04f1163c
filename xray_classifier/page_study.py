"""One radiograph on the page: verdict, image, heatmap."""

from __future__ import annotations

import streamlit as st

from xray_classifier.cautions import sentences
from xray_classifier.decoding import decode
from xray_classifier.errors import ModelUnavailableError, UnreadableImageError
from xray_classifier.explanation import OPACITY, Heatmap, caveat, overlay, shrink
from xray_classifier.gate import ADVICE
from xray_classifier.page_shared import (
    model_source,
    shared_classifier,
    shared_explainer,
    shared_gate,
)
from xray_classifier.pipeline import NOT_VALID, REJECTED, Result, classify_radiograph
from xray_classifier.preprocessing import preprocess
from xray_classifier.radiograph import GreyImage
from xray_classifier.spec import ModelSpec
from xray_classifier.verdict import NORMAL, PNEUMONIA, percent


def show_study(data: bytes, name: str) -> None:
    """Judge the bytes of a file with the model of that name, and show what came of it."""
    try:
        radiograph = decode(data)
        with st.spinner("Starting the model. After a pause this takes some seconds …"):
            classifier, gate = shared_classifier(name, model_source(name)), shared_gate()
        with st.spinner("Looking at the image …"):
            result = classify_radiograph(radiograph, classifier, gate)
        if result.status == REJECTED and offer_output(result):
            result = classify_radiograph(radiograph, classifier, gate, enforce=False)
    except UnreadableImageError as error:
        st.error(str(error), icon=":material/broken_image:")
    except ModelUnavailableError as error:
        st.error(
            f"The model cannot be used, so there is no verdict. {error}", icon=":material/error:"
        )
    else:
        show(result, classifier.spec, name)


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
        show_images(shrink(result.image), caption, heatmap, spec)


def heatmap_of(image: GreyImage, name: str) -> Heatmap | None:
    """Compute a heatmap, or say why there is none."""
    try:
        with st.spinner("Asking the model …"):
            return shared_explainer(name, model_source(name)).heatmap(preprocess(image))
    except ModelUnavailableError as error:
        st.error(str(error), icon=":material/error:")
        return None


@st.fragment  # the slider draws this anew, and judges nothing again
def show_images(image: GreyImage, caption: str, heatmap: Heatmap | None, spec: ModelSpec) -> None:
    """Show the radiograph, beside its heatmap if there is one."""
    place = st.container()
    if heatmap is not None:
        opacity = st.slider("Opacity of the heatmap in %", 0, 100, round(100 * OPACITY), step=5)
        left, place = st.columns(2)
        left.image(
            overlay(image, heatmap, opacity / 100),
            caption="Heatmap: from violet, some effect, to yellow, most",
            alt="The image under its heatmap",
            width="stretch",
        )
        st.warning(caveat(heatmap, spec), icon=":material/warning:")
    place.image(image, caption=caption, alt="The image as decoded", width="stretch")


def offer_output(result: Result) -> bool:
    """Say why the gate rejects an image; ask whether the model's number is wanted all the same."""
    st.error(
        f"This is not something I can judge. {result.message} {ADVICE}", icon=":material/block:"
    )
    return st.toggle("Show the model's output anyway")


def show_verdict(result: Result, spec: ModelSpec) -> None:
    """State verdict, probability, threshold, model and what the reader should know."""
    for sentence in sentences(result.warnings):
        st.warning(sentence, icon=":material/warning:")
    probability, ill = result.probability or 0.0, result.verdict == PNEUMONIA
    name, chance = (PNEUMONIA, probability) if ill else (NORMAL, 1 - probability)
    mark = "Not valid: " if NOT_VALID in result.warnings else ""
    colour = "orange" if ill else "blue"
    st.header(f"{mark}{name.capitalize()} {percent(chance)}", divider=colour)
    st.progress(probability, f"Probability of pneumonia {percent(probability)}")
    st.markdown(
        f"{'At or above' if ill else 'Below'} the threshold of {100 * result.threshold:g} %."
    )
    st.markdown(f"Model: {spec.title} (`{spec.name}`, `{spec.short_hash}`)")
    st.warning(
        "The number is what a network learned from one hospital's images makes of this one. It is "
        "no diagnosis; a radiologist's reading decides.",
        icon=":material/warning:",
    )
