from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tests.support.dicom_files import (
    bundled,
    dataset,
    dicom,
    image_of,
    lookup_table,
    relabelled,
    table_item,
    written,
)
from tests.support.pictures import gradient
from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging.radiograph import StoredValues
from xray_classifier.inputs.decoding import decode

RAMP12 = np.tile(np.arange(0, 4096, 64, dtype=np.uint16), (40, 1))  # 0 to 4032


def greys(pixels: NDArray[Any], **tags: Any) -> NDArray[np.int64]:
    """One row of the picture that comes of a file with the same rows."""
    image = image_of(dicom(pixels, **tags))
    assert (image == image[0]).all()
    return image[0].astype(int)


def off_by(pixels: NDArray[Any], expected: NDArray[Any], **tags: Any) -> float:
    """The largest difference between grey values found and expected ones, 0 to 255."""
    return float(np.abs(greys(pixels, **tags) - np.clip(expected, 0, 255)).max())


# Without a window


def test_8_bits_are_kept_as_they_are() -> None:
    np.testing.assert_array_equal(image_of(dicom()), gradient())


def test_dim_8_bits_stay_dim() -> None:
    dim = gradient() // 4
    np.testing.assert_array_equal(image_of(dicom(dim)), dim)


@pytest.mark.parametrize("bits", [9, 10, 11, 12, 13, 14, 15, 16])
def test_bits_stored_span_the_grey_range(bits: int) -> None:
    deep = np.tile(np.linspace(0, 2**bits - 1, 80), (40, 1)).astype(np.uint16)
    assert off_by(deep, deep[0] / (2**bits - 1) * 255, BitsStored=bits) <= 0.5


def test_more_than_half_of_the_range_is_not_stretched() -> None:
    half = RAMP12 // 8 * 5 + 100  # 100 to 2620
    assert off_by(half, half[0] / 4095 * 255, BitsStored=12) <= 0.5


def test_less_than_half_of_the_range_is_stretched_to_percentiles() -> None:
    deep = RAMP12 // 8 + 1000  # 1000 to 1504, as if 16 bits held 12
    found = greys(deep, BitsStored=16)
    assert (found[0], found[-1]) == (0, 255)
    assert off_by(deep, (deep[0] - 1000.0) / 504 * 255, BitsStored=16) <= 3


def test_a_few_hot_pixels_do_not_darken_a_stretched_picture() -> None:
    deep = RAMP12 // 8 + 1000
    deep[0, 0] = 20_000
    assert image_of(dicom(deep))[1, -1] == 255


def test_picture_of_one_value_is_of_one_grey() -> None:
    assert len(np.unique(image_of(dicom(np.full((40, 40), 700, np.uint16), BitsStored=12)))) == 1


def test_signed_pixels_count_from_the_lowest_possible_value() -> None:
    signed = (RAMP12.astype(np.int16) - 2048).astype(np.int16)
    assert off_by(signed, RAMP12[0] / 4095 * 255, BitsStored=12) <= 0.5


# Windows


@pytest.mark.parametrize(
    ("centre", "width"), [(2048, 4096), (1000, 500), (0, 100), (5000, 20), (2000.5, 1200.25)]
)
def test_window_is_linear_as_the_standard_defines_it(centre: float, width: float) -> None:
    expected = ((RAMP12[0] - (centre - 0.5)) / (width - 1) + 0.5) * 255  # C.11.2.1.2.1
    assert off_by(RAMP12, expected, BitsStored=12, WindowCenter=centre, WindowWidth=width) <= 0.5


def test_window_of_width_1_is_a_threshold() -> None:
    found = greys(RAMP12, BitsStored=12, WindowCenter=1024, WindowWidth=1)
    np.testing.assert_array_equal(found, np.where(RAMP12[0] < 1024, 0, 255))  # C.11.2.1.2.1


def test_exact_window_spans_its_whole_width() -> None:
    tags = {"WindowCenter": 2000, "WindowWidth": 1000, "VOILUTFunction": "LINEAR_EXACT"}
    assert off_by(RAMP12, ((RAMP12[0] - 2000.0) / 1000 + 0.5) * 255, BitsStored=12, **tags) <= 0.5


def test_sigmoid_window_is_soft() -> None:
    tags = {"WindowCenter": 2000, "WindowWidth": 1000, "VOILUTFunction": "SIGMOID"}
    expected = 255 / (1 + np.exp(-4 * (RAMP12[0] - 2000.0) / 1000))
    assert off_by(RAMP12, expected, BitsStored=12, **tags) <= 0.5


def test_first_of_several_windows_is_taken() -> None:
    one = greys(RAMP12, BitsStored=12, WindowCenter=1000, WindowWidth=500)
    several = greys(RAMP12, BitsStored=12, WindowCenter=[1000, 3000], WindowWidth=[500, 50])
    np.testing.assert_array_equal(several, one)


@pytest.mark.parametrize(
    "tags",
    [
        {"WindowCenter": 1000},
        {"WindowWidth": 500},
        {"WindowCenter": 1000, "WindowWidth": 0},
        {"WindowCenter": 1000, "WindowWidth": -5},
        {"WindowCenter": 1e20, "WindowWidth": 500},
        {"WindowCenter": [], "WindowWidth": []},
    ],
)
def test_window_that_is_none_leaves_the_full_range(tags: dict[str, Any]) -> None:
    np.testing.assert_array_equal(
        greys(RAMP12, BitsStored=12, **tags), greys(RAMP12, BitsStored=12)
    )


@pytest.mark.parametrize("width", [1e-9, 1e-300])
def test_window_may_be_as_narrow_as_it_likes(width: float) -> None:
    found = greys(RAMP12, BitsStored=12, WindowCenter=1000, WindowWidth=str(width))
    assert set(found) == {0, 255}


# Modality


def test_window_counts_in_rescaled_values() -> None:
    tags = {"RescaleSlope": 2, "RescaleIntercept": -1000, "WindowCenter": 0, "WindowWidth": 2001}
    expected = ((RAMP12[0] * 2.0 - 1000 + 0.5) / 2000 + 0.5) * 255
    assert off_by(RAMP12, expected, BitsStored=12, **tags) <= 0.5


def test_rescaling_alone_changes_nothing() -> None:
    tags = {"RescaleSlope": 0.5, "RescaleIntercept": 7}
    np.testing.assert_array_equal(
        greys(RAMP12, BitsStored=12, **tags), greys(RAMP12, BitsStored=12)
    )


def test_negative_slope_inverts() -> None:
    expected = 255 - RAMP12[0] / 4095 * 255
    tags = {"RescaleSlope": -1, "RescaleIntercept": 4095}
    assert off_by(RAMP12, expected, BitsStored=12, **tags) <= 0.5


@pytest.mark.parametrize("slope", [0, 1e30])
def test_slope_without_meaning_is_left_out(slope: float) -> None:
    found = greys(RAMP12, BitsStored=12, RescaleSlope=str(slope), RescaleIntercept=0)
    np.testing.assert_array_equal(found, greys(RAMP12, BitsStored=12))


SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_modality_lookup_table_comes_before_the_window(syntax: Any) -> None:
    square = [value * value // 4095 for value in range(4096)]
    tags: dict[str, Any] = {"ModalityLUTSequence": [lookup_table(square)], "BitsStored": 12}
    tags |= {"WindowCenter": 2048, "WindowWidth": 4096}
    image = image_of(dicom(RAMP12, syntax, **tags))
    expected = RAMP12[0].astype(float) ** 2 / 4095 / 4095 * 255
    assert np.abs(image[0] - expected).max() <= 0.6


# VOI lookup tables


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_voi_lookup_table_is_followed(syntax: Any) -> None:
    root = np.round(np.sqrt(np.arange(4096) / 4095) * 65535).astype(int).tolist()
    image = image_of(dicom(RAMP12, syntax, BitsStored=12, VOILUTSequence=[lookup_table(root)]))
    assert np.abs(image[0] - np.sqrt(RAMP12[0] / 4095) * 255).max() <= 0.6


def test_voi_lookup_table_may_be_of_undefined_length() -> None:
    made = dataset(RAMP12, BitsStored=12, VOILUTSequence=[lookup_table([0, 65535], first=1000)])
    expected = image_of(written(made))
    made["VOILUTSequence"].is_undefined_length = True
    assert len(np.unique(expected)) == 2
    np.testing.assert_array_equal(image_of(written(made)), expected)


def test_voi_lookup_table_of_few_entries_is_extended_by_its_ends() -> None:
    table = lookup_table([0, 65535], first=1000)
    found = greys(RAMP12, BitsStored=12, VOILUTSequence=[table])
    np.testing.assert_array_equal(found, np.where(RAMP12[0] > 1000, 255, 0))


def test_voi_lookup_table_that_announces_too_many_bits_is_not_dark() -> None:
    table = lookup_table(list(range(4096)), bits=16)
    assert off_by(RAMP12, RAMP12[0] / 4095 * 255, BitsStored=12, VOILUTSequence=[table]) <= 0.5


def test_voi_lookup_table_begins_at_a_signed_value() -> None:
    signed = (RAMP12.astype(np.int16) - 2048).astype(np.int16)
    table = lookup_table(list(range(4096)), first=-2048, bits=12)
    assert off_by(signed, RAMP12[0] / 4095 * 255, BitsStored=12, VOILUTSequence=[table]) <= 0.5


def test_voi_lookup_table_of_bytes_is_read() -> None:
    table = lookup_table([], bits=8)
    table.LUTDescriptor = [256, 0, 8]
    table.LUTData = bytes(range(255, -1, -1))
    np.testing.assert_array_equal(image_of(dicom(VOILUTSequence=[table])), 255 - gradient())


def test_voi_lookup_table_goes_before_a_window() -> None:
    table = lookup_table([0, 65535], first=1000)
    with_both = greys(RAMP12, BitsStored=12, VOILUTSequence=[table], WindowCenter=1, WindowWidth=2)
    np.testing.assert_array_equal(with_both, greys(RAMP12, BitsStored=12, VOILUTSequence=[table]))


RAMP = np.arange(4096, dtype="<u2")


def through(item: Dataset, pixels: NDArray[Any] = RAMP12, **tags: Any) -> NDArray[np.uint8]:
    """The picture by such a VOI table, of which nothing was guessed; a modality table agrees."""
    found = decode(dicom(pixels, BitsStored=12, VOILUTSequence=[item], **tags))
    measured = decode(dicom(pixels, BitsStored=12, ModalityLUTSequence=[item], **tags))
    assert found.warnings == measured.warnings == ()
    np.testing.assert_allclose(measured.image.astype(int), found.image, atol=1)
    return found.image


@pytest.mark.parametrize("bits", [0, 1, 8, 10, 11, 12, 13, 16, 32, 255])
def test_entries_prove_their_bits(bits: int) -> None:
    image = through(table_item([4096, 0, bits], RAMP.tobytes()))
    assert np.abs(image[0] - RAMP12[0] / 4095 * 255).max() <= 0.5


@pytest.mark.parametrize("count", [0, 1, 64, 256, 4095, 4096, 4097, 5000])
def test_entries_prove_how_many_they_are(count: int) -> None:
    image = through(table_item([count, 0, 12], RAMP.tobytes()))
    assert np.abs(image[0] - RAMP12[0] / 4095 * 255).max() <= 0.5


@pytest.mark.parametrize("padding", [[0], [0] * 500, [4095]])
def test_padding_behind_a_table_is_left_out(padding: list[int]) -> None:
    half = [*range(0, 4096, 2), *padding]  # ends amid the values
    image = through(table_item([2048, 0, 12], np.array(half, "<u2").tobytes()))
    expected = np.minimum(RAMP12[0] * 2, 4094) / 4095 * 255
    assert np.abs(image[0] - expected).max() <= 0.5


def test_last_entry_may_be_missing() -> None:
    image = through(table_item([4096, 0, 12], RAMP[:-1].tobytes()), RAMP12 + 63)
    assert np.abs(image[0] - (RAMP12[0] + 63.0) / 4095 * 255).max() <= 1


BYTES = (RAMP // 16).astype(np.uint8)


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("kind", ["OW", "OB", "US"])
def test_entries_may_be_bytes_whatever_the_descriptor_says(kind: str, bits: int) -> None:
    data = BYTES.tobytes() if kind != "US" else BYTES.view("<u2").tolist()
    item = table_item([4096, 0, bits], None)
    item.add_new("LUTData", kind, data)
    np.testing.assert_array_equal(through(item)[0], RAMP12[0] // 16)


@pytest.mark.parametrize("missing", [0, 1])
def test_entries_of_8_bits_may_be_words(missing: int) -> None:
    data = BYTES.astype("<u2")[: 4096 - missing].tobytes()
    np.testing.assert_array_equal(through(table_item([4096, 0, 8], data))[0], RAMP12[0] // 16)


@pytest.mark.parametrize("kind", ["OW", "OB"])
def test_bytes_of_a_big_endian_file_stand_as_its_words_do(kind: str) -> None:
    data = BYTES.tobytes() if kind == "OB" else BYTES.view("<u2").byteswap().tobytes()
    tags: dict[str, Any] = {"VOILUTSequence": [table_item([4096, 0, 8], data, kind)]}
    image = image_of(dicom(RAMP12, ExplicitVRBigEndian, BitsStored=12, **tags))
    np.testing.assert_array_equal(image[0], RAMP12[0] // 16)


def test_table_of_unsigned_pixels_may_begin_below_0() -> None:
    entries = np.append(np.zeros(100, "<u2"), RAMP)
    item = table_item([4096 + 100, 2**16 - 100, 12], entries.tobytes())
    assert np.abs(through(item)[0] - RAMP12[0] / 4095 * 255).max() <= 0.5


def test_table_may_begin_high() -> None:
    deep = (RAMP12 + 40_000).astype(np.uint16)
    item = table_item([4096, 40_000, 12], RAMP.tobytes())
    image = image_of(dicom(deep, VOILUTSequence=[item]))
    assert np.abs(image[0] - RAMP12[0] / 4095 * 255).max() <= 0.5


def test_table_begins_below_0_where_rescaled_values_do() -> None:
    rescaled: dict[str, Any] = {"BitsStored": 12, "RescaleSlope": 1, "RescaleIntercept": -1024}
    item = table_item([4096, 2**16 - 1024, 12], RAMP.tobytes())
    image = image_of(dicom(RAMP12, VOILUTSequence=[item], **rescaled))
    assert np.abs(image[0] - RAMP12[0] / 4095 * 255).max() <= 0.5


def test_short_table_will_do_for_a_picture_within_it() -> None:
    item = table_item([4096, 0, 12], (RAMP[:1024] * 4).tobytes())
    image = through(item, RAMP12 // 4)
    assert np.abs(image[0] - RAMP12[0] // 4 * 4 / 4095 * 255).max() <= 0.5
    padded = (RAMP12 // 4).copy()
    padded[:20] = 4000
    tags: dict[str, Any] = {"VOILUTSequence": [item], "BitsStored": 12}
    assert not image_of(dicom(padded, PixelPaddingValue=4000, **tags))[:20].any()
    with pytest.raises(UnreadableImageError, match="has 1024 entries of 4096"):
        image_of(dicom(padded, **tags))


def test_lookup_table_that_is_shorter_than_it_says_is_damage() -> None:
    table = lookup_table([0, 65535])
    table.LUTDescriptor = [4096, 0, 16]
    with pytest.raises(UnreadableImageError, match="damaged or incomplete"):
        image_of(dicom(RAMP12, BitsStored=12, VOILUTSequence=[table]))


# Negatives and padding


def test_monochrome1_is_inverted() -> None:
    file = dicom(255 - gradient(), PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(image_of(file), gradient())


def test_monochrome1_is_inverted_after_the_window() -> None:
    window = {"BitsStored": 12, "WindowCenter": 1000, "WindowWidth": 500}
    negative = greys(RAMP12, PhotometricInterpretation="MONOCHROME1", **window)
    np.testing.assert_allclose(negative, 255 - greys(RAMP12, **window), atol=1)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_no_part_of_the_range(photometric: str) -> None:
    deep = RAMP12 // 8 + 1000
    padded = deep.copy()
    padded[:20] = 65535
    file = dicom(padded, PhotometricInterpretation=photometric, PixelPaddingValue=65535)
    image = image_of(file)
    assert not image[:20].any()
    alone = image_of(dicom(deep, PhotometricInterpretation=photometric))
    np.testing.assert_array_equal(image[20:], alone[20:])


def test_padding_may_be_a_signed_range() -> None:
    signed = (RAMP12.astype(np.int16) - 2048).astype(np.int16)
    signed[:5], signed[5:10] = -2000, -1990
    image = image_of(
        dicom(signed, BitsStored=12, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1985)
    )
    assert not image[:10].any()
    assert image[10, 2] > 0


# Colour


def test_colour_becomes_luma() -> None:
    colours = np.zeros((40, 40, 3), np.uint8)
    colours[:, :10], colours[:, 10:20] = (255, 0, 0), (0, 255, 0)
    colours[:, 20:30], colours[:, 30:] = (0, 0, 255), (200, 200, 200)
    row = image_of(dicom(colours))[0, ::10]
    np.testing.assert_array_equal(row, np.asarray(Image.fromarray(colours).convert("L"))[0, ::10])


def test_colour_by_plane_is_the_same() -> None:
    colours = np.random.default_rng(3).integers(0, 256, (40, 40, 3), np.uint8)
    planes = np.ascontiguousarray(np.moveaxis(colours, 2, 0))
    file = dicom(colours, PlanarConfiguration=1, PixelData=planes.tobytes())
    np.testing.assert_array_equal(image_of(file), image_of(dicom(colours)))


def test_luma_of_ybr_is_its_first_channel() -> None:
    colours = np.random.default_rng(3).integers(0, 256, (40, 40, 3), np.uint8)
    file = dicom(colours, PhotometricInterpretation="YBR_FULL")
    np.testing.assert_array_equal(image_of(file), colours[..., 0])


def test_deep_colour_is_scaled() -> None:
    deep = np.repeat(RAMP12[..., np.newaxis], 3, axis=2)
    image = image_of(dicom(deep, BitsStored=12))
    assert np.abs(image[0] - RAMP12[0] / 4095 * 255).max() <= 1


def test_palette_is_looked_up() -> None:
    image = image_of(relabelled("examples_palette.dcm"))
    assert image.shape == (350, 800)
    assert image.min() < 30
    assert image.max() > 225


def test_drawn_palette_becomes_luma() -> None:
    inks = {"Red": [0, 65535, 0, 0], "Green": [0, 0, 65535, 0], "Blue": [0, 0, 0, 65535]}
    tags: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for ink, entries in inks.items():
        tags[f"{ink}PaletteColorLookupTableDescriptor"] = [4, 0, 16]
        tags[f"{ink}PaletteColorLookupTableData"] = np.array(entries, "<u2").tobytes()
    pixels = np.tile(np.arange(4, dtype=np.uint8), (40, 10))
    np.testing.assert_array_equal(image_of(dicom(pixels, **tags))[0, :4], [0, 76, 150, 29])


def test_palette_of_8_bits_may_be_announced_as_full() -> None:
    tags: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for ink in ("Red", "Green", "Blue"):
        tags[f"{ink}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        tags[f"{ink}PaletteColorLookupTableData"] = np.arange(256, dtype="<u2").tobytes()
    np.testing.assert_array_equal(image_of(dicom(gradient(), **tags)), gradient())
    for ink in ("Red", "Green", "Blue"):
        tags[f"{ink}PaletteColorLookupTableData"] = bytes(range(256))
    np.testing.assert_array_equal(image_of(dicom(gradient(), **tags)), gradient())


def test_missing_palette_is_damage() -> None:
    with pytest.raises(
        UnreadableImageError, match=r"damaged or incomplete: .* PALETTE COLOR, but its .* \(0028,11"
    ):
        image_of(dicom(PhotometricInterpretation="PALETTE COLOR"))


def test_overlay_in_unused_bits_is_not_shown() -> None:
    marked = RAMP12 | 0x8000
    np.testing.assert_array_equal(greys(marked, BitsStored=12), greys(RAMP12, BitsStored=12))


def test_bits_may_stand_at_the_top() -> None:
    high = (RAMP12 << 4).astype(np.uint16)
    found = greys(high, BitsStored=12, HighBit=15)
    np.testing.assert_array_equal(found, greys(RAMP12, BitsStored=12))


def test_files_of_pydicom_look_as_its_functions_say() -> None:
    import io

    from pydicom import dcmread
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

    file = dcmread(io.BytesIO(bundled("MR_small.dcm")))
    expected = apply_voi_lut(apply_modality_lut(file.pixel_array, file), file)
    scaled = (expected.astype(float) + 2**15) / (2**16 - 1) * 255
    assert np.abs(image_of(relabelled("MR_small.dcm")) - scaled).max() <= 0.5


# What a viewer is given


def kept(pixels: NDArray[Any], **tags: Any) -> StoredValues:
    """What is kept beside the picture; that it makes the picture, `image_of` holds everywhere."""
    stored = decode(dicom(pixels, **tags), keep_stored=True).stored
    assert stored is not None
    return stored


WINDOW: dict[str, Any] = {"WindowCenter": 1600, "WindowWidth": 800}


@pytest.mark.parametrize(
    ("tags", "window"),
    [
        ({}, (4096, 2048)),
        (WINDOW, (800, 1600)),
        (WINDOW | {"RescaleSlope": 2, "RescaleIntercept": -400}, (400, 1000)),
        (WINDOW | {"VOILUTFunction": "LINEAR_EXACT"}, (801, 1600.5)),
        (WINDOW | {"VOILUTFunction": "SIGMOID"}, (801, 1600.5)),
    ],
)
def test_window_of_stored_values_is_that_of_the_file(
    tags: dict[str, Any], window: tuple[float, float]
) -> None:
    stored = kept(RAMP12, BitsStored=12, **tags)
    assert (stored.window, stored.used, stored.lowest) == (window, (0, 4032), 0)
    assert not stored.negative
    np.testing.assert_array_equal(stored.values, RAMP12)


def test_stored_values_may_be_signed() -> None:
    stored = kept(RAMP12.astype(np.int16) - 2048, BitsStored=12, WindowCenter=-100, WindowWidth=90)
    np.testing.assert_array_equal(stored.values + np.int64(stored.lowest), RAMP12 - 2048.0)
    assert stored.window == (90, -100)


@pytest.mark.parametrize(
    "tags",
    [
        {"PhotometricInterpretation": "MONOCHROME1"},
        WINDOW | {"RescaleSlope": -1, "RescaleIntercept": 4095},
    ],
)
def test_stored_values_may_be_negative(tags: dict[str, Any]) -> None:
    assert kept(RAMP12, BitsStored=12, **tags).negative


def test_values_under_a_lookup_table_have_no_window_but_one_near_it() -> None:
    table = lookup_table([min(max(value - 1000, 0), 1023) for value in range(4096)], bits=10)
    stored = kept(RAMP12, BitsStored=12, VOILUTSequence=[table])
    assert stored.window is None
    assert stored.nearest_window() == pytest.approx((1020, 1512), abs=8)


def test_padding_is_none_of_the_values_that_are_used() -> None:
    padded = RAMP12 + 100
    padded[:, :5] = 0
    assert kept(padded, BitsStored=13, PixelPaddingValue=0).used == (420, 4132)


@pytest.mark.parametrize(
    "pixels", [gradient(), np.dstack([RAMP12] * 3)], ids=["8 bits", "in colour"]
)
def test_nothing_is_kept_of_8_bits_or_colour(pixels: NDArray[Any]) -> None:
    assert decode(dicom(pixels), keep_stored=True).stored is None
    assert decode(dicom(RAMP12)).stored is None, "nor where nobody asked"
