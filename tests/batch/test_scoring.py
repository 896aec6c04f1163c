from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.support.dicom_files import dicom
from tests.support.etiologies import CHANCES, PICTURES, two_answer_classifier
from tests.support.pictures import encoded, gradient, zipped
from tests.support.stand_ins import pointed_classifier
from xray_classifier.batch.scoring import AHEAD, Row, score, score_source
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.inference.pipeline import Choices, classify
from xray_classifier.inputs.decoding import MAX_BYTES
from xray_classifier.inputs.listing import list_files
from xray_classifier.inputs.sources import Source
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.gate import Gate

UNREADABLE_DEVICE = Path("/proc/self/mem")  # a regular file that even root cannot read from


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def flat(path: str | Path, grey: int) -> Path:
    """An image of one grey, of which the tiny model thinks sigmoid(8 * grey / 255 - 4)."""
    path = Path(path)
    path.write_bytes(encoded(np.full((40, 50), grey, np.uint8)))
    return path


def test_row_has_the_fields_of_the_contract() -> None:
    assert [entry.name for entry in fields(Row)] == [
        "file",
        "status",
        "probability",
        "verdict",
        "threshold",
        "model",
        "message",
        "warnings",
        "operating_point",
        "post_test_probability",
        "etiology",
        "bacterial_probability",
    ]


@pytest.mark.parametrize(("grey", "verdict"), [(51, "normal"), (204, "pneumonia")])
def test_image_is_judged_as_on_the_page(
    grey: int, verdict: str, tiny_classifier: Classifier, tmp_path: Path
) -> None:
    path = flat(tmp_path / "a.png", grey)
    (row,) = score({"shown": path}, tiny_classifier)
    page = classify(path.read_bytes(), tiny_classifier)
    assert row == Row("shown", "ok", page.probability, verdict, 0.5, "tiny", "", (), "fixed")
    assert row.probability == pytest.approx(1 / (1 + np.exp(4 - 8 * grey / 255)), abs=1e-5)


def test_grey_levels_are_looked_at_before_the_picture_is_resized(
    tiny_classifier: Classifier, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    # Alternating columns of two greys, which the resize would make one of.
    path.write_bytes(encoded(np.tile(np.array([90, 100], np.uint8), (1000, 1000))))
    (row,) = score({"a.png": path}, tiny_classifier)
    assert (row.status, row.probability) == ("unreadable", None)
    assert "so few grey levels" in row.message
    path.write_bytes(encoded(gradient(900, 1200) // 4))
    (row,) = score({"a.png": path}, tiny_classifier)
    page = classify(path.read_bytes(), tiny_classifier)
    assert (row.warnings, row.probability) == (("grey_range_stretched",), page.probability)


@pytest.mark.parametrize(("nudge", "verdict"), [(0, "pneumonia"), (1e-9, "normal")])
def test_pneumonia_begins_at_the_threshold_itself(
    nudge: float, verdict: str, tiny_classifier: Classifier, tmp_path: Path
) -> None:
    path = flat(tmp_path / "a.png", 100)
    at = classify(path.read_bytes(), tiny_classifier).probability
    assert at is not None
    classifier = Classifier(
        tiny_classifier.network, replace(tiny_classifier.spec, threshold=at + nudge)
    )
    (row,) = score({"a.png": path}, classifier)
    assert (row.probability, row.verdict, row.threshold) == (at, verdict, at + nudge)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The file is empty"),
        (b"no image", "This is not an image that can be read"),
        (encoded(gradient(100, 100), "JPEG")[:-200], "damaged or incomplete"),
        (encoded(np.zeros((4, 4), np.uint8)), "at least 32 x 32 are needed"),
    ],
    ids=["empty", "text", "truncated", "tiny"],
)
def test_file_that_is_no_image_becomes_a_row_that_says_why(
    content: bytes, message: str, tiny_classifier: Classifier, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    (row,) = score({"a.png": path}, tiny_classifier)
    assert row == Row("a.png", "unreadable", None, None, 0.5, "tiny", row.message, (), "fixed")
    assert message in row.message


def test_huge_file_is_refused_without_being_read_to_its_end(
    tiny_classifier: Classifier, tmp_path: Path
) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as stream:
        stream.truncate(2000 * MAX_BYTES)  # 100 GB, as a sparse file
    (row,) = score({"huge": path}, tiny_classifier)
    assert row.status == "unreadable"
    assert "the limit is 50 MB" in row.message


def test_file_that_vanished_meanwhile_becomes_a_row(
    tiny_classifier: Classifier, tmp_path: Path
) -> None:
    (row,) = score({"a.png": tmp_path / "a.png"}, tiny_classifier)
    assert row.status == "unreadable"
    assert row.message == "The file cannot be read: No such file or directory."


def test_file_without_permission_becomes_a_row(
    tiny_classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = flat(tmp_path / "a.png", 100)
    monkeypatch.setattr(Path, "open", refuse)  # root may read whatever its permissions
    (row,) = score({"a.png": path}, tiny_classifier)
    assert (row.status, row.probability, row.verdict) == ("unreadable", None, None)
    assert row.message == "The file cannot be read: Permission denied."


@pytest.mark.skipif(not UNREADABLE_DEVICE.exists(), reason="needs Linux's /proc")
def test_file_on_a_failing_disk_becomes_a_row(tiny_classifier: Classifier) -> None:
    (row,) = score({"mem": UNREADABLE_DEVICE}, tiny_classifier)
    assert row.status == "unreadable"
    assert row.message == "The file cannot be read: Input/output error."


def test_one_bad_file_never_stops_the_rest(tiny_classifier: Classifier, tmp_path: Path) -> None:
    files = {}
    for name in "abcd":
        files[name] = flat(tmp_path / name, 100)
    files["a"].write_bytes(b"")
    files["c"].unlink()
    rows = list(score(files, tiny_classifier))
    assert [row.file for row in rows] == ["a", "b", "c", "d"]
    assert [row.status for row in rows] == ["unreadable", "ok", "unreadable", "ok"]


def test_rows_come_in_batches_and_few_files_are_read_ahead(
    tiny_classifier: Classifier, tmp_path: Path
) -> None:
    batch = tiny_classifier.network.batch_size
    files = {f"{number:02}": tmp_path / f"{number:02}" for number in range(2 * batch + AHEAD + 1)}
    flat(files["00"], 100)
    rows = score(files, tiny_classifier)
    assert isinstance(rows, Iterator)
    assert next(rows).status == "ok"
    last = max(files)
    flat(files[last], 100)  # not looked at before its turn is near
    statuses = [row.status for row in rows]
    assert statuses == ["unreadable"] * (len(files) - 2) + ["ok"]


def test_every_row_of_a_batch_is_that_of_its_file(
    here: Path, tiny_classifier: Classifier, tiny_gate: Gate
) -> None:
    greys = {"a.png": 0, "b.png": 255, "c.png": 90, "d.png": None, "e.png": 200, "f.png": 255}
    for name, value in greys.items():
        if value is not None:
            flat(name, value)
    rows = list(score({name: Path(name) for name in greys}, tiny_classifier, tiny_gate))
    assert [(row.file[0], row.status, row.verdict, row.warnings) for row in rows] == [
        ("a", "ok", "normal", ("outside_population",)),
        ("b", "rejected", None, ()),
        ("c", "ok", "normal", ()),
        ("d", "unreadable", None, ()),
        ("e", "ok", "pneumonia", ()),
        ("f", "rejected", None, ()),
    ]
    for row, value in zip(rows, greys.values(), strict=True):
        if value is not None and row.status == "ok":
            assert row.probability == pytest.approx(1 / (1 + np.exp(4 - 8 * value / 255)), abs=1e-5)


@pytest.mark.parametrize("size", [(40, 50), (1300, 900), (500, 500), (501, 499)])
def test_answer_is_that_of_the_page_to_the_last_bit(
    size: tuple[int, int], tiny_classifier: Classifier, tmp_path: Path
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(gradient(*size), "JPEG"))
    (row,) = score({"a.jpg": path}, tiny_classifier)
    assert row.probability == classify(path.read_bytes(), tiny_classifier).probability


def test_rows_stay_in_order_and_whole_over_many_files(
    tiny_classifier: Classifier, tmp_path: Path
) -> None:
    greys = {f"{grey:03}": grey for grey in range(0, 256, 3)}
    files = {name: flat(tmp_path / name, grey) for name, grey in greys.items()}
    rows = list(score(files, tiny_classifier))
    assert [row.file for row in rows] == list(files)
    expected = [1 / (1 + np.exp(4 - 8 * grey / 255)) for grey in greys.values()]
    assert [row.probability for row in rows] == pytest.approx(expected, abs=1e-5)


def grey(value: int) -> bytes:
    return encoded(np.full((40, 50), value, np.uint8))


def test_members_of_an_archive_are_rows(here: Path, tiny_classifier: Classifier) -> None:
    members = {"NORMAL/b.png": grey(51), "a.png": grey(204), "c.txt": b"text", ".hidden": b""}
    Path("dir").mkdir()
    Path("dir/m.zip").write_bytes(zipped(members))
    flat("dir/z.png", 51)
    flat("dir/a.png", 51)
    rows = list(score(list_files(["dir"]), tiny_classifier))
    assert [(row.file, row.status, row.verdict) for row in rows] == [
        ("dir/a.png", "ok", "normal"),
        ("dir/m.zip!/NORMAL/b.png", "ok", "normal"),
        ("dir/m.zip!/a.png", "ok", "pneumonia"),
        ("dir/m.zip!/c.txt", "unreadable", None),
        ("dir/z.png", "ok", "normal"),
    ]


def test_member_that_would_leave_the_archive_is_a_row_and_the_next_one_judged(
    here: Path, tiny_classifier: Classifier
) -> None:
    image = encoded(gradient())
    (here / "odd.zip").write_bytes(zipped({"../a.png": image, "b.png": image}))
    leaving, inside = score({"odd.zip": here / "odd.zip"}, tiny_classifier)
    assert (leaving.file, leaving.status) == ("odd.zip!/../a.png", "unreadable")
    assert "leads out of the ZIP" in leaving.message
    assert (inside.file, inside.status) == ("odd.zip!/b.png", "ok")


def test_member_gets_the_answer_of_the_file_itself(here: Path, tiny_classifier: Classifier) -> None:
    path = flat("a.png", 100)
    Path("m.zip").write_bytes(zipped({"a.png": path.read_bytes()}))
    alone, member = score(list_files(["a.png", "m.zip"]), tiny_classifier)
    assert member == replace(alone, file="m.zip!/a.png")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped({}), "The ZIP holds no files."),
        (zipped({"a.png": b""})[:-3], "The ZIP is damaged or incomplete."),
    ],
    ids=["empty", "cut"],
)
def test_archive_that_is_refused_is_one_row(
    content: bytes, message: str, here: Path, tiny_classifier: Classifier
) -> None:
    Path("m.zip").write_bytes(content)
    (row,) = score(list_files(["m.zip"]), tiny_classifier)
    assert (row.file, row.status) == ("m.zip", "unreadable")
    assert row.message.startswith(message)


def test_image_comes_with_the_row_if_there_is_one(tiny_classifier: Classifier) -> None:
    row, image = score_source(Source("a.png", lambda: grey(100)), tiny_classifier)
    assert image is not None
    assert (row.status, image.shape, image.max()) == ("ok", (40, 50), 100)
    row, image = score_source(Source("a.png", lambda: b"text"), tiny_classifier)
    assert (row.status, image) == ("unreadable", None)


# The gate


def test_rejected_file_is_a_row_with_the_reason(
    here: Path, tiny_classifier: Classifier, tiny_gate: Gate
) -> None:
    path = flat("white.png", 255)
    (row,) = score({"white.png": path}, tiny_classifier, tiny_gate)
    assert row == Row("white.png", "rejected", None, None, 0.5, "tiny", "It is white.", (), "fixed")


def test_rejected_file_is_judged_with_a_mark_without_the_gate(
    here: Path, tiny_classifier: Classifier, tiny_gate: Gate
) -> None:
    path = flat("white.png", 255)
    (row,) = score({"white.png": path}, tiny_classifier, tiny_gate, Choices(use_gate=False))
    assert (row.status, row.verdict, row.message) == ("ok", "pneumonia", "")
    assert row.warnings == ("not_valid",)


def test_chest_of_another_population_is_flagged(
    here: Path, tiny_classifier: Classifier, tiny_gate: Gate
) -> None:
    (row,) = score({"black.png": flat("black.png", 0)}, tiny_classifier, tiny_gate)
    assert (row.status, row.warnings) == ("ok", ("outside_population",))


def test_dicom_of_something_else_is_rejected_not_unreadable(
    here: Path, tiny_classifier: Classifier
) -> None:
    Path("scan").write_bytes(dicom(Modality="CT"))
    (row,) = score({"scan": Path("scan")}, tiny_classifier)
    assert (row.status, row.probability, row.verdict) == ("rejected", None, None)
    assert "its Modality (0008,0060) is CT" in row.message


# Choices


def test_operating_point_and_pretest_probability_reach_the_row(here: Path) -> None:
    classifier = pointed_classifier()
    path = flat("grey.png", 90)  # sigmoid(8 * 90 / 255 - 4) = .2356
    (row,) = score({"grey.png": path}, classifier, None, Choices("screening", 0.1))
    assert (row.operating_point, row.threshold, row.verdict) == ("screening", 0.2, "uncertain")
    assert row.probability == pytest.approx(0.2356, abs=1e-4)
    # odds .3082 / (.74 / .26) * (.1 / .9) = .01203
    assert row.post_test_probability == pytest.approx(0.01203 / 1.01203, abs=1e-4)


def test_unknown_operating_point_stops_before_the_first_file(
    here: Path, tiny_classifier: Classifier
) -> None:
    with pytest.raises(ModelUnavailableError, match="no operating point 'keen'; it has: fixed"):
        next(score({"a": Path("a")}, tiny_classifier, None, Choices("keen")))


# The second answer


def told(classifier: Classifier, gate: Gate | None = None, use_gate: bool = True) -> dict[str, Row]:
    """What is made of the four pictures, and of a white one."""
    files = {**PICTURES, "white": encoded(np.full((40, 50), 255, np.uint8))}
    sources = ((name, partial(bytes, data)) for name, data in files.items())
    choices = Choices(use_gate=use_gate)
    rows = (score_source(Source(*each), classifier, gate, choices)[0] for each in sources)
    return {row.file: row for row in rows}


def test_etiology_and_its_probability_are_those_of_the_page() -> None:
    rows = told(two_answer_classifier())
    for name in ("bacterial", "viral", "uncertain"):
        assert (rows[name].verdict, rows[name].etiology) == ("pneumonia", name)
        assert rows[name].bacterial_probability == pytest.approx(CHANCES[name], abs=1e-5)
    assert rows["normal"].verdict == "normal"
    assert (rows["normal"].etiology, rows["normal"].bacterial_probability) == (None, None)


@pytest.mark.parametrize("use_gate", [True, False])
def test_what_the_gate_rejects_has_no_etiology(use_gate: bool, tiny_gate: Gate) -> None:
    row = told(two_answer_classifier(), tiny_gate, use_gate)["white"]
    assert row.status == ("rejected" if use_gate else "ok")
    assert (row.etiology, row.bacterial_probability) == (None, None)


def test_model_that_does_not_tell_leaves_the_columns_empty(tiny_classifier: Classifier) -> None:
    for classifier in (tiny_classifier, two_answer_classifier(None)):
        for row in told(classifier).values():
            assert (row.etiology, row.bacterial_probability) == (None, None)


def test_row_gives_the_result_back_with_its_etiology() -> None:
    rows = told(two_answer_classifier())
    for name, picture in PICTURES.items():
        expected = classify(picture, two_answer_classifier())
        result = rows[name].to_result(expected.image, expected.runtime)
        assert result.etiology == expected.etiology
        assert result.bacterial == (expected.bacterial if expected.etiology else None)
