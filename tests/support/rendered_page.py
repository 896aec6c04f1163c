"""What a visitor has before them, gathered from the elements that the server sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Seen:
    """What a visitor has before them.

    Attributes:
        texts: headings, paragraphs, boxes and progress lines, from top to bottom.
        images: addresses of the pictures.
        widgets: identifiers by label.
        files: what can be downloaded: the address, or what to ask for one, by label.
        markup: texts that the page would interpret as HTML.
    """

    texts: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
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
        elif kind == "imgs":
            seen.images += [image.url for image in value.imgs]
            seen.texts += [image.caption for image in value.imgs]
        elif kind == "exception":
            seen.texts.append(f"Exception: {value.message}")
        if hasattr(value, "label") and hasattr(value, "id"):
            seen.widgets[value.label] = value.id
        if kind == "download_button":
            seen.files[value.label] = value.deferred_file_id or value.url
        if kind in ("html", "iframe", "component_instance") or getattr(value, "allow_html", False):
            seen.markup.append(str(value))
    return seen
