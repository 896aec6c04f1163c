"""The command line, called as a function."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.pictures import encoded

Captured = pytest.CaptureFixture[str]


def flat(path: Path, grey: int) -> Path:
    """An image of one grey, of which the tiny model thinks sigmoid(8 * grey / 255 - 4)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(np.full((40, 50), grey, np.uint8)))
    return path


def said(capsys: Captured) -> str:
    """What a failed command wrote: nothing on stdout, one line on stderr, no traceback."""
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith("error: ")
    assert written.err.count("\n") == 1
    return written.err.removeprefix("error: ")
