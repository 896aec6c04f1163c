"""The scale is drawn where the numbers say, and told apart without its colours."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.drawn_reports import INVALID, RESULT
from tests.support.stand_ins import POINTS
from xray_classifier.inference import scale
from xray_classifier.models.operating_point import OperatingPoint

POINT = POINTS[0]  # uncertain from .6 to .8
GROUNDS = ("#ffffff", "#0e1117")  # of the page, light and dark


def box(shape: scale.Shape) -> tuple[float, float, float, float]:
    """Left, right, top and bottom."""
    across, down = zip(*shape.corners, strict=True)
    return min(across), max(across), min(down), max(down)


def luminance(colour: str) -> float:
    """As WCAG 2 defines it, of "#rrggbb"."""
    levels = [value / 255 for value in bytes.fromhex(colour[1:])]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in levels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_zones_are_those_of_the_point() -> None:
    words = [zone.words for zone in scale.zones(POINT)]
    assert words == ["normal below 60.0 %", "uncertain in between", "pneumonia from 80.0 % on"]
    fixed = scale.zones(OperatingPoint.fixed(0.5))
    assert [zone.words for zone in fixed] == ["normal below 50.0 %", "pneumonia from 50.0 % on"]
    assert [zone.verdict for zone in scale.zones(OperatingPoint("x", 1, 0, 1))] == ["uncertain"]


@pytest.mark.parametrize("probability", [0.0, 0.02, 0.5, 1.0])
def test_marks_stand_where_their_numbers_are(probability: float) -> None:
    result = replace(RESULT, probability=probability, post_test_probability=1 - probability)
    *zones, pin, diamond = scale.shapes(result, POINT)
    edges = [box(shape)[:2] for shape in zones]
    first, last = min(edge[0] for edge in edges) + 0.75, max(edge[1] for edge in edges) - 0.75
    for mark, at in ((pin, probability), (diamond, 1 - probability)):
        left, right, top, bottom = box(mark)
        assert (left + right) / 2 == pytest.approx(first + at * (last - first))
        assert left >= 0 <= top
        assert right <= scale.WIDTH
        assert bottom <= scale.height(result)


def test_mark_of_the_post_test_probability_is_there_only_with_one() -> None:
    with_it = replace(RESULT, post_test_probability=0.5)
    assert len(scale.shapes(with_it, POINT)) == len(scale.shapes(RESULT, POINT)) + 1
    assert scale.height(with_it) > scale.height(RESULT)


def test_zones_are_told_apart_without_colour() -> None:
    keys = [scale.zone_key(zone.verdict, plain=True) for zone in scale.zones(POINT)]
    assert len({box(key[0])[2] for key in keys}) == 3  # each begins at a height of its own
    assert [len(key) > 1 for key in keys] == [False, True, False]  # and one is striped


def test_colours_stand_out_against_both_grounds() -> None:
    for ground in GROUNDS:
        for shape in scale.shapes(RESULT, POINT):
            seen = [colour for colour in (shape.fill, shape.outline) if colour]
            assert max(contrast(colour, ground) for colour in seen) >= 3, shape


def test_stripes_end_where_their_zone_does() -> None:
    point = OperatingPoint("narrow", 0.5, 0.5, 0.501)
    stripes = [shape for shape in scale.shapes(RESULT, point) if shape.fill == "#80868b"][5:]
    assert len(stripes) == 1
    left, right, *_ = box(stripes[0])
    assert right - left == pytest.approx(0.001 * (scale.WIDTH - 16))


def test_number_that_is_not_valid_lies_in_no_zone() -> None:
    said = scale.describe(INVALID, POINT)
    assert said.endswith("Marked: Probability of pneumonia 97.3 % (not valid).")
    colours = {shape.fill for shape in scale.shapes(INVALID, POINT)}
    assert colours == {"#80868b", "#ffffff"}
