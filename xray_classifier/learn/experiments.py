"""The article's choices put to the test on one picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from xray_classifier.imaging import perturbations
from xray_classifier.imaging.preprocessing import SIDE, Tensor, preprocess, scale
from xray_classifier.imaging.radiograph import GreyImage

FULL_RESOLUTION = "full resolution"
"""In place of the name of a change in the stress report: the comparison of resolutions."""


@dataclass(frozen=True)
class Experiment:
    """A change of the picture that is no illness.

    Attributes:
        title: what is done.
        why: what it shows, for people who know no radiology.
        change: from the decoded picture, uint8, to a tensor.
        measured: names of the changes in the stress report, or of its borders, that come nearest.
    """

    title: str
    why: str
    change: Callable[[GreyImage], Tensor]
    measured: tuple[str, ...] = ()


def resize_to_nearest(image: GreyImage) -> Tensor:
    """Resize as Keras's `load_img` does unless told otherwise: take one pixel, drop the rest.

    Args:
        image: shape (height, width), uint8.

    Returns:
        Shape (500, 500, 1), float32 in [0, 1].
    """
    resized = Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.NEAREST)
    return scale(np.asarray(resized))


def mirror(image: GreyImage) -> Tensor:
    """Exchange left and right."""
    return perturbations.mirror(preprocess(image)[np.newaxis])[0]


def keep_border(image: GreyImage) -> Tensor:
    """Fill all but the outer 14 % with one grey."""
    return perturbations.blank_centre(preprocess(image)[np.newaxis], 0.14)[0]


def render_otherwise(image: GreyImage) -> Tensor:
    """Take contrast and sharpness away, as another machine's software might."""
    batch = perturbations.shift_grey(preprocess(image)[np.newaxis], 0.0, 0.75)
    return perturbations.blur(batch, 2)[0]


EXPERIMENTS = (
    Experiment(
        "Nearest instead of antialiased resizing",
        "The article's code leaves the resizing to Keras, whose default, *nearest*, keeps one "
        "pixel of several and drops the rest: fine ribs break up. *Antialiased* resizing, which "
        "this program uses, averages them. A network must see at work what it saw in training. "
        "How much hangs on the detail of a picture was measured on radiographs at full resolution.",
        resize_to_nearest,
        (FULL_RESOLUTION,),
    ),
    Experiment(
        "Mirrored",
        "The heart lies to the left in nearly everyone, which is at the right of the picture. A "
        "mirrored chest is one that hardly exists; the article shows the network many of them in "
        "training all the same, to have more pictures. `default` looks at every picture both ways.",
        mirror,
        ("mirrored",),
    ),
    Experiment(
        "Nothing but the outer border",
        "No lung is left, so nobody could know. A network that answers all the same, and right "
        "more often than by chance, has learned something else than lungs: how a machine frames "
        "its pictures, or what lies beside the child.",
        keep_border,
        ("outer 14 % alone",),
    ),
    Experiment(
        "As another machine might render it",
        "Less contrast, softer. The child is the same and a doctor would say the same, but in "
        "these data most of the healthy were X-rayed with another machine than the ill.",
        render_otherwise,
        ("contrast .75", "blur, 2 pixels of 500"),
    ),
)
