"""Fetch a model file that is not there yet, whole and unaltered or not at all."""

from __future__ import annotations

import re
from pathlib import Path

from xray_classifier.errors import ModelUnavailableError
from xray_classifier.models.spec import ModelSpec

TIMEOUT_SECONDS = 60.0


def fetch(spec: ModelSpec, path: Path, source: str | None) -> None:
    """Download a model file with gdown, check size and hash, and only then move it into place.

    Two processes may do so at once: each downloads into a folder of its own.

    Args:
        spec: says what size and hash the file must have.
        path: where the file belongs.
        source: Google Drive id, or URL (of Google Drive or any other host).

    Raises:
        ModelUnavailableError: there is no source, the download failed, other bytes came, or they
            cannot be written.
    """
    source = (source or "").strip()
    if not source:
        raise ModelUnavailableError(
            f"The model file {path} is missing, and nothing says where to fetch it. Restore it "
            "from the repository, or set the Google Drive id or URL as docs/deployment.md says."
        )
    import gdown

    def refuse_excess(received: int, _total: int | None) -> None:
        if received > spec.bytes:
            raise ModelUnavailableError(
                f"{source} serves more than the {spec.bytes} bytes of model {spec.name}. "
                "Check the id or URL."
            )

    try:
        gdown.cached_download(
            url=_url(source),
            path=str(path),
            quiet=True,
            hash=f"sha256:{spec.sha256}",
            progress=refuse_excess,
            use_cookies=False,
            timeout=TIMEOUT_SECONDS,
        )
    except ModelUnavailableError:
        raise
    except Exception as error:  # gdown lets through what its transport and its parsers raise
        raise _explained(error, spec, path, source) from error


def _explained(error: Exception, spec: ModelSpec, path: Path, source: str) -> ModelUnavailableError:
    """Say what a failed download means for the user."""
    if isinstance(error, AssertionError):  # gdown's word for a hash that differs
        return ModelUnavailableError(
            f"{source} serves another file than model {spec.name} ({spec.bytes} bytes, sha256 "
            f"{spec.sha256[:12]}…). Check the id or URL."
        )
    if isinstance(error, OSError) and error.filename:  # not the network, but this disk
        return ModelUnavailableError(
            f"Model {spec.name} must be fetched, and {error.filename} cannot be written "
            f"({error.strerror}). Make that possible, or put the file {path} there yourself."
        )
    reason = " ".join(str(error).split())
    return ModelUnavailableError(
        f"Model {spec.name} could not be fetched from {source}: {reason}. "
        "Check the id or URL and the network, then try again."
    )


def _url(source: str) -> str:
    if re.match(r"https?://", source):
        return source
    return f"https://drive.google.com/uc?id={source}"
