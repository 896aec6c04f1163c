from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pypdfium2

from tests.support.drawn_reports import (
    FILE_NAME,
    INVALID,
    REJECTION,
    RESULT,
    SHA256,
    a_report,
    with_heatmap,
)
from tests.support.etiologies import FACTS, answered, report_on
from tests.support.pictures import gradient
from xray_classifier import __version__
from xray_classifier.inference.etiology import NO_PROOF, etiology_evidence, etiology_sentence
from xray_classifier.inference.heatmap import CAVEAT
from xray_classifier.inference.warnings import WARNINGS
from xray_classifier.reports.content import DISCLAIMER, CaseReport
from xray_classifier.reports.pdf import to_pdf, to_picture

HEADLINE_POINTS = 26


def pages(report: CaseReport) -> list[str]:
    """The text of each page, with single spaces."""
    with pypdfium2.PdfDocument(to_pdf(report)) as document:
        return [" ".join(page.get_textpage().get_text_range().split()) for page in document]


def pictures(report: CaseReport) -> int:
    with pypdfium2.PdfDocument(to_pdf(report)) as document:
        return len(list(document[0].get_objects([pypdfium2.raw.FPDF_PAGEOBJ_IMAGE])))


def test_one_page_holds_all_of_a_report_but_the_file_name() -> None:
    (text,) = pages(with_heatmap(a_report(number=7)))
    for wanted in (
        *("Verdict of the model Pneumonia", "Probability of pneumonia 97.3 %"),
        *("at or above the threshold of 50 %", WARNINGS["view_not_frontal"], "Study 7"),
        *("2026-11-24 12:05 UTC", "A net (net)", SHA256, f"xray-classifier {__version__}"),
        *("As decoded: 80 x 60 pixels", "Heatmap: from violet", CAVEAT, DISCLAIMER),
    ):
        assert wanted in text, wanted
    assert "Fakename" not in text


def test_file_name_is_written_if_it_is_wanted_whatever_signs_it_has() -> None:
    assert f"File {FILE_NAME}" in pages(a_report(file_name=FILE_NAME))[0]
    assert "File <b>&amp;é\\x07\\udc80" in pages(a_report(file_name="<b>&amp;é\x07\udc80"))[0]


def test_radiograph_stands_beside_its_heatmap_if_there_is_one() -> None:
    assert pictures(with_heatmap(a_report())) == 2
    assert pictures(a_report()) == 1
    assert "Heatmap" not in pages(a_report())[0]


def test_reason_for_a_missing_heatmap_is_said() -> None:
    report = a_report(heatmap_note="This model cannot be explained.")
    assert "This model cannot be explained." in pages(report)[0]


def test_rejected_image_gets_a_page_that_says_why_without_a_number() -> None:
    (text,) = pages(a_report(REJECTION))
    assert "NOT JUDGED It is white. So there is no verdict and no number." in text
    assert "Probability" not in text
    assert "Verdict" not in text
    assert pictures(a_report(REJECTION)) == 1


def test_invalid_number_is_marked_in_large_letters_before_all_else() -> None:
    (text,) = pages(a_report(INVALID))
    assert "NOT VALID The model's output: pneumonia." in text
    assert text.index("NOT VALID") < text.index("97.3 %")
    assert "Verdict of the model" not in text
    with pypdfium2.PdfDocument(to_pdf(a_report(INVALID))) as document:
        page = document[0].get_textpage()
        _, bottom, _, top = page.get_charbox(page.get_text_range().index("NOT VALID"))
    assert top - bottom > 0.6 * HEADLINE_POINTS


def test_scale_is_drawn_with_its_zones_and_marks_named() -> None:
    (text,) = pages(a_report(replace(RESULT, post_test_probability=0.6)))
    for wanted in (
        *("Probability of pneumonia 97.3 % With the pre-test probability given: 60.0 %",),
        *("0 % 50 % 100 %", "normal below 50.0 %", "pneumonia from 50.0 % on"),
    ):
        assert wanted in text, wanted
    assert "100 %" not in pages(a_report(REJECTION))[0]


def test_zones_have_colour_only_where_the_number_is_valid() -> None:
    orange = (200, 99, 26)
    valid, invalid = (to_picture(a_report(result)) for result in (RESULT, INVALID))
    assert (valid == orange).all(axis=2).sum() > 10_000
    assert not (invalid == orange).all(axis=2).any()


def test_disclaimer_stands_on_every_page() -> None:
    image = gradient(300, 100)
    every = replace(RESULT, image=image, warnings=(*WARNINGS, *WARNINGS, *WARNINGS))
    texts = pages(with_heatmap(a_report(every)))
    assert len(texts) > 1
    assert all(DISCLAIMER in text for text in texts)


def test_file_itself_names_the_case_only() -> None:
    with pypdfium2.PdfDocument(to_pdf(a_report(file_name=FILE_NAME, number=7))) as document:
        metadata = document.get_metadata_dict(skip_empty=True)
    assert metadata["Title"] == "Study 7"
    assert "Fakename" not in str(metadata)


def test_picture_shows_radiograph_and_heatmap() -> None:
    picture = to_picture(with_heatmap(a_report()))
    assert picture.shape == (1754, 1241, 3)
    assert tuple(picture[0, 0]) == (255, 255, 255)
    reddish = (picture[..., 0] == 255) & (picture[..., 1] < 100)
    rows, columns = np.nonzero(reddish)
    assert columns.min() > 1241 // 2  # the heatmap is the right one of the two
    assert rows.size > 20_000


def test_two_threads_can_draw_at_once() -> None:
    reports = [a_report(), a_report(REJECTION)] * 2
    alone = [to_picture(report) for report in reports[:2]] * 2
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(to_picture, reports))
    assert all(map(np.array_equal, alone, together))


def test_second_answer_stands_in_small_print_on_the_same_page() -> None:
    (text,) = pages(with_heatmap(report_on(answered("bacterial", 0.87))))
    for wanted in (etiology_sentence("bacterial", 0.87), NO_PROOF, etiology_evidence(FACTS)):
        assert wanted in text, wanted
    assert text.index("Verdict of the model Pneumonia") < text.index(NO_PROOF)
    assert "If a pneumonia, it looks bacterial 87.0 %" in text


def test_page_without_a_second_answer_has_no_word_of_it() -> None:
    for report in (a_report(), report_on(answered(None, 0.9)), report_on(REJECTION)):
        (text,) = pages(report)
        assert "bacterial" not in text
        assert NO_PROOF not in text
