"""The verdict on one radiograph: what it is, what it rests on, and what the reader should know."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode

import streamlit as st

from xray_classifier.app.model import FAILS, POINTS, RESULTS
from xray_classifier.inference import scale
from xray_classifier.inference.etiology import NO_PROOF, etiology_evidence, etiology_sentence
from xray_classifier.inference.pipeline import NOT_VALID, Result
from xray_classifier.inference.scale import Shape, Zone
from xray_classifier.inference.verdict import NORMAL, PNEUMONIA, UNCERTAIN, percent
from xray_classifier.inference.warnings import NO_DIAGNOSIS, sentences
from xray_classifier.model_card.facts import frequencies_sentence
from xray_classifier.models.gate import ADVICE
from xray_classifier.models.loading import DEFAULT_MODEL
from xray_classifier.models.operating_point import FIXED, OperatingPoint
from xray_classifier.models.spec import OFFICIAL_TEST, ModelSpec
from xray_classifier.records.evaluation import Figures, PointFigures

COLOURS: dict[str, Literal["blue", "orange", "gray"]] = {
    NORMAL: "blue",
    PNEUMONIA: "orange",
    UNCERTAIN: "gray",
}
ETIOLOGY = "Bacterial or viral?"
UNMEASURED = "How often it errs at this operating point was not measured."
MORE = {
    "how this was measured": RESULTS,
    "what operating points are": POINTS,
    "where it fails": FAILS,
}
"""Parts of the page about the model, by what they explain."""


def offer_output(result: Result) -> bool:
    """Say why the gate rejects an image; ask whether the model's number is wanted all the same."""
    st.error(
        f"This is not something I can judge. {result.message} {ADVICE}", icon=":material/block:"
    )
    return st.toggle("Show the model's output anyway")


def show_verdict(result: Result, spec: ModelSpec) -> None:
    """State the verdict, where it lies on the scale, and what the reader should know.

    What else can be said about the number is folded away; warnings are not.
    """
    for sentence in sentences(result.warnings):
        st.warning(sentence, icon=":material/warning:")
    valid = NOT_VALID not in result.warnings
    mark, colour = ("", COLOURS[str(result.verdict)]) if valid else ("Not valid: ", "gray")
    st.header(f"{mark}{headline(result)}", divider=colour)
    point = spec.point(result.operating_point)
    show_scale(result, point)
    if valid:
        found = measured(point, spec)
        st.markdown(frequencies_sentence(found.figures, found.whom) if found else UNMEASURED)
    st.warning(NO_DIAGNOSIS, icon=":material/warning:")
    with st.expander("What this number means"):
        st.markdown(explain_point(point))
        for note in notes_on_numbers(point, spec):
            st.markdown(note)
        st.markdown(model_line(spec, result))
        st.markdown(links_to_more(point, spec))
    show_etiology(result, spec)


def show_etiology(result: Result, spec: ModelSpec) -> None:
    """Say, folded away, which kind of pneumonia the picture looks like; nothing of any other one.

    The number never stands without the words that it proves nothing.
    """
    said = etiology_sentence(result.etiology, result.bacterial)
    if said and spec.etiology:
        with st.expander(ETIOLOGY):
            st.markdown(said)
            st.markdown(f"**{NO_PROOF}**")
            st.caption(etiology_evidence(spec.etiology))


def show_scale(result: Result, point: OperatingPoint) -> None:
    """Draw the scale, under it what its zones are and over it what is marked on it."""
    plain = NOT_VALID in result.warnings
    marks = [f"{_key(scale.probability_key())} **{scale.probability_words(result)}**"]
    if after := scale.post_test_words(result):
        marks.append(f"{_key(scale.post_test_key())} {after}; the verdict stays as it is")
    with st.container(gap="xsmall"):
        st.markdown("  \n".join(marks))
        size = f'viewBox="0 0 {scale.WIDTH:g} {scale.height(result):g}"'
        st.markdown(_picture(scale.shapes(result, point), size, scale.describe(result, point)))
        with st.container(horizontal=True):
            st.caption("0 %", text_alignment="left")
            st.caption("50 %", text_alignment="center")
            st.caption("100 %", text_alignment="right")
        st.markdown("  \n".join(_zone_line(zone, plain) for zone in scale.zones(point)))


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
    found = measured(point, spec)
    if found:
        parts = [
            f"{name} {percent(figure.value)} ({percent(figure.low)} to {percent(figure.high)})"
            for name, figure in (
                ("sensitivity", found.figures.sensitivity),
                ("specificity", found.figures.specificity),
            )
        ]
        notes.append(f"Measured {found.where}, without the uncertain verdict: {', '.join(parts)}.")
    if spec.calibration_prevalence is not None:
        notes.append(
            f"The probability assumes that {percent(spec.calibration_prevalence)} of such "
            "patients have pneumonia, as among those that the model learned from. Where it is "
            "rarer, give a pre-test probability."
        )
    return notes


@dataclass(frozen=True)
class Measured:
    """What an operating point gave.

    Attributes:
        figures: with forced verdicts.
        where: they were measured; continues "Measured".
        whom: of; continues "children".
    """

    figures: PointFigures | Figures
    where: str
    whom: str


def measured(point: OperatingPoint, spec: ModelSpec) -> Measured | None:
    """Find what a point gave on the official test set, or else where it was fitted."""
    test = spec.results.get(OFFICIAL_TEST)
    figures: PointFigures | Figures | None = None
    if test:
        figures = test.operating_points.get(point.name)
    if test and point.name == FIXED and point.threshold == test.threshold:
        figures = test.figures
    if test and figures:
        where = f"on the {test.images} images of the official test set"
        return Measured(figures, where, "like those of the official test")
    if point.out_of_fold:
        whom = "like those it learned from, each kept from the network that judged it"
        return Measured(point.out_of_fold, "out of fold, where it was fitted", whom)
    return None


def model_line(spec: ModelSpec, result: Result) -> str:
    """Name the model, its file, and what ran it."""
    return f"Model: {spec.title} (`{spec.name}`, `{spec.short_hash}`), run by {result.runtime}"


def links_to_more(point: OperatingPoint, spec: ModelSpec) -> str:
    """Lead to what the page about the model says of this model and point.

    What that page takes by default stands in no address: it would be removed, and the part with it.
    """
    chosen = {"model": spec.name} if spec.name != DEFAULT_MODEL else {}
    if point != spec.point():
        chosen["point"] = point.name
    page = f"model?{urlencode(chosen)}" if chosen else "model"
    links = [
        f"[{words}]({page}#{part})"
        for words, part in MORE.items()
        if part != POINTS or spec.operating_points
    ]
    return f"About the model: {', '.join(links)}."


def _zone_line(zone: Zone, plain: bool) -> str:
    return f"{_key(scale.zone_key(zone.verdict, plain))} {zone.words}"


def _key(shapes: Sequence[Shape]) -> str:
    """Draw what is named right after, and so has no words of its own."""
    size = f'width="{scale.KEY:g}" height="{scale.KEY:g}"'
    return _picture(shapes, size, "")


def _picture(shapes: Sequence[Shape], size: str, words: str) -> str:
    """Write shapes as an SVG image in Markdown; the page lets no HTML through.

    Args:
        shapes: to paint, in this order.
        size: attributes of the SVG; with `viewBox` alone it grows and shrinks with the page.
        words: for who cannot see it.
    """
    polygons = "".join(
        f'<polygon points="{" ".join(f"{x:g},{y:g}" for x, y in shape.corners)}" '
        f'fill="{shape.fill}" stroke="{shape.outline or "none"}" stroke-width="{scale.OUTLINE}"/>'
        for shape in shapes
    )
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{polygons}</svg>'
    return f"![{words}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"
