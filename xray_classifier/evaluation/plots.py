"""Figures of training and evaluation, as matplotlib figures without global state."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from xray_classifier.imaging.radiograph import GreyImage
from xray_classifier.labels import LABELS
from xray_classifier.records.evaluation import Confusion


def image_grid(images: Sequence[GreyImage], titles: Sequence[str], columns: int = 5) -> Figure:
    """Lay out grey images (uint8) with a title above each."""
    rows = math.ceil(len(images) / columns)
    figure = _figure(2.4 * columns, 2.7 * rows)
    for index, (image, title) in enumerate(zip(images, titles, strict=True)):
        axes = figure.add_subplot(rows, columns, index + 1)
        axes.imshow(image, cmap="gray", vmin=0, vmax=255)
        axes.set_title(title, fontsize=8)
        axes.axis("off")
    return figure


def explanation(image: GreyImage, heated: NDArray[np.uint8], heading: str, caveat: str) -> Figure:
    """Show a radiograph (uint8) beside itself under its heatmap (uint8 RGB)."""
    height, width = image.shape
    figure = _figure(11, 1.6 + min(5.4 * height / width, 20))
    figure.suptitle(heading, fontsize=14)
    for position, (shown, name) in enumerate([(image, "Radiograph"), (heated, "Heatmap")], start=1):
        axes = figure.add_subplot(1, 2, position)
        axes.imshow(shown, cmap="gray", vmin=0, vmax=255)
        axes.set_title(name, fontsize=11)
        axes.axis("off")
    figure.supxlabel(textwrap.fill(caveat, 110), fontsize=11)
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


def confusion(counts: Confusion) -> Figure:
    """Draw a confusion matrix (rows: truth, columns: verdict) as a heatmap with its counts."""
    table = np.array(counts.rows)
    figure = _figure(4.6, 4)
    axes = figure.add_subplot()
    axes.imshow(table, cmap="Blues", vmin=0)
    for (row, column), count in np.ndenumerate(table):
        colour = "white" if count > table.max() / 2 else "black"
        axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=16)
    axes.set_xticks(range(len(LABELS)), LABELS)
    axes.set_yticks(range(len(LABELS)), LABELS)
    axes.set_xlabel("Verdict")
    axes.set_ylabel("Label")
    return figure


def roc(
    false_positive_rate: NDArray[np.float64], true_positive_rate: NDArray[np.float64], auc: float
) -> Figure:
    """Draw a ROC curve with its area in the legend."""
    figure = _figure(5, 4.6)
    axes = figure.add_subplot()
    axes.plot(false_positive_rate, true_positive_rate, label=f"AUC {auc:.3f}")
    axes.plot([0, 1], [0, 1], linestyle="--", color="grey", linewidth=1)
    axes.set_xlabel("1 - specificity")
    axes.set_ylabel("Sensitivity")
    axes.set_aspect("equal")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return figure


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")
