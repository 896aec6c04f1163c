from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tests.support.dicom_files import dicom, lookup_table
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
from xray_classifier.dicom.elements import LookupTable
from xray_classifier.dicom.layout import read_layout
from xray_classifier.dicom.reader import read


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


@pytest.mark.parametrize(
    ("descriptor", "message"),
    [
        ([4, 0, 16], "2 entries of 4"),
        ([0, 0, 16], "2 entries of 65536"),
        ([4, 0], "values to unpack"),
    ],
)
def test_a_lookup_table_without_its_entries_is_damage(descriptor: list[int], message: str) -> None:
    table = lookup_table([1, 2])
    table.LUTDescriptor = descriptor
    with pytest.raises(ValueError, match=message):
        settings(VOILUTSequence=[table])


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
