"""The page about the model: what it learned from, how well it does, where it fails."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import streamlit as st

from xray_classifier.app.charts import CURVES, show_curve
from xray_classifier.app.session import show_heading
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.model_card.facts import (
    DATA_SETS,
    adults_sentence,
    border_sentence,
    confusion_at,
    confusion_rows,
    figure_rows,
    gate_rows,
    heatmap_sentence,
    point_rows,
    stress_rows,
    training_sentences,
)
from xray_classifier.models import gate, loading
from xray_classifier.models.spec import OFFICIAL_TEST, ModelSpec, read_report
from xray_classifier.paths import MODEL_FOLDER
from xray_classifier.records.checks import ExplanationReport, GateShares, StressReport
from xray_classifier.records.evaluation import EvaluationReport, PointFigures

MODEL_CARD = MODEL_FOLDER / "MODEL_CARD.md"

WHERE_IT_FAILS = """
- **Adults**: {adults} The gate warns of them; believe the warning, not the number.
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
        stress = read_report(StressReport, spec)
        explanation = read_report(ExplanationReport, spec)
        gate_results = gate.read_gate_spec(gate.GATE_FILE).results
    except ModelUnavailableError as error:
        st.error(str(error), icon=":material/error:")
        return
    st.markdown(f"**{spec.title}** (`{spec.name}`, `{spec.short_hash}`)")
    show_origin(spec)
    show_results(spec)
    show_points(spec)
    show_checks(stress, explanation, gate_results)
    show_card(MODEL_CARD)


def show_origin(spec: ModelSpec) -> None:
    """Say what the model learned from, and where it fails."""
    left, right = st.columns(2, gap="large")
    left.header("What it learned from")
    left.markdown(training_sentences(spec))
    right.header("Where it fails")
    right.markdown(WHERE_IT_FAILS.format(adults=adults_sentence(spec)))


def show_results(spec: ModelSpec) -> None:
    """Show figures and curves on the data set that is chosen."""
    st.header("How well it does")
    measured = [data for data in DATA_SETS if data in spec.results]
    measured += sorted(spec.results.keys() - DATA_SETS.keys())
    if not measured:
        st.markdown("Not measured.")
        return
    data = st.selectbox("Measured on", measured, key="data", bind="query-params")
    found = spec.results[data or measured[0]]
    st.markdown(
        f"{DATA_SETS.get(data or '', '')} {found.images:,} images of {found.patients:,} "
        "patients. The intervals come from resampling patients."
    )
    left, right = st.columns(2, gap="large")
    left.table(figure_rows(found.figures), hide_index=True, alt="Figures with intervals")
    with right:
        show_confusion(spec, found)
    for column, (key, curve) in zip(st.columns(3, gap="large"), CURVES.items(), strict=True):
        with column:
            show_curve(curve, getattr(found.curves, key, ()))


def show_confusion(spec: ModelSpec, found: EvaluationReport) -> None:
    """Show the confusion matrix, at the operating point that is chosen where there are some."""
    threshold, confusion = found.threshold, found.confusion
    points = list(found.operating_points)
    if points:
        point = st.selectbox("Operating point", points, key="point", bind="query-params")
        threshold = spec.point(point).threshold
        confusion = confusion_at(found, point or points[0])
    st.markdown(f"Verdicts at the threshold of {100 * threshold:.3g} %, none left uncertain:")
    st.table(confusion_rows(confusion), hide_index=True, alt="Confusion matrix")


def show_points(spec: ModelSpec) -> None:
    """Show what the operating points gave where they were fitted and on the test set."""
    fitted = {point.name: point.out_of_fold for point in spec.operating_points}
    test = spec.results.get(OFFICIAL_TEST)
    places: dict[str, Mapping[str, PointFigures | None]] = {
        "where they were fitted, out of fold": fitted,
        "official test set": test.operating_points if test else {},
    }
    for where, measured in places.items():
        rows = point_rows(spec.operating_points, measured)
        if rows:
            st.subheader(f"Operating points, {where}")
            st.table(rows, hide_index=True, alt=f"Operating points, {where}")


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
