"""Take it away: the report on an image as PDF, JSON or DICOM, made when its button is clicked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import streamlit as st

from xray_classifier.app.session import TURNS, model_source, shared_explainer
from xray_classifier.dicom.decode import is_dicom
from xray_classifier.inference.heatmap import Explainer
from xray_classifier.inference.pipeline import Result
from xray_classifier.models.spec import ModelSpec
from xray_classifier.reports.content import CaseReport
from xray_classifier.reports.export import DICOM_ENDINGS, DOCUMENT, JSON, PDF, PICTURE, export

LABELS = {
    PDF: ("PDF", "application/pdf"),
    JSON: ("JSON", "application/json"),
    PICTURE: ("DICOM picture", "application/dicom"),
    DOCUMENT: ("DICOM Structured Report", "application/dicom"),
}
IDENTITY_KEPT = (
    "The DICOM files will hold the patient's name, identifier, birth date and sex, the accession "
    "number and the referring physician, and they will point to the source image. Keep them where "
    "patient data may be kept. PDF and JSON hold none of it."
)


@st.fragment  # a tick draws this anew, and judges nothing again
def offer_reports(
    data: bytes,
    file_name: str,
    classify: Callable[[], Result],
    spec: ModelSpec,
    model: str,
    number: int = 1,
) -> None:
    """Offer reports for download.

    Streamlit keeps the arguments while the page is open, and for minutes after: they hold the file,
    but not the picture in it, which is much larger.

    Args:
        data: the file that was judged.
        file_name: its name, put into a report only on demand; empty if unknown.
        classify: judges the file again.
        spec: the facts about the model.
        model: the name that the model is loaded by.
        number: of the case; it stands for the file.
    """
    dicom = is_dicom(data)
    with st.expander("Take it away"):
        named, kept = _choose_identifiers(data, file_name, dicom)
        make = partial(
            report_bytes,
            classify=classify,
            spec=spec,
            load_explainer=partial(shared_explainer, model, model_source(model)),
            number=number,
            file_name=file_name if named else "",
            source=data if kept else None,
        )
        row = st.container(horizontal=True)
        for ending, (label, mime) in LABELS.items():
            if dicom or ending not in DICOM_ENDINGS:
                file = f"study-{number}{ending}"
                row.download_button(label, partial(make, ending), file, mime, on_click="ignore")
        st.caption("PDF and DICOM picture show the image, and with it text burned into it.")


def _choose_identifiers(data: bytes, file_name: str, dicom: bool) -> tuple[bool, bool]:
    """Ask whether a report is to bear the file's name, and whether to name the patient."""
    key = hash(data)  # so that a tick for one patient is not one for the next
    named = bool(file_name) and st.checkbox("Include the file name", key=f"named {key}")
    kept = dicom and st.checkbox(
        "Keep the patient's identifiers from the source file", key=f"kept {key}"
    )
    if kept:
        st.warning(IDENTITY_KEPT, icon=":material/warning:")
    return named, kept


def report_bytes(
    ending: str,
    *,
    classify: Callable[[], Result],
    spec: ModelSpec,
    load_explainer: Callable[[], Explainer],
    number: int,
    file_name: str,
    source: bytes | None,
) -> bytes:
    """Make a report; Streamlit calls this when a button is clicked, outside the page's script.

    Args:
        ending: one of `reports.export.ENDINGS`.
        classify: judges the file again.
        spec: the facts about the model.
        load_explainer: asked for a heatmap if the format shows pictures.
        number: of the case; it stands for the file.
        file_name: of the file, if the report is to bear it; else empty.
        source: the DICOM file itself, if its identity is to be kept.
    """
    with TURNS:
        report = CaseReport(classify(), spec, datetime.now(UTC), number, file_name)
        return export(report, ending, load_explainer, source)
