"""Batches judged by actors of Ray, on this machine or on a cluster.

The same rows as from this process: each actor has a model of its own, and opens the
files itself. Only names go to the actors, and only rows come back.
"""

from __future__ import annotations

import logging
import math
import os
import socket
from collections.abc import Iterator

import pyarrow as pa
import ray
import ray.data
import ray.exceptions

from xray_classifier.batch.job import BATCH_ROWS, Actor, PredictionJob, unwrap
from xray_classifier.batch.resumable_run import ArchiveRun
from xray_classifier.errors import DatasetError

BATCHES_PER_WORKER = 4
"""At least, so that no worker waits long for the last one to end."""

REACH_SECONDS = 5


def run_job(
    job: PredictionJob, run: ArchiveRun, workers: int | None = None, address: str | None = None
) -> Iterator[pa.Table]:
    """Judge the waiting files of a run, in their order.

    Args:
        job: what is asked.
        run: gives the files.
        workers: actors, of one core and one thread each; as many as there are cores by default.
        address: of a cluster whose nodes have this program and see the files under the same
            names; None for this machine.

    Yields:
        Rows as a Scorer gives them, `next` included.

    Raises:
        DatasetError: no such cluster, not so many cores, or the job failed there.
        ModelUnavailableError: an actor cannot load model or gate, or the model's answer is no
            probability.
    """
    _connect(workers, address)
    try:
        cores = int(ray.cluster_resources().get("CPU", 0))
        if workers and workers > cores:  # Ray would wait for more without end
            raise DatasetError(f"{workers} workers need a core each; the cluster has {cores}.")
        yield from _map_batches(job, run, workers or cores)
    except ray.exceptions.RayError as error:
        reason = str(error).strip().rpartition("\n")[2]
        raise DatasetError(f"The job failed on Ray: {reason}") from error
    finally:
        ray.shutdown()


def _connect(workers: int | None, address: str | None) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what matters is raised, too
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    if address:
        _reach(address)
    try:
        ray.init(
            address=address or "local",
            num_cpus=None if address else workers,
            include_dashboard=None if address else False,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    except Exception as error:  # of no class of its own where a node does not start in time
        raise DatasetError(f"Ray did not start: {error}") from error


def _reach(address: str) -> None:
    """Knock first: where nobody answers, Ray tries for minutes and then ends the process."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), REACH_SECONDS).close()
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"No Ray cluster answers at {address} ({error}). Give HOST:PORT as `ray start --head` "
            "says it, or leave --address out to judge on this machine."
        ) from error


def _map_batches(job: PredictionJob, run: ArchiveRun, workers: int) -> Iterator[pa.Table]:
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    waiting = run.total - run.done
    size = max(1, min(BATCH_ROWS, math.ceil(waiting / (BATCHES_PER_WORKER * workers))))
    batches = [ray.put(batch) for batch in run.waiting(size)]
    if not batches:
        return
    # What runs the network would else start a thread for every core in every actor.
    limits = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    threads = dict.fromkeys(limits, "1")
    judged = ray.data.from_arrow_refs(batches).map_batches(
        Actor,
        fn_constructor_args=(job,),
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
        runtime_env={"env_vars": threads},
    )
    yield from map(unwrap, judged.iter_batches(batch_size=None, batch_format="pyarrow"))
