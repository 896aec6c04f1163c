from __future__ import annotations

import numpy as np
import pytest

from tests.support.pictures import shaded_square, squares
from xray_classifier.imaging.preprocessing import scale
from xray_classifier.learn.pictures import (
    EMPTY,
    GAP,
    as_picture,
    bar_of,
    cells_of,
    enlarge,
    grid_of_maps,
    kernel_picture,
    seen_by_default,
    stretch,
)


def test_tensor_becomes_the_picture_that_it_was() -> None:
    np.testing.assert_array_equal(as_picture(scale(squares())), squares())


def test_strongest_answer_is_white_and_none_is_black() -> None:
    assert stretch(np.array([[0, 1, 4]], np.float32)).tolist() == [[0, 64, 255]]
    assert stretch(np.zeros((2, 2), np.float32)).tolist() == [[0, 0], [0, 0]]


def test_maps_stand_in_rows_each_on_its_own_scale() -> None:
    maps = np.zeros((6, 13, 13), np.float32)
    maps[1:, :, 6:] = np.arange(1, 6)[:, None, None]
    grid = grid_of_maps(maps, columns=4, side=20)
    assert grid.shape == (2 * 20 + GAP, 4 * 20 + 3 * GAP)
    assert [grid[10, 18 + 22 * column] for column in range(4)] == [0, 255, 255, 255]
    assert [grid[10, 2 + 22 * column] for column in range(4)] == [0, 0, 0, 0]
    assert [grid[32, 18 + 22 * column] for column in range(4)] == [255, 255, EMPTY, EMPTY]


def test_weight_of_zero_is_grey_and_the_largest_white() -> None:
    weights = np.zeros((1, 3, 3), np.float32)
    weights[0, 0, 0], weights[0, 2, 2] = 0.2, -0.1
    picture = kernel_picture(weights, 30)
    assert picture.shape == (30, 30)
    assert [picture[5, 5], picture[15, 15], picture[25, 25]] == [255, 128, 64]


@pytest.mark.parametrize(("channels", "rows"), [(1, 1), (32, 4), (64, 8)])
def test_weights_of_all_channels_are_shown(channels: int, rows: int) -> None:
    picture = kernel_picture(np.zeros((channels, 3, 3), np.float32), 30)
    assert picture.shape[0] == rows * 30 + (rows - 1) * GAP


def test_outputs_of_a_layer_stand_row_by_row() -> None:
    picture = bar_of(np.arange(5, dtype=np.float32), columns=4, side=8)
    assert picture[::2, ::2].tolist() == [[0, 64, 128, 191], [255, 0, 0, 0]]


def test_picture_is_enlarged_in_squares_and_never_shrunk() -> None:
    small = np.array([[1, 2]], np.uint8)
    assert enlarge(small, 5).tolist() == [[1, 1, 2, 2], [1, 1, 2, 2]]
    assert enlarge(squares(), 100).shape == (500, 500)


def test_default_model_is_shown_to_see_what_its_layers_give() -> None:
    from xray_classifier.models.keras_network import keras_model
    from xray_classifier.models.loading import KERAS, load_classifier

    model = keras_model(load_classifier(runtime=KERAS).network)
    shown = dict(zip(("sharp", "soft"), seen_by_default(scale(shaded_square())), strict=True))
    for name, picture in shown.items():
        values = scale(shaded_square())[np.newaxis]
        for layer in model.get_layer(name).layers[1:]:
            values = np.asarray(layer(values))
            if type(layer).__name__ == "Cropping2D":
                break
        assert values.shape == (1, 224, 224, 1)
        np.testing.assert_allclose(picture / 255, values[0, ..., 0], atol=0.5 / 255 + 1e-6)
    assert np.any(shown["sharp"] != shown["soft"])


def test_cells_are_means() -> None:
    cells = cells_of(squares(), 50)
    assert cells.shape == (50, 50)
    assert (cells[35, 15], cells[0, 0]) == (255, 50)
