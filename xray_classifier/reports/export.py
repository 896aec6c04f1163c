"""The formats of a report: by the ending of its file, how its bytes are made.

The libraries that write a format are imported once it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable

from xray_classifier.dicom.decode import is_dicom
from xray_classifier.errors import DatasetError, UnreadableImageError
from xray_classifier.inference.heatmap import Explainer
from xray_classifier.reports.content import CaseReport, add_heatmap, to_json

PDF, JSON, PICTURE, DOCUMENT = ".pdf", ".json", ".dcm", ".sr.dcm"
ENDINGS = (DOCUMENT, PICTURE, PDF, JSON)  # the longer one of two that fit comes first
DICOM_ENDINGS = (PICTURE, DOCUMENT)


def check_request(name: str, source: bytes, keep_identity: bool) -> str:
    """Tell from its name what kind of report is wanted, and whether it can be had.

    Args:
        name: of the report, in whatever case.
        source: the file that is to be judged.
        keep_identity: whether the report is to name the patient.

    Returns:
        One of `ENDINGS`.

    Raises:
        DatasetError: an unknown ending, or one that does not fit the source or the wish.
    """
    ending = next((ending for ending in ENDINGS if name.lower().endswith(ending)), None)
    if ending is None:
        raise DatasetError(
            f"{name} ends in none of {', '.join(ENDINGS)}, by which the format is chosen. Give it "
            "one of them."
        )
    if keep_identity and ending not in DICOM_ENDINGS:
        raise DatasetError(
            f"A report as {ending} never names the patient. Choose {PICTURE} or {DOCUMENT}, or "
            "leave out --keep-identity."
        )
    if ending in DICOM_ENDINGS and not is_dicom(source):
        raise DatasetError(
            f"A report as {ending} is made of DICOM files only, and this is none. Choose {PDF} or "
            f"{JSON}."
        )
    return ending


def export(
    report: CaseReport,
    ending: str,
    load_explainer: Callable[[], Explainer],
    source: bytes | None = None,
) -> bytes:
    """Write a report.

    Args:
        report: what to write, without a heatmap.
        ending: one of `ENDINGS`.
        load_explainer: asked for a heatmap if the format shows pictures.
        source: the DICOM file that was judged, if its identity is to be kept; for DICOM only.

    Raises:
        UnreadableImageError: the identity cannot be read or written. The message holds none of it.
    """
    if ending == JSON:
        return to_json(report).encode()
    if ending != DOCUMENT:
        report = add_heatmap(report, load_explainer)
    if ending == PDF:
        from xray_classifier.reports.pdf import to_pdf

        return to_pdf(report)
    return _to_dicom(report, ending, source)


def _to_dicom(report: CaseReport, ending: str, source: bytes | None) -> bytes:
    from xray_classifier.reports.dicom import to_secondary_capture, to_structured_report

    write = to_structured_report if ending == DOCUMENT else to_secondary_capture
    try:
        return write(report, source)
    except Exception as error:
        if source is None or isinstance(error, UnreadableImageError):
            raise
        raise UnreadableImageError(  # unchained: the error may quote the identity
            "The identifiers of the DICOM file cannot be written. Make the report without them."
        ) from None
