from __future__ import annotations

import gc
import os
import stat
import struct
import threading
from pathlib import Path
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZIP_STORED, ZipInfo

import numpy as np
import pytest

from tests.support.pictures import encoded, gradient, zipped
from xray_classifier.errors import UnreadableImageError
from xray_classifier.inputs import zip_archive
from xray_classifier.inputs.decoding import MAX_BYTES
from xray_classifier.inputs.zip_archive import (
    MAX_DIRECTORY,
    MAX_MEMBERS,
    Archive,
    is_hidden,
    is_zip,
)


def unreadable(member: str, data: bytes) -> str:
    """Why a member of an archive that opens cannot be read."""
    archive = Archive(data)
    with pytest.raises(UnreadableImageError) as caught:
        archive.read(member)
    return str(caught.value)


def refused(data: bytes) -> str:
    """Why an archive is refused as a whole."""
    with pytest.raises(UnreadableImageError) as caught:
        Archive(data)
    return str(caught.value)


# What is one


@pytest.mark.parametrize("data", [zipped({"a": b"1"}), zipped({})], ids=["with member", "empty"])
def test_zip_is_told_by_its_content(data: bytes) -> None:
    assert is_zip(data)


@pytest.mark.parametrize(
    "data", [b"", b"PK", b"text", encoded(gradient()), encoded(gradient()) + zipped({"a": b"1"})]
)
def test_everything_else_is_none(data: bytes) -> None:
    assert not is_zip(data)


# What is read


@pytest.mark.parametrize("kind", [ZIP_STORED, ZIP_DEFLATED])
def test_members_come_back_in_the_order_of_their_names(kind: int) -> None:
    contents = {"b.png": b"2", "NORMAL/a.png": os.urandom(3 * 2**20), "a.png": b"", "ü.png": b"4"}
    archive = Archive(zipped(contents, kind))
    assert list(archive.members) == ["NORMAL/a.png", "a.png", "b.png", "ü.png"]
    assert {name: archive.read(name) for name in archive.members} == contents


def test_archive_on_disk_is_closed_when_it_is_no_longer_used(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped({"a": b"1"}))
    archive = Archive(path)
    assert archive.read("a") == b"1"
    stream = archive._zip.fp
    assert stream is not None
    assert not stream.closed
    del archive
    gc.collect()  # an open file would warn here, which is an error in tests
    assert stream.closed


def test_threads_may_share_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    contents = {str(number): bytes([number]) * 200_000 for number in range(8)}
    path.write_bytes(zipped(contents, ZIP_STORED))
    archive, found = Archive(path), {}

    def read(name: str) -> None:
        found[name] = archive.read(name)

    threads = [threading.Thread(target=read, args=(name,)) for name in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == contents


def test_nothing_is_written_to_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    archive = Archive(zipped({"a/b.png": b"1", "/tmp/x": b"2"}))  # noqa: S108
    archive.read("a/b.png")
    assert not list(tmp_path.iterdir())


# What is passed over


@pytest.mark.parametrize(
    "name",
    [".DS_Store", "a/.b", ".git/config", "__MACOSX/._a.png", "x/__MACOSX/a", "Thumbs/", "a/./.b"],
)
def test_hidden_files_folders_and_the_additions_of_macos_are_passed_over(name: str) -> None:
    assert list(Archive(zipped({name: b"", "a.png": b"1"})).members) == ["a.png"]


def test_links_and_other_special_files_are_passed_over() -> None:
    contents: dict[str | ZipInfo, bytes] = {"a.png": b"1"}
    for kind in (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFDIR):
        info = ZipInfo(f"special-{kind}")
        info.external_attr = (kind | 0o777) << 16
        contents[info] = b"/etc/passwd"
    regular = ZipInfo("b.png")
    regular.external_attr = (stat.S_IFREG | 0o644) << 16
    contents[regular] = b"2"
    assert list(Archive(zipped(contents)).members) == ["a.png", "b.png"]


def test_names_are_made_plain() -> None:
    contents = {"./a.png": b"1", "dir\\b.png": b"2", "c//d.png": b"3"}
    archive = Archive(zipped(contents))
    assert list(archive.members) == ["a.png", "c/d.png", "dir/b.png"]
    assert archive.read("dir/b.png") == b"2"


def test_of_members_with_one_name_the_last_counts() -> None:
    data = zipped({"a": b"FIRST", "b": b"LAST"}, ZIP_STORED).replace(b"b", b"a")
    assert Archive(data).read("a") == b"LAST"


@pytest.mark.parametrize(
    ("name", "hidden"), [("a/b.c", False), ("../a", False), (".a", True), ("a/.b/c", True)]
)
def test_hidden_is_what_has_a_part_that_begins_with_a_dot(name: str, hidden: bool) -> None:
    assert is_hidden(name) is hidden


# Members that cannot be read


@pytest.mark.parametrize(
    "name", ["../a.png", "a/../../b", "/etc/passwd", "C:\\a.png", "\\\\server\\share\\a", ".."]
)
def test_name_that_leads_out_is_refused(name: str) -> None:
    archive = Archive(zipped({name: b"1", "fine.png": b"2"}))
    (odd,) = archive.members.keys() - {"fine.png"}
    with pytest.raises(UnreadableImageError, match="leads out of the ZIP"):
        archive.read(odd)
    assert archive.read("fine.png") == b"2"


def test_encrypted_member_is_refused() -> None:
    data = bytearray(zipped({"a": b"1"}))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    assert "is encrypted" in unreadable("a", bytes(data))


@pytest.mark.parametrize("kind", [ZIP_BZIP2, ZIP_LZMA])
def test_compression_that_is_not_bounded_is_refused(kind: int) -> None:
    assert "another way than Deflate" in unreadable("a", zipped({"a": b"1" * 99}, kind))


def test_zip_in_a_zip_is_not_opened() -> None:
    assert "a ZIP inside a ZIP" in unreadable("b", zipped({"b": zipped({"a": b"1"})}))


def test_too_large_member_is_refused_before_it_is_unpacked() -> None:
    noise = os.urandom(2**20)  # so that the archive as a whole does not grow 100-fold
    data = zipped({"a": b"\0" * (MAX_BYTES + 1), "noise": noise})
    message = unreadable("a", data)
    assert message.startswith("The file has 50.0 MB unpacked; the limit is 50 MB.")
    assert Archive(data).read("noise") == noise


def test_member_of_exactly_the_limit_is_read() -> None:
    noise = os.urandom(2**20)
    assert len(Archive(zipped({"a": b"\0" * MAX_BYTES, "noise": noise})).read("a")) == MAX_BYTES


@pytest.mark.parametrize("position", [30 + 1, 30 + 1 + 700])
def test_damaged_member_is_said_and_the_others_are_read(position: int) -> None:
    data = bytearray(zipped({"a": os.urandom(1000), "b": b"2"}, ZIP_DEFLATED))
    data[position] ^= 0xFF
    assert "This part of the ZIP is damaged" in unreadable("a", bytes(data))
    assert Archive(bytes(data)).read("b") == b"2"


def test_member_that_is_longer_than_it_says_is_not_read_to_its_end() -> None:
    data = bytearray(zipped({"a": b"\0" * 10_000}, ZIP_DEFLATED))
    at = data.index(b"PK\x01\x02") + 24
    assert struct.unpack_from("<I", data, at) == (10_000,)
    struct.pack_into("<I", data, at, 10)
    assert "damaged" in unreadable("a", bytes(data))


# Archives that are refused as a whole


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04",
        b"PK\x03\x04 and something else",
        zipped({"a": b"1"})[:-10],
        zipped({"a": b"1"})[:40] + zipped({"a": b"1"})[60:],
    ],
)
def test_damaged_archive_is_refused(data: bytes) -> None:
    assert is_zip(data)
    assert refused(data) == "The ZIP is damaged or incomplete. Make or download it again."


@pytest.mark.parametrize("contents", [{}, {"dir/": b""}, {".DS_Store": b"1"}])
def test_archive_without_files_is_refused(contents: dict[str | ZipInfo, bytes]) -> None:
    assert refused(zipped(contents)) == "The ZIP holds no files. Put radiographs into it."


def test_too_many_members_are_refused_with_their_number() -> None:
    full = {str(number): b"1" for number in range(MAX_MEMBERS)}
    assert len(Archive(zipped(full)).members) == MAX_MEMBERS
    message = refused(zipped(full | {"more": b"1"}))
    assert message.startswith("The ZIP holds 10001 files; the limit is 10000.")


def test_directory_beyond_all_reason_is_not_even_read() -> None:
    data = bytearray(b"PK\x03\x04" + b"\0" * (MAX_DIRECTORY + 1))
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, MAX_DIRECTORY + 1, 4, 0)
    message = refused(bytes(data) + end)
    assert message.startswith("The ZIP's list of files takes 4.0 MB; the limit is 4 MB.")


def test_bomb_is_refused_with_how_it_grows() -> None:
    data = zipped({"a": b"\0" * 2**20}, ZIP_DEFLATED)
    message = refused(data)
    assert message.startswith(f"The ZIP grows {2**20 / len(data):.0f}-fold when unpacked")
    assert "the limit is 100-fold" in message


def test_members_that_share_their_bytes_are_a_bomb() -> None:
    data = zipped({"000": os.urandom(2**16)}, ZIP_STORED)
    start = data.index(b"PK\x01\x02")
    record = data[start : start + 46]  # all but the name
    directory = b"".join(record + b"%03d" % number for number in range(200))
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 200, 200, len(directory), start, 0)
    message = refused(data[:start] + directory + end)  # 200 * 65536 from 65569 + 9800 + 22 bytes
    assert message.startswith("The ZIP grows 174-fold when unpacked")


def test_too_much_in_all_is_refused_with_the_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_archive, "MAX_TOTAL_BYTES", 2**30)
    data = zipped({"a": b"1" * 1000})
    infos = dict(Archive(data).members)
    infos["a"].file_size = 3 * 2**30
    with pytest.raises(UnreadableImageError, match=r"^The ZIP holds 3\.0 GB unpacked; .* 1 GB"):
        zip_archive._check_limits(infos, 2**30)


def test_archive_that_is_gone_is_an_error_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Archive(tmp_path / "a.zip")


def test_real_image_comes_through_unchanged() -> None:
    image = encoded(np.full((40, 50), 7, np.uint8))
    assert Archive(zipped({"a.png": image}, ZIP_DEFLATED)).read("a.png") == image
