from __future__ import annotations

import base64
import io
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.support.dicom_files import dicom
from xray_classifier.batch.queue import Case, Queue, thumbnail
from xray_classifier.batch.scoring import Row
from xray_classifier.imaging.radiograph import GreyImage
from xray_classifier.inputs.sources import Source

IMAGE = np.full((40, 50), 100, np.uint8)


def sources(*names: str) -> dict[str, Source]:
    return {f"key {name}": Source(name, bytes) for name in names}


def row(name: str, probability: float | None = 0.5, status: str = "ok") -> Row:
    verdict = None if probability is None else "pneumonia" if probability >= 0.5 else "normal"
    return Row(name, status, probability, verdict, 0.5, "tiny")


def score(source: Source) -> tuple[Row, GreyImage | None]:
    """Takes names such as "a .7" for what came of them."""
    _, outcome = source.name.split()
    if outcome.startswith("."):
        return row(source.name, float(outcome)), IMAGE
    return row(source.name, None, outcome), IMAGE if outcome == "rejected" else None


def numbers(queue: Queue) -> list[int]:
    return [case.number for case in queue.ordered("Likeliest pneumonia first")]


def test_likeliest_pneumonia_comes_first_and_last_what_has_no_probability() -> None:
    names = ["a unreadable", "b .2", "c rejected", "d .9", "e .2", "f .5", "g rejected"]
    queue = Queue(sources(*names), {})
    queue.advance(score, 60)
    assert numbers(queue) == [4, 6, 2, 5, 3, 7, 1]
    words = [case.word for case in queue.ordered("Likeliest pneumonia first")]
    assert words == ["pneumonia"] * 2 + ["normal"] * 2 + ["rejected"] * 2 + ["unreadable"]


def test_slice_judges_one_at_least_and_stops_when_time_is_up() -> None:
    def slow(source: Source) -> tuple[Row, GreyImage | None]:
        time.sleep(0.02)
        return score(source)

    queue = Queue(sources("a .1", "b .2", "c .3", "d .4"), {})
    assert (len(queue), queue.finished, numbers(queue)) == (4, False, [])
    queue.advance(slow, 0)
    assert numbers(queue) == [1]
    queue.advance(slow, 0.03)
    assert numbers(queue) == [3, 2, 1]
    queue.advance(slow, 60)
    assert (queue.finished, numbers(queue)) == (True, [4, 3, 2, 1])
    queue.advance(score, 60)  # nothing is left
    assert len(queue.cases) == 4


def test_what_fails_unexpectedly_is_tried_again() -> None:
    queue = Queue(sources("a .1"), {})
    with pytest.raises(MemoryError):
        queue.advance(lambda source: (_ for _ in ()).throw(MemoryError), 60)
    assert not queue.finished
    queue.advance(score, 60)
    assert numbers(queue) == [1]


def test_known_cases_are_kept_under_their_new_number_and_not_judged_again() -> None:
    old = Queue(sources("b .2", "gone .9"), {})
    old.advance(score, 60)
    new = Queue(sources("a .1", "b .2"), old.cases)
    assert [(case.number, case.row.file) for case in new.ordered("Likeliest pneumonia first")] == [
        (2, "b .2")
    ]
    judged = []
    new.advance(lambda source: (judged.append(source.name), score(source))[1], 60)  # type: ignore[func-returns-value]
    assert judged == ["a .1"]
    assert numbers(new) == [2, 1]


def test_source_is_found_by_the_number_of_its_case() -> None:
    queue = Queue(sources("a .1", "b .2"), {})
    assert queue.source(2).name == "b .2"


def test_thumbnail_is_a_small_picture_of_the_whole_image() -> None:
    tall = np.full((2000, 1000), 200, np.uint8)
    kind, data = thumbnail(tall).split(",")
    assert kind == "data:image/webp;base64"
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert image.size == (128, 128)
    grey = np.asarray(image.convert("L"))
    assert abs(float(np.mean(grey[:, 34:94])) - 200) < 2
    assert grey[:, :30].max() < 3
    assert grey[:, 98:].max() < 3
    assert len(data) < 4000
    assert thumbnail(np.full((2, 5000), 9, np.uint8))  # an odd shape does not vanish


def test_what_cannot_be_read_has_no_thumbnail() -> None:
    queue = Queue(sources("a unreadable", "b rejected"), {})
    queue.advance(score, 60)
    assert [bool(case.thumbnail) for case in queue.ordered("Likeliest pneumonia first")] == [
        True,
        False,
    ]


def test_word_is_the_verdict_whatever_it_says() -> None:
    uncertain = Row("a", "ok", 0.5, "uncertain", 0.5, "tiny")
    assert Case(1, uncertain, "").word == "uncertain"


def test_dicom_files_are_told_by_their_content() -> None:
    def judge(source: Source) -> tuple[Row, GreyImage | None]:
        source.read()
        return row(source.name), IMAGE

    files = {"a": Source("a.png", lambda: b"no DICOM"), "b": Source("b.png", dicom)}
    queue = Queue(files, {})
    queue.advance(judge, 60)
    assert [case.dicom for case in queue.cases.values()] == [False, True]


def test_remarks_are_the_reason_and_the_warnings() -> None:
    warned = Row("a", "ok", 0.5, "normal", 0.5, "tiny", "", ("view_not_frontal",))
    assert Case(1, warned, "").remarks.startswith("By its header this is no frontal view")
    assert Case(1, replace(warned, message="It is white.", warnings=()), "").remarks == (
        "It is white."
    )


def test_etiology_is_what_the_row_has_and_else_empty() -> None:
    told = replace(row("a"), etiology="viral", bacterial_probability=0.1)
    assert Case(1, told, "").etiology == "viral 90.0 %"
    assert Case(1, row("a"), "").etiology == ""
