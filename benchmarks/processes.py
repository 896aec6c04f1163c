"""Fresh processes, and what they answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

from benchmarks.images import ROOT

LIMIT = 3600
"""Seconds after which a process is taken for stuck."""


def ask(program: str, *arguments: str) -> Any:
    """Run a program of `child` in a fresh process and give its answer."""
    return _run(program, arguments)[0]


def seconds_to_answer(program: str, *arguments: str) -> float:
    """Time a program of `child` from the start of its process to its answer."""
    return _run(program, arguments)[1]


def _run(program: str, arguments: tuple[str, ...]) -> tuple[Any, float]:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.child", program, *arguments]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
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
