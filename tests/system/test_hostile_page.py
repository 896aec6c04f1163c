"""What hostile files do to the page: nothing. The command line is in test_hostile.py."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.measure import Figure
from tests.support.hostile_corpus import MAX_MEGABYTES, MAX_SECONDS, NAMES, corpus
from tests.support.pictures import encoded, gradient
from tests.support.visitors import Server, Visitor, assert_calm, serve
from xray_classifier.inputs.decoding import MAX_BYTES
from xray_classifier.inputs.zip_archive import is_zip

GOOD = encoded(gradient(500, 500))
REDUCED_STEP = 100
LARGEST = MAX_BYTES - 1000
"""Bytes of a file that the server takes: its limit holds for the form around the file, too."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serve(tmp_path) as server:
        yield server
    assert_calm(server.log)


def shown(visitor: Visitor, name: str, file: bytes) -> dict[str, Any]:
    """What the page made of one file, and what it cost; other processes' time is left out."""
    server = visitor.server
    process = psutil.Process(server.process.pid)
    server.forget_peak()
    before, wall, own = server.megabytes("VmRSS"), time.perf_counter(), sum(process.cpu_times()[:2])
    text = visitor.upload(name, file).text
    if is_zip(file):
        text = visitor.wait_for_all().text
    elapsed = time.perf_counter() - wall, sum(process.cpu_times()[:2]) - own
    return {
        "text": text,
        "seconds": min(elapsed),
        "megabytes": server.megabytes("VmHWM") - before,
    }


def see_the_corpus(server: Server, step: int) -> list[dict[str, Any]]:
    """Show every `step`-th file that the server takes, under names of every kind."""
    visitor, names = Visitor(server), itertools.cycle(NAMES)
    wanted = shown(visitor, "good.png", GOOD)["text"]
    rows = [
        {"name": name} | shown(visitor, next(names), file)
        for name, file in corpus(step)
        if len(file) <= LARGEST
    ]
    assert shown(visitor, "good.png", GOOD)["text"] == wanted
    visitor.leave()
    return rows


def assert_harmless(rows: list[dict[str, Any]]) -> None:
    assert not [row for row in rows if not row["text"].strip()]
    assert not [row for row in rows if "Exception" in row["text"] or "Traceback" in row["text"]]
    assert not [row for row in rows if row["seconds"] > MAX_SECONDS]
    assert not [row for row in rows if row["megabytes"] > MAX_MEGABYTES]


def test_every_hundredth_file_of_the_corpus_gets_an_answer_on_the_page(server: Server) -> None:
    assert_harmless(see_the_corpus(server, REDUCED_STEP))


@pytest.mark.long
def test_every_file_of_the_corpus_gets_an_answer_on_the_page(
    server: Server, measured: dict[str, Any]
) -> None:
    rows = see_the_corpus(server, 1)
    worst = {key: max(row[key] for row in rows) for key in ("seconds", "megabytes")}
    measured["figures"] += [
        Figure(
            "page_seconds", "seconds for the slowest, on the page", worst["seconds"], MAX_SECONDS
        ),
        Figure(
            "page_mb",
            "MB over baseline for the largest, on the page",
            worst["megabytes"],
            MAX_MEGABYTES,
        ),
    ]
    assert_harmless(rows)
