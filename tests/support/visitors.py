"""Visitors of the page without a browser: they speak Streamlit's own protocol with the server.

A visitor opens a websocket, is sent the elements of the page, puts files by HTTP and says so over
the websocket, as the page's JavaScript does. The messages are Streamlit's own protobufs.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from tests.support.places import ROOT
from tests.support.rendered_page import Seen, read

START_SECONDS = 120
RUN_SECONDS = 300.0  # a busy machine is slow, not wrong
CSV = "Download all as CSV"
VANISHED = {"starlette.requests.ClientDisconnect", "starlette.websockets.WebSocketDisconnected"}
BASE_PATH = "STREAMLIT_SERVER_BASE_URL_PATH"
"""Names the environment variable that puts the page below a path, which begins with "/" here."""


@dataclass(frozen=True)
class Server:
    """A server of this test's own.

    Attributes:
        port: on 127.0.0.1.
        process: what was started: the server, or the tracer around it.
        log: everything that it printed.
    """

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes, str]:
        """Send one HTTP request; give status, body and the cookie that was set."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=RUN_SECONDS)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers.get("Set-Cookie", "")
        finally:
            connection.close()

    def megabytes(self, field: str) -> float:
        """Resident memory: VmRSS now, VmHWM at most since `forget_peak`."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.split(f"{field}:")[1].split()[0]) / 1024

    def forget_peak(self) -> None:
        """Begin to look for the peak anew."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5", encoding="ascii")


@contextmanager
def serve(
    folder: Path,
    tracer: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    script: str = "webapp.py",
) -> Iterator[Server]:
    """Run the page's server, with its log in `folder`, until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = [
        *("--server.port", str(port), "--server.address", "127.0.0.1"),
        *("--server.headless", "true", "--server.fileWatcherType", "none"),
    ]
    log = folder / "log.txt"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [*tracer, sys.executable, "-m", "streamlit", "run", script, *flags],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    server = Server(port, process, log)
    base = (environment or {}).get(BASE_PATH, "")
    try:
        _wait_until_healthy(server, f"{base}/_stcore/health")
        yield server
    finally:
        process.terminate()
        process.wait()


def _wait_until_healthy(server: Server, path: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            if server.ask("GET", path)[0] == http.client.OK:
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise TimeoutError(f"The server did not start:\n{server.log.read_text()}")


def assert_calm(log: Path) -> None:
    """Nothing went wrong on the server, as far as its log tells.

    Who vanishes in the middle of an upload leaves a `ClientDisconnect`, and a tab that closes while
    Streamlit answers it a `WebSocketDisconnected`; both without a name or an image.
    """
    text = log.read_text()
    errors = re.findall(r"^[\w.]*(?:Error|Exception|Disconnect(?:ed)?)(?=:|$)", text, re.MULTILINE)
    assert set(errors) <= VANISHED, text
    assert text.count("Traceback") <= len(errors), text


class Visitor:
    """One open tab.

    Args:
        server: whom to visit.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        cookie = server.ask("GET", "/_stcore/health")[2]
        match = re.search("_streamlit_xsrf=([^;]+)", cookie)
        assert match, cookie
        self.token = match[1]
        self.headers = {"Cookie": f"_streamlit_xsrf={self.token}", "X-Xsrftoken": self.token}
        opening = connect(
            f"ws://127.0.0.1:{server.port}/_stcore/stream",
            subprotocols=[Subprotocol("streamlit"), Subprotocol(self.token)],
            origin=Origin(f"http://127.0.0.1:{server.port}"),
            additional_headers={"Cookie": self.headers["Cookie"]},
            compression=None,
            max_size=None,
            proxy=None,
            ping_interval=None,  # a browser sends none, either
            open_timeout=RUN_SECONDS,
        )
        self._stay = ExitStack()
        self.socket = self._stay.enter_context(opening)
        self.session = ""
        self._uploaded: list[str] = []
        self._timer = ""
        self._states: dict[str, dict[str, Any]] = {}
        self.seen = self.run()

    def upload(self, name: str, data: bytes) -> Seen:
        """Choose a file, as if dropped on the page, and wait for what comes of it."""
        return self.upload_all({name: data})

    def upload_all(self, files: Mapping[str, bytes]) -> Seen:
        """Choose files, as if dropped on the page, and wait for the page to be drawn anew."""
        infos, places = [], []
        for name, data in files.items():
            url, identifier = self.place(name)
            status = self.put(url, data, name)
            assert status == http.client.NO_CONTENT, status
            urls = {"file_id": identifier, "upload_url": url, "delete_url": url}
            info = {"name": name, "size": len(data), "file_id": identifier}
            infos.append(info | {"file_urls": urls})
            places.append(url)
        for url in self._uploaded:  # as the page's JavaScript does with what is replaced
            self.server.ask("DELETE", url, headers=self.headers)
        self._uploaded = places
        (uploader,) = [one for label, one in self.seen.widgets.items() if "X-ray" in label]
        return self.set(uploader, "file_uploader_state_value", {"uploaded_file_info": infos})

    def place(self, name: str) -> tuple[str, str]:
        """Ask where to put a file: its address and identifier."""
        message = BackMsg()
        message.file_urls_request.request_id = uuid.uuid4().hex
        message.file_urls_request.file_names.append(name)
        message.file_urls_request.session_id = self.session
        self.socket.send(message.SerializeToString())
        (place,) = self._await("file_urls_response").file_urls_response.file_urls
        return place.upload_url, place.file_id

    def put(self, url: str, data: bytes, name: str) -> int:
        """Send the bytes of a file to an address; the HTTP status of the answer."""
        body, kind = form(name, data)
        return self.server.ask("PUT", url, body, {**self.headers, "Content-Type": kind})[0]

    def wait_for_all(self) -> Seen:
        """Let the page's timer run until all files are judged."""
        while CSV not in self.seen.files:
            self.seen = self.run(self._timer)
        return self.seen

    def download(self, label: str) -> bytes:
        """Click on a download button, and fetch the file."""
        url = self.seen.files[label]
        if not url.startswith("/"):  # the file is made once it is asked for
            message = BackMsg()
            message.backend_operation_request.request_id = uuid.uuid4().hex
            message.backend_operation_request.session_id = self.session
            message.backend_operation_request.deferred_file.file_id = url
            self.socket.send(message.SerializeToString())
            answer = self._await("backend_operation_response").backend_operation_response
            assert not answer.error_msg, answer.error_msg
            url = answer.deferred_file.url
        status, data, _ = self.server.ask("GET", url)
        assert status == http.client.OK, status
        return data

    def switch(self, label: str, *, on: bool = True) -> Seen:
        """Turn a toggle, or tick a box."""
        return self.set(self.seen.widgets[label], "bool_value", on)

    def ask_for_heatmap(self) -> Seen:
        """Click on the viewer's button, which tells the server its question."""
        asked = json.dumps({"heatmap": self.seen.question})
        return self.set(self.seen.viewer, "json_value", asked)

    def set(self, widget: str, kind: str, value: Any) -> Seen:
        """Give a widget a value, and wait for the page to be drawn anew."""
        self._states[widget] = {"id": widget, kind: value}
        self.seen = self.run()
        return self.seen

    def run(self, fragment: str = "") -> Seen:
        """Have the page drawn from top to bottom, perhaps after a fragment has done its work."""
        states: Any = {"widgets": list(self._states.values())}
        asked = ClientState(widget_states=states, fragment_id=fragment)
        self.socket.send(BackMsg(rerun_script=asked).SerializeToString())
        elements: dict[tuple[int, ...], Any] = {}
        while True:
            answer = self._receive()
            kind = answer.WhichOneof("type")
            if kind == "new_session":
                self.session = answer.new_session.initialize.session_id
                elements = {}
            elif kind == "auto_rerun":
                self._timer = answer.auto_rerun.fragment_id
            elif kind == "delta" and answer.delta.WhichOneof("type") == "new_element":
                elements[tuple(answer.metadata.delta_path)] = answer.delta.new_element
            elif kind == "script_finished" and answer.script_finished == 0:
                return read([elements[place] for place in sorted(elements)])

    def leave(self) -> None:
        """Close the tab."""
        self._stay.close()

    def _await(self, kind: str) -> ForwardMsg:
        while (answer := self._receive()).WhichOneof("type") != kind:
            pass
        return answer

    def _receive(self) -> ForwardMsg:
        frame = self.socket.recv(RUN_SECONDS)
        assert isinstance(frame, bytes)
        message = ForwardMsg()
        message.ParseFromString(frame)
        return message


def form(name: str, data: bytes) -> tuple[bytes, str]:
    """A multipart form with one file, as a browser sends it, and its content type."""
    mark = uuid.uuid4().hex
    quoted = name.replace('"', "%22").replace("\n", "%0A").replace("\r", "%0D")
    head = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{quoted}"\r\n'
    kind = "Content-Type: application/octet-stream\r\n\r\n"
    body = (head + kind).encode("utf-8", "surrogateescape") + data + f"\r\n--{mark}--\r\n".encode()
    return body, f"multipart/form-data; boundary={mark}"
