"""What the page costs: its first verdict in a server that has just started, and each rerun."""

from __future__ import annotations

import tempfile
import time
from functools import partial
from itertools import chain
from pathlib import Path

from benchmarks.images import large_jpeg
from benchmarks.measure import Figure, ask_in_turns, quartiles, ratio
from benchmarks.processes import RUNTIMES, Cost, ask, cost_of
from benchmarks.startup import IMPORT
from tests.support.visitors import Visitor, serve
from xray_classifier.models.loading import RUNTIME_VARIABLE

RERUNS = 5
"""How often a process draws its page anew."""


def compare_first_visits(rounds: int) -> list[Figure]:
    """Set the first verdict of a server against `import tensorflow`, and tell its memory."""
    data = large_jpeg()
    costs = ask_in_turns(
        {side: partial(visit, data, runtime) for side, runtime in RUNTIMES.items()}
        | {IMPORT: partial(cost_of, "import_tensorflow")},
        rounds,
        warm_up=0,  # what is measured before has read the same files
    )
    seconds = {
        side: quartiles([cost.seconds for cost in found], "s", 1) for side, found in costs.items()
    }
    resident = {
        side: quartiles([cost.megabytes for cost in costs[side]], "MB", 1) for side in RUNTIMES
    }
    over = ratio(seconds["ours"], seconds[IMPORT])
    return [
        Figure(
            "page_first_verdict",
            "from upload to verdict in a cold server, over `import tensorflow` in a fresh process",
            over,
            0.4,
            sides=seconds,
        ),
        Figure(
            "resident_mb",
            "resident memory in MB of the server after one verdict",
            resident["ours"].median,
            260,
            sides=resident,
        ),
    ]


def visit(data: bytes, runtime: str) -> Cost:
    """Start a server and upload one file: the wait for its verdict, and the server's memory."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(Path(folder), environment={RUNTIME_VARIABLE: runtime}) as server,
    ):
        visitor = Visitor(server)
        start = time.perf_counter()
        seen = visitor.upload("image.jpeg", data)
        cost = Cost(time.perf_counter() - start, server.megabytes("VmRSS"))
        visitor.leave()
    if not seen.images:
        raise RuntimeError(f"The page judged nothing: {seen.text}")
    return cost


def compare_reruns(rounds: int) -> Figure:
    """Tell the CPU time in which the page is drawn anew while a JPEG lies on it."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, "image.jpeg")
        image.write_bytes(large_jpeg())
        found = ask_in_turns(
            {
                side: partial(ask, "page_reruns", str(image), str(RERUNS), runtime=runtime)
                for side, runtime in RUNTIMES.items()
            },
            rounds,
            warm_up=0,
        )
    sides = {
        side: quartiles([*chain.from_iterable(seconds)], "s", 1) for side, seconds in found.items()
    }
    what = "one rerun of the page with one JPEG on it, in seconds of one core"
    return Figure("page_rerun", what, sides["ours"].median, 0.12, sides=sides)
