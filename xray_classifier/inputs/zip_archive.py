"""A ZIP archive to the bytes of its members: in memory, one by one and within bounds.

Nothing is ever unpacked to disk, so a name inside an archive is only a label.
"""

from __future__ import annotations

import io
import stat
import weakref
from pathlib import Path, PurePosixPath, PureWindowsPath
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from xray_classifier.errors import UnreadableImageError
from xray_classifier.inputs.decoding import MAX_BYTES
from xray_classifier.inputs.zip_names import decode_names

MAX_MEMBERS = 10_000
MAX_TOTAL_BYTES = 20 * 2**30  # of all members, unpacked
MAX_RATIO = 100  # a radiograph packs to a third at best; what packs to a hundredth is a bomb
MAX_DIRECTORY = 4 * 2**20  # bytes in one go: bounds the directory, which `zipfile` reads at once
_CHUNK = 2**20

_MARKS = (b"PK\x03\x04", b"PK\x05\x06")  # the first member, or the end of an empty archive
MARK_LENGTH = 4


def is_zip(data: bytes) -> bool:
    """Tell from the first `MARK_LENGTH` bytes of a file whether it is a ZIP archive."""
    return data.startswith(_MARKS)


class Archive:
    """A ZIP archive that is open as long as this object lives; to be shared by threads.

    Args:
        file: where the archive is, or its bytes.

    Attributes:
        members: by name, "/"-separated and in order: regular files that are not hidden. Of members
            with the same name the last counts, as when unpacking. Where they say nothing of their
            code page, they are read in the one that `zip_names` guesses for the whole archive.

    Raises:
        UnreadableImageError: damaged, without files, or over a limit.
        OSError: the file cannot be read.
    """

    def __init__(self, file: Path | bytes) -> None:
        raw = io.BytesIO(file) if isinstance(file, bytes) else file.open("rb", buffering=0)
        stream = _BoundedReader(raw)
        weakref.finalize(self, stream.close)
        self._zip = _open(stream)
        self.members = _regular_files(self._zip.infolist())
        _check_limits(self.members, stream.seek(0, io.SEEK_END))

    def read(self, name: str) -> bytes:
        """Unpack one member: one of the names in `members`.

        Returns:
            At most `MAX_BYTES`.

        Raises:
            UnreadableImageError: it is damaged, encrypted, too large, an archive itself or packed
                in an unusual way, or its name leads out of the archive.
            OSError: the file cannot be read.
        """
        info = self.members[name]
        _check_member(name, info)
        try:
            with self._zip.open(info) as stream:
                data = b"".join(iter(lambda: stream.read(_CHUNK), b""))
        except OSError:
            raise
        except Exception as error:  # whatever broken bytes lead `zipfile` and zlib into
            raise UnreadableImageError(
                "This part of the ZIP is damaged. Make or download the ZIP again."
            ) from error
        if is_zip(data):
            raise UnreadableImageError(
                "This is a ZIP inside a ZIP, which is not opened. Unpack the outer one, then give "
                "the inner one."
            )
        return data


class _BoundedReader(io.BufferedReader):
    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MAX_DIRECTORY:
            raise UnreadableImageError(
                f"The ZIP's list of files takes {size / 2**20:.1f} MB; the limit is "
                f"{MAX_DIRECTORY // 2**20} MB. Divide it into several."
            )
        return super().read(size)


def _open(stream: _BoundedReader) -> ZipFile:
    try:
        return ZipFile(stream)
    except (OSError, UnreadableImageError):
        raise
    except Exception as error:  # whatever broken bytes lead `zipfile` into
        raise UnreadableImageError(
            "The ZIP is damaged or incomplete. Make or download it again."
        ) from error


def _regular_files(infos: list[ZipInfo]) -> dict[str, ZipInfo]:
    files = {}
    for info, written in zip(infos, decode_names(infos), strict=True):
        name = written.replace("\\", "/")  # by older Windows programs
        kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the program knows none
        if name and not name.endswith("/") and kind in (0, stat.S_IFREG) and not is_hidden(name):
            files[str(PurePosixPath(name))] = info
    return dict(sorted(files.items()))


def is_hidden(name: str) -> bool:
    """Tell whether a "/"-separated path leads to a hidden file, or one that macOS adds to a ZIP."""
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or any(part.startswith(".") and part != ".." for part in parts)


def _check_limits(members: dict[str, ZipInfo], packed: int) -> None:
    unpacked = sum(info.file_size for info in members.values())
    if not members:
        raise UnreadableImageError("The ZIP holds no files. Put radiographs into it.")
    if len(members) > MAX_MEMBERS:
        raise UnreadableImageError(
            f"The ZIP holds {len(members)} files; the limit is {MAX_MEMBERS}. Divide it into "
            "several."
        )
    if unpacked > MAX_TOTAL_BYTES:
        raise UnreadableImageError(
            f"The ZIP holds {unpacked / 2**30:.1f} GB unpacked; the limit is "
            f"{MAX_TOTAL_BYTES // 2**30} GB. Divide it into several."
        )
    if unpacked > MAX_RATIO * packed:
        raise UnreadableImageError(
            f"The ZIP grows {unpacked / packed:.0f}-fold when unpacked; the limit is "
            f"{MAX_RATIO}-fold, far more than radiographs do. Give the images themselves."
        )


def _check_member(name: str, info: ZipInfo) -> None:
    path = PureWindowsPath(name)  # knows drives, and "/" as well
    if path.anchor or ".." in path.parts:
        raise UnreadableImageError(
            "The name of this file leads out of the ZIP. Make the ZIP again, from one folder."
        )
    if info.flag_bits & 1:
        raise UnreadableImageError(
            "This part of the ZIP is encrypted. Unpack it with its password, and give the images."
        )
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):  # others cannot be unpacked in steps
        raise UnreadableImageError(
            "This part of the ZIP is compressed in another way than Deflate. Make the ZIP again "
            "with the usual settings."
        )
    if info.file_size > MAX_BYTES:
        raise UnreadableImageError(
            f"The file has {info.file_size / 2**20:.1f} MB unpacked; the limit is "
            f"{MAX_BYTES // 2**20} MB. Save the radiograph as JPEG or PNG."
        )
