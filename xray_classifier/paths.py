"""Where what the program reads and writes lies."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent
_INSTALLED = _PACKAGE / "model"

REPOSITORY = _PACKAGE.parent
"""The root of a checkout; of an installed package nothing in it is used."""

MODEL_FOLDER = _INSTALLED if _INSTALLED.is_dir() else REPOSITORY / "model"
"""The trained models with all that was measured of them: in the package once it is installed."""
