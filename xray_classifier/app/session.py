"""What the pages share: models loaded once for all visitors, uploads, heading and choices.

Every choice has a key and `bind="query-params"`: it stands in the address, under its key, unless it
is the default, so that a page can be shared without the image. Streamlit ignores rubbish there.
"""

from __future__ import annotations

import threading

import streamlit as st
from starlette.formparsers import MultiPartParser

from xray_classifier.errors import ModelUnavailableError
from xray_classifier.inference.heatmap import Explainer
from xray_classifier.inference.pipeline import DEFAULTS, Choices
from xray_classifier.inputs.decoding import MAX_BYTES
from xray_classifier.models import gate, loading
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.gate import Gate

TITLE = "Pneumonia on children's chest X\u2011rays"  # a hyphen that does not break the line

STANDING_LINE = (
    "For research and education only. **Not a medical device.** "
    "Trained on frontal chest X-rays of children of 1 to 5 years."
)

SIDEBAR = 260  # pixels of width; what it leaves lets the first help stand on one screen

_FORM = 2**20  # bytes that a form may be larger than the file in it

TURNS = threading.BoundedSemaphore(2)
"""Held, for all visitors, while an image is decoded, judged and drawn.

More at once would be no faster, and each may need the memory of a picture at its limit.
"""


@st.cache_resource(show_spinner=False)
def shared_classifier(name: str, source: str | None) -> Classifier:
    """Load a model once per process, for all visitors."""
    return loading.load_classifier(name, source)


def shared_explainer(name: str, source: str | None) -> Explainer:
    """Give what draws the heatmaps of a model, which is loaded once for all visitors."""
    return Explainer(shared_classifier(name, source))


@st.cache_resource(show_spinner=False)
def shared_gate() -> Gate:
    """Load the gate once per process, for all visitors."""
    return gate.load_gate()


def keep_uploads_in_memory() -> None:
    """Have Starlette, by which Streamlit receives forms, keep what is allowed in memory.

    Left alone, the server writes uploads over 1 MB to a temporary file.
    """
    MultiPartParser.spool_max_size = MAX_BYTES + _FORM


def show_heading(title: str) -> None:
    """Begin a page: its title, and what holds on every page."""
    st.title(title)
    st.caption(STANDING_LINE)


def choose_model() -> str:
    """Offer the models that are meant to judge, the default first."""
    there = (name for name in loading.model_names() if name != loading.AS_PUBLISHED)
    names = sorted(there, key=lambda name: name != loading.DEFAULT_MODEL)
    chosen = st.sidebar.selectbox("Model", names, key="model", bind="query-params")
    return chosen or loading.DEFAULT_MODEL


def choose_how(name: str) -> Choices:
    """Offer what the model of that name lets a user choose about its verdicts."""
    try:
        spec = loading.read_facts(name)
    except ModelUnavailableError:  # said where the model is asked for a verdict
        return DEFAULTS
    point = None
    if len(spec.point_names) > 1:
        point = st.sidebar.selectbox(
            "Operating point",
            spec.point_names,
            key="point",
            bind="query-params",
            help="\n".join(f"- {n}: {spec.point(n).criterion}" for n in spec.point_names),
        )
    pretest = None
    if spec.calibration_prevalence is not None:
        pretest = st.sidebar.number_input(
            "Pre-test probability in %",
            0.1,
            99.9,
            None,
            placeholder="not given",
            key="pretest",
            bind="query-params",
            help="How many in a hundred such patients have pneumonia, before the X-ray is looked "
            "at. The verdict stays as it is; a post-test probability is added.",
        )
    return Choices(point, pretest and pretest / 100)


def model_source(name: str) -> str | None:
    """Read where a missing model file is fetched from: `[model_urls]` in the secrets."""
    try:
        return st.secrets["model_urls"][name]
    except (FileNotFoundError, KeyError):
        return None
