from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.dicom_files import bundled, dicom, image_of
from tests.support.pictures import gradient
from xray_classifier.dicom import layout
from xray_classifier.errors import UnreadableImageError


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"Rows": 65535, "Columns": 65535}, "has 65535 x 65535 pixels; the limit is 64 million"),
        ({"Rows": 8000, "Columns": 7000}, "7000 x 8000 pixels of 1 values each; the limit is 38"),
        ({"Rows": 31}, "80 x 31 pixels; at least 32 x 32"),
        ({"Rows": 0}, "80 x 0 pixels; at least 32 x 32"),
        ({"Rows": None}, r"Rows \(0028,0010\) is missing or damaged"),
        ({"Columns": None}, r"Columns \(0028,0011\) is missing or damaged"),
        ({"SamplesPerPixel": None}, r"Samples per Pixel \(0028,0002\) is missing or damaged"),
        ({"SamplesPerPixel": 4}, r"4 values for each pixel, says Samples per Pixel"),
        ({"SamplesPerPixel": 65535}, r"65535 values for each pixel"),
        ({"BitsAllocated": None}, r"Bits Allocated \(0028,0100\) is missing or damaged"),
        ({"BitsStored": None}, r"Bits Stored \(0028,0101\) is missing or damaged"),
        ({"BitsAllocated": 32, "BitsStored": 32}, "keeps 32 bits in 32 from bit 0 on"),
        ({"BitsAllocated": 1, "BitsStored": 1}, "keeps 1 bits in 1 from bit 0 on"),
        ({"BitsAllocated": 24, "BitsStored": 12}, "keeps 12 bits in 24 from bit 0 on"),
        ({"PhotometricInterpretation": None}, r"Interpretation \(0028,0004\) is none of MONO"),
        ({"PhotometricInterpretation": "HSV"}, r"Interpretation \(0028,0004\) is none of MONO"),
        (
            {"PhotometricInterpretation": "RGB", "PixelData": bytes(4000)},
            "has 1 values for each pixel, but",
        ),
    ],
)
def test_impossible_layout_is_refused_with_its_tag(tags: dict[str, Any], message: str) -> None:
    with pytest.raises(UnreadableImageError, match=message):
        image_of(dicom(**tags))


@pytest.mark.parametrize("frames", [2, 30])
def test_several_frames_are_refused(frames: int) -> None:
    with pytest.raises(UnreadableImageError, match=rf"holds {frames} frames.*\(0028,0008\)"):
        image_of(dicom(NumberOfFrames=frames))


def test_several_frames_of_pydicom_s_files_are_refused() -> None:
    with pytest.raises(UnreadableImageError, match="holds 2 frames"):
        image_of(bundled("SC_rgb_rle_2frame.dcm"))


@pytest.mark.parametrize("frames", [1, None])
def test_a_single_frame_is_read(frames: int | None) -> None:
    tags: dict[str, Any] = {} if frames is None else {"NumberOfFrames": frames}
    np.testing.assert_array_equal(image_of(dicom(**tags)), gradient())


def test_values_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "MAX_SAMPLES", 60 * 80 - 1)
    with pytest.raises(UnreadableImageError, match="80 x 60 pixels of 1 values each"):
        image_of(dicom())


def test_missing_high_bit_is_the_usual_one() -> None:
    np.testing.assert_array_equal(image_of(dicom(HighBit=None)), gradient())
