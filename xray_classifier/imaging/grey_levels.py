"""Does a picture have enough grey levels to be judged by, and are they spread over the range?

A converter that keeps the wrong 8 bits of 12 leaves a picture nearly black, of 16 grey levels. The
gate lets such a one through, and the models answer with confidence: of 24 originals divided by 16
the shipped model changed the verdict on 12, by 8 on 12, by 4 on 10.

All limits were measured on the training images and the 24 originals in full, and on 200 adults:
7,081 radiographs, none of which is touched here. Of 64 that were divided by 4 and stretched again
no verdict changes as PNG, and two as JPEG of quality 75; by 8 three and by 16 four, all of them to
or from "uncertain".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging.grey import strips
from xray_classifier.imaging.radiograph import GreyImage, Radiograph

STRETCHED = "grey_range_stretched"
FEW = "few_grey_levels"

USUAL: Final = 64
"""So many levels hold `_MOST` of a radiograph: at least 74 in each one that was measured."""

FEWEST: Final = 28
"""With fewer a picture is not stretched: by 4 divided 99 % have more, by 8 divided 99 % fewer."""

FEWEST_SPREAD: Final = 8
"""Levels between black and white, spread evenly; of 8 in all, black and white included, 3 verdicts
of 64 change, of 16 none."""

_MOST = 0.95  # of the pixels: a marker, a line of text or a scratch is less than the rest
_TAIL = 1e-4  # of the pixels at each end, which JPEG has made darker or brighter
_HALF = 128  # levels: a picture over more of them is not narrow, whatever most of it is

_RHYTHM = 0.4  # least share of the pixels in evenly spaced levels; radiographs: at most .33
_SLOWEST, _FASTEST = 4, 40  # of such levels over the range; a smooth picture has slower ones
_SPIKE = 3  # levels on both sides of the commonest, a border's perhaps, after JPEG

Counts = NDArray[np.int64]
"""Pixels by grey level, shape (256,)."""


@dataclass(frozen=True)
class GreyLevels:
    """What of the 256 grey levels a picture uses, black and white aside.

    Those two are a border's, a marker's, or what was clipped: they say nothing of the rest.

    Attributes:
        distinct: how many occur.
        most: how many, the commonest first, hold 95 % of the pixels.
        middle: how many there are from the 5th to the 95th percentile, whether they occur or not.
        darkest: the first one, but for a ten-thousandth of the pixels; black if it is beside it.
        brightest: the last one, likewise.
        evenly: how many there would be if they were evenly spread over the range, as in a picture
            reduced to a few; 0 if they are not.
    """

    distinct: int
    most: int
    middle: int
    darkest: int
    brightest: int
    evenly: int


def judgeable(radiograph: Radiograph) -> Radiograph:
    """Stretch a picture that uses a small part of the grey range, and warn of what was lost.

    Returns:
        The same radiograph, unless nearly all of it lies within less than `USUAL` levels. A
        picture of one single grey is left to the gate, which refuses each of them.

    Raises:
        UnreadableImageError: too few levels are left to judge by, or the rest of the picture is so
            bright or dark that its range cannot be told.
    """
    counts = count_levels(radiograph.image)
    if np.count_nonzero(counts) == 1:
        return radiograph
    levels = measure(counts)
    usual = levels.most >= USUAL
    if levels.evenly and levels.middle >= USUAL and levels.distinct >= FEWEST_SPREAD:
        return radiograph if usual and levels.evenly > _FASTEST else _warned(radiograph, FEW)
    if usual:
        return radiograph
    if levels.most < FEWEST or levels.brightest - levels.darkest >= _HALF:
        raise UnreadableImageError(
            "Nearly all of the picture is drawn in so few grey levels between black and white "
            f"({levels.most} of 254) that it cannot be judged. Export the radiograph again, with a "
            "window that spreads it over the whole range, or with all of its bits."
        )
    table = _stretching(levels.darkest, levels.brightest)
    stored = radiograph.stored
    if stored is not None:
        stored = replace(stored, greys=table[stored.greys], window=None)
    image = _looked_up(radiograph.image, table)
    return _warned(replace(radiograph, image=image, stored=stored), STRETCHED)


def count_levels(image: GreyImage) -> Counts:
    """Count the pixels of each grey level."""
    return np.array(Image.fromarray(image).histogram(), np.int64)  # twice as fast as NumPy's


def measure(counts: Counts) -> GreyLevels:
    """Measure what of the range is used, by the pixels of each grey level."""
    inside = counts.copy()
    inside[[0, 255]] = 0
    total = inside.sum()
    if not total:
        return GreyLevels(0, 0, 0, 0, 255, 0)
    commonest = np.cumsum(np.sort(inside)[::-1])
    darkest, brightest = _between(inside, _TAIL)
    lower, upper = _between(inside, 1 - _MOST)
    return GreyLevels(
        distinct=int(np.count_nonzero(inside)),
        most=int(np.count_nonzero(commonest < _MOST * total)) + 1,
        middle=upper - lower + 1,
        darkest=0 if darkest == 1 else darkest,
        brightest=255 if brightest == 254 else brightest,
        evenly=_evenly_spread(inside),
    )


def _between(inside: Counts, tail: float) -> tuple[int, int]:
    """The first and the last level, but for a share of the pixels at each end."""
    upwards = np.cumsum(inside) / inside.sum()
    return int(np.argmax(upwards > tail)), int(np.argmax(upwards >= 1 - tail))


def _evenly_spread(inside: Counts) -> int:
    """Find the rhythm of a histogram that consists of evenly spaced peaks, by its spectrum."""
    peak = int(np.argmax(inside))
    others = inside.copy()
    others[max(0, peak - _SPIKE) : peak + _SPIKE + 1] = 0
    if not others.any():
        return 0
    spectrum = np.abs(np.fft.rfft(others / others.sum()))
    for number in range(_SLOWEST, len(spectrum)):
        strength = spectrum[number]
        # In a narrow picture the slower ones are as strong.
        if strength >= _RHYTHM and strength >= 2 * np.median(spectrum[1:number]):
            return number
    return 0


def _stretching(darkest: int, brightest: int) -> GreyImage:
    """The new grey of each, shape (256,)."""
    shades = (np.arange(256) - darkest) / (brightest - darkest)
    return np.round(np.clip(shades, 0, 1) * 255).astype(np.uint8)


def _looked_up(image: GreyImage, table: GreyImage) -> GreyImage:
    stretched = np.empty_like(image)
    for rows in strips(image.shape):
        stretched[rows] = table[image[rows]]
    return stretched


def _warned(radiograph: Radiograph, code: str) -> Radiograph:
    return replace(radiograph, warnings=(*radiograph.warnings, code))
