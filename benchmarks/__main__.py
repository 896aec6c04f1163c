"""`python -m benchmarks [--quick] [--scaling] [--json FILE]`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Else NumPy's threads wait busily after a product, while the next side is timed.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

from benchmarks import folder, images, latency, machine, memory, results, scaling, startup, visits
from benchmarks.installed import installed_mb
from benchmarks.measure import Figure
from benchmarks.processes import RUNTIMES
from xray_classifier.files import write_json


def main() -> None:
    """Measure, print, and write what was found."""
    options = _parser().parse_args()
    facts = machine.describe() | {"images": images.source()}
    growth, growth_tables = measure_scaling() if options.scaling else ([], {})
    figures, tables = measure(1 if options.quick else 3)
    figures, tables = [*figures, *growth], tables | growth_tables
    print(results.describe(figures))
    for name, table in tables.items():
        print(f"\n{name}")
        lines = table.items() if isinstance(table, dict) else enumerate(table)
        print("\n".join(f"    {key!s:28}{value}" for key, value in lines))
    if options.json:
        command = " ".join(["python -m benchmarks", *sys.argv[1:]])
        write_json(results.collect(figures, facts, command, **tables), options.json)


def measure(times: int) -> tuple[list[Figure], dict[str, Any]]:
    """Measure everything but the growth; `times` multiplies the rounds.

    Fresh processes come first: afterwards this one holds TensorFlow and its threads.
    """
    _say("start of the page")
    figures = [startup.compare_pages(3 * times)]
    _say("first verdict")
    figures.append(startup.compare_first_verdicts(3 * times))
    _say("the command `predict`")
    figures += startup.compare_predict(3 * times)
    _say("the page's server")
    figures += visits.compare_first_visits(3 * times)
    _say("reruns of the page")
    figures.append(visits.compare_reruns(2 * times))
    _say("memory")
    figures.append(memory.growth())
    tables = {"memory_mb": memory.steps(), "installed_mb": installed_mb()}
    return [*_measure_here(times), *figures], tables


def measure_scaling() -> tuple[list[Figure], dict[str, Any]]:
    """Measure the growth with number and size of images."""
    _say("growth with the number of images")
    counts = scaling.by_count()
    _say("growth with the size of an image")
    tables = {"by_count": counts, "by_side": scaling.by_side()}
    return [scaling.flatness(counts)], tables | {"beyond_limit": [scaling.beyond_limit()]}


def _measure_here(times: int) -> list[Figure]:
    from xray_classifier.models.gate import load_gate
    from xray_classifier.models.keras_network import keras_model
    from xray_classifier.models.loading import load_classifier

    data = images.large_jpeg()
    article, default = (
        {side: load_classifier(name, runtime=runtime) for side, runtime in RUNTIMES.items()}
        for name in ("article", "default")
    )
    judges = {
        side: (default[side], load_gate(runtime=runtime)) for side, runtime in RUNTIMES.items()
    }
    _say("one image")
    model = keras_model(article["Keras"].network)
    figures = [
        latency.compare_paths(data, model, article["ours"], 30 * times),
        latency.compare_with_floor(data, article["ours"], article["Keras"], 40 * times),
        latency.time_default(data, judges, 30 * times),
        *latency.time_heatmap(data, judges, 10 * times),
        latency.time_article_heatmap(data, article, 10 * times),
    ]
    _say("a folder")
    for key, both in {"folder_over_keras": article, "folder_over_keras_default": default}.items():
        model = keras_model(both["Keras"].network)
        figures.append(folder.compare(key, both["ours"], model, images=200, rounds=3 * times))
    return figures


def _say(what: str) -> None:
    print(f"measuring: {what}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a third of the rounds: 8 minutes")
    parser.add_argument("--scaling", action="store_true", help="the growth, too: half an hour")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results")
    return parser


if __name__ == "__main__":
    main()
