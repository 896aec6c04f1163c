from __future__ import annotations

from pathlib import Path

import pytest

from xray_classifier.errors import OutputError
from xray_classifier.files import replace_atomically, sha256_of, write_json


def test_new_file_is_whole_and_alone(tmp_path: Path) -> None:
    target = tmp_path / "model.json"
    with replace_atomically(target) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_old_file_stays_until_the_block_has_ended(tmp_path: Path) -> None:
    target = tmp_path / "model.json"
    target.write_text("old")
    with replace_atomically(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def break_off(target: Path, error: BaseException) -> None:
    with replace_atomically(target) as temporary:
        temporary.write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError("broken off"), KeyboardInterrupt("broken off")])
def test_failure_leaves_the_old_file_and_nothing_else(error: BaseException, tmp_path: Path) -> None:
    target = tmp_path / "model.json"
    target.write_text("old")
    with pytest.raises(type(error), match="broken off"):
        break_off(target, error)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_failure_leaves_no_new_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="broken off"):
        break_off(tmp_path / "a.png", ValueError("broken off"))
    assert not list(tmp_path.iterdir())


def test_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    target.write_text("old")
    with pytest.raises(FileNotFoundError, match=r"a\.png"), replace_atomically(target):
        pass
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("name", ["article.keras", "history.png", "state.json"])
def test_temporary_path_keeps_name_and_disk(name: str, tmp_path: Path) -> None:
    with replace_atomically(tmp_path / name) as temporary:
        assert temporary.name == name
        assert tmp_path in temporary.parents  # a rename across disks would not be atomic
        temporary.touch()


def test_missing_folders_are_made(tmp_path: Path) -> None:
    target = tmp_path / "out" / "run" / "history.csv"
    with replace_atomically(target) as temporary:
        temporary.write_text("epoch")
    assert target.read_text() == "epoch"


def test_two_writers_do_not_meet(tmp_path: Path) -> None:
    target = tmp_path / "model.json"
    with replace_atomically(target) as first, replace_atomically(target) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert target.read_text() == "first"  # the outer block ends last
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("content", "start"), [(b"", "e3b0c44298fc1c14"), (b"abc", "ba7816bf8f01cfea")]
)
def test_hash_is_sha256(content: bytes, start: str, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    assert sha256_of(path).startswith(start)
    assert len(sha256_of(path)) == 64


def test_place_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("kept")
    target = tmp_path / "notes.txt" / "new" / "a.png"
    refusal = r"notes\.txt/new cannot be written \(Not a directory\)\. Choose a place that takes"
    with pytest.raises(OutputError, match=refusal), replace_atomically(target):
        pass
    assert (tmp_path / "notes.txt").read_text() == "kept"


def test_json_is_indented_and_ends_with_a_line_break(tmp_path: Path) -> None:
    write_json({"name": "Kind é", "n": [1, 0.5]}, tmp_path / "new" / "a.json")
    text = (tmp_path / "new" / "a.json").read_text(encoding="utf-8")
    assert text == '{\n  "name": "Kind é",\n  "n": [\n    1,\n    0.5\n  ]\n}\n'


def test_json_without_finite_numbers_is_refused_and_the_old_file_stays(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    target.write_text("old")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json({"loss": float("nan")}, target)
    assert target.read_text() == "old"
