"""Nothing of a patient leaves the memory of a server that one runs oneself: no file, no network.

The server is watched from outside with strace, after a first visit: TensorFlow, Keras and
matplotlib write settings and caches of their own when they are first imported. All usual places of
the server lie in one folder, so that what the first visit leaves can be looked through, too.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.dicom_files import BIRTH, IDENTIFIER, NAME, dicom
from tests.support.identity import IDENTITY
from tests.support.pictures import encoded, zipped
from tests.support.places import skip
from tests.support.visitors import Server, Visitor, serve
from xray_classifier.inputs.decoding import decode

pytestmark = pytest.mark.data

FILE_NAME = "Mustermann_Erika_1984"
SECRETS = (FILE_NAME, NAME, IDENTIFIER, BIRTH, *(tag for tag in IDENTITY.values() if len(tag) > 1))
PLACES = ("HOME", "TMPDIR", "KERAS_HOME", "MPLCONFIGDIR")
CALLS = (
    *("open", "openat", "openat2", "creat", "mknod", "mknodat", "memfd_create", "truncate"),
    *("mkdir", "mkdirat", "rename", "renameat", "renameat2", "link", "linkat", "symlink"),
    *("symlinkat", "unlink", "unlinkat", "connect", "bind", "sendto", "sendmsg", "sendmmsg"),
)
READING = re.compile(r"open(at2?)?\(.*\bO_RDONLY\b(?!.*\b(O_CREAT|O_TRUNC|O_TMPFILE)\b)")
HARMLESS = re.compile(r'openat\(.*"(/dev/null|/proc/self/task/\d+/comm)"')  # names of threads
LOCAL = re.compile(r'127\.0\.0\.1|"::1"|AF_UNIX|AF_NETLINK')


@dataclass
class Watch:
    """What a process and its threads asked the system for, filled when the watch has ended."""

    calls: list[str]

    @property
    def files(self) -> list[str]:
        """Calls that make, change or remove a file."""
        network = re.compile(r"(connect|bind|send\w+)\(")
        return [
            call
            for call in self.calls
            if not (READING.search(call) or HARMLESS.search(call) or network.search(call))
        ]

    @property
    def connections(self) -> list[str]:
        """Calls that reach beyond this machine: answers on an open connection name no address."""
        reaching = [call for call in self.calls if re.search(r"(connect|bind|send\w+)\(", call)]
        return [call for call in reaching if "sa_family" in call and not LOCAL.search(call)]


@contextmanager
def watched(server: Server, folder: Path) -> Iterator[Watch]:
    """Trace the server's process tree while the block runs."""
    found = Watch([])
    trace = folder / "trace.txt"
    command = ["strace", "-f", "-qq", "-s", "256", "-e", f"trace={','.join(CALLS)}"]
    tracer = subprocess.Popen([*command, "-o", str(trace), "-p", str(server.process.pid)])
    status = Path(f"/proc/{server.process.pid}/status")
    while f"TracerPid:\t{tracer.pid}\n" not in status.read_text():
        assert tracer.poll() is None, "strace could not attach"
        time.sleep(0.1)
    try:
        yield found
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
        lines = trace.read_text(errors="replace").splitlines()
        found.calls += [line for line in lines if " resumed>" not in line and "(" in line]


@dataclass(frozen=True)
class Scene:
    """A watched visit.

    Attributes:
        watch: what the server asked the system for.
        said: everything that the page said.
        taken: the reports and tables that were downloaded.
        log: everything that the server printed.
        left: each file that server and visitors left anywhere, by name.
        files: what was uploaded, by ending.
    """

    watch: Watch
    said: str
    taken: list[bytes]
    log: str
    left: dict[str, bytes]
    files: dict[str, bytes]


def visit(visitor: Visitor, name: str, file: bytes) -> str:
    """Upload a file, look at its verdict and its heatmap; everything that the page said."""
    texts = visitor.upload(name, file).text
    assert "Probability of pneumonia" in texts, texts
    seen = visitor.ask_for_heatmap()
    assert "Heatmap: from violet" in seen.text, seen.text
    assert len(seen.images) == 2
    return texts + seen.text


def take_reports(visitor: Visitor) -> list[bytes]:
    """Take every report, then once more with all the identity that one can ask for."""
    reports = [visitor.download(label) for label in visitor.seen.files]
    visitor.switch("Include the file name")
    visitor.switch("Keep the patient's identifiers from the source file")
    return reports + [visitor.download(label) for label in visitor.seen.files]


def take_tables(visitor: Visitor, files: dict[str, bytes]) -> list[bytes]:
    """Upload files and a ZIP of them at once, and take all away, without and with names."""
    visitor.upload_all({f"{FILE_NAME}.zip": zipped(files)} | files)
    visitor.wait_for_all()
    plain = [visitor.download(label) for label in visitor.seen.files]
    visitor.switch("with file names")
    return plain + [visitor.download(label) for label in visitor.seen.files]


def visit_in_all_ways(server: Server, files: dict[str, bytes]) -> tuple[str, list[bytes]]:
    """Do everything that one can do on the page with radiographs; what was said, and taken.

    Args:
        server: where the page is.
        files: by ending, the last of them DICOM, which can be taken away in every form.
    """
    visitor = Visitor(server)
    named = {f"{FILE_NAME}{end}": file for end, file in files.items()}
    said = [visit(visitor, name, file) for name, file in named.items()]
    taken = take_reports(visitor)
    said.append(visitor.seen.text)
    taken += take_tables(visitor, named)
    said += [visitor.seen.text, visitor.upload(f"{FILE_NAME}.txt", b"no image").text]
    visitor.leave()
    return "\n".join(said), taken


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Scene:
    """A first visit, and one that is watched."""
    if shutil.which("strace") is None:
        skip("no strace is installed (Debian: apt-get install strace)")
    folder, traces = (tmp_path_factory.mktemp(name) for name in ("server", "traces"))
    path = data / "originals" / "NORMAL" / "IM-0324-0001.jpeg"
    grey = Image.fromarray(decode(path.read_bytes()).image)
    large = np.asarray(grey.resize((1400, 1050)))
    small = np.asarray(grey.resize((450, 350)))
    files = {
        ".jpeg": path.read_bytes(),
        ".png": encoded(large, compress_level=0),
        ".dcm": dicom(large.astype(np.uint16) * 16, BitsStored=12, **IDENTITY),
    }
    assert min(len(files[".png"]), len(files[".dcm"])) > 2**20, "spooling begins at 1 MB"
    with serve(folder, environment=dict.fromkeys(PLACES, str(folder))) as server:
        visit_in_all_ways(server, {".dcm": dicom(small, **IDENTITY)})
        with watched(server, traces) as watch:
            said, taken = visit_in_all_ways(server, files)
        left = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        return Scene(watch, said, taken, server.log.read_text(), left, files)


def test_the_watch_sees_what_it_looks_for(scene: Scene) -> None:
    """Otherwise the tests below would prove nothing: answers were sent."""
    assert any("HTTP/1.1 200 OK" in call for call in scene.watch.calls)


def test_watch_tells_reading_from_writing() -> None:
    watch = Watch(
        [
            '7 openat(AT_FDCWD, "/etc/hosts", O_RDONLY|O_CLOEXEC) = 3',
            '7 openat(AT_FDCWD, "/dev/null", O_RDWR|O_CLOEXEC) = 3',
            '7 openat(AT_FDCWD, "/tmp", O_RDWR|O_EXCL|O_TMPFILE, 0600) = 3',
            '7 openat(AT_FDCWD, "/tmp/x", O_RDONLY|O_CREAT, 0600) = 3',
            '7 unlink("/tmp/x") = 0',
            '7 connect(3, {sa_family=AF_INET, sin_addr=inet_addr("127.0.0.1")}, 16) = 0',
            '7 connect(3, {sa_family=AF_INET, sin_addr=inet_addr("192.0.2.1")}, 16) = 0',
            '7 sendto(3, "HTTP/1.1 200 OK", 15, 0, NULL, 0) = 15',
        ]
    )
    assert watch.files == [watch.calls[place] for place in (2, 3, 4)]
    assert watch.connections == [watch.calls[6]]


def test_no_file_is_written(scene: Scene) -> None:
    assert scene.watch.files == []


def test_no_connection_leaves_the_machine(scene: Scene) -> None:
    assert scene.watch.connections == []


def test_all_that_can_be_taken_away_was(scene: Scene) -> None:
    """Otherwise the tests here would prove less than they say."""
    plain, named = scene.taken[:4], scene.taken[4:8]
    assert [report[128:132] == b"DICM" for report in plain] == [False, False, True, True]
    assert not [report for report in plain if NAME.encode() in report]
    assert [NAME.encode() in report for report in named] == [False, False, True, True]
    (table, pdf, packed), (named_table, *_) = scene.taken[8:11], scene.taken[11:]
    assert [part.count(b"\r\n") for part in (table, named_table)] == [7, 7]  # twice 3, a heading
    assert [FILE_NAME.encode() in part for part in (table, named_table)] == [False, True]
    assert (pdf[:5], packed[:2]) == (b"%PDF-", b"PK")


def test_nothing_in_a_file_that_was_left_tells_of_a_visit(scene: Scene) -> None:
    names = set(scene.left) - {"log.txt", "keras.json"}
    assert not [name for name in names if not name.startswith("fontlist-")]
    whole = b"".join(scene.left.values())
    assert not [secret for secret in SECRETS if secret.encode() in whole]
    assert not [end for end, file in scene.files.items() if file[1000:1016] in whole]


def test_log_is_short_and_calm(scene: Scene) -> None:
    assert len(scene.log) < 10_000
    assert "Traceback" not in scene.log


def test_page_says_nothing_from_a_header(scene: Scene) -> None:
    assert not [secret for secret in SECRETS if secret != FILE_NAME and secret in scene.said]
