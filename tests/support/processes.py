"""Python and the server in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.support.places import ROOT

START_SECONDS = 60


def printed(program: str, folder: Path = ROOT) -> str:
    """Run Python code in a process of its own and a folder; give what it prints."""
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return run.stdout.strip()


def without_frameworks(folder: Path) -> dict[str, str]:
    """Make an environment, with the help of a folder, in which no framework can be imported."""
    folder.mkdir(exist_ok=True)
    for name in ("tensorflow", "keras"):
        (folder / f"{name}.py").write_text(f"raise RuntimeError('{name} was imported')\n")
    return {**os.environ, "PYTHONPATH": str(folder)}


def wait_until_healthy(address: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health"):  # noqa: S310
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    pytest.fail(f"The server did not start:\n{log.read_text()}")
