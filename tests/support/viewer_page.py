"""The viewer of a radiograph, in a real browser: what is on its canvas, and what it says."""

from __future__ import annotations

import base64
import io
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import FloatRect, Locator, Page

Pixels = NDArray[np.uint8]


def drawn(page: Page) -> None:
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")


def canvas(page: Page) -> Locator:
    return page.locator(".viewer canvas")


def screen(page: Page) -> Pixels:
    """What is on the canvas: shape (height, width, 3)."""
    drawn(page)
    address = canvas(page).evaluate("canvas => canvas.toDataURL()")
    picture = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
    return np.asarray(picture.convert("RGB"))


def grey(page: Page) -> Pixels:
    """The same of a canvas that shows no colour: shape (height, width)."""
    found = screen(page)
    np.testing.assert_array_equal(found[..., 0], found[..., 1])
    np.testing.assert_array_equal(found[..., 0], found[..., 2])
    return found[..., 0]


def middle(whole: Pixels, height: int, width: int) -> Pixels:
    """Cut out what stands in the middle; what is left over goes to the top and the left."""
    top, left = (len(whole) - height + 1) // 2, (whole.shape[1] - width + 1) // 2
    return whole[top : top + height, left : left + width]


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def frame(page: Page) -> FloatRect:
    """Where on the page the canvas is, once it has been scrolled to."""
    canvas(page).scroll_into_view_if_needed()
    box = canvas(page).bounding_box()
    assert box
    return box


def point(page: Page, across: float, down: float) -> None:
    """Move the mouse to a place on the canvas, in parts of its width and height."""
    box = frame(page)
    page.mouse.move(box["x"] + 1, box["y"] + 1)
    page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])


def drag(page: Page, across: int, down: int, button: Any = "left") -> None:
    point(page, 0.5, 0.5)
    box = frame(page)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.down(button=button)
    page.mouse.move(x + across / 2, y + down / 2)
    page.mouse.move(x + across, y + down)
    page.mouse.up(button=button)


def under_pointer(page: Page) -> tuple[int, int, int]:
    """What the viewer says of the pointer: grey value, and where on the image it is."""
    told = re.fullmatch(r"Grey (\d+) at (\d+), (\d+)", said(page)["grey"])
    assert told
    value, x, y = map(int, told.groups())
    return value, x, y


def said(page: Page) -> dict[str, str]:
    """What the viewer says of its view."""
    drawn(page)
    names = ("zoom", "grey", "width", "level", "opacity")
    return {name: page.locator(f"output.{name}").inner_text() for name in names}
