"""A result on a scale from 0 to 100 %: the shapes and words that the page and the PDF share.

The zones are those of the operating point. They differ in height and pattern as well as colour, so
that they are told apart in print and by the colour-blind, and every colour stands out against light
and dark ground by 3 to 1 (WCAG 2.2, 1.4.11).
"""

from __future__ import annotations

from dataclasses import dataclass

from xray_classifier.inference.pipeline import NOT_VALID, Result
from xray_classifier.inference.verdict import NORMAL, PNEUMONIA, UNCERTAIN, percent
from xray_classifier.models.operating_point import OperatingPoint

WIDTH = 400.0
OUTLINE = 1.5
KEY = 14.0  # side of the square in which a zone or mark is shown beside its name

_EDGE = 8.0  # left free on both sides for half a mark
_GROUND = 44.0  # how far down the zones stand
_HEIGHTS = {NORMAL: 12.0, UNCERTAIN: 20.0, PNEUMONIA: 28.0}
_COLOURS = {NORMAL: "#1d6fa8", UNCERTAIN: "#80868b", PNEUMONIA: "#c8631a"}
_GREY = _COLOURS[UNCERTAIN]
_STRIPE = 6.0
_WHITE, _BLACK = "#ffffff", "#000000"

Polygon = tuple[tuple[float, float], ...]
"""Corners, x from the left and y from the top."""


@dataclass(frozen=True)
class Shape:
    """A filled polygon, with an outline if it has a colour for that."""

    corners: Polygon
    fill: str
    outline: str = ""


@dataclass(frozen=True)
class Zone:
    """Where on the scale a verdict is given: from `low` to below `high`, in [0, 1]."""

    verdict: str
    low: float
    high: float

    @property
    def words(self) -> str:
        """The verdict and from where to where it is given."""
        if self.verdict == NORMAL:
            return f"{NORMAL} below {percent(self.high)}"
        if self.verdict == PNEUMONIA:
            return f"{PNEUMONIA} from {percent(self.low)} on"
        return f"{UNCERTAIN} in between"


def zones(point: OperatingPoint) -> list[Zone]:
    """Divide the scale as an operating point does; a zone that holds nothing is left out."""
    every = (
        Zone(NORMAL, 0, point.low),
        Zone(UNCERTAIN, point.low, point.high),
        Zone(PNEUMONIA, point.high, 1),
    )
    return [zone for zone in every if zone.low < zone.high]


def probability_words(result: Result) -> str:
    """Say the probability, and that it is not valid if it is not."""
    mark = " (not valid)" if NOT_VALID in result.warnings else ""
    return f"Probability of pneumonia {percent(result.probability or 0.0)}{mark}"


def post_test_words(result: Result) -> str:
    """Say the post-test probability; empty without one."""
    after = result.post_test_probability
    return "" if after is None else f"With the pre-test probability given: {percent(after)}"


def describe(result: Result, point: OperatingPoint) -> str:
    """Say what the drawing shows, for who cannot see it."""
    words = ", ".join(zone.words for zone in zones(point))
    marked = [probability_words(result)]
    if post_test_words(result):
        marked.append(post_test_words(result))
    where = "" if NOT_VALID in result.warnings else f", in the zone {result.verdict}"
    return f"Scale from 0 to 100 %: {words}. Marked: {'; '.join(marked)}{where}."


def height(result: Result) -> float:
    """Say how much the drawing needs; more if there is a post-test probability."""
    return _GROUND + (6 if result.post_test_probability is None else KEY + 3)


def shapes(result: Result, point: OperatingPoint) -> list[Shape]:
    """Draw zones and marks on WIDTH x `height`, in the order in which they are painted.

    Args:
        result: with a probability; a zone has its colour only where the number is valid.
        point: that the verdict was given by.
    """
    plain = NOT_VALID in result.warnings
    drawn = [
        Shape(_box(_at(tick) - 0.75, _GROUND, 1.5, 4), _GREY) for tick in (0, 0.25, 0.5, 0.75, 1)
    ]
    for zone in zones(point):
        drawn += _zone(zone.verdict, _at(zone.low), _at(zone.high), _GROUND, 1, plain)
    drawn.append(_pin(_at(result.probability or 0.0)))
    if result.post_test_probability is not None:
        drawn.append(_diamond(_at(result.post_test_probability), _GROUND + 3))
    return drawn


def zone_key(verdict: str, plain: bool = False) -> list[Shape]:
    """Draw a zone alone, on KEY x KEY."""
    return _zone(verdict, 1, KEY - 1, KEY - 1, 0.5, plain)


def probability_key() -> list[Shape]:
    """Draw the mark of the probability alone, on KEY x KEY."""
    return [Shape(((1, 2), (KEY - 1, 2), (KEY / 2, KEY - 1)), _WHITE, _BLACK)]


def post_test_key() -> list[Shape]:
    """Draw the mark of the post-test probability alone, on KEY x KEY."""
    return [_diamond(KEY / 2, 0)]


def _zone(
    verdict: str, left: float, right: float, ground: float, scale: float, plain: bool
) -> list[Shape]:
    colour = _GREY if plain else _COLOURS[verdict]
    height = scale * _HEIGHTS[verdict]
    if verdict != UNCERTAIN:
        return [Shape(_box(left, ground - height, right - left, height), colour)]
    step = scale * _STRIPE
    count = int((right - left) / step)
    stripes = [left + 2 * step * place for place in range(count // 2 + 1)]
    return [
        Shape(_box(at, ground - height, min(step, right - at), height), colour)
        for at in stripes
        if at < right
    ]


def _at(probability: float) -> float:
    return _EDGE + probability * (WIDTH - 2 * _EDGE)


def _box(left: float, top: float, width: float, height: float) -> Polygon:
    right, bottom = left + width, top + height
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def _pin(at: float) -> Shape:
    half, thin, neck = 6.5, 1.5, 13.0
    left = ((at - thin, _GROUND + 1), (at - thin, neck), (at - half, 1))
    right = ((at + half, 1), (at + thin, neck), (at + thin, _GROUND + 1))
    return Shape((*left, *right), _WHITE, _BLACK)


def _diamond(at: float, top: float) -> Shape:
    half = KEY / 2 - 1
    middle = top + 1 + half
    corners = ((at, middle - half), (at + half, middle), (at, middle + half), (at - half, middle))
    return Shape(corners, _WHITE, _BLACK)
