"""The drawn sample is always the same, says what it is, and the gate refuses it."""

from __future__ import annotations

import numpy as np

from xray_classifier.imaging.preprocessing import preprocess
from xray_classifier.imaging.sample import LABEL, SIDE, draw_sample, sample_png
from xray_classifier.inputs.decoding import decode
from xray_classifier.models.gate import REASONS, load_gate


def test_sample_is_the_same_every_time() -> None:
    image = draw_sample()
    assert image.shape == (SIDE, SIDE)
    assert image.dtype == np.uint8
    assert np.array_equal(image, draw_sample())


def test_file_holds_the_drawing_and_warns_of_nothing() -> None:
    radiograph = decode(sample_png())
    assert np.array_equal(radiograph.image, draw_sample())
    assert not radiograph.warnings


def test_sample_says_in_the_picture_what_it_is() -> None:
    assert LABEL == "Drawn by a program. Not a radiograph."
    strip = draw_sample()[-48:]
    assert (strip == 0).mean() > 0.8
    written = np.flatnonzero((strip > 200).any(axis=0))
    assert (written[0], written[-1]) > (40, 500)  # from side to side, nothing cut off
    assert written[-1] < SIDE - 40


def test_chest_is_darker_in_the_lungs_than_between_them() -> None:
    image = draw_sample()
    lungs = [image[250:400, 150:200].mean(), image[250:300, 430:450].mean()]
    assert max(lungs) + 30 < image[250:400, 290:310].mean()


def test_shipped_gate_refuses_the_sample() -> None:
    decision = load_gate().decide(preprocess(draw_sample()))
    assert decision.reason == REASONS["other"]
