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

import numpy as np
import pytest
from numpy.typing import NDArray
from streamlit.config import get_option

from benchmarks.measure import Figure, quartiles, ratio
from tests.support.rendered_page import Seen
from tests.support.visitors import Server, Visitor, assert_calm, form, serve
from xray_classifier.inputs.decoding import decode
from xray_classifier.models.loading import KERAS, RUNTIME_VARIABLE

pytestmark = pytest.mark.data

GROWTH = 1.05
"""A second wave of visitors may need so much of the first one's peak."""

RESIDENT_MB, PEAK_MB = 260, 450
"""Wanted of the server after one verdict, and with the full crowd."""

MEDIAN_SECONDS, SLOWEST_SECONDS = 4, 10
"""Wanted of the waits of the full crowd."""

Reference = list[tuple[str, bytes, str, NDArray[Any]]]
"""For each radiograph: name, file, what the page says of it and the picture that it shows."""


@dataclass(frozen=True)
class Crowd:
    """How many come at once, and how many images each of them uploads."""

    visitors: int
    uploads: int


REDUCED, FULL = Crowd(4, 2), Crowd(20, 10)


@dataclass(frozen=True)
class Visits:
    """What was measured while visitors came.

    Attributes:
        resident: MB of the server's memory after its first verdict.
        peaks: the most MB in each wave.
        waits: seconds from upload to verdict, of all waves.
        single: the same for a single visitor, afterwards.
    """

    resident: float
    peaks: list[float]
    waits: list[float]
    single: list[float]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serve(tmp_path) as server:
        yield server
    assert_calm(server.log)


def after_one_verdict(server: Server, data: Path) -> float:
    """The server's memory in MB once its first visitor has seen a verdict."""
    visitor = Visitor(server)
    path = min((data / "originals").rglob("*.jpeg"))
    seen = visitor.upload(path.name, path.read_bytes())
    assert "Probability of pneumonia" in seen.text, seen.text
    resident = server.megabytes("VmRSS")
    visitor.leave()
    return resident


def alone(server: Server, data: Path, count: int) -> Reference:
    """What a single visitor sees."""
    paths = sorted((data / "originals").rglob("*.jpeg"))[:count]
    visitor = Visitor(server)
    found = []
    for path in paths:
        file = path.read_bytes()
        seen = visitor.upload(path.name, file)
        assert "Probability of pneumonia" in seen.text, seen.text
        (picture,) = seen.images
        np.testing.assert_array_equal(picture, decode(file).image)
        found.append((path.name, file, seen.text, picture))
    visitor.leave()
    assert len({text for _, _, text, _ in found}) > len(found) / 2, "too alike to be told apart"
    assert len({picture.tobytes() for _, _, _, picture in found}) == len(found)
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
            (shown,) = seen.images
            np.testing.assert_array_equal(shown, picture)
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


def wait_until_let_go(server: Server) -> None:
    """Wait until Streamlit has let go of those who left; it keeps them, should they come back."""
    time.sleep(get_option("server.disconnectedSessionTTL") + 1)
    Visitor(server).leave()  # only then it looks whom to let go


def see_that_all_is_well(
    server: Server, data: Path, crowd: Crowd, waves: int = 2, *, apart: bool = False
) -> Visits:
    """Waves of visitors with vanishing ones in between, and a single one at the end.

    Each wave meets what the one before left in memory, unless they are far enough `apart`.
    """
    resident = after_one_verdict(server, data)
    reference = alone(server, data, max(crowd.visitors, 5))
    waits, peaks = [], []
    for wave in range(waves):
        if wave and apart:
            wait_until_let_go(server)
        server.forget_peak()
        waits += come(server, crowd, reference)
        peaks.append(server.megabytes("VmHWM"))
        for _ in range(crowd.visitors):
            vanish(server, reference[0][1])
    single = come(server, Crowd(1, crowd.uploads), reference)
    return Visits(resident, peaks, waits, single)


def test_four_visitors_see_their_own_images_and_survive_those_who_vanish(
    server: Server, data: Path
) -> None:
    see_that_all_is_well(server, data, REDUCED)


@pytest.mark.long
def test_twenty_visitors_do_and_a_second_wave_takes_no_more_memory(
    server: Server, data: Path, tmp_path: Path, measured: dict[str, Any]
) -> None:
    ours = see_that_all_is_well(server, data, FULL, apart=True)
    measured["waits"] = {
        "median": statistics.median(ours.waits),
        "nine in ten within": statistics.quantiles(ours.waits, n=10)[-1],
        "at most": max(ours.waits),
    }
    growth = growth_of(ours)
    measured["figures"].append(growth)
    assert growth.met
    folder = tmp_path / "keras"
    folder.mkdir()
    with serve(folder, environment={RUNTIME_VARIABLE: KERAS}) as slow:
        theirs = see_that_all_is_well(slow, data, FULL, waves=1)
    assert_calm(slow.log)
    measured["figures"] += figures_of(ours, theirs)


def growth_of(visits: Visits) -> Figure:
    first, second = (quartiles([mb], "MB", 1) for mb in visits.peaks)
    what = f"peak memory with {FULL.visitors} visitors, in a second wave over that in the first"
    sides = {"second": second, "first": first}
    return Figure("second_wave", what, ratio(second, first), GROWTH, sides=sides)


def figures_of(ours: Visits, theirs: Visits) -> list[Figure]:
    """What one visitor and the full crowd cost, and what they do where Keras runs the networks."""
    sides = {"ours": ours, "Keras": theirs}
    resident = {side: quartiles([found.resident], "MB", 1) for side, found in sides.items()}
    peaks = {side: quartiles([max(found.peaks)], "MB", 1) for side, found in sides.items()}
    waits = {
        f"{side}, {who}": seconds
        for side, found in sides.items()
        for who, seconds in (("all at once", found.waits), ("a single one", found.single))
    }
    medians = {name: quartiles(seconds, "s", 1) for name, seconds in waits.items()}
    slowest = {name: quartiles([max(seconds)], "s", 1) for name, seconds in waits.items()}
    of_one = "resident memory in MB of the server after one verdict"
    of_all = f"its peak with {FULL.visitors} visitors"
    median = f"median wait of {FULL.visitors} visitors at once for a verdict, in s"
    return [
        Figure("resident_mb", of_one, ours.resident, RESIDENT_MB, sides=resident),
        Figure("visitors_mb", of_all, max(ours.peaks), PEAK_MB, sides=peaks),
        Figure(
            "visitors_median_s",
            median,
            statistics.median(ours.waits),
            MEDIAN_SECONDS,
            sides=medians,
        ),
        Figure(
            "visitors_slowest_s",
            "the slowest of these waits, in s",
            max(ours.waits),
            SLOWEST_SECONDS,
            sides=slowest,
        ),
    ]
