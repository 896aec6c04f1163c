"""Nothing of a patient leaves the memory of a server that one runs oneself: no file, no network.

The server is watched from outside with strace, after a first visit: TensorFlow, Keras and
matplotlib write settings and caches of their own when they are first imported, which hold nothing
of a visit.
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
from conftest import encoded, skip
from dicom_files import BIRTH, IDENTIFIER, NAME, dicom
from PIL import Image
from visitors import Server, Visitor, serve

from xray_classifier.decoding import decode

pytestmark = pytest.mark.data

FILE_NAME = "Mustermann_Erika_1984"
HEATMAP = "Where did the model look?"
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


def visit(visitor: Visitor, name: str, file: bytes) -> str:
    """Upload a file, look at its verdict and its heatmap; everything that the page said."""
    texts = visitor.upload(name, file).text
    assert "Probability of pneumonia" in texts, texts
    seen = visitor.switch(HEATMAP)
    assert "Heatmap: from violet" in seen.text, seen.text
    for place in range(len(seen.images)):
        visitor.picture(place)
    visitor.switch(HEATMAP, on=False)
    return texts + seen.text


@pytest.fixture(scope="module")
def scene(
    tmp_path_factory: pytest.TempPathFactory, data: Path
) -> tuple[Watch, str, str, dict[str, bytes]]:
    """A watched visit: the calls, what the page said, the server's log, and what was uploaded."""
    if shutil.which("strace") is None:
        skip("no strace is installed (Debian: apt-get install strace)")
    folder = tmp_path_factory.mktemp("privacy")
    path = data / "originals" / "NORMAL" / "IM-0324-0001.jpeg"
    grey = decode(path.read_bytes()).image
    large = np.asarray(Image.fromarray(grey).resize((2400, 1800)))
    files = {
        ".jpeg": path.read_bytes(),
        ".png": encoded(large),
        ".dcm": dicom(large.astype(np.uint16) * 16, BitsStored=12),
    }
    assert min(len(files[".png"]), len(files[".dcm"])) > 2**20, "spooling begins at 1 MB"
    with serve(folder) as server:
        first = Visitor(server)
        visit(first, "first.dcm", dicom(np.asarray(Image.fromarray(grey).resize((900, 700)))))
        with watched(server, folder) as watch:
            visitor = Visitor(server)
            said = [visit(visitor, f"{FILE_NAME}{end}", file) for end, file in files.items()]
            visitor.upload(f"{FILE_NAME}.txt", b"no image")
            visitor.leave()
        return watch, "\n".join(said), server.log.read_text(), files


Scene = tuple[Watch, str, str, dict[str, bytes]]


def test_the_watch_sees_what_it_looks_for(scene: Scene) -> None:
    """Otherwise the tests below would prove nothing: answers were sent."""
    assert any("HTTP/1.1 200 OK" in call for call in scene[0].calls)


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
    assert scene[0].files == []


def test_no_connection_leaves_the_machine(scene: Scene) -> None:
    assert scene[0].connections == []


def test_log_holds_no_name_and_nothing_from_a_header(scene: Scene) -> None:
    log = scene[2]
    assert not [secret for secret in (FILE_NAME, NAME, IDENTIFIER, BIRTH) if secret in log]
    assert "Traceback" not in log


def test_log_holds_no_pixels(scene: Scene) -> None:
    log = scene[2].encode(errors="surrogateescape")
    assert len(log) < 10_000
    assert not [end for end, file in scene[3].items() if file[1000:1016] in log]


def test_page_says_nothing_from_a_header(scene: Scene) -> None:
    assert not [secret for secret in (NAME, IDENTIFIER, BIRTH) if secret in scene[1]]
