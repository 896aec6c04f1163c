"""Many radiographs on the page, driven by Streamlit's own test client."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.support.etiologies import PICTURES, two_answer_classifier
from tests.support.pictures import encoded, zipped
from tests.support.rendered_page import unpack
from tests.support.stand_ins import find_no_model
from xray_classifier.app import many, one_image
from xray_classifier.app.verdict import ETIOLOGY
from xray_classifier.batch.scoring import score_source
from xray_classifier.inference.etiology import NO_PROOF
from xray_classifier.inference.pipeline import Result, classify_radiograph
from xray_classifier.inputs.sources import Source
from xray_classifier.models import loading

File = tuple[str, bytes, str]


def file(name: str, content: bytes | int) -> File:
    """An upload: bytes, or an image of one grey, to the tiny model sigmoid(8 * grey / 255 - 4)."""
    if isinstance(content, int):
        content = encoded(np.full((40, 50), content, np.uint8))
    return (name, content, "application/octet-stream")


FOUR = [file("a.png", 51), file("b.png", 204), file("c.txt", b"text"), file("d.png", 255)]


@pytest.fixture
def page(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(many, "SLICE", 60)
    return page


@pytest.fixture
def one_by_one(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each run judge a single file."""
    monkeypatch.setattr(many, "SLICE", 0)
    monkeypatch.setattr(many, "SLOWER_PER_CASE", 0)


def upload(page: AppTest, *files: File) -> AppTest:
    page.file_uploader[0].set_value(files).run()
    assert not page.exception
    return page


def column(page: AppTest, name: str) -> list[object]:
    return list(page.dataframe[0].value[name])


def press(page: AppTest, label: str) -> AppTest:
    (button,) = [button for button in page.button if button.label == label]
    return button.click().run()


# What is shown


def test_table_begins_with_the_likeliest_and_ends_with_what_was_not_judged(page: AppTest) -> None:
    upload(page, *FOUR)
    assert column(page, "open") == ["Open 2", "Open 1", "Open 4", "Open 3"]
    assert column(page, "verdict") == ["pneumonia", "normal", "rejected", "unreadable"]
    assert column(page, "file") == ["b.png", "a.png", "d.png", "c.txt"]
    chances = column(page, "probability")  # sigmoid(2.4), sigmoid(-2.4)
    assert chances == pytest.approx([91.7, 8.3, np.nan, np.nan], abs=0.05, nan_ok=True)
    assert column(page, "remarks")[2:] == [
        "It is white.",
        "This is not an image that can be read. Upload a DICOM, JPEG, PNG, WebP, BMP, TIFF, AVIF, "
        "JPEG XL or JPEG 2000 file.",
    ]
    assert page.button_group(key="show_only").options == [
        *("**1** pneumonia", "**0** uncertain", "**1** normal", "**1** rejected"),
        "**1** unreadable",
    ]
    assert not page.header  # no single view


def test_thumbnails_are_drawn_from_what_was_decoded(page: AppTest) -> None:
    *seen, none = column(upload(page, *FOUR), "image")
    assert all(str(url).startswith("data:image/webp;base64,") for url in seen)
    assert not none


def test_warnings_are_written_as_sentences(page: AppTest) -> None:
    upload(page, file("a.png", 0), file("b.png", 100))
    (warned,) = [text for text in column(page, "remarks") if text]
    assert str(warned).startswith("This chest looks unlike those of the children")


def test_second_answer_has_a_column_where_the_model_tells_it(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "load_classifier", lambda *_, **__: two_answer_classifier())
    upload(page, *(file(f"{name}.png", picture) for name, picture in PICTURES.items()))
    told = {
        str(name).removesuffix(".png"): said
        for name, said in zip(column(page, "file"), column(page, "etiology"), strict=True)
    }
    assert told == {
        "bacterial": "bacterial 93.5 %",
        "viral": "viral 88.1 %",
        "uncertain": "uncertain (bacterial 56.4 %)",
        "normal": "",
    }
    assert f"Bacterial or viral: {NO_PROOF}" in [element.value for element in page.caption]
    open_case(page, 1)
    assert ETIOLOGY in [fold.label for fold in page.expander]


def test_table_has_no_column_for_a_second_answer_that_no_study_has(page: AppTest) -> None:
    upload(page, *FOUR)
    assert list(page.dataframe[0].value.columns) == [
        *("open", "image", "verdict", "probability", "remarks", "file")
    ]
    assert not [element for element in page.caption if "acterial" in element.value]


def test_probability_never_looks_like_a_certainty(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sure(*_: object, **__: object) -> list[Result]:
        image = np.full((40, 50), 9, np.uint8)
        return [Result(image, 0.5, probability=1.0, verdict="pneumonia")]

    monkeypatch.setattr("xray_classifier.batch.scoring.classify_radiographs", sure)
    assert column(upload(page, *FOUR[:2]), "probability") == pytest.approx([99.9, 99.9])


def test_name_of_a_file_is_no_markup(page: AppTest) -> None:
    name = "<b>bold</b> **bold** :red[x].png"
    upload(page, file(name, 51), file("b.png", 204))
    assert name in column(page, "file")
    open_case(page, 1)
    assert page.text[0].value == name
    shown = [*page.markdown, *page.caption, *page.header]
    assert not any("bold" in element.value for element in shown)


def test_one_image_gets_the_single_view(page: AppTest) -> None:
    upload(page, FOUR[1])
    assert page.header[0].value == "Pneumonia 91.7 %"
    assert not page.dataframe


def test_archive_gets_the_table_even_with_one_image(page: AppTest) -> None:
    packed = zipped({"dir/a.png": FOUR[0][1], "b.png": FOUR[1][1], "__MACOSX/._b.png": b""})
    upload(page, file("no.suffix", packed), FOUR[3])
    assert column(page, "file") == ["no.suffix!/b.png", "no.suffix!/dir/a.png", "d.png"]
    upload(page, file("a.zip", zipped({"a.png": FOUR[0][1]})))
    assert column(page, "file") == ["a.zip!/a.png"]


def test_broken_archive_is_a_row_that_says_why(page: AppTest) -> None:
    upload(page, file("a.zip", zipped({"a.png": FOUR[0][1]})[:-9]))
    assert column(page, "verdict") == ["unreadable"]
    assert "The ZIP is damaged or incomplete." in str(column(page, "remarks")[0])


def test_hidden_files_of_a_folder_are_passed_over(page: AppTest) -> None:
    page.toggle(key="folder").set_value(True).run()
    assert page.file_uploader[0].accept_directory
    named = [("dir/.DS_Store", b"x"), ("dir/a/b.png", FOUR[0][1]), (".dir/c.png", FOUR[1][1])]
    upload(page, *(file(name, content) for name, content in named))
    assert column(page, "file") == [".dir/c.png", "dir/a/b.png"]


# Filters and the single view


def test_filter_shows_only_what_is_wanted(page: AppTest) -> None:
    upload(page, *FOUR)
    pills = page.button_group(key="show_only")
    pills.set_value(["rejected", "normal"]).run()
    assert column(page, "file") == ["a.png", "d.png"]
    page.button_group(key="show_only").set_value([]).run()
    assert len(column(page, "file")) == 4


def open_case(page: AppTest, number: int) -> AppTest:
    """Do what a click on the table does; the click itself takes a browser."""
    page.session_state["many"].opened = number
    return page.run()


def test_opened_case_is_shown_as_if_it_were_alone_with_a_way_back(page: AppTest) -> None:
    upload(page, *FOUR)
    page.button_group(key="show_only").set_value(["pneumonia"]).run()
    open_case(page, 2)
    assert [header.value for header in page.header] == ["Study 2", "Pneumonia 91.7 %"]
    assert page.text[0].value == "b.png"
    assert not page.dataframe
    press(page, "Back to the table")
    assert column(page, "file") == ["b.png"]  # the filter is still there
    assert not page.header


def test_case_is_chosen_by_its_number(page: AppTest) -> None:
    upload(page, *FOUR)
    choice = page.selectbox(key="chosen_case")
    assert choice.options == ["2: pneumonia", "1: normal", "4: rejected", "3: unreadable"]
    page.button_group(key="show_only").set_value(["pneumonia"]).run()
    assert page.selectbox(key="chosen_case").options == ["2: pneumonia"]
    page.selectbox(key="chosen_case").set_value(2).run()
    assert page.header[0].value == "Study 2"
    press(page, "Back to the table")
    assert page.selectbox(key="chosen_case").value is None
    assert not page.header


def test_order_is_chosen(page: AppTest) -> None:
    upload(page, file("b.png", 204), file("a.png", 51), file("c.png", 230))
    assert column(page, "file") == ["c.png", "b.png", "a.png"]
    page.selectbox(key="order").set_value("As uploaded").run()
    assert column(page, "file") == ["b.png", "a.png", "c.png"]
    page.selectbox(key="order").set_value("By file name").run()
    assert column(page, "file") == ["a.png", "b.png", "c.png"]


def test_studies_are_walked_through_in_the_order_of_the_table(page: AppTest) -> None:
    upload(page, *FOUR)
    open_case(page, 2)
    assert "1 of 4 in the table" in [caption.value for caption in page.caption]
    assert disabled(page) == {"Previous": True, "Next": False}
    seen = [press(page, "Next").header[0].value for _ in range(3)]
    assert seen == ["Study 1", "Study 4", "Study 3"]
    assert disabled(page) == {"Previous": False, "Next": True}
    assert press(page, "Previous").header[0].value == "Study 4"


def test_walk_passes_over_what_the_filter_hides_and_follows_the_order(page: AppTest) -> None:
    upload(page, *FOUR)
    page.button_group(key="show_only").set_value(["rejected", "normal", "pneumonia"]).run()
    page.selectbox(key="order").set_value("As uploaded").run()
    open_case(page, 2)
    assert press(page, "Next").header[0].value == "Study 4"
    assert disabled(page)["Next"]
    press(page, "Back to the table")
    assert column(page, "file") == ["a.png", "b.png", "d.png"], "order and filter have stayed"


def test_viewer_is_told_what_belongs_to_one_walk(page: AppTest) -> None:
    open_case(upload(page, *FOUR), 2)
    walk = header(page)["walk"]
    assert walk
    assert header(press(page, "Next"))["walk"] == walk
    assert header(upload(page, FOUR[0]))["walk"] == "", "one alone has none"


def header(page: AppTest) -> dict[str, Any]:
    (viewer,) = page.get("bidi_component")
    return unpack(viewer.proto.bytes)[0]


def disabled(page: AppTest) -> dict[str, bool]:
    ways = ("Previous", "Next")
    return {button.label: button.disabled for button in page.button if button.label in ways}


@pytest.mark.parametrize(
    ("number", "message"), [(3, "not an image that can be read"), (4, "It is white.")]
)
def test_opened_case_says_why_there_is_no_verdict(number: int, message: str, page: AppTest) -> None:
    open_case(upload(page, *FOUR), number)
    assert message in page.error[0].value
    assert [header.value for header in page.header] == [f"Study {number}"]


def test_member_of_a_broken_archive_can_be_opened(page: AppTest) -> None:
    upload(page, file("a.zip", zipped({"a.png": b"", "../b.png": b"x"})))
    open_case(page, 1)
    assert "leads out of the ZIP" in page.error[0].value


# Judging goes on, stops and is kept


def test_table_fills_run_by_run(page: AppTest, one_by_one: None) -> None:
    upload(page, *FOUR)
    for done in (2, 3):  # the first was judged after the table was drawn
        page.run()
        assert len(column(page, "file")) == done - 1
    page.run()
    assert len(column(page, "file")) == 4
    assert not [button for button in page.button if button.label == "Stop judging"]


def test_stop_keeps_what_is_done_and_goes_on_when_asked(page: AppTest, one_by_one: None) -> None:
    upload(page, *FOUR)
    press(page, "Stop judging")
    page.run()
    assert column(page, "file") == ["a.png"]
    press(page, "Go on")
    assert len(column(page, "file")) == 1
    for _ in range(3):
        page.run()
    assert len(column(page, "file")) == 4


def test_table_can_be_taken_away_when_it_stands_still(page: AppTest, one_by_one: None) -> None:
    upload(page, *FOUR).run()
    assert not page.download_button
    press(page, "Stop judging")
    assert page.download_button[0].label == "Download all as CSV"


def test_judging_goes_on_behind_an_opened_case(page: AppTest, one_by_one: None) -> None:
    upload(page, *FOUR)
    open_case(page, 1)
    for _ in range(3):
        page.run()
    assert page.header[0].value == "Study 1"
    press(page, "Back to the table")
    assert len(column(page, "file")) == 4


def test_nothing_is_judged_twice_but_with_another_model(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[str] = []

    def note(source: Source, **models: Any) -> object:
        judged.append(source.name)
        return score_source(source, **models)

    monkeypatch.setattr(many, "score_source", note)
    upload(page, *FOUR[:2])
    page.checkbox(key="with_file_names").set_value(True).run()
    page.button_group(key="show_only").set_value(["normal"]).run()
    assert judged == ["a.png", "b.png"]
    page.sidebar.selectbox[0].set_value("article").run()
    assert judged == ["a.png", "b.png"] * 2


def test_opened_case_stays_open_when_another_model_is_asked(page: AppTest) -> None:
    open_case(upload(page, *FOUR), 2)
    page.sidebar.selectbox[0].set_value("article").run()
    assert page.header[0].value == "Study 2"


def test_what_was_judged_goes_with_its_upload(page: AppTest) -> None:
    upload(page, *FOUR)
    assert "many" in page.session_state
    page.file_uploader[0].clear().run()
    assert "many" not in page.session_state
    assert not page.dataframe


def test_missing_model_is_said_once_and_nothing_is_invented(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "load_classifier", find_no_model)
    upload(page, *FOUR)
    (error,) = page.error
    assert "there is no verdict. The model file is missing." in error.value
    assert not page.dataframe


def test_single_view_agrees_with_the_table(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Result] = []

    def note(*arguments: object, **options: object) -> Result:
        found.append(classify_radiograph(*arguments, **options))  # type: ignore[arg-type]
        return found[-1]

    monkeypatch.setattr(one_image, "classify_radiograph", note)
    upload(page, *FOUR)
    in_table = column(page, "probability")[0]
    open_case(page, 2)
    assert found[0].probability is not None
    assert 100 * found[0].probability == pytest.approx(in_table)
