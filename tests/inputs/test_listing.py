from __future__ import annotations

import os
from pathlib import Path

import pytest

from xray_classifier.inputs.listing import list_files


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(*names: str) -> None:
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content")


@pytest.mark.parametrize(
    ("given", "prefix"),
    [
        ("dir", "dir/"),
        ("dir/", "dir/"),
        ("dir//", "dir/"),
        ("./dir", "./dir/"),
        ("../{parent}/dir", "../{parent}/dir/"),
        ("{here}/dir", "{here}/dir/"),
        (".", "./dir/"),
        ("./", "./dir/"),
    ],
)
def test_name_is_the_path_as_given_joined_with_the_path_inside(
    given: str, prefix: str, here: Path
) -> None:
    write("dir/a.png", "dir/NORMAL/deep/x.jpeg")
    given, prefix = (text.format(parent=here.name, here=here) for text in (given, prefix))
    files = list_files([given])
    assert list(files) == [f"{prefix}NORMAL/deep/x.jpeg", f"{prefix}a.png"]
    for name, path in files.items():
        assert path.samefile(name)


@pytest.mark.parametrize("given", ["a.png", "./a.png", "dir/../a.png", "{here}/a.png"])
def test_file_keeps_the_name_that_it_is_given_by(given: str, here: Path) -> None:
    write("a.png", "dir/b.png")
    given = given.format(here=here)
    assert list(list_files([given])) == [given]


def test_every_file_counts_whatever_its_name(here: Path) -> None:
    names = {"a.png", "b", "c.txt", "Thumbs.db", "d.PNG", "e.tar.gz", "~f", "-g", "h.", " ", "*"}
    write(*(f"dir/{name}" for name in names))
    assert list_files(["dir"]).keys() == {f"dir/{name}" for name in names}


def test_hidden_files_and_folders_are_passed_over_at_any_depth(here: Path) -> None:
    write("dir/a", "dir/.b", "dir/.git/c", "dir/sub/.d", "dir/sub/.cache/deep/e", "dir/sub/f")
    assert list(list_files(["dir"])) == ["dir/a", "dir/sub/f"]


@pytest.mark.parametrize("given", [".hidden", ".hidden/a.png"])
def test_hidden_path_counts_where_it_is_given_itself(given: str, here: Path) -> None:
    write(".hidden/a.png")
    assert list(list_files([given])) == [".hidden/a.png"]


def test_only_regular_files_in_a_folder_count(here: Path) -> None:
    write("dir/a")
    os.mkfifo("dir/pipe")
    Path("dir/broken").symlink_to("nowhere")
    Path("dir/itself").symlink_to("itself")
    assert list(list_files(["dir"])) == ["dir/a"]


def test_link_that_leads_back_is_not_followed(here: Path) -> None:
    write("dir/sub/a")
    Path("dir/sub/loop").symlink_to(here / "dir", target_is_directory=True)
    assert list(list_files(["dir"])) == ["dir/sub/a"]


def test_names_are_sorted_over_all_that_is_given(here: Path) -> None:
    write("b/z", "b/A", "b/a/x", "b/a.png", "a", "c")
    files = list(list_files(["c", "b", "a"]))
    assert files == sorted(files) == ["a", "b/A", "b/a.png", "b/a/x", "b/z", "c"]


@pytest.mark.parametrize(
    "given", [["dir", "dir"], ["dir", "dir/"], ["dir/a", "dir"], ["dir/a"] * 2]
)
def test_what_is_given_twice_counts_once(given: list[str], here: Path) -> None:
    write("dir/a")
    assert list(list_files(given)) == ["dir/a"]


def test_empty_folder_has_no_files(here: Path) -> None:
    assert list_files(["."]) == {}


@pytest.mark.parametrize("name", [b"two\nlines", b'a,"b"', b"\xff\xfe.png", "ü.png".encode()])
def test_awkward_names_lead_to_their_files(name: bytes, here: Path) -> None:
    Path("dir").mkdir()
    Path("dir", os.fsdecode(name)).write_bytes(b"content")
    ((shown, path),) = list_files(["dir"]).items()
    assert os.fsencode(shown) == b"dir/" + name
    assert path.read_bytes() == b"content"


@pytest.mark.parametrize("missing", ["none.png", "dir/none", "none/", "dir/a/b", "broken"])
def test_missing_path_is_an_error(missing: str, here: Path) -> None:
    write("dir/a")
    Path("broken").symlink_to("nowhere")
    with pytest.raises(FileNotFoundError, match=f"^{missing}$"):
        list_files(["dir", missing])
