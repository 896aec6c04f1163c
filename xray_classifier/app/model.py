"""The page about the model: what it learned from, how well it does, where it fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st

from xray_classifier.app.charts import (
    CONFUSION,
    COVERAGE,
    CURVES,
    RELIABILITY,
    ROC,
    marks_of,
    show_confusion,
    show_curve,
)
from xray_classifier.app.session import show_heading
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.inference.etiology import NO_PROOF
from xray_classifier.model_card.facts import (
    DATA_SETS,
    adults_sentence,
    border_sentence,
    confusion_at,
    etiology_sentence,
    figure_rows,
    gate_rows,
    heatmap_sentence,
    point_rows,
    stress_rows,
    training_sentences,
)
from xray_classifier.model_card.rendering import (
    rendering_caption,
    rendering_rows,
    rendering_sentence,
)
from xray_classifier.models import gate, loading
from xray_classifier.models.spec import OFFICIAL_TEST, ModelSpec, read_report
from xray_classifier.paths import MODEL_FOLDER
from xray_classifier.records.checks import ExplanationReport, GateShares, StressReport
from xray_classifier.records.evaluation import EvaluationReport, PointFigures, RenderingFigures

MODEL_CARD = MODEL_FOLDER / "MODEL_CARD.md"
FIGURES, RENDERING = "Figures", "Where rendering does not help"
PARTS = (ROC, CONFUSION, RELIABILITY, COVERAGE, FIGURES, RENDERING)
RESULTS, POINTS, FAILS = "how-well-it-does", "operating-points", "where-it-fails"
"""Anchors of headings, to which a verdict leads."""

WHERE_IT_FAILS = """
- **Adults**: {adults} The gate warns of them; believe the warning, not the number.
- **Other machines**: {rendering}
- **Children elsewhere**: not measured here. Networks that others trained on these images fell to an
  AUC of .54 on 383 images ([Xin 2021](https://doi.org/10.1007/s10140-021-01954-x)) and of .65 on
  190 ([Togunwa 2025](https://doi.org/10.1371/journal.pdig.0000713)).
- **Side views and other parts of the body**: never tried. The gate may let them through.
- **Other diseases**: it knows normal and pneumonia, and calls everything one of them or uncertain.
- **Rare pneumonia**: of what it calls pneumonia, fewer children are ill where fewer are ill at all.
  Where the model is calibrated, a pre-test probability takes that into account.
"""


def show_model_page(name: str) -> None:
    """Draw the page for the model of that name. It needs its JSON, not the network."""
    show_heading("About the model")
    try:
        spec = loading.read_facts(name)
        other = choose_other(name)
        specs = [spec, *([loading.read_facts(other)] if other else [])]
        stress = read_report(StressReport, spec)
        explanation = read_report(ExplanationReport, spec)
        gate_results = gate.read_gate_spec(gate.GATE_FILE).results
    except ModelUnavailableError as error:
        st.error(str(error), icon=":material/error:")
        return
    names = (f"**{shown.title}** (`{shown.name}`, `{shown.short_hash}`)" for shown in specs)
    st.markdown(f"{' beside '.join(names)}. [Where it fails](#{FAILS})")
    show_results(specs)
    show_points(spec)
    show_etiology(spec)
    show_origin(spec)
    show_checks(stress, explanation, gate_results)
    show_card(MODEL_CARD)


def choose_other(name: str) -> str | None:
    """Offer the models that this one can be compared with."""
    others = [other for other in sorted(loading.model_names()) if other != name]
    if not others:
        return None
    return st.sidebar.selectbox(
        "Compare with", others, None, placeholder="no other", key="compare", bind="query-params"
    )


def show_results(specs: Sequence[ModelSpec]) -> None:
    """Show charts, then figures, on the data set that is chosen; of two models side by side."""
    st.header("How well it does", anchor=RESULTS)
    results = specs[0].results
    measured = [data for data in DATA_SETS if data in results]
    measured += sorted(results.keys() - DATA_SETS.keys())
    if not measured:
        st.markdown("Not measured.")
        return
    left, right = st.columns(2, gap="medium")
    data = left.selectbox("Measured on", measured, key="data", bind="query-params") or measured[0]
    found = results[data]
    points = list(found.operating_points)
    chosen = None
    if points:
        chosen = right.selectbox("Operating point", points, key="point", bind="query-params")
    st.markdown(
        f"{DATA_SETS.get(data, '')} {found.images:,} images of {found.patients:,} "
        "patients. The intervals come from resampling patients."
    )
    parts = [(part, spec) for part in PARTS for spec in specs]
    for first in range(0, len(parts), 2):
        pair = parts[first : first + 2]
        for column, (part, spec) in zip(st.columns(2, gap="medium"), pair, strict=False):
            with column:
                title = CURVES[part].title if part in CURVES else part
                st.subheader(f"{title}: {spec.name}" if len(specs) > 1 else title)
                show_part(part, spec, spec.results.get(data), chosen)


def show_part(
    part: str, spec: ModelSpec, found: EvaluationReport | None, chosen: str | None
) -> None:
    """Show a chart, or the table of figures.

    Args:
        part: one of `PARTS`.
        spec: of the model.
        found: what was measured of it; None if nothing was.
        chosen: operating point; a model that has none of that name is shown at its own threshold.
    """
    if not found:
        st.markdown("Not measured.")
    elif part in CURVES:
        marks = marks_of(found, chosen) if part == ROC else []
        show_curve(CURVES[part], getattr(found.curves, part, ()), marks)
    elif part == CONFUSION:
        threshold, confusion = found.threshold, found.confusion
        if chosen in found.operating_points:
            threshold = spec.point(chosen).threshold
            confusion = confusion_at(found, chosen)
        show_confusion(confusion, threshold)
    elif part == RENDERING:
        show_rendering(found.rendering)
    else:
        st.table(figure_rows(found.figures), hide_index=True, alt="Figures with intervals")


def show_rendering(found: RenderingFigures | None) -> None:
    """Show the figures where the machine that made a picture does not give its label away."""
    if not found:
        st.markdown("Not measured.")
        return
    st.table(rendering_rows(found), hide_index=True, alt="Figures where rendering does not help")
    st.caption(rendering_caption(found))


def show_points(spec: ModelSpec) -> None:
    """Show what the operating points gave where they were fitted and on the test set."""
    fitted = {point.name: point.out_of_fold for point in spec.operating_points}
    test = spec.results.get(OFFICIAL_TEST)
    places: dict[str, Mapping[str, PointFigures | None]] = {
        "where they were fitted, out of fold": fitted,
        "official test set": test.operating_points if test else {},
    }
    if spec.operating_points:
        st.header("Operating points", anchor=POINTS)
        st.markdown(
            "Where on the scale of probabilities the verdicts change, each point chosen for a use: "
            + "; ".join(f"*{point.name}*, {point.criterion}" for point in spec.operating_points)
            + "."
        )
    for where, measured in places.items():
        rows = point_rows(spec.operating_points, measured)
        if rows:
            st.markdown(f"Operating points, {where}:")
            st.table(rows, hide_index=True, alt=f"Operating points, {where}")


def show_etiology(spec: ModelSpec) -> None:
    """Say how well the second answer tells bacterial from viral; nothing of a model without it."""
    if spec.etiology:
        st.markdown(f"**Bacterial or viral.** {etiology_sentence(spec)} {NO_PROOF}")


def show_origin(spec: ModelSpec) -> None:
    """Say what the model learned from, and where it fails."""
    left, right = st.columns(2, gap="large")
    left.header("What it learned from")
    left.markdown(training_sentences(spec))
    right.header("Where it fails", anchor=FAILS)
    right.markdown(
        WHERE_IT_FAILS.format(adults=adults_sentence(spec), rendering=rendering_sentence(spec))
    )


def show_checks(
    stress: StressReport | None,
    explanation: ExplanationReport | None,
    gate_results: dict[str, GateShares],
) -> None:
    """Show what is known beyond right and wrong: stress, gate, heatmaps."""
    left, right = st.columns(2, gap="large")
    with left:
        st.header("Does it look at lungs?")
        st.markdown(border_sentence(stress))
        st.markdown(heatmap_sentence(explanation))
        rows = stress_rows(stress)
        if rows:
            st.markdown("What changes that are no illness did to its answers:")
            st.table(rows, hide_index=True, alt="Changes of the picture and of the answers")
    with right:
        st.header("What the gate refuses")
        st.markdown(
            "Before any model looks, a gate refuses what is no upright chest X-ray and warns of "
            "chests unlike those of the training children. None of these images was used for "
            "making it:"
        )
        st.table(gate_rows(gate_results), hide_index=True, alt="Images refused by the gate")


def show_card(path: Path) -> None:
    """Show the model card, where there is one."""
    if path.exists():
        with st.expander("The model card"):
            st.markdown(path.read_text(encoding="utf-8"))
