"""Many visitors at once: each sees their own image, with the probability it has for one alone."""

from __future__ import annotations

import http.client
import socket
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.measure import Figure, quartiles, ratio
from tests.support.rendered_page import Seen
from tests.support.visitors import Server, Visitor, assert_calm, form, serve

pytestmark = pytest.mark.data

GROWTH = 1.05
"""A second wave of visitors may need so much of the first one's peak."""

Reference = list[tuple[str, bytes, str, bytes]]
"""For each radiograph: name, file, what the page says of it and the picture that it shows."""


@dataclass(frozen=True)
class Crowd:
    """How many come at once, and how many images each of them uploads."""

    visitors: int
    uploads: int


REDUCED, FULL = Crowd(4, 2), Crowd(20, 10)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serve(tmp_path) as server:
        yield server
    assert_calm(server)


def alone(server: Server, data: Path, count: int) -> Reference:
    """What a single visitor sees."""
    paths = sorted((data / "originals").rglob("*.jpeg"))[:count]
    visitor = Visitor(server)
    found = []
    for path in paths:
        file = path.read_bytes()
        seen = visitor.upload(path.name, file)
        assert "Probability of pneumonia" in seen.text, seen.text
        found.append((path.name, file, seen.text, visitor.picture()))
    visitor.leave()
    assert len({text for _, _, text, _ in found}) > len(found) / 2, "too alike to be told apart"
    assert len({picture for _, _, _, picture in found}) == len(found)
    return found


def come(server: Server, crowd: Crowd, reference: Reference) -> list[float]:
    """Let a crowd in at once; the seconds from each upload to its verdict."""

    def one(number: int) -> list[float]:
        visitor = Visitor(server)
        waits = []
        for turn in range(crowd.uploads):
            name, file, text, picture = reference[(number + 7 * turn) % len(reference)]
            start = time.perf_counter()
            seen: Seen = visitor.upload(name, file)
            waits.append(time.perf_counter() - start)
            assert seen.text == text
            assert visitor.picture() == picture
        visitor.leave()
        return waits

    with ThreadPoolExecutor(crowd.visitors) as pool:
        return [wait for waits in pool.map(one, range(crowd.visitors)) for wait in waits]


def vanish(server: Server, file: bytes) -> None:
    """Leave in the middle of an upload, and another time in the middle of an answer."""
    visitor = Visitor(server)
    url, _ = visitor.place("half.jpeg")
    body, kind = form("half.jpeg", file)
    lines = {**visitor.headers, "Content-Type": kind, "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        request = f"PUT {url} HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n".encode()
        connection.sendall(request + body[: len(body) // 2])
    visitor.socket.socket.shutdown(socket.SHUT_RDWR)
    visitor.leave()
    visitor = Visitor(server)
    url, identifier = visitor.place("whole.jpeg")
    assert visitor.put(url, file, "whole.jpeg") == http.client.NO_CONTENT
    visitor.socket.socket.shutdown(socket.SHUT_RDWR)
    visitor.leave()
    assert identifier


def see_that_all_is_well(
    server: Server, data: Path, crowd: Crowd
) -> tuple[list[float], list[float]]:
    """Two waves with vanishing visitors in between; seconds to verdicts, and both peaks in MB."""
    reference = alone(server, data, max(crowd.visitors, 5))
    waits, peaks = [], []
    for _ in range(2):
        server.forget_peak()
        waits += come(server, crowd, reference)
        peaks.append(server.megabytes("VmHWM"))
        for _ in range(crowd.visitors):
            vanish(server, reference[0][1])
    come(server, Crowd(1, 1), reference)
    return waits, peaks


def test_four_visitors_see_their_own_images_and_survive_those_who_vanish(
    server: Server, data: Path
) -> None:
    see_that_all_is_well(server, data, REDUCED)


@pytest.mark.long
def test_twenty_visitors_do_and_a_second_wave_takes_no_more_memory(
    server: Server, data: Path, measured: dict[str, Any]
) -> None:
    waits, peaks = see_that_all_is_well(server, data, FULL)
    measured["waits"] = {
        "median": statistics.median(waits),
        "nine in ten within": statistics.quantiles(waits, n=10)[-1],
        "at most": max(waits),
    }
    first, second = (quartiles([mb], "MB", 1) for mb in peaks)
    what = f"peak memory with {FULL.visitors} visitors, in a second wave over that in the first"
    sides = {"second": second, "first": first}
    growth = Figure("second_wave", what, ratio(second, first), GROWTH, sides=sides)
    measured["figures"].append(growth)
    assert growth.met
