"""The page that opens the article's network on a visitor's own picture."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from functools import partial
from typing import Any, cast

import numpy as np
import streamlit as st
from PIL import Image

from xray_classifier.app.learn_steps import show_experiments, show_first_steps, show_network
from xray_classifier.app.session import (
    TURNS,
    model_source,
    shared_classifier,
    shared_gate,
    show_heading,
)
from xray_classifier.errors import ModelUnavailableError, UnreadableImageError
from xray_classifier.imaging.preprocessing import SIDE, resize, scale
from xray_classifier.imaging.radiograph import GreyImage, Radiograph
from xray_classifier.imaging.sample import sample_png
from xray_classifier.inference.heatmap import shrink
from xray_classifier.inference.pipeline import read
from xray_classifier.inference.verdict import percent
from xray_classifier.inference.warnings import sentences
from xray_classifier.inputs.decoding import SUPPORTED
from xray_classifier.learn.edits import Edits, edited, span_of
from xray_classifier.learn.pictures import as_picture, cells_of
from xray_classifier.learn.steps import ARTICLE
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.gate import OUTSIDE_POPULATION, GateDecision
from xray_classifier.models.loading import DEFAULT_MODEL

INTRO = """
What does a network do with an X-ray? Here the one of the article is open: follow a picture from its
pixels to the probability of pneumonia, an infection that fills parts of a lung with fluid so that
they turn whiter. Change the picture and see what the network makes of it. Nothing is stored.
"""
SAMPLE = "No upload, so you see a cartoon that this program has drawn, no radiograph."
REFUSED = (
    "**The number on this page means nothing for this picture**: the gate, a second network that "
    "looks at every picture first, refuses it. {reason} How the network computes can be seen all "
    "the same."
)
NO_VERDICT = "An exercise, no verdict: of a picture changed by hand this number says nothing."
CELLS = 50  # squares a side in which grey values are read and a mask is drawn
STEP = SIDE // CELLS
DRAWN = 320  # pixels a side of the picture that is drawn on; a small phone has no more
BELOW = 20  # pixels that Streamlit leaves free below a chart
ROWS, COLUMNS, BOX, UNDONE = "learn_rows", "learn_columns", "learn_box", "learn_undone"
BRIGHTNESS, BLUR, CROP, TURN = "learn_brightness", "learn_blur", "learn_crop", "learn_turn"
NO_SPAN = (0, 0)
SLIDERS = {ROWS: NO_SPAN, COLUMNS: NO_SPAN, BRIGHTNESS: 0.0, BLUR: 0.0, CROP: 0, TURN: 0}
"""Where each slider stands if nothing is changed."""
STARTS = "learn_starts"


def show_learn_page(name: str) -> None:
    """Draw the page; the article's network is compared with the model of that name."""
    show_heading("Learn")
    st.markdown(INTRO)
    upload = st.file_uploader(f"A chest X-ray ({SUPPORTED})", key="learn_upload")
    if upload is None:
        st.info(SAMPLE, icon=":material/draw:")
    other = DEFAULT_MODEL if name == ARTICLE else name
    with TURNS:
        try:
            radiograph = read(upload.getvalue() if upload else sample_png())
            with st.spinner("Starting the networks …"):
                classifiers = [
                    shared_classifier(one, model_source(one)) for one in (ARTICLE, other)
                ]
                gate = shared_gate()
        except UnreadableImageError as error:
            st.error(str(error), icon=":material/broken_image:")
            return
        except ModelUnavailableError as error:
            st.error(f"The network cannot be used. {error}", icon=":material/error:")
            return
        squeezed = resize(radiograph.image)
        decision = gate.decide(scale(squeezed))
    _show_doubts(radiograph, decision)
    height, width = radiograph.image.shape
    _explore(shrink(radiograph.image, SIDE), (width, height), squeezed, classifiers)
    with TURNS:
        show_experiments(radiograph.image, classifiers)


def _show_doubts(radiograph: Radiograph, decision: GateDecision) -> None:
    if decision.reason:
        st.warning(REFUSED.format(reason=decision.reason), icon=":material/block:")
    elsewhere = (OUTSIDE_POPULATION,) if decision.outside_population else ()
    for sentence in sentences((*radiograph.warnings, *elsewhere)):
        st.warning(sentence, icon=":material/warning:")


@st.fragment  # a slider draws this anew, and decodes nothing again
def _explore(
    decoded: GreyImage, size: tuple[int, int], squeezed: GreyImage, classifiers: list[Classifier]
) -> None:
    """Show what can be changed, the answer, and every step between."""
    with TURNS:
        left, right = st.columns([1, 1.3], gap="large")
        with left:
            st.header("Change it")
            answers = st.container()
            drawn_on = st.container()
            edits = _choose_edits()
        tensor = edited(squeezed, edits)
        with answers:
            _show_answers(classifiers, tensor)
        with drawn_on:
            _draw_on(as_picture(edited(squeezed, replace(edits, rows=NO_SPAN))))
        with right:
            show_first_steps(decoded, size, squeezed, tensor)
            show_network(classifiers, tensor)


def _choose_edits() -> Edits:
    """Offer sliders for all that can be changed."""
    rows = _slider("Mask: rows from and to", 0, SIDE, STEP, ROWS)
    columns = _slider("Mask: columns from and to", 0, SIDE, STEP, COLUMNS)
    brightness = _slider("Brighten by", -0.5, 0.5, 0.05, BRIGHTNESS)
    blur = _slider("Blur, radius in pixels", 0.0, 10.0, 0.5, BLUR)
    crop = _slider("Crop each edge by, in %", 0, 30, 1, CROP)
    turn = _slider("Turn by, in degrees", -45, 45, 1, TURN)
    st.button("Undo all changes", on_click=_undo)
    return Edits(crop / 100, turn, blur, brightness, rows, columns)


def _slider(label: str, low: float, high: float, step: float, name: str) -> Any:
    """Offer a slider that stands where it started until it is moved.

    It starts by a default of its own: a value that was put into the session's state would be lost
    if a slow browser draws this run of the page only together with the next one.
    """
    number, start = _starts()[name]
    return st.slider(label, low, high, start, step, key=f"{name}_{number}")


def _starts() -> dict[str, tuple[int, Any]]:
    """Where each slider starts, and how many of its name there were before it."""
    begin = {name: (0, start) for name, start in SLIDERS.items()}
    return cast("dict[str, tuple[int, Any]]", st.session_state.setdefault(STARTS, begin))


def _start_anew(name: str, start: Any) -> None:
    """Put a new slider in the place of the one of that name."""
    _starts()[name] = (_starts()[name][0] + 1, start)


def _undo() -> None:
    for name, start in SLIDERS.items():
        _start_anew(name, start)
    st.session_state[UNDONE] += 1


def _show_answers(classifiers: list[Classifier], tensor: Any) -> None:
    """Say what both networks answer; the second one on demand, since it takes longer."""
    article, other = classifiers
    place = st.container()
    both = st.toggle(f"Ask the model `{other.spec.name}` too", key="both", bind="query-params")
    for classifier in (article, other) if both else (article,):
        probability = float(classifier.probabilities(tensor[np.newaxis])[0])
        name = classifier.spec.name
        place.progress(probability, f"Probability of pneumonia, `{name}`: {percent(probability)}")
    place.caption(NO_VERDICT)


def _draw_on(picture: GreyImage) -> None:
    """Show the picture so that grey values can be read and a mask drawn with the pointer."""
    key = f"{BOX}_{st.session_state.setdefault(UNDONE, 0)}"  # a new one has no rectangle on it
    st.vega_lite_chart(
        _cells(picture),
        _chart(picture),
        key=key,
        on_select=partial(_take_box, key),
        width=DRAWN,
        height=DRAWN + BELOW,
        alt="The squeezed and changed picture. Draw a rectangle to mask it, or use the sliders.",
    )
    st.caption("Point at it for grey values, 0 black to 255 white. Draw a rectangle to mask it.")


def _take_box(chart: str) -> None:
    """Set the mask to the rectangle that was drawn on the chart of that key."""
    drawn = st.session_state[chart].selection.get("box", {})
    for field, name in (("row", ROWS), ("column", COLUMNS)):
        one, other = drawn.get(field, NO_SPAN)
        _start_anew(name, span_of(one, other, STEP))


def _cells(picture: GreyImage) -> list[dict[str, int]]:
    return [
        {"row": row * STEP, "column": column * STEP, "to": row * STEP + STEP}
        | {"to column": column * STEP + STEP, "grey": int(grey)}
        for (row, column), grey in np.ndenumerate(cells_of(picture, CELLS))
    ]


def _chart(picture: GreyImage) -> dict[str, Any]:
    """Describe the picture as a chart, under squares that cannot be seen but pointed at."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG", compress_level=1)  # quick
    address = f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"

    def axis(field: str, turned: bool) -> dict[str, Any]:
        scale = {"domain": [0, SIDE], "nice": False, "reverse": turned}
        return {"field": field, "type": "quantitative", "scale": scale, "axis": None}

    places = {
        "x": axis("column", turned=False),
        "x2": {"field": "to column"},
        "y": axis("row", turned=True),
        "y2": {"field": "to"},
    }
    whole = {"picture": address, "column": 0, "to column": SIDE, "row": 0, "to": SIDE}
    image = {
        "data": {"values": [whole]},
        "mark": {"type": "image", "aspect": False},
        "encoding": {**places, "url": {"field": "picture"}},
    }
    tooltip = [{"field": name} for name in ("row", "column", "grey")]
    squares = {
        "mark": {"type": "rect", "opacity": 0},
        "params": [{"name": "box", "select": "interval"}],
        "encoding": {**places, "tooltip": tooltip},
    }
    return {"autosize": {"type": "none"}, "padding": 0, "layer": [image, squares]}
