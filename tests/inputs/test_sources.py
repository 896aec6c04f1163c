from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.pictures import zipped
from xray_classifier.errors import UnreadableImageError
from xray_classifier.inputs.decoding import MAX_BYTES
from xray_classifier.inputs.sources import (
    count,
    read_image_file,
    sources_of_files,
    sources_of_upload,
)

TWO = zipped({"b.png": b"2", "NORMAL/a.png": b"1", ".DS_Store": b"0"})


def test_file_is_one_source_and_an_archive_one_for_each_member(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("a", "b.zip", "c.png")}
    files["a"].write_bytes(b"first")
    files["b.zip"].write_bytes(TWO)
    files["c.png"].write_bytes(TWO)  # told by its content, not by its name
    found = {source.name: source.read() for source in sources_of_files(files)}
    assert list(found.items()) == [
        ("a", b"first"),
        ("b.zip!/NORMAL/a.png", b"1"),
        ("b.zip!/b.png", b"2"),
        ("c.png!/NORMAL/a.png", b"1"),
        ("c.png!/b.png", b"2"),
    ]
    assert count(sources_of_files(files)) == 5


def test_file_named_as_an_archive_is_read_as_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"no archive")
    (source,) = sources_of_files({"a.zip": path})
    assert (source.name, source.read()) == ("a.zip", b"no archive")


def test_files_are_opened_at_their_turn(tmp_path: Path) -> None:
    sources = sources_of_files({"a": tmp_path / "a", "b": tmp_path / "b"})
    next(sources)
    (tmp_path / "b").write_bytes(TWO)
    assert [source.name for source in sources] == ["b!/NORMAL/a.png", "b!/b.png"]


def test_member_can_be_read_when_other_sources_have_come(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in "ab"}
    for path in files.values():
        path.write_bytes(TWO)
    first, *_ = list(sources_of_files(files))
    assert first.read() == b"1"


def test_refused_archive_is_a_source_that_says_why(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(TWO[:-5])
    (on_disk,) = sources_of_files({"a.zip": path})
    (uploaded,) = sources_of_upload("a.zip", TWO[:-5])
    for source in (on_disk, uploaded):
        assert source.name == "a.zip"
        for _ in range(2):
            with pytest.raises(UnreadableImageError, match="ZIP is damaged or incomplete"):
                source.read()


def test_missing_file_is_a_source_that_fails_when_it_is_read(tmp_path: Path) -> None:
    (source,) = sources_of_files({"a": tmp_path / "a"})
    with pytest.raises(FileNotFoundError):
        source.read()


def test_upload_is_one_source_or_the_members_of_an_archive() -> None:
    (plain,) = sources_of_upload("a.png", b"image")
    assert (plain.name, plain.read()) == ("a.png", b"image")
    found = {source.name: source.read() for source in sources_of_upload("a.zip", TWO)}
    assert found == {"a.zip!/NORMAL/a.png": b"1", "a.zip!/b.png": b"2"}


def test_no_more_of_a_huge_file_is_read_than_shows_that_it_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as stream:
        stream.truncate(2000 * MAX_BYTES)
    assert len(read_image_file(path)) == MAX_BYTES + 1
