"""Fresh processes, and what they answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from benchmarks.images import ROOT
from xray_classifier.models.loading import KERAS, ONNX, RUNTIME_VARIABLE

RUNTIMES = {"ours": ONNX, "Keras": KERAS}
"""The sides of most comparisons, and what runs the network on each."""

LIMIT = 3600
"""Seconds after which a process is taken for stuck."""


@dataclass(frozen=True)
class Cost:
    """What a process took.

    Attributes:
        seconds: from its start, or from the question, to its answer.
        megabytes: of memory.
    """

    seconds: float
    megabytes: float


def ask(program: str, *arguments: str, runtime: str = ONNX) -> Any:
    """Run a program of `child` in a fresh process and give its answer."""
    return _run(program, arguments, runtime)[0]


def seconds_to_answer(program: str, *arguments: str) -> float:
    """Time a program of `child` from the start of its process to its answer."""
    return _run(program, arguments, ONNX)[1]


def cost_of(program: str, *arguments: str, runtime: str = ONNX) -> Cost:
    """Do the same for a program whose answer is its peak memory."""
    megabytes, seconds = _run(program, arguments, runtime)
    return Cost(seconds, megabytes)


def _run(program: str, arguments: tuple[str, ...], runtime: str) -> tuple[Any, float]:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.child", program, *arguments]
    environment = os.environ | {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": str(ROOT),
        RUNTIME_VARIABLE: runtime,  # not "auto": what cannot run by ONNX Runtime must not pass
    }
    start = time.perf_counter()
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout  # noqa: S101
        for line in process.stdout:
            if line.startswith("answer "):
                elapsed = time.perf_counter() - start
                process.wait(LIMIT)
                return json.loads(line.removeprefix("answer ")), elapsed
    raise RuntimeError(
        f"`python -m benchmarks.child {program} {' '.join(arguments)}` ended without an answer, "
        f"status {process.returncode}. What it said stands above."
    )
