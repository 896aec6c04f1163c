"""A cartoon of a chest radiograph, for visitors who have none: drawn here, and it says so.

It is no radiograph, and the gate says that. No patient's picture can be given away with a program.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from xray_classifier.imaging.radiograph import GreyImage

LABEL = "Drawn by a program. Not a radiograph."
SIDE = 600
_CENTRE = SIDE // 2
_AIR, _SOFT, _LUNG, _HEART, _RIB, _BONE = 12, 115, 45, 140, 130, 180
_STRIP, _INK = 0, 255


def draw_sample() -> GreyImage:
    """Draw it: the same picture every time.

    Returns:
        Shape (600, 600), uint8, with a line of text at the bottom that says what it is.
    """
    image = Image.new("L", (SIDE, SIDE), _AIR)
    draw = ImageDraw.Draw(image)
    _draw_body(draw)
    for side in (-1, 1):
        _draw_lung(draw, side)
    _draw_heart(draw)
    for side in (-1, 1):
        _draw_ribs(draw, side)
    _draw_spine(draw)
    image = image.filter(ImageFilter.GaussianBlur(2))
    _write_label(ImageDraw.Draw(image))
    return np.asarray(image)


def sample_png() -> bytes:
    """Encode the drawing as the bytes of a PNG file, as if it had been uploaded."""
    stream = io.BytesIO()
    Image.fromarray(draw_sample()).save(stream, "PNG")
    return stream.getvalue()


def _draw_body(draw: ImageDraw.ImageDraw) -> None:
    draw.rounded_rectangle((245, -40, 355, 120), 30, fill=_SOFT)  # neck
    draw.rounded_rectangle((70, 80, 530, 700), 120, fill=_SOFT)  # trunk


def _draw_lung(draw: ImageDraw.ImageDraw, side: int) -> None:
    """Draw the lung on one side of the middle: -1 is left in the picture, 1 is right."""
    outline = [(38, 190), (50, 150), (85, 122), (115, 135), (150, 190), (175, 270), (188, 360)]
    outline += [(194, 465), (165, 440), (130, 422), (90, 418), (50, 430), (40, 300)]
    draw.polygon([(_CENTRE + side * x, y) for x, y in outline], fill=_LUNG)


def _draw_heart(draw: ImageDraw.ImageDraw) -> None:
    draw.polygon([(270, 240), (330, 225), (405, 345), (330, 400), (252, 400)], _HEART)
    draw.ellipse((248, 290, 418, 445), fill=_HEART)


def _draw_ribs(draw: ImageDraw.ImageDraw, side: int) -> None:
    for row in range(7):
        reach, top = min(145 + 20 * row, 215), 125 + 42 * row
        inner, outer = _CENTRE + side * 15, _CENTRE + side * reach
        box = (min(inner, outer), top, max(inner, outer), top + 110)
        draw.arc(box, 180, 360, fill=_RIB, width=9)
    draw.line([(_CENTRE + side * 25, 135), (_CENTRE + side * 205, 108)], fill=_BONE, width=14)


def _draw_spine(draw: ImageDraw.ImageDraw) -> None:
    for top in range(-20, SIDE, 38):
        draw.rounded_rectangle((_CENTRE - 20, top, _CENTRE + 20, top + 31), 8, fill=_BONE - 20)


def _write_label(draw: ImageDraw.ImageDraw) -> None:
    font = ImageFont.load_default(26)
    draw.rectangle((0, SIDE - 48, SIDE, SIDE), fill=_STRIP)
    draw.text((_CENTRE, SIDE - 24), LABEL, _INK, font, anchor="mm")
