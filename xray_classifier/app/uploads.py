"""Uploads stay in memory: left alone, the server writes those over 1 MB to a temporary file."""

from __future__ import annotations

from starlette.formparsers import MultiPartParser

from xray_classifier.inputs.decoding import MAX_BYTES

_FORM = 2**20  # bytes that a form may be larger than the file in it


def keep_in_memory() -> None:
    """Have Starlette, by which Streamlit receives forms, keep what is allowed in memory."""
    MultiPartParser.spool_max_size = MAX_BYTES + _FORM
