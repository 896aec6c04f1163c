"""A report as PDF, and its pages as a picture.

Import this module late: ReportLab and PDFium are needed once a report is asked for, not before.
"""

from __future__ import annotations

import html
import io
import threading
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pypdfium2
from numpy.typing import NDArray
from PIL import Image as PillowImage
from reportlab.graphics.shapes import Drawing, String
from reportlab.graphics.shapes import Polygon as DrawnPolygon
from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_CENTER
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, Image, Paragraph, SimpleDocTemplate, Spacer, Table

from xray_classifier.inference import scale
from xray_classifier.inference.heatmap import ColourImage, shrink
from xray_classifier.inference.pipeline import NOT_VALID
from xray_classifier.inference.scale import KEY, Shape
from xray_classifier.inference.warnings import sentences
from xray_classifier.reports.content import DISCLAIMER, CaseReport

TITLE = "Pneumonia on children's chest X-rays: what a research program makes of one image"
DPI = 150  # of the picture: the radiograph gets about 500 pixels of width beside its heatmap

_REGULAR, _BOLD = "DejaVuSans", "DejaVuSans-Bold"  # wide in signs, and they come with matplotlib
for _font in (_REGULAR, _BOLD):
    _file = Path(mpl.get_data_path(), "fonts", "ttf", f"{_font}.ttf")
    pdfmetrics.registerFont(TTFont(_font, _file))

_MARGIN, _FOOT = 18 * mm, 34 * mm
_PADDING = 6  # points, which ReportLab leaves inside the margins
_WIDTH = A4[0] - 2 * _MARGIN
_PICTURE = (_WIDTH / 2 - 3 * mm, 88 * mm)  # the most that one of two pictures may take
_GREY = HexColor("#555555")

_TEXT = ParagraphStyle("text", fontName=_REGULAR, fontSize=9.5, leading=13)
_SMALL = ParagraphStyle("small", _TEXT, fontSize=8, leading=10.5, textColor=_GREY)
_CAPTION = ParagraphStyle("caption", _SMALL, alignment=TA_CENTER)
_HEADLINE = ParagraphStyle("headline", _TEXT, fontName=_BOLD, fontSize=26, leading=32)
_STATEMENT = ParagraphStyle("statement", _TEXT, fontSize=11.5, leading=16)
_HEADING = ParagraphStyle("heading", _TEXT, fontName=_BOLD, fontSize=10.5, leading=15)
_LISTED = ParagraphStyle("listed", _TEXT, leftIndent=10, bulletFontName=_BOLD, bulletFontSize=9.5)
_NO_VERDICT = ParagraphStyle(
    "no verdict",
    _HEADLINE,
    alignment=TA_CENTER,
    borderColor=HexColor("#000000"),
    borderWidth=3,
    borderPadding=8,
    spaceAfter=16,
)

PDFIUM = threading.Lock()  # PDFium must not be entered by two threads


def to_pdf(report: CaseReport) -> bytes:
    """Write a report on pages of A4; one, unless there are many warnings."""
    stream = io.BytesIO()
    document = SimpleDocTemplate(
        stream,
        pagesize=A4,
        leftMargin=_MARGIN - _PADDING,
        rightMargin=_MARGIN - _PADDING,
        topMargin=18 * mm,
        bottomMargin=_FOOT,
        title=f"Study {report.number}",
        lang="en",
    )
    said = [*_verdict(report), *_scale(report), *_etiology(report), *_warnings(report)]
    parts = [*said, *_pictures(report), _facts(report)]
    document.build(parts, onFirstPage=_frame, onLaterPages=_frame)
    return stream.getvalue()


def to_picture(report: CaseReport) -> ColourImage:
    """Draw the pages of the PDF, one below the other: shape (height, 1241, 3), uint8 RGB."""
    with PDFIUM, pypdfium2.PdfDocument(to_pdf(report)) as document:
        pages: list[NDArray[np.uint8]] = [
            page.render(scale=DPI / 72, rev_byteorder=True).to_numpy().copy() for page in document
        ]
    return np.vstack(pages)


def _verdict(report: CaseReport) -> list[Flowable]:
    said = [_paragraph(report.statement, _STATEMENT), Spacer(0, 4 * mm)]
    if report.judged:
        of_whom = _paragraph("Verdict of the model", _TEXT)
        return [of_whom, _paragraph(report.headline, _HEADLINE), *said]
    return [Spacer(0, 3 * mm), _paragraph(report.headline.upper(), _NO_VERDICT), *said]


def _scale(report: CaseReport) -> list[Flowable]:
    """Draw the scale of the page, with the keys to its marks and zones."""
    result = report.result
    if result.probability is None:
        return []
    point = report.spec.point(result.operating_point)
    plain = NOT_VALID in result.warnings
    marks = [(scale.probability_key(), scale.probability_words(result))]
    if after := scale.post_test_words(result):
        marks.append((scale.post_test_key(), after))
    zones = [(scale.zone_key(zone.verdict, plain), zone.words) for zone in scale.zones(point)]
    drawing = _drawing(scale.shapes(result, point), scale.WIDTH, scale.height(result))
    drawing.hAlign = "LEFT"
    for text, at, anchor in (("0 %", 0, "start"), ("50 %", 0.5, "middle"), ("100 %", 1, "end")):
        label = String(at * scale.WIDTH, -8, text, textAnchor=anchor, fontName=_REGULAR)
        label.fontSize, label.fillColor = 7, _GREY
        drawing.add(label)
    return [_keys(marks), drawing, Spacer(0, 9), _keys(zones), Spacer(0, 4 * mm)]


def _etiology(report: CaseReport) -> list[Flowable]:
    """Say in small print which kind of pneumonia the picture looks like, where that is said."""
    if not report.etiology:
        return []
    return [_paragraph(report.etiology, _SMALL), Spacer(0, 4 * mm)]


def _keys(keys: list[tuple[list[Shape], str]]) -> Table:
    """Name marks or zones beside how they are drawn, in one row."""
    pairs = [(_drawing(key, KEY, KEY), _paragraph(words, _SMALL)) for key, words in keys]
    row = [cell for pair in pairs for cell in pair]
    columns = [KEY + 4, (scale.WIDTH - len(keys) * (KEY + 4)) / len(keys)] * len(keys)
    style = [("VALIGN", (0, 0), (-1, -1), "MIDDLE"), ("LEFTPADDING", (0, 0), (-1, -1), 0)]
    return Table([row], columns, style=style, hAlign="LEFT")


def _drawing(shapes: list[Shape], width: float, height: float) -> Drawing:
    """Draw shapes, whose y is counted from the top, where a page counts from the bottom."""
    drawing = Drawing(width, height)
    for shape in shapes:
        corners = [number for x, y in shape.corners for number in (x, height - y)]
        outline = HexColor(shape.outline) if shape.outline else None
        fill = HexColor(shape.fill)
        drawing.add(
            DrawnPolygon(corners, fillColor=fill, strokeColor=outline, strokeWidth=scale.OUTLINE)
        )
    return drawing


def _pictures(report: CaseReport) -> list[Flowable]:
    """Show the radiograph, beside its heatmap if there is one; the caveat below."""
    height, width = report.result.image.shape
    pictures = [_picture(shrink(report.result.image))]
    captions = [f"As decoded: {width} x {height} pixels, grey"]
    if report.heated is not None:
        pictures.append(_picture(report.heated))
        captions.append("Heatmap: from violet, some effect, to yellow, most")
    rows = [pictures, [_paragraph(caption, _CAPTION) for caption in captions]]
    columns = [_WIDTH / len(pictures)] * len(pictures)
    table = Table(rows, columns, style=[("ALIGN", (0, 0), (-1, -1), "CENTER")])
    note = [_paragraph(report.heatmap_note, _SMALL)] if report.heatmap_note else []
    return [table, *note, Spacer(0, 4 * mm)]


def _picture(pixels: NDArray[np.uint8]) -> Image:
    stream = io.BytesIO()
    PillowImage.fromarray(pixels).save(stream, "PNG")
    height, width = pixels.shape[:2]
    scale = min(_PICTURE[0] / width, _PICTURE[1] / height)
    return Image(stream, width * scale, height * scale)


def _warnings(report: CaseReport) -> list[Flowable]:
    lines = [
        Paragraph(html.escape(sentence), _LISTED, bulletText="!")
        for sentence in sentences(report.result.warnings)
    ]
    return [_paragraph("Warnings", _HEADING), *lines, Spacer(0, 4 * mm)] if lines else []


def _facts(report: CaseReport) -> Table:
    rows = [
        [_paragraph(label, _SMALL), _paragraph(value, _SMALL)]
        for label, value in report.facts.items()
    ]
    style = [
        ("LINEBELOW", (0, 0), (-1, -1), 0.3, _GREY),
        ("TOPPADDING", (0, 0), (-1, -1), 1),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
    ]
    return Table(rows, [_WIDTH * 0.28, _WIDTH * 0.72], style=style)


def _frame(canvas: Any, _document: Any) -> None:
    """Write what stands on every page: the title above, the disclaimer below."""
    canvas.setFont(_REGULAR, 8)
    canvas.setFillColor(_GREY)
    canvas.drawString(_MARGIN, A4[1] - 13 * mm, TITLE)
    disclaimer = _paragraph(DISCLAIMER, _TEXT)
    _, height = disclaimer.wrap(_WIDTH, _FOOT)
    disclaimer.drawOn(canvas, _MARGIN, 12 * mm)
    canvas.line(_MARGIN, 14 * mm + height, A4[0] - _MARGIN, 14 * mm + height)


def _paragraph(text: str, style: ParagraphStyle) -> Paragraph:
    return Paragraph(html.escape(text), style)
