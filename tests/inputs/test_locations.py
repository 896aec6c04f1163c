from __future__ import annotations

import os
from pathlib import Path

import pytest

from xray_classifier.errors import DatasetError
from xray_classifier.inputs.decoding import MAX_BYTES
from xray_classifier.inputs.locations import list_locations, open_location


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with an archive in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "sub/b.png", "sub/deep/c.jpg", "sub/deep/d.png", ".git/e.png", "sub/.f"):
        path = tmp_path / "archive" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


ALL = ["a.png", "sub/b.png", "sub/deep/c.jpg", "sub/deep/d.png"]


@pytest.mark.parametrize(
    ("given", "prefix"),
    [
        ("archive", "archive/"),
        ("archive/", "archive/"),
        ("./archive", "./archive/"),
        ("{here}/archive", "{here}/archive/"),
        ("file://{here}/archive", "file://{here}/archive/"),
        ("file://{here}/archive/", "file://{here}/archive/"),
    ],
)
def test_folder_is_listed_at_any_depth_in_order(given: str, prefix: str, here: Path) -> None:
    given, prefix = given.format(here=here), prefix.format(here=here)
    assert list(list_locations([given])) == [f"{prefix}{name}" for name in ALL]


@pytest.mark.parametrize("root", ["archive", "{here}/archive", "file://{here}/archive"])
@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*", ["a.png"]),
        ("*.png", ["a.png"]),
        ("**", ALL),
        ("**/*.png", ["a.png", "sub/b.png", "sub/deep/d.png"]),
        ("*/*", ["sub/b.png"]),
        ("sub/**/*.png", ["sub/b.png", "sub/deep/d.png"]),
        ("**/deep/*", ["sub/deep/c.jpg", "sub/deep/d.png"]),
        ("sub/deep/[a-c].*", ["sub/deep/c.jpg"]),
        ("*/deep/d.png", ["sub/deep/d.png"]),
    ],
)
def test_pattern_names_files(root: str, pattern: str, names: list[str], here: Path) -> None:
    root = root.format(here=here)
    found = list(list_locations([f"{root}/{pattern}"]))
    assert found == [f"{root}/{name}" for name in names]


def test_question_mark_stands_for_one_sign_of_a_path(here: Path) -> None:
    assert list(list_locations(["archive/?.png"])) == ["archive/a.png"]
    assert list(list_locations(["a*/a.png"])) == ["archive/a.png"]


def test_file_that_looks_like_a_pattern_is_itself(here: Path) -> None:
    (here / "[1].png").write_text("content")
    (here / "1.png").write_text("content")
    assert list(list_locations(["[1].png"])) == ["[1].png"]


def test_single_files_are_named_as_given(here: Path) -> None:
    given = ["./archive/a.png", f"file://{here}/archive/sub/.f"]
    assert list(list_locations(given)) == given


def test_what_is_given_twice_is_listed_once(here: Path) -> None:
    found = list(list_locations(["archive/sub/deep/*.png", "archive/sub", "archive/sub/b.png"]))
    assert found == ["archive/sub/deep/d.png", "archive/sub/b.png", "archive/sub/deep/c.jpg"]


def test_nothing_is_listed_before_it_is_asked_for(here: Path) -> None:
    locations = list_locations(["archive", "none"])
    assert next(locations) == "archive/a.png"


@pytest.mark.parametrize(
    "missing",
    ["none", "", "none/*.png", "archive/*.tif", "file://{here}/none", "file://{here}/archive/*.x"],
)
def test_what_names_no_file_is_an_error(missing: str, here: Path) -> None:
    missing = missing.format(here=here)
    with pytest.raises(FileNotFoundError) as caught:
        list(list_locations([missing]))
    assert str(caught.value) == missing


@pytest.mark.parametrize("name", ["two words.png", "50%.png", "a#b?c.png", "ü.png", "%20.png"])
def test_awkward_names_lead_to_their_files(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(name)
    (location,) = list_locations([f"file://{tmp_path}"])
    assert " " not in location
    for one in (location, *list_locations([str(tmp_path)])):
        with open_location(one).open("rb") as stream:
            assert stream.read() == name.encode()


def test_names_that_are_no_text_lead_to_their_files(tmp_path: Path) -> None:
    Path(tmp_path, os.fsdecode(b"\xff.png")).write_text("content")
    (location,) = list_locations([str(tmp_path)])
    with open_location(location).open("rb") as stream:
        assert stream.read() == b"content"


def test_huge_remote_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as stream:
        stream.truncate(200 * MAX_BYTES)  # a sparse file
    with open_location(f"file://{path}").open("rb") as stream:
        assert len(stream.read()) == MAX_BYTES + 1


@pytest.mark.parametrize("name", ["none", "folder"])
def test_remote_file_that_cannot_be_read_says_why_in_a_line(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=r"open") as caught:
        open_location(f"file://{tmp_path}/{name}").open("rb")
    assert caught.value.strerror
    assert "\n" not in caught.value.strerror


@pytest.mark.parametrize("uri", ["https://host/a.png", "nonsense://b/c", "s3://[b/c"])
def test_unknown_kinds_of_uri_are_told(uri: str) -> None:
    with pytest.raises(DatasetError, match=r"cannot be used .*a URI of file, s3, gs, abfs or hdfs"):
        list(list_locations([uri]))


def test_keys_in_a_uri_are_refused_and_not_repeated() -> None:
    with pytest.raises(DatasetError, match=r"environment, as AWS_ACCESS_KEY_ID") as caught:
        list(list_locations(["s3://key:secret@bucket/folder"]))
    assert "secret@" not in str(caught.value)
