"""Where the repository and the radiographs lie."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
FAULT_WORKER = ROOT / "tests" / "support" / "fault_worker.py"


def skip(reason: str) -> NoReturn:
    """Skip a test for want of a browser or of radiographs; where CI has both, fail instead."""
    if os.environ.get("CI") == "true" and DATA.is_dir():
        pytest.fail(f"CI may not skip this test, but {reason}")
    pytest.skip(reason)
