from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from tests.support.pictures import gradient
from xray_classifier.evaluation import plots
from xray_classifier.records.evaluation import Confusion


def png_size(figure: Figure) -> tuple[int, int]:
    """Save a figure and read its width and height back."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=50)
    with Image.open(stream) as image:
        image.load()
        return image.size


def legend(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_grid_shows_each_image_under_its_title() -> None:
    images = [gradient(40, 40), 255 - gradient(40, 40)]
    figure = plots.image_grid(images, ["first", "second"])
    assert [axes.get_title() for axes in figure.axes] == ["first", "second"]
    for axes, image in zip(figure.axes, images, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), image)


def test_grid_stretches_no_contrast() -> None:
    (axes,) = plots.image_grid([np.full((40, 40), 100, np.uint8)], ["flat"]).axes
    assert axes.images[0].get_clim() == (0, 255)


@pytest.mark.parametrize(("images", "rows"), [(1, 1), (5, 1), (6, 2), (20, 4)])
def test_grid_has_as_many_rows_as_it_needs(images: int, rows: int) -> None:
    figure = plots.image_grid([gradient(40, 40)] * images, [""] * images)
    assert len(figure.axes) == images
    assert figure.get_figheight() == pytest.approx(2.7 * rows)


def test_grid_wants_a_title_for_each_image() -> None:
    with pytest.raises(ValueError, match=r"zip\(\) argument 2 is shorter"):
        plots.image_grid([gradient(40, 40)] * 2, ["only one"])


def test_history_draws_training_against_validation() -> None:
    rows = [
        {"epoch": 1, "loss": 0.9, "accuracy": 0.6, "val_loss": 0.8, "val_accuracy": 0.7},
        {"epoch": 2, "loss": 0.5, "accuracy": 0.8, "val_loss": 0.6, "val_accuracy": 0.75},
    ]
    figure = plots.history(rows)
    loss, accuracy = figure.axes
    for axes, name, training, validation in [
        (loss, "Loss", [0.9, 0.5], [0.8, 0.6]),
        (accuracy, "Accuracy", [0.6, 0.8], [0.7, 0.75]),
    ]:
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("Epoch", name)
        assert legend(axes) == ["training", "validation"]
        for line, values in zip(axes.lines, (training, validation), strict=True):
            np.testing.assert_array_equal(line.get_xydata(), [[1, values[0]], [2, values[1]]])
    assert png_size(figure) == (500, 200)


def test_history_of_one_epoch_can_be_drawn() -> None:
    row = {"epoch": 1, "loss": 0.9, "accuracy": 0.6, "val_loss": 0.8, "val_accuracy": 0.7}
    assert png_size(plots.history([row])) == (500, 200)


def test_confusion_counts_stand_in_the_row_of_the_label() -> None:
    (axes,) = plots.confusion(Confusion(190, 44, 11, 379)).axes
    counts = {text.get_text(): text.get_position() for text in axes.texts}  # (column, row)
    assert counts == {"190": (0, 0), "44": (1, 0), "11": (0, 1), "379": (1, 1)}
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Verdict", "Label")
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [tick.get_text() for tick in ticks] == ["normal", "pneumonia"]


def test_confusion_counts_are_white_on_dark_cells() -> None:
    (axes,) = plots.confusion(Confusion(190, 44, 11, 379)).axes
    colours = {text.get_text(): to_rgb(text.get_color()) for text in axes.texts}
    assert colours["379"] == (1, 1, 1)
    assert colours["11"] == (0, 0, 0)


def test_confusion_without_any_count_can_be_drawn() -> None:
    assert png_size(plots.confusion(Confusion(0, 0, 0, 0))) == (230, 200)


def test_roc_shows_the_curve_and_its_area() -> None:
    (axes,) = plots.roc(np.array([0, 0.5, 1]), np.array([0, 0.8, 1]), 0.65).axes
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [[0, 0], [0.5, 0.8], [1, 1]])
    assert legend(axes) == ["AUC 0.650"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("1 - specificity", "Sensitivity")
