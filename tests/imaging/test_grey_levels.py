from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.support.pictures import encoded, gradient
from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging.grey import stored_values
from xray_classifier.imaging.grey_levels import (
    FEW,
    FEWEST,
    STRETCHED,
    USUAL,
    count_levels,
    judgeable,
    measure,
)
from xray_classifier.imaging.radiograph import GreyImage, Radiograph

Picture = NDArray[np.uint8]


def ramp(levels: int, first: int = 0, repeats: int = 10) -> Picture:
    """So many levels side by side, each as often as the others."""
    columns = np.repeat(np.arange(first, first + levels), repeats)
    return np.tile(columns, (100, 1)).astype(np.uint8)


def as_jpeg(image: Picture, quality: int) -> Picture:
    return np.asarray(Image.open(io.BytesIO(encoded(image, "JPEG", quality=quality))))


def what_becomes_of(image: Picture) -> tuple[str, ...] | str:
    """The warnings, or "refused"."""
    try:
        return judgeable(Radiograph(image)).warnings
    except UnreadableImageError:
        return "refused"


# What is measured


def test_levels_are_counted_in_pieces_of_any_shape() -> None:
    image = np.arange(2**21, dtype=np.uint32).astype(np.uint8)
    for shape in ((1, -1), (-1, 1), (1024, -1)):
        assert (count_levels(image.reshape(shape)) == 2**13).all()


def test_black_and_white_are_not_counted() -> None:
    image = ramp(100, 50)
    image[:50], image[50:70] = 0, 255
    levels = measure(count_levels(image))
    assert (levels.distinct, levels.most) == (100, 95)
    assert (levels.darkest, levels.brightest, levels.evenly) == (50, 149, 0)


def test_a_ten_thousandth_is_not_counted_at_the_ends() -> None:
    image = ramp(100, 50)  # 100,000 pixels
    image[0, :10], image[0, -9:] = 20, 200
    levels = measure(count_levels(image))
    assert (levels.darkest, levels.brightest) == (50, 149)
    image[0, 10] = 20  # one more than 1e-4 of them
    assert measure(count_levels(image)).darkest == 20


@pytest.mark.parametrize(("first", "darkest"), [(0, 0), (1, 0), (2, 2)])
def test_range_begins_with_black_if_its_neighbour_is_used(first: int, darkest: int) -> None:
    assert measure(count_levels(ramp(80, first))).darkest == darkest
    upside_down = measure(count_levels(255 - ramp(80, first)))
    assert upside_down.brightest == 255 - darkest


@pytest.mark.parametrize(("levels", "spacing"), [(8, 36), (16, 17), (32, 8), (64, 4)])
def test_evenly_spread_levels_are_told_by_their_number(levels: int, spacing: int) -> None:
    found = measure(count_levels(ramp(levels) * np.uint8(spacing))).evenly
    assert found == pytest.approx(256 / spacing, abs=1)


# What is left as it is


@pytest.mark.parametrize("image", [gradient(), ramp(256), ramp(USUAL + 3, 100)])
def test_usual_picture_is_left_as_it_is(image: Picture) -> None:
    radiograph = Radiograph(image, ("burned_in_text",))
    assert judgeable(radiograph) is radiograph


@pytest.mark.parametrize("grey", [0, 9, 254, 255])
def test_picture_of_one_grey_is_left_to_the_gate(grey: int) -> None:
    radiograph = Radiograph(np.full((40, 50), grey, np.uint8))
    assert judgeable(radiograph) is radiograph


# What is stretched


@pytest.mark.parametrize("first", [0, 100, 192])
def test_narrow_picture_is_stretched_to_the_whole_range(first: int) -> None:
    found = judgeable(Radiograph(ramp(64, first), ("burned_in_text",)))
    assert found.warnings == ("burned_in_text", STRETCHED)
    assert list(found.image[0, ::10]) == [round(level * 255 / 63) for level in range(64)]


def test_stored_values_are_stretched_with_their_picture() -> None:
    values = 4 * ramp(64, 100).astype(np.uint16)
    stored = replace(stored_values(values), greys=(np.arange(2**16) // 4).astype(np.uint8))
    found = judgeable(Radiograph(stored.greys[values], stored=stored))
    assert found.stored
    np.testing.assert_array_equal(found.stored.greys[values], found.image)
    assert found.stored.nearest_window() == pytest.approx((64 * 4, 132 * 4), abs=8)


def test_black_border_and_white_marker_stay_black_and_white() -> None:
    image = ramp(50, 100)
    image[:20], image[40:42, 10:20] = 0, 255
    found = judgeable(Radiograph(image)).image
    assert (found[:20] == 0).all()
    assert (found[40:42, 10:20] == 255).all()
    assert list(found[50, ::10]) == [round(level * 255 / 49) for level in range(50)]


def test_picture_given_is_not_changed() -> None:
    image = ramp(64)
    judgeable(Radiograph(image))
    np.testing.assert_array_equal(image, ramp(64))


# What is refused


@pytest.mark.parametrize("first", [0, 128, 240])
def test_sixteen_levels_are_refused_with_their_number(first: int) -> None:
    # Black and white are not counted: 15 of 16 with one of them, and 95 % of these are 15.
    with pytest.raises(UnreadableImageError) as caught:
        judgeable(Radiograph(ramp(16, first)))
    number = {0: 15, 128: 16, 240: 15}[first]
    assert str(caught.value) == (
        f"Nearly all of the picture is drawn in so few grey levels between black and white "
        f"({number} of 254) that it cannot be judged. Export the radiograph again, with a window "
        "that spreads it over the whole range, or with all of its bits."
    )


def test_with_one_level_more_it_is_stretched() -> None:
    enough = 29  # of which 95 % are 27.55
    assert FEWEST == 28
    assert what_becomes_of(ramp(enough, 50)) == (STRETCHED,)
    assert what_becomes_of(ramp(enough - 1, 50)) == "refused"


def test_narrow_picture_with_a_grey_marker_has_no_range_that_can_be_told() -> None:
    image = ramp(50, 20)
    image[:5, :50] = np.linspace(20, 230, 50).astype(np.uint8)
    assert what_becomes_of(image) == "refused"


@pytest.mark.parametrize("levels", [(0, 255), (90, 91), (0, 100, 255)])
def test_picture_of_two_or_three_greys_is_refused(levels: tuple[int, ...]) -> None:
    image = np.array(levels, np.uint8)[np.arange(5000).reshape(50, 100) % len(levels)]
    assert what_becomes_of(image) == "refused"


# Few levels over the whole range


@pytest.mark.parametrize("levels", [10, 16, 24, 32, 64])
def test_few_levels_over_the_whole_range_are_warned_of(levels: int) -> None:
    image = ramp(levels) * np.uint8(255 // (levels - 1))
    radiograph = judgeable(Radiograph(image))
    assert radiograph.warnings == (FEW,)
    np.testing.assert_array_equal(radiograph.image, image)


@pytest.mark.parametrize("levels", [2, 4, 8])
def test_too_few_levels_over_the_whole_range_are_refused(levels: int) -> None:
    assert what_becomes_of(ramp(levels) * np.uint8(255 // (levels - 1))) == "refused"


def test_every_second_level_is_enough() -> None:
    assert what_becomes_of(ramp(128) * np.uint8(2)) == ()


# Radiographs


def real(data: Path, step: int) -> Iterator[tuple[Path, GreyImage]]:
    from xray_classifier.inputs.decoding import decode

    for folder in ("originals", "adult_nih", "chest_xray", "chest_xray_768"):
        every = 1 if folder == "originals" else step
        for path in sorted((data / folder).rglob("*.jpeg"))[::every]:
            yield path, decode(path.read_bytes()).image


def assert_untouched(data: Path, step: int) -> int:
    images = 0
    for path, image in real(data, step):
        radiograph = Radiograph(image)
        assert judgeable(radiograph) is radiograph, path
        images += 1
    return images


@pytest.mark.data
def test_radiographs_are_left_as_they_are(data: Path) -> None:
    assert assert_untouched(data, step=40) > 200


@pytest.mark.long
@pytest.mark.data
def test_every_radiograph_is_left_as_it_is(data: Path) -> None:
    assert assert_untouched(data, step=1) == 7705  # 24 + 200 + 5232 + 624 + 1625


def narrowed(image: GreyImage, part: int) -> dict[str, Picture]:
    """The kinds of a picture that uses one `part`-th of the range."""
    small = image // np.uint8(part)
    return {"dark": small, "negative": 255 - small, "washed out": 128 + small}


@pytest.mark.data
@pytest.mark.parametrize(("part", "want"), [(4, (STRETCHED,)), (16, "refused"), (32, "refused")])
def test_narrow_radiographs_are_stretched_or_refused(
    data: Path, part: int, want: tuple[str, ...] | str
) -> None:
    for _, image in list(real(data, 10**6))[:24:6]:
        for name, picture in narrowed(image, part).items():
            assert what_becomes_of(picture) == want, name
            for quality in (75, 90):
                assert what_becomes_of(as_jpeg(picture, quality)) == want, (name, quality)


@pytest.mark.data
@pytest.mark.parametrize("part", [8, 16])
def test_levels_spread_within_a_narrow_picture_do_not_save_it(data: Path, part: int) -> None:
    for _, image in list(real(data, 10**6))[:24:6]:
        # Of so faint a picture JPEG keeps steps of two or three levels.
        faint = image // np.uint8(part)
        assert what_becomes_of(as_jpeg(faint, 50)) == "refused"
        faint[50:90, 50:90] = 255
        assert what_becomes_of(as_jpeg(faint, 50)) == "refused"


@pytest.mark.data
def test_radiographs_of_sixteen_levels_are_warned_of(data: Path) -> None:
    for _, image in list(real(data, 10**6))[:24:6]:
        reduced = image // 16 * np.uint8(17)
        assert what_becomes_of(reduced) == (FEW,)
        assert what_becomes_of(as_jpeg(reduced, 90)) == (FEW,)
