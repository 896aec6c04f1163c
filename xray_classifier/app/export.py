"""Take it away: reports on an image, or on many, made when their button is clicked."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

import streamlit as st

from xray_classifier.app.session import (
    TURNS,
    model_source,
    shared_classifier,
    shared_explainer,
)
from xray_classifier.batch.formats import csv_of_cases
from xray_classifier.batch.queue import ORDERS, Case, Queue
from xray_classifier.dicom.decode import is_dicom
from xray_classifier.errors import UnreadableImageError
from xray_classifier.inference.etiology import NO_PROOF
from xray_classifier.inference.heatmap import Explainer
from xray_classifier.inference.pipeline import Result, read
from xray_classifier.inference.verdict import percent
from xray_classifier.models.spec import ModelSpec
from xray_classifier.reports.content import CaseReport
from xray_classifier.reports.export import DICOM_ENDINGS, DOCUMENT, JSON, PDF, PICTURE, export

LABELS = {
    PDF: ("PDF", "application/pdf"),
    JSON: ("JSON", "application/json"),
    PICTURE: ("DICOM picture", "application/dicom"),
    DOCUMENT: ("DICOM Structured Report", "application/dicom"),
}
ZIP = ".zip"
MIME = {PDF: "application/pdf", ZIP: "application/zip"}
MOST_PAGES = 300
"""Reports in one PDF: each has its picture, and the file is made in memory."""

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


def offer_all(queue: Queue, model: str) -> None:
    """Offer what came of many images: as CSV, as one PDF, and of DICOM files as a ZIP of reports.

    Streamlit keeps the arguments for minutes after the page is closed; they do not hold the queue.
    """
    cases = queue.ordered(next(iter(ORDERS)))
    seen = [case for case in cases if case.thumbnail][:MOST_PAGES]
    dicom = [case for case in cases if case.dicom]
    make = partial(bundle_bytes, queue=weakref.ref(queue), model=model)
    named = st.checkbox("with file names", key="with_file_names", persist_state="session")
    with st.container(horizontal=True):
        st.download_button(
            "Download all as CSV",
            csv_of_cases({case.number: case.row for case in cases}, named),
            file_name="studies.csv",
            mime="text/csv",
            on_click="ignore",
            icon=":material/download:",
        )
        for label, ending, chosen in (
            ("All as one PDF", PDF, seen),
            ("DICOM reports as ZIP", ZIP, dicom),
        ):
            if chosen:
                st.download_button(
                    label,
                    partial(make, ending, [case.number for case in chosen], named),
                    f"studies{ending}",
                    MIME[ending],
                    on_click="ignore",
                    icon=":material/download:",
                )
    st.caption(_say_what_is_in_them(len(seen), len(dicom), len(cases)))


def _say_what_is_in_them(seen: int, dicom: int, total: int) -> str:
    parts = [f"The PDF lists all {total} studies and shows {seen}, without heatmaps"]
    if seen == MOST_PAGES:
        parts.append(f"the {MOST_PAGES} likeliest pneumonias among those that could be read")
    if dicom:
        parts.append(f"the ZIP holds a DICOM Structured Report on each DICOM file ({dicom})")
    return "; ".join(parts) + "."


def bundle_bytes(
    ending: str,
    numbers: Sequence[int],
    named: bool,
    *,
    queue: Callable[[], Queue | None],
    model: str,
) -> bytes:
    """Make one file of many reports; nothing is judged again.

    Args:
        ending: `PDF` or `ZIP`.
        numbers: of the studies that get a report each.
        named: whether the PDF is to bear the names of the files.
        queue: gives what was judged; None if its page is closed.
        model: the name of the model that judged.

    Raises:
        UnreadableImageError: the page is closed.
    """
    from xray_classifier.reports.bundle import to_dicom_zip, to_one_pdf

    found = queue()
    if found is None:
        raise UnreadableImageError(
            "The page was closed, and its images are gone. Upload them anew."
        )
    cases = {case.number: case for case in found.ordered("As uploaded")}
    wanted = [cases[number] for number in sorted(numbers)]
    reports = _reports(found, wanted, model, named and ending == PDF)
    if ending == ZIP:
        return to_dicom_zip(reports)
    note = _say_what_is_in_them(len(wanted), 0, len(cases))
    if any(case.etiology for case in cases.values()):
        note = f"{note} {NO_PROOF}"
    return to_one_pdf([_line(case) for case in cases.values()], reports, note)


def _line(case: Case) -> tuple[str, str, str, str]:
    chance = case.row.probability
    looks = f"If so, it looks {case.etiology}. " if case.etiology else ""
    remarks = f"{looks}{case.remarks}".strip()
    return str(case.number), case.word, "" if chance is None else percent(chance), remarks


def _reports(queue: Queue, cases: list[Case], model: str, named: bool) -> Iterator[CaseReport]:
    classifier = shared_classifier(model, model_source(model))
    for case in cases:
        source = queue.source(case.number)
        with TURNS:
            image = read(source.read()).image
        result = case.row.to_result(image, classifier.network.runtime)
        name = source.name if named else ""
        yield CaseReport(result, classifier.spec, datetime.now(UTC), case.number, name)
