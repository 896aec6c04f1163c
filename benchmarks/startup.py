"""How soon the page is there, and the first verdict: fresh processes, from start to answer."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

from benchmarks.child import PAGE
from benchmarks.images import ROOT, large_jpeg
from benchmarks.measure import Figure, ask_in_turns, quartiles, ratio, take_turns
from benchmarks.processes import RUNTIMES, cost_of, seconds_to_answer

IMPORT = "import tensorflow"
FUTURE = "from __future__ import annotations\n"


def compare_pages(rounds: int) -> Figure:
    """Set the page's first run against the same page that imports TensorFlow at its top."""
    with tempfile.TemporaryDirectory() as folder:
        pages = {"ours": Path(folder, "lazy.py"), "eager": Path(folder, "eager.py")}
        pages["ours"].write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
        pages["eager"].write_text(eager(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
        seconds = take_turns(
            {
                name: lambda path=path: seconds_to_answer("page", str(path))  # type: ignore[misc]
                for name, path in pages.items()
            },
            rounds,
            warm_up=1,
        )
    sides = {name: quartiles(values, "s", 1) for name, values in seconds.items()}
    what = "the page's first run over that of the same page with `import tensorflow` at its top"
    return Figure(
        "page_over_eager_import", what, ratio(sides["ours"], sides["eager"]), 0.5, sides=sides
    )


def eager(script: str) -> str:
    """Let a script import TensorFlow before anything else.

    Raises:
        ValueError: the place for it is not found.
    """
    if script.count(FUTURE) != 1:
        raise ValueError(f"The page is expected to hold {FUTURE.strip()!r} once.")
    return script.replace(FUTURE, f"{FUTURE}\nimport tensorflow\n")


def compare_first_verdicts(rounds: int) -> Figure:
    """Set our first verdict, model and gate, against a bare import, load and predict."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, "image.jpeg")
        image.write_bytes(large_jpeg())
        model = ROOT / "model" / "default.keras"
        seconds = take_turns(
            {
                "ours": lambda: seconds_to_answer("verdict", str(image)),
                "bare": lambda: seconds_to_answer("bare_verdict", str(image), str(model)),
            },
            rounds,
            warm_up=1,
        )
    sides = {name: quartiles(values, "s", 1) for name, values in seconds.items()}
    what = "first verdict, `default` and gate, over a bare import, load and predict"
    return Figure(
        "first_verdict_over_bare", what, ratio(sides["ours"], sides["bare"]), 0.35, sides=sides
    )


def compare_predict(rounds: int) -> list[Figure]:
    """Set `predict` of one file against `import tensorflow`, and tell its memory."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, "image.jpeg")
        image.write_bytes(large_jpeg())
        costs = ask_in_turns(
            {
                side: partial(cost_of, "predict", str(image), runtime=runtime)
                for side, runtime in RUNTIMES.items()
            }
            | {IMPORT: partial(cost_of, "import_tensorflow")},
            rounds,
            warm_up=1,
        )
    seconds = {
        side: quartiles([cost.seconds for cost in found], "s", 1) for side, found in costs.items()
    }
    peaks = {
        side: quartiles([cost.megabytes for cost in found], "MB", 1)
        for side, found in costs.items()
    }
    over = ratio(seconds["ours"], seconds[IMPORT])
    what = "`predict` of one file from a cold start, over `import tensorflow` in a fresh process"
    return [
        Figure("predict_over_import", what, over, 0.667, sides=seconds),
        Figure("predict_mb", "its peak memory in MB", peaks["ours"].median, 350, sides=peaks),
    ]
