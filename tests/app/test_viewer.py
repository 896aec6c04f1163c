from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.dicom_files import dicom
from tests.support.pictures import gradient
from tests.support.rendered_page import unpack
from xray_classifier.app import viewer
from xray_classifier.app.one_image import describe_size
from xray_classifier.app.viewer import (
    SENT_SIDE,
    heatmap_message,
    layer_of,
    radiograph_message,
)
from xray_classifier.imaging.grey import stored_values
from xray_classifier.inference.heatmap import OPACITY, Heatmap, overlay
from xray_classifier.inference.pipeline import read
from xray_classifier.inputs.decoding import decode

WINDOW: dict[str, Any] = {"WindowCenter": 1200, "WindowWidth": 400}


def deep() -> NDArray[np.uint16]:
    """Values from 1000 to 1399, as in a radiograph of 12 bits."""
    return np.tile(np.arange(1000, 1400, dtype=np.uint16), (60, 1))


def ramp() -> Heatmap:
    return np.tile(np.linspace(0, 1, 500, dtype=np.float32), (500, 1))


# The radiograph


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_every_pixel_is_sent_as_it_is(kind: type[Any]) -> None:
    values = (np.arange(60 * 80).reshape(60, 80) * 13 % np.iinfo(kind).max).astype(kind)
    message, _ = radiograph_message(stored_values(values) if kind is np.uint16 else values, "m")
    header, sent = unpack(message)
    np.testing.assert_array_equal(sent, values)
    assert (header["width"], header["height"]) == (80, 60)
    assert len(message) - values.nbytes < 800 if kind is np.uint8 else 800 + 2**16


def test_window_to_begin_with_shows_8_bits_as_they_are() -> None:
    header, _ = unpack(radiograph_message(gradient(), "m")[0])
    assert (header["window"], header["used"], header["opacity"]) == ([256, 128], [0, 255], OPACITY)


def test_grey_of_each_deep_value_is_sent_behind_the_pixels() -> None:
    kept = read(dicom(deep(), BitsStored=12, **WINDOW), keep_stored=True).stored
    assert kept
    message, _ = radiograph_message(kept, "m")
    header, sent = unpack(message)
    np.testing.assert_array_equal(sent, deep())
    assert (header["used"], header["window"], header["lowest"]) == ([1000, 1399], [400, 1200], 0)
    greys = np.frombuffer(message[-(2**12) :], np.uint8)
    np.testing.assert_array_equal(greys[sent], decode(dicom(deep(), **WINDOW)).image)


def test_reduced_values_are_none_that_the_file_has_not() -> None:
    values = np.full((3000, 3000), 100, np.uint16)
    values[:, 1000:] = 4000
    _, sent = unpack(radiograph_message(stored_values(values), "m")[0])
    assert (sent.min(), sent.max()) == (100, 4000)


def test_large_image_is_sent_reduced_with_its_own_size() -> None:
    header, sent = unpack(radiograph_message(np.full((3000, 4200), 7, np.uint8), "m")[0])
    assert sent.shape == (1463, SENT_SIDE)
    assert (sent == 7).all()
    assert (header["width"], header["height"]) == (4200, 3000)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((931, 1198), "As decoded: 1198 x 931 pixels, grey"),
        ((SENT_SIDE, 40), f"As decoded: 40 x {SENT_SIDE} pixels, grey"),
        ((100, SENT_SIDE + 1), f"As decoded: {SENT_SIDE + 1} x 100 pixels, grey. The viewer has"),
    ],
)
def test_caption_says_how_large_and_whether_it_is_reduced(
    shape: tuple[int, int], said: str
) -> None:
    caption = describe_size(np.zeros(shape, np.uint8))
    assert caption.startswith(said)
    assert ("reduced" in caption) == (max(shape) > SENT_SIDE)


def test_caption_says_what_window_and_level_are_counted_in() -> None:
    caption = describe_size(np.zeros(deep().shape, np.uint8), stored_values(deep()))
    assert "window and level are counted in them. The model judges 8 bits" in caption


def test_question_tells_images_and_models_apart() -> None:
    image = gradient()
    other = image.copy()
    other[0, 0] ^= 1
    asked = {
        radiograph_message(pixels, name)[1] for pixels in (image, other) for name in ("a", "b")
    }
    asked.add(radiograph_message(np.ascontiguousarray(image.T), "a")[1])
    assert len(asked) == 5
    assert radiograph_message(image, "a")[1] in asked, "and stays the same for the same"


def test_what_has_no_output_is_not_asked_about() -> None:
    message, question = radiograph_message(gradient(), "")
    assert question == ""
    assert unpack(message)[0]["question"] == ""


# The heatmap


def laid_over(layer: NDArray[np.uint8], image: NDArray[np.uint8], opacity: float) -> NDArray[Any]:
    """Put a layer on a picture of its size, as a canvas does."""
    part = opacity * layer[..., 3:] / 255
    return part * layer[..., :3] + (1 - part) * image[..., np.newaxis]


@pytest.mark.parametrize("opacity", [0, OPACITY, 1])
@pytest.mark.parametrize("grey", [0, 90, 255])
def test_layer_shows_what_overlay_does(grey: int, opacity: float) -> None:
    layer = layer_of(ramp())
    image = np.full(layer.shape[:2], grey, np.uint8)
    expected = overlay(image, ramp(), opacity).astype(float)
    assert abs(laid_over(layer, image, opacity) - expected).max() <= 2


def test_cold_places_and_a_blank_heatmap_cover_nothing() -> None:
    half = np.where(ramp() < 0.5, 0, ramp())
    cover = layer_of(half)[..., 3]
    assert not cover[:, :124].any()
    assert (cover[:, 126:] > 250).all()
    assert not layer_of(np.zeros((500, 500), np.float32)).any()


def test_answer_bears_its_question() -> None:
    header, layer = unpack(heatmap_message("q", ramp(), "n"))
    assert (header["question"], header["note"], layer.shape) == ("q", "n", (250, 250, 4))
    np.testing.assert_array_equal(layer, layer_of(ramp()))
    header, layer = unpack(heatmap_message("q", None))
    assert (header["question"], layer.size) == ("q", 0)


# What the browser is given beside that


@pytest.mark.parametrize("name", ["viewer.html", "viewer.css", "viewer.js", "viewer_gestures.js"])
def test_files_load_nothing_and_keep_nothing(name: str) -> None:
    text = viewer._read(name)
    reaching = (
        r"https?:|//\w+\.|@import|url\(|fetch\(|XMLHttpRequest|WebSocket\(|sendBeacon|import\("
    )
    keeping = r"localStorage|sessionStorage|indexedDB|cookie|caches\b"
    risky = r"\beval\(|new Function|innerHTML|document\.write|\son\w+="
    assert not re.findall(f"{reaching}|{keeping}|{risky}", text)


def test_every_button_has_a_name_and_something_to_do() -> None:
    html, script = viewer._read("viewer.html"), viewer._read("viewer.js")
    buttons = re.findall(r"<button\b[^>]*>", html)
    assert len(buttons) == 12
    for button in buttons:
        done = re.search(r'data-do="(\w+)"', button)
        assert done
        assert re.search(rf"^  {done[1]}\(\) {{", script, re.MULTILINE), done[1]
    assert len([button for button in buttons if "aria-label" not in button]) == 1  # has a text
