"""Figures of training and evaluation, as matplotlib figures without global state."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from xray_classifier.decoding import GreyImage


def image_grid(images: Sequence[GreyImage], titles: Sequence[str], columns: int = 5) -> Figure:
    """Lay out grey images (uint8) with a title above each."""
    rows = math.ceil(len(images) / columns)
    figure = _figure(2.4 * columns, 2.6 * rows)
    for index, (image, title) in enumerate(zip(images, titles, strict=True)):
        axes = figure.add_subplot(rows, columns, index + 1)
        axes.imshow(image, cmap="gray", vmin=0, vmax=255)
        axes.set_title(title, fontsize=8)
        axes.axis("off")
    return figure


def history(rows: Sequence[Mapping[str, float]]) -> Figure:
    """Draw loss and accuracy, training against validation, over the epochs."""
    figure = _figure(10, 4)
    epochs = [row["epoch"] for row in rows]
    for position, quantity in enumerate(("loss", "accuracy"), start=1):
        axes = figure.add_subplot(1, 2, position)
        axes.plot(epochs, [row[quantity] for row in rows], marker="o", label="training")
        axes.plot(epochs, [row[f"val_{quantity}"] for row in rows], marker="s", label="validation")
        axes.set_xlabel("Epoch")
        axes.set_ylabel(quantity.capitalize())
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")
