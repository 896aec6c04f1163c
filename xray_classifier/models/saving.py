"""A trained network to its file, with the JSON that vouches for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from xray_classifier.files import replace_atomically, sha256_of
from xray_classifier.models.gate import GateSpec
from xray_classifier.models.spec import ModelSpec

Spec = TypeVar("Spec", ModelSpec, GateSpec)


def save_model(
    model: Any, spec: Spec, target: Path, write: Callable[[Spec, Path], None] | None = None
) -> Spec:
    """Write a Keras model and its JSON; the model moves into place last.

    Args:
        model: the network.
        spec: its facts; name, hash and size of the file are filled in.
        target: the model's file; its JSON lies beside it.
        write: how the JSON is written; None writes none.

    Returns:
        The facts as they were written.

    Raises:
        OutputError: nothing can be written there.
    """
    with replace_atomically(target) as temporary:
        model.save(temporary)
        described = replace(
            spec,
            file=target.name,
            sha256=sha256_of(temporary),
            bytes=temporary.stat().st_size,
            onnx=None,  # it would be another network's
        )
        if write:
            write(described, target.with_suffix(".json"))
    return described
