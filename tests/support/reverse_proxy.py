"""A reverse proxy that hands on what lies below one path, as a hospital's web server does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

LINE = b"\r\n"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\nConnection: close\r\n\r\nelsewhere"


@dataclass
class Proxy:
    """Where it listens, and what it was asked for.

    Attributes:
        address: with scheme and port, without path.
        passed: how often it was asked for a path that it hands on.
        upgraded: how often for a websocket.
        refused: the paths outside of that.
    """

    address: str
    passed: int = 0
    upgraded: int = 0
    refused: list[str] = field(default_factory=list)


@contextmanager
def behind_proxy(port: int, prefix: str) -> Iterator[Proxy]:
    """Hand what lies below `prefix` on to a port of this machine, path and host as they came.

    Other paths belong to somebody else: they are not found.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        proxy = Proxy(f"http://127.0.0.1:{listening.getsockname()[1]}")

        def listen() -> None:
            with suppress(OSError):  # it was closed
                while True:
                    client, _ = listening.accept()
                    threading.Thread(target=serve, args=(client,), daemon=True).start()

        def serve(client: socket.socket) -> None:
            with client, suppress(OSError):  # visitors may vanish
                _serve(client, port, prefix, proxy)

        threading.Thread(target=listen, daemon=True).start()
        yield proxy
        listening.shutdown(socket.SHUT_RDWR)


def _serve(client: socket.socket, port: int, prefix: str, proxy: Proxy) -> None:
    """Answer one request; a websocket lasts as long as both sides want."""
    head, rest = _read_head(client)
    if not head:
        return
    request, *headers = head.split(LINE)
    path = request.split(b" ")[1].decode()
    if not path.startswith(f"{prefix}/"):
        proxy.refused.append(path)
        client.sendall(NOT_FOUND)
        return
    proxy.passed += 1
    if any(line.lower() == b"upgrade: websocket" for line in headers):
        proxy.upgraded += 1
    else:  # the next request may be for somebody else
        kept = [line for line in headers if not line.lower().startswith(b"connection:")]
        headers = [*kept, b"Connection: close"]
    with socket.create_connection(("127.0.0.1", port)) as server:
        server.sendall(LINE.join([request, *headers]) + LINE + LINE + rest)
        upwards = threading.Thread(target=_pass_on, args=(client, server), daemon=True)
        upwards.start()
        _pass_on(server, client)
        upwards.join()


def _read_head(client: socket.socket) -> tuple[bytes, bytes]:
    """Read the lines of a request, and what of its body came along."""
    data = b""
    while LINE + LINE not in data:
        if not (more := client.recv(2**16)):
            return b"", b""
        data += more
    head, _, rest = data.partition(LINE + LINE)
    return head, rest


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(2**16):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
