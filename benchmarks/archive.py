"""Images per second of `predict --out`: in this process, and on Ray with one and two workers.

`python -m benchmarks.archive [--json FILE] [--images N]`, about two minutes on two idle cores.

The clock runs from the moment when each worker has given its first batch, so that the start of
models and Ray, the same for ten images as for a million, does not count. An archive of n images
on c cores then takes n / (c * r) seconds, with r the images per second of one of two workers side
by side; that leaves out the start and whatever slows the reading of files down.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.machine import cpu_model
from xray_classifier.batch.job import PredictionJob, Scorer
from xray_classifier.batch.resumable_run import ArchiveRun
from xray_classifier.files import write_json
from xray_classifier.inputs.locations import list_locations
from xray_classifier.model_card.benchmarks import rate_of_a_core, sizing_table
from xray_classifier.models.loading import DEFAULT_MODEL

ORIGINALS = Path(__file__).parents[2] / "shared" / "data" / "originals"
JOB = PredictionJob(DEFAULT_MODEL)
BATCH = 100


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write what was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.archive", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--images", type=int, default=400, help="how many (default: 400)")
    options = parser.parse_args(arguments)
    found = measure(options.images)
    for name, figures in found["engines"].items():
        print(f"{name:14}{figures['images_per_second']:8.1f} images/s")
    print(sizing_table(rate_of_a_core(found["engines"])))
    if options.json:
        write_json(found, options.json)


def measure(images: int) -> dict[str, Any]:
    """Measure each engine on the same files."""
    from xray_classifier.batch import ray_backend

    engines: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        fill(folder / "images", images)
        for workers in (1, 2):  # before the models take their memory in this process
            run = begin(folder, f"ray-{workers}")
            rate = images_per_second(ray_backend.run_job(JOB, run, workers), workers)
            engines[f"ray, {workers} worker{'s' * (workers > 1)}"] = rate
        judged = map(Scorer(JOB), begin(folder, "local").waiting(min(BATCH, images // 4)))
        engines = {"local": images_per_second(judged, 0)} | engines
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "command": " ".join(["python -m benchmarks.archive", *sys.argv[1:]]),
        "model": JOB.model,
        "images": images,
        "cores": os.cpu_count(),
        "cpu": cpu_model(),
        "engines": engines,
    }


def begin(folder: Path, name: str) -> ArchiveRun:
    """Begin a run over the images in a folder."""
    run = ArchiveRun(folder / f"{name}.parquet", {})
    run.begin(list_locations([str(folder / "images")]))
    return run


def images_per_second(tables: Iterator[pa.Table], workers: int) -> dict[str, Any]:
    """Take all tables; count what comes after the first of each worker."""
    for _ in islice(tables, max(1, workers)):
        pass
    start = time.perf_counter()
    rows = sum(len(table) for table in tables)
    return {"workers": workers, "images_per_second": rows / (time.perf_counter() - start)}


def fill(folder: Path, images: int) -> None:
    """Link radiographs as published, over and over, into a new folder."""
    folder.mkdir()
    files = sorted(ORIGINALS.rglob("*.jpeg"))
    if not files:
        raise SystemExit(f"There are no radiographs in {ORIGINALS} to measure with.")
    for number, file in enumerate(islice(cycle(files), images)):
        (folder / f"{number:06}.jpeg").symlink_to(file)


if __name__ == "__main__":
    main()
