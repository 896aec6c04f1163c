from __future__ import annotations

import numpy as np
import pytest

from tests.support.pictures import shaded_square, squares
from xray_classifier.imaging.preprocessing import preprocess
from xray_classifier.learn.edits import NO_EDITS, Edits, edited, span_of


def test_nothing_changed_is_what_the_pipeline_takes() -> None:
    picture = shaded_square()
    np.testing.assert_array_equal(edited(picture, NO_EDITS), preprocess(picture))


@pytest.mark.parametrize(
    "edits",
    [
        Edits(crop=0.3),
        Edits(degrees=-45),
        Edits(blur=10),
        Edits(brightness=0.5),
        Edits(brightness=-0.5),
        Edits(rows=(0, 500), columns=(0, 500)),
        Edits(0.3, 45, 10, 0.5, (10, 20), (30, 490)),
    ],
)
def test_whatever_is_changed_stays_a_tensor(edits: Edits) -> None:
    tensor = edited(shaded_square(), edits)
    assert tensor.shape == (500, 500, 1)
    assert tensor.dtype == np.float32
    assert 0 <= tensor.min() <= tensor.max() <= 1
    assert not np.array_equal(tensor, preprocess(shaded_square()))


def test_brightness_is_added() -> None:
    tensor = edited(squares(), Edits(brightness=0.1))
    assert tensor[0, 0, 0] == pytest.approx(50 / 255 + 0.1)
    assert tensor[350, 150, 0] == 1


def test_crop_cuts_all_edges_off() -> None:
    tensor = edited(squares(), Edits(crop=0.1))
    bright = np.argwhere(tensor[..., 0] > 0.9)
    assert bright.min(axis=0).tolist() == pytest.approx([312, 62], abs=1)  # (300 - 50) / .8


def test_turn_is_counter_clockwise() -> None:
    tensor = edited(squares(), Edits(degrees=45))
    row, column = np.argwhere(tensor[..., 0] > 0.9).mean(axis=0)
    assert row > 350  # from lower left to straight below
    assert column == pytest.approx(250, abs=60)


def test_mask_fills_the_rectangle_with_the_mean() -> None:
    edits = Edits(rows=(300, 400), columns=(100, 200))
    tensor = edited(squares(), edits)
    assert np.ptp(tensor[300:400, 100:200]) == 0
    assert tensor[350, 150, 0] == pytest.approx(preprocess(squares()).mean(), rel=1e-5)
    np.testing.assert_array_equal(tensor[:300], preprocess(squares())[:300])


@pytest.mark.parametrize("edits", [Edits(rows=(10, 400)), Edits(rows=(9, 9), columns=(0, 500))])
def test_rectangle_without_width_or_height_masks_nothing(edits: Edits) -> None:
    assert not edits.masks
    np.testing.assert_array_equal(edited(squares(), edits), preprocess(squares()))


@pytest.mark.parametrize(
    ("one", "other", "span"),
    [(10.4, 99.6, (10, 100)), (300, 20, (20, 300)), (-50, 700, (0, 500)), (5, 5, (5, 5))],
)
def test_span_is_in_order_and_within_the_picture(
    one: float, other: float, span: tuple[int, int]
) -> None:
    assert span_of(one, other) == span


def test_span_is_rounded_to_steps() -> None:
    assert span_of(344.2, 156.1, 10) == (160, 340)
