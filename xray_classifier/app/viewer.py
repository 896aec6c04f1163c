"""The viewer of a radiograph: its pixels go to the browser once, where the view is changed.

Window, zoom, moving, inversion and the heatmap's opacity ask nothing of the server; it is asked
for the heatmap alone. The viewer is our own, for want of one that fits: Cornerstone3D has 2.8 MB
without its tools (core 5.14, minified), and OpenSeadragon shows pictures but knows no window.

What the browser is sent is binary: four bytes, the length of what follows as little-endian
integer; a header in JSON; raw pixels, row by row, little-endian; and of a radiograph the grey of
each value that a pixel can have. No pixel is ever stored there.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from xray_classifier.imaging.radiograph import GreyImage, StoredValues
from xray_classifier.inference.heatmap import OPACITY, Heatmap, overlay

SENT_SIDE = 2048
"""At most so many pixels wide and high is what the browser is sent: 4 MB, or 8 of deep values."""

LAYER_SIDE = 250
"""Pixels: heatmaps have no finer detail."""

_KEY = "viewer"


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


_SCRIPT = _read("viewer.js") + _read("viewer_gestures.js")
_viewer = st.components.v2.component(
    "radiograph_viewer", html=_read("viewer.html"), css=_read("viewer.css"), js=_SCRIPT
)
_layer = st.components.v2.component("heatmap_layer", js=_SCRIPT)


def show_viewer(image: GreyImage | StoredValues, name: str = "", walk: str = "") -> str:
    """Show a radiograph, one on a page.

    Args:
        image: shape (height, width), uint8; or what its file holds of more than 8 bits.
        name: of the model whose heatmap can be asked for; empty if none can.
        walk: names the images among which window and zoom are kept; empty to begin anew.

    Returns:
        The question, if the visitor has asked for the heatmap of this image and this model; it is
        to be answered by `show_layer`. Else empty.
    """
    message, question = radiograph_message(image, name, walk)
    state = _viewer(key=_KEY, data=message, on_heatmap_change=lambda: None)
    return question if question and state.heatmap == question else ""


def show_layer(question: str, heatmap: Heatmap | None, note: str = "") -> None:
    """Lay a heatmap over the radiograph, or tell the viewer that there is none.

    Args:
        question: that it answers.
        heatmap: of the image.
        note: what a reader of it must know, for the full screen, where the page is not seen.
    """
    _layer(key=f"{_KEY} layer", data=heatmap_message(question, heatmap, note))


def _as_stored(image: GreyImage) -> StoredValues:
    greys = np.arange(256, dtype=np.uint8)
    return StoredValues(image, greys, used=(0, 255), window=(256, 128))


def radiograph_message(
    image: GreyImage | StoredValues, name: str, walk: str = ""
) -> tuple[bytes, str]:
    """Write what the viewer is sent, and the question by which it asks for the heatmap.

    Args:
        image: the radiograph; what is larger than `SENT_SIDE` is sent reduced.
        name: of the model to ask about; empty if there is none.
        walk: as in `show_viewer`.
    """
    stored = image if isinstance(image, StoredValues) else _as_stored(image)
    values = stored.values
    height, width = values.shape
    picture = Image.fromarray(values)
    # Half bicubic's time, and it does not overshoot: there is no value that the file has not.
    picture.thumbnail((SENT_SIDE, SENT_SIDE), Image.Resampling.HAMMING)
    sent = np.asarray(picture, values.dtype.newbyteorder("<"))
    digest = hashlib.sha256(sent.tobytes() + stored.greys.tobytes()).hexdigest()
    identity = f"{width} {height} {digest}"
    question = f"{identity} {name}" if name else ""
    header = {
        "kind": "radiograph",
        "id": identity,
        "width": width,
        "height": height,
        "shape": sent.shape[::-1],
        "bits": 8 * sent.itemsize,
        "lowest": stored.lowest,
        "used": stored.used,
        "window": stored.nearest_window(),
        "negative": stored.negative,
        "opacity": OPACITY,
        "walk": walk,
        "question": question,
    }
    return _pack(header, sent, stored.greys), question


def heatmap_message(question: str, heatmap: Heatmap | None, note: str = "") -> bytes:
    """Write the layer that a question is answered with; without a heatmap it has no pixels."""
    header: dict[str, object] = {"kind": "heatmap", "question": question, "note": note}
    if heatmap is None:
        return _pack(header, np.zeros(0, np.uint8))
    layer = layer_of(heatmap)
    height, width, _ = layer.shape
    return _pack(header | {"width": width, "height": height}, layer)


def layer_of(heatmap: Heatmap) -> NDArray[np.uint8]:
    """Find what `overlay` lays over a radiograph: its colours, and how much they cover.

    Over black it leaves the colour's part, over white the radiograph's part as well, which makes
    both known, whatever rule it follows.

    Returns:
        Shape (250, 250, 4), uint8: red, green, blue, and coverage at an opacity of 1.
    """
    black, white = (
        overlay(np.full((LAYER_SIDE, LAYER_SIDE), grey, np.uint8), heatmap, 1).astype(np.float32)
        for grey in (0, 255)
    )
    cover = 255 - (white - black).mean(axis=2, keepdims=True)
    colour = np.divide(255 * black, cover, out=np.zeros_like(black), where=cover > 0)
    return np.round(np.concatenate([colour.clip(0, 255), cover], axis=2)).astype(np.uint8)


def _pack(header: Mapping[str, object], *arrays: NDArray[Any]) -> bytes:
    text = json.dumps(header).encode()
    return b"".join([struct.pack("<I", len(text)), text, *(part.tobytes() for part in arrays)])
