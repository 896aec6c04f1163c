"""Reports on many images in one file: a PDF with a list before them, or a ZIP of DICOM reports.

Import this module late, as `reports.pdf`.
"""

from __future__ import annotations

import html
import io
import zipfile
from collections.abc import Iterable, Sequence

import pypdfium2
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, LongTable, Paragraph, SimpleDocTemplate, Spacer

from xray_classifier.reports.content import DISCLAIMER, CaseReport
from xray_classifier.reports.dicom import to_structured_report
from xray_classifier.reports.pdf import PDFIUM, to_pdf

_MARGIN = 18 * mm
_FONT = "DejaVuSans"  # which reports.pdf registers
_SMALL = ParagraphStyle("small", fontName=_FONT, fontSize=8, leading=10.5)
_TEXT = ParagraphStyle("text", _SMALL, fontSize=9.5, leading=13, spaceBefore=6)
_COLUMNS = (16 * mm, 26 * mm, 24 * mm, A4[0] - 2 * _MARGIN - 66 * mm)
_HEAD = ("Study", "Verdict", "Pneumonia", "What to know")


def to_one_pdf(rows: Sequence[Sequence[str]], reports: Iterable[CaseReport], note: str) -> bytes:
    """Write a list of all studies and, behind it, the report on each.

    Args:
        rows: of the list: study, verdict or status, probability, and what to know.
        reports: taken one by one, so that one image at a time is in memory.
        note: what a reader of the list should know of the reports behind it.
    """
    with PDFIUM:
        whole = pypdfium2.PdfDocument(_list(rows, note))
    try:
        for report in reports:
            written = to_pdf(report)
            with PDFIUM, pypdfium2.PdfDocument(written) as one:
                whole.import_pages(one)
        stream = io.BytesIO()
        with PDFIUM:
            whole.save(stream)
    finally:
        with PDFIUM:
            whole.close()
    return stream.getvalue()


def to_dicom_zip(reports: Iterable[CaseReport]) -> bytes:
    """Write a DICOM Structured Report on each image, without identity: `study-7.sr.dcm`."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for report in reports:
            archive.writestr(f"study-{report.number}.sr.dcm", to_structured_report(report))
    return stream.getvalue()


def _list(rows: Sequence[Sequence[str]], note: str) -> bytes:
    cells = [[Paragraph(html.escape(text), _SMALL) for text in row] for row in (_HEAD, *rows)]
    parts: list[Flowable] = [
        Paragraph(f"{len(rows)} studies", _TEXT),
        Paragraph(html.escape(DISCLAIMER), _SMALL),
        Paragraph(html.escape(note), _TEXT),
        Spacer(0, 4 * mm),
        LongTable(cells, _COLUMNS, repeatRows=1, style=[("VALIGN", (0, 0), (-1, -1), "TOP")]),
    ]
    stream = io.BytesIO()
    document = SimpleDocTemplate(
        stream,
        pagesize=A4,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN,
        bottomMargin=_MARGIN,
        title="Studies",
        lang="en",
    )
    document.build(parts)
    return stream.getvalue()
