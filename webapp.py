"""The page: upload a chest radiograph, see what the model makes of it."""

from __future__ import annotations

import streamlit as st
from PIL import Image

from xray_classifier.cautions import sentences
from xray_classifier.decoding import MAX_BYTES, SUPPORTED, decode
from xray_classifier.errors import ModelUnavailableError, UnreadableImageError
from xray_classifier.loading import DEFAULT_MODEL, load_classifier
from xray_classifier.pipeline import Result, classify_image
from xray_classifier.prediction import Classifier
from xray_classifier.radiograph import GreyImage
from xray_classifier.spec import ModelSpec
from xray_classifier.verdict import PNEUMONIA, percent

TITLE = "Pneumonia on children's chest X\u2011rays"  # a hyphen that does not break the line
DISPLAY_SIDE = 1024  # pixels; the browser needs no more, the model sees the whole image

STANDING_LINE = (
    "For research and education only. **Not a medical device.** "
    "Trained on frontal chest X-rays of children of 1 to 5 years."
)
EMPTY_STATE = f"""
**Drop one frontal chest X-ray above to begin.**

- A single image as {SUPPORTED}, at most {MAX_BYTES // 2**20} MB.
- The radiograph itself, upright and uncropped; not a photo of a screen, not a side view.
- It stays in this server's memory while the page is open, and is never stored. Of a DICOM file's
  header only what bears on the picture is read: no name, no identifier.
"""


@st.cache_resource(show_spinner=False)
def shared_classifier(name: str, source: str | None) -> Classifier:
    """Load a model once per process, for all visitors."""
    return load_classifier(name, source)


def main() -> None:
    """Draw the page from top to bottom."""
    st.set_page_config(TITLE, "🫁", layout="wide")
    st.title(TITLE)
    st.caption(STANDING_LINE)
    upload = st.file_uploader(f"Chest X-ray ({SUPPORTED})")
    if upload is None:
        st.info(EMPTY_STATE)
        return
    try:
        radiograph = decode(upload.getvalue())
        with st.spinner("Starting the model. After a pause this takes some seconds …"):
            classifier = shared_classifier(DEFAULT_MODEL, model_source(DEFAULT_MODEL))
        with st.spinner("Looking at the image …"):
            result = classify_image(radiograph.image, classifier, radiograph.warnings)
    except UnreadableImageError as error:
        st.error(str(error), icon="🖼️")
    except ModelUnavailableError as error:
        st.error(f"The model cannot be used, so there is no verdict. {error}", icon="🧩")
    else:
        show(result, classifier.spec)


def model_source(name: str) -> str | None:
    """Read where a missing model file is fetched from: `[model_urls]` in the secrets."""
    try:
        return st.secrets["model_urls"][name]
    except (FileNotFoundError, KeyError):
        return None


def show(result: Result, spec: ModelSpec) -> None:
    """Show the verdict beside the radiograph; on a phone it comes first."""
    left, right = st.columns([2, 3], gap="large")
    with left:
        show_verdict(result, spec)
    height, width = result.image.shape
    right.image(
        for_display(result.image),
        caption=f"As decoded: {width} x {height} pixels, grey",
        width="stretch",
    )


def show_verdict(result: Result, spec: ModelSpec) -> None:
    """State verdict, probability, threshold, model and what the reader should know."""
    ill = result.verdict == PNEUMONIA
    chance = result.probability if ill else 1 - result.probability
    st.header(
        f"{result.verdict.capitalize()} {percent(chance)}", divider="orange" if ill else "blue"
    )
    st.progress(result.probability, f"Probability of pneumonia {percent(result.probability)}")
    st.markdown(
        f"{'At or above' if ill else 'Below'} the threshold of {100 * result.threshold:g} %."
    )
    st.caption(f"Model: {spec.title} (`{spec.name}`, `{spec.short_hash}`)")
    for sentence in sentences(result.warnings):
        st.warning(sentence, icon="🔎")
    st.warning(
        "The number is what a network learned from one hospital's images makes of this one. It is "
        "no diagnosis; a radiologist's reading decides.",
        icon="⚠️",
    )


def for_display(image: GreyImage) -> Image.Image:
    """Shrink a radiograph to what a browser shows."""
    picture = Image.fromarray(image)
    picture.thumbnail((DISPLAY_SIDE, DISPLAY_SIDE))
    return picture


main()
