"""What a visitor has before them, gathered from the elements that the server sends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass
class Seen:
    """What a visitor has before them.

    Attributes:
        texts: headings, paragraphs, boxes and progress lines, from top to bottom.
        images: pixels of what the viewer is sent: shape (height, width), or (height, width, 4) for
            a heatmap.
        viewer: identifier of the viewer; empty if there is none.
        question: by which the viewer asks for a heatmap; empty if it offers none.
        widgets: identifiers by label.
        files: what can be downloaded: the address, or what to ask for one, by label.
        markup: texts that the page would interpret as HTML.
    """

    texts: list[str] = field(default_factory=list)
    images: list[NDArray[Any]] = field(default_factory=list)
    viewer: str = ""
    question: str = ""
    widgets: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    markup: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(self.texts)


def read(elements: Sequence[Any]) -> Seen:
    """Gather what elements of the page show and offer.

    Args:
        elements: Streamlit's protobufs, from top to bottom.
    """
    seen = Seen()
    for element in elements:
        kind = element.WhichOneof("type")
        value = getattr(element, kind)
        if kind in ("markdown", "alert", "heading"):
            seen.texts.append(value.body)
        elif kind == "progress":
            seen.texts.append(value.text)
        elif kind == "bidi_component":
            header, pixels = unpack(value.bytes)
            seen.images += [pixels] * (pixels.size > 0)
            if header["kind"] == "radiograph":
                seen.viewer, seen.question = value.id, header["question"]
        elif kind == "exception":
            seen.texts.append(f"Exception: {value.message}")
        if hasattr(value, "label") and hasattr(value, "id"):
            seen.widgets[value.label] = value.id
        if kind == "download_button":
            seen.files[value.label] = value.deferred_file_id or value.url
        if kind in ("html", "iframe", "component_instance") or getattr(value, "allow_html", False):
            seen.markup.append(str(value))
    return seen


def unpack(message: bytes) -> tuple[dict[str, Any], NDArray[Any]]:
    """Read what the viewer is sent, as its JavaScript does: the header, and the pixels."""
    start = 4 + int.from_bytes(message[:4], "little")
    header = json.loads(message[4:start])
    if header["kind"] == "radiograph":
        width, height = header["shape"]
        kind = np.dtype(f"<u{header['bits'] // 8}")
        pixels = np.frombuffer(message, kind, width * height, start)
        return header, pixels.reshape(height, width)
    shape = (header.get("height", 0), header.get("width", 0), 4)
    return header, np.frombuffer(message, np.uint8, offset=start).reshape(shape)
