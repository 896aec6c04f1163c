from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tests.support.dicom_files import (
    dataset,
    dicom,
    image_of,
    lookup_table,
    table_item,
    written,
)
from tests.support.pictures import gradient
from xray_classifier.dicom.display_settings import (
    Colour,
    DisplaySettings,
    Grey,
    Palette,
    Rescale,
    Window,
    read_display_settings,
)
from xray_classifier.dicom.reader import read
from xray_classifier.dicom.reconcile import read_layout
from xray_classifier.dicom.tables import LookupTable
from xray_classifier.errors import UnreadableImageError


def settings(
    pixels: Any = None, syntax: Any = ExplicitVRLittleEndian, **tags: Any
) -> DisplaySettings:
    file = read(dicom(pixels, syntax, **tags), 132)
    return read_display_settings(file.elements, read_layout(file))


def test_a_file_without_any_leaves_all_to_the_viewer() -> None:
    assert settings() == Grey(modality=Rescale(1, 0), voi=None, padding=None, negative=False)


def test_first_window_is_read_with_its_function() -> None:
    found = settings(
        WindowCenter=[40, 9], WindowWidth=[80, 7], VOILUTFunction="sigmoid", RescaleSlope=2
    )
    assert found == Grey(Rescale(2, 0), Window(40, 80, "SIGMOID"), None, negative=False)


@pytest.mark.parametrize("tags", [{}, {"RescaleSlope": "0"}, {"RescaleSlope": "1e30"}])
def test_an_intercept_counts_with_a_slope_only(tags: dict[str, str]) -> None:
    assert settings(RescaleIntercept=7, **tags) == settings()


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_padding_is_a_range_of_unsigned_numbers(syntax: Any) -> None:
    pixels = gradient().astype(np.int16)
    alone = settings(pixels, syntax, PixelPaddingValue=-2)
    both = settings(pixels, syntax, PixelPaddingValue=-2, PixelPaddingRangeLimit=5)
    assert isinstance(alone, Grey)
    assert isinstance(both, Grey)
    assert (alone.padding, both.padding) == ((65534, 65534), (65534, 5))


def test_a_limit_of_padding_alone_is_none() -> None:
    assert settings(PixelPaddingRangeLimit=5) == settings()


def test_lookup_tables_go_before_numbers() -> None:
    found = settings(
        ModalityLUTSequence=[lookup_table([3, 2, 1], first=-4, bits=12)],
        VOILUTSequence=[lookup_table(range(256), bits=8)],
        RescaleSlope=2,
        WindowCenter=40,
        WindowWidth=80,
    )
    assert isinstance(found, Grey)
    assert isinstance(found.modality, LookupTable)
    assert isinstance(found.voi, LookupTable)
    assert found.modality.entries.tolist() == [3, 2, 1]
    assert (found.modality.first, found.modality.highest) == (65532, 4095)
    assert found.voi.entries.tolist() == list(range(256))
    assert (found.voi.first, found.voi.highest) == (0, 255)


FULL = list(range(256))
WINDOW: dict[str, Any] = {"WindowCenter": 40, "WindowWidth": 80}

USELESS: dict[str, list[Dataset]] = {
    "nothing": [Dataset()],
    "no entries": [table_item([256, 0, 8], b"")],
    "no data": [table_item([256, 0, 8], None)],
    "no descriptor": [table_item(None, bytes(256))],
    "half a descriptor": [table_item([256, 0], bytes(256))],
    "too few entries": [table_item([256, 0, 8], bytes(100))],
    "several": [Dataset(), table_item([256, 0, 8], b""), table_item([256, 0], bytes(256))],
}


def voi(**tags: Any) -> tuple[LookupTable | Window | None, bool]:
    found = settings(**tags)
    assert isinstance(found, Grey)
    return found.voi, found.guessed


@pytest.mark.parametrize("name", USELESS)
def test_first_good_table_is_taken(name: str) -> None:
    items = [*USELESS[name], lookup_table(FULL, bits=8), lookup_table([7] * 256, bits=8)]
    table, guessed = voi(VOILUTSequence=items, **WINDOW)
    assert isinstance(table, LookupTable)
    assert table.entries.tolist() == FULL
    found = settings(ModalityLUTSequence=items, RescaleSlope=2)
    assert isinstance(found, Grey)
    assert isinstance(found.modality, LookupTable)
    assert found.modality.entries.tolist() == FULL
    assert not guessed
    assert not found.guessed


@pytest.mark.parametrize("name", USELESS)
def test_window_and_slope_are_taken_where_no_table_is_good(name: str) -> None:
    assert voi(VOILUTSequence=USELESS[name], **WINDOW) == (Window(40, 80, ""), False)
    assert settings(ModalityLUTSequence=USELESS[name], RescaleSlope=2) == Grey(
        Rescale(2, 0), None, None, negative=False
    )


@pytest.mark.parametrize(
    ("name", "lost"), [("nothing", False), ("no entries", True), ("no data", True)]
)
def test_a_table_that_is_lost_makes_the_greys_a_guess(name: str, *, lost: bool) -> None:
    assert voi(VOILUTSequence=USELESS[name]) == (None, lost)
    expected = Grey(Rescale(), None, None, negative=False, guessed=lost)
    assert settings(ModalityLUTSequence=USELESS[name]) == expected


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no descriptor", "has a descriptor of 0 numbers instead of 3"),
        ("half a descriptor", "has a descriptor of 2 numbers instead of 3"),
        ("too few entries", "has 100 entries of 256"),
    ],
)
@pytest.mark.parametrize(
    ("keyword", "tag"),
    [
        ("VOILUTSequence", r"VOI LUT Sequence \(0028,3010\)"),
        ("ModalityLUTSequence", r"Modality LUT Sequence \(0028,3000\)"),
    ],
)
def test_a_damaged_table_is_refused_where_there_is_nothing_else(
    name: str, message: str, keyword: str, tag: str
) -> None:
    tags: dict[str, Any] = {keyword: USELESS[name]}
    with pytest.raises(
        UnreadableImageError,
        match=f"damaged or incomplete: the lookup table in its {tag} {message}",
    ):
        image_of(dicom(**tags))


@pytest.mark.parametrize(
    ("descriptor", "message"),
    [
        ([4, 0, 16], "2 entries of 4"),
        ([0, 0, 16], "2 entries of 65536"),
        ([4, 0], "2 numbers instead of 3"),
    ],
)
def test_a_lookup_table_without_its_entries_is_damage(descriptor: list[int], message: str) -> None:
    table = lookup_table([1, 2])
    table.LUTDescriptor = descriptor
    with pytest.raises(UnreadableImageError, match=message):
        image_of(dicom(VOILUTSequence=[table]))


def windowed(centre: str, width: str) -> Window | LookupTable | None:
    made = dataset(gradient())
    made.add_new("WindowCenter", "LO", centre)  # as they stand, numbers or not
    made.add_new("WindowWidth", "LO", width)
    file = read(written(made), 132)
    found = read_display_settings(file.elements, read_layout(file))
    assert isinstance(found, Grey)
    assert not found.guessed
    return found.voi


@pytest.mark.parametrize(
    ("centre", "width"),
    [
        ("40", "80"),
        ("\\40", "\\80"),
        ("10\\40", "0\\80"),
        ("10\\40", "-5\\80"),
        ("many\\40", "9\\80"),
        ("9\\40", "nan\\80"),
        ("9\\1e99\\40\\7", "\\9\\80"),
    ],
)
def test_first_good_window_is_taken(centre: str, width: str) -> None:
    assert windowed(centre, width) == Window(40, 80, "")


@pytest.mark.parametrize(
    ("centre", "width"), [("", ""), ("40", ""), ("40", "0"), ("40\\", "\\80"), ("x\\40", "80")]
)
def test_half_a_window_is_none(centre: str, width: str) -> None:
    assert windowed(centre, width) is None


@pytest.mark.parametrize("slope", [{}, {"RescaleSlope": "0"}, {"RescaleSlope": ""}])
def test_an_intercept_without_slope_is_a_guess_where_a_window_counts_on_it(
    slope: dict[str, Any],
) -> None:
    found = settings(RescaleIntercept=-1024, **slope, **WINDOW)
    assert found == Grey(Rescale(), Window(40, 80, ""), None, negative=False, guessed=True)
    assert settings(RescaleIntercept=0, **slope, **WINDOW) == settings(**WINDOW)


def test_palette_has_a_column_for_each_ink() -> None:
    tags: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for index, ink in enumerate(("Red", "Green", "Blue")):
        tags[f"{ink}PaletteColorLookupTableDescriptor"] = [2, 1, 16]
        tags[f"{ink}PaletteColorLookupTableData"] = np.array([index, 9], "<u2").tobytes()
    found = settings(**tags)
    assert isinstance(found, Palette)
    assert found.table.entries.tolist() == [[0, 1, 2], [9, 9, 9]]
    assert (found.table.first, found.table.highest) == (1, 65535)


@pytest.mark.parametrize(
    ("photometric", "luma_first"), [("RGB", False), ("YBR_FULL", True), ("YBR_RCT", False)]
)
def test_colour_of_three_samples_needs_no_table(photometric: str, *, luma_first: bool) -> None:
    colours = np.repeat(gradient()[..., np.newaxis], 3, axis=2)
    table = lookup_table([1, 2])
    table.LUTDescriptor = [4, 0, 16]
    found = settings(colours, PhotometricInterpretation=photometric, VOILUTSequence=[table])
    assert found == Colour(luma_first=luma_first)


def test_monochrome1_is_negative() -> None:
    found = settings(PhotometricInterpretation="MONOCHROME1")
    assert found == Grey(modality=Rescale(), voi=None, padding=None, negative=True)
