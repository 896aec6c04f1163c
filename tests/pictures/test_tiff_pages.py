from __future__ import annotations

import struct
import time
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.hostile_pictures import plain_tiff, tiff
from tests.support.pictures import deep, gradient, rgb
from tests.support.tiff_files import Page, tiff_of
from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging.radiograph import GreyImage
from xray_classifier.inputs import decoding
from xray_classifier.pictures.tiff_pages import primary_page

SUBFILE, OLD_SUBFILE = 254, 255
REDUCED, PAGE_OF_SEVERAL, MASK = 1, 2, 4
DARK = np.zeros((60, 80), np.uint8)
HALF = np.zeros((30, 40), np.uint8)


def decode(*pages: Page, **options: Any) -> GreyImage:
    return decoding.decode(tiff_of(*pages, **options)).image


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("samples", "tags"),
    [
        (HALF, {SUBFILE: REDUCED}),
        (HALF, {SUBFILE: REDUCED | PAGE_OF_SEVERAL}),
        (HALF, {OLD_SUBFILE: 2}),
        (HALF, {}),
        (np.zeros((20, 26), np.uint8), {}),  # a third, rounded
        (np.zeros((10, 13, 3), np.uint8), {}),
        (DARK, {SUBFILE: MASK}),
        (DARK, {SUBFILE: REDUCED}),
        (np.zeros((99, 99), np.uint8), {SUBFILE: REDUCED}),
    ],
)
def test_preview_or_mask_is_passed_over(
    samples: NDArray[np.uint8], tags: dict[int, int], order: str, big: bool
) -> None:
    primary, other = Page(gradient(), order), Page(samples, order, tags=tags)
    for pages in ((primary, other), (other, primary), (other, primary, other)):
        np.testing.assert_array_equal(decode(*pages, big=big), gradient())
    np.testing.assert_array_equal(decode(primary, inside=[other, other], big=big), gradient())


@pytest.mark.parametrize("samples", [gradient(), rgb(), deep(16), np.dstack([deep(16)] * 3)])
def test_picture_beside_its_preview_may_be_of_any_kind(samples: NDArray[Any]) -> None:
    preview = Page(HALF, tags={SUBFILE: REDUCED})
    wanted = decode(Page(samples))
    np.testing.assert_array_equal(decode(preview, Page(samples)), wanted)
    np.testing.assert_array_equal(decode(preview, inside=[Page(samples)]), wanted)


def test_single_picture_that_calls_itself_reduced_is_read() -> None:
    np.testing.assert_array_equal(decode(Page(gradient(), tags={SUBFILE: 1})), gradient())


@pytest.mark.parametrize("shape", [(60, 80), (59, 80), (31, 41), (30, 30), (15, 40)])
def test_other_picture_that_is_no_small_form_of_the_first_is_refused(
    shape: tuple[int, int],
) -> None:
    other = Page(np.zeros(shape, np.uint8))
    with pytest.raises(UnreadableImageError, match="holds 2 images; exactly one is wanted"):
        decode(Page(gradient()), other)
    with pytest.raises(UnreadableImageError, match="holds 2 images; exactly one is wanted"):
        decode(Page(gradient()), inside=[other])


def test_pages_of_a_document_are_counted() -> None:
    page = Page(gradient(), tags={SUBFILE: PAGE_OF_SEVERAL})
    preview = Page(HALF, tags={SUBFILE: REDUCED})
    with pytest.raises(UnreadableImageError, match="holds 3 images; exactly one is wanted"):
        decode(page, preview, page, page)


def test_camera_raw_is_refused_though_its_preview_could_be_read() -> None:
    preview, raw = Page(rgb(), tags={SUBFILE: REDUCED}), Page(deep(14), tags={262: 32_803})
    with pytest.raises(UnreadableImageError, match="cannot be read here: camera raw"):
        decode(preview, inside=[raw])


def test_chain_that_comes_back_ends_there() -> None:
    file = bytearray(tiff_of(Page(gradient())))
    start = struct.unpack_from("<I", file, 4)[0]
    entries = struct.unpack_from("<H", file, start)[0]
    struct.pack_into("<I", file, start + 2 + 12 * entries, start)
    np.testing.assert_array_equal(decoding.decode(bytes(file)).image, gradient())


def test_very_many_pages_are_counted_without_being_looked_into() -> None:
    page = tiff((256, 3, 1, 64), (257, 3, 1, 64))[8:]
    start = time.process_time()
    pages = b"".join(
        page[:-4] + struct.pack("<I", 8 + (number + 1) * len(page)) for number in range(2000)
    )
    with pytest.raises(UnreadableImageError, match="holds 2001 images"):
        decoding.decode(b"II*\0\x08\0\0\0" + pages + page)
    assert time.process_time() - start < 1


def test_directories_that_overlap_cost_little() -> None:
    """A thousand of them, of as many tags as are looked at, in the same bytes."""
    first, step = 8, 4
    body = bytearray(60_000)
    for number in range(999):
        struct.pack_into("<H", body, first + step * number, 4000)
    start = time.process_time()
    with pytest.raises(UnreadableImageError, match="The TIFF image is damaged or incomplete"):
        decoding.decode(b"II*\0" + struct.pack("<I", first) + bytes(body))
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    "file",
    [
        b"II*\0",
        b"II*\0\x08\0\0\0",
        b"II*\0\xff\xff\xff\xff",
        b"II+\0\x08\0\0\0" + b"\xff" * 8,
        tiff(),
        tiff((256, 3, 1, 64)),
        tiff((256, 2, 1, 64), (257, 12, 1, 64)),
        tiff((256, 3, 1, 64), (257, 3, 1, 64), (258, 3, 9, 2**32 - 1)),
        tiff((256, 3, 1, 64), (257, 3, 1, 64), (330, 4, 1, 2**32 - 1)),
        tiff((256, 3, 1, 64), (257, 3, 1, 64), following=2**32 - 1),
        tiff(*((tag, 1, 1, 0) for tag in range(65_535))),
    ],
)
def test_broken_directories_are_called_so(file: bytes) -> None:
    with pytest.raises(UnreadableImageError, match="The TIFF image is damaged or incomplete"):
        decoding.decode(file)


def test_first_entry_of_a_tag_counts() -> None:
    page = primary_page(tiff((256, 3, 1, 64), (256, 3, 1, 99), (257, 3, 1, 64)))
    assert page.size == (64, 64)


def test_numbers_of_a_tag_are_read() -> None:
    page = primary_page(tiff_of(Page(rgb(), ">", tags={274: 6}), big=True))
    assert page.size == (80, 60)
    assert page.values(258) == (8, 8, 8)
    assert page.values(258, 2) == (8, 8)
    assert page.values(999) == ()
    assert (page.value(274, 1), page.value(999, 7)) == (6, 7)


def test_number_of_a_tag_is_replaced() -> None:
    file = tiff_of(Page(rgb(), ">"))
    assert primary_page(primary_page(file).with_value(262, 1)).value(262, 0) == 1


def test_file_that_begins_with_the_page_is_not_copied() -> None:
    file = plain_tiff(64, 64)
    assert primary_page(file).data is file
