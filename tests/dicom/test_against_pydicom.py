"""Random legal headers: the picture is the one that pydicom's own functions give.

Where both differ on purpose, the reference says why. What pydicom leaves to its callers is not
drawn: padding, overlays, bits that stand at the top, and the stretching of pictures that use less
than half of their range.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.pixels.processing import (
    apply_color_lut,
    apply_modality_lut,
    apply_voi,
    apply_windowing,
    convert_color_space,
)
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from tests.support.dicom_files import dataset, dicom, lookup_table, rle_frame, written
from xray_classifier.inputs.decoding import decode

FILES = 60
"""Of each of the kinds below, by each of the seeds."""

SHAPE = (34, 40)
DEPTHS = (8, *range(10, 17))  # of a VOI LUT; 9 is none to pydicom
NATIVE = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)


def frame_of(pixels: NDArray[Any], bits: int, syntax: UID) -> bytes:
    """Compress without loss, signed values as the unsigned ones of the same bits."""
    cells = pixels.view(f"u{pixels.itemsize}")
    encoders: dict[UID, Callable[[], Any]] = {
        JPEGLSLossless: lambda: imagecodecs.jpegls_encode(cells),
        JPEGLosslessSV1: lambda: imagecodecs.jpeg8_encode(
            cells, lossless=True, predictor=1, bitspersample=8 * cells.itemsize
        ),
        JPEG2000Lossless: lambda: imagecodecs.jpeg2k_encode(cells, 0, codecformat="j2k"),
        HTJ2KLossless: lambda: imagecodecs.htj2k_encode(cells),
        RLELossless: lambda: rle_frame(_byte_planes(cells)),
    }
    return bytes(encoders[syntax]())


def _byte_planes(cells: NDArray[Any]) -> list[NDArray[np.uint8]]:
    channels = [cells] if cells.ndim == 2 else [cells[..., channel] for channel in range(3)]
    shifts = (8, 0) if cells.itemsize == 2 else (0,)
    return [(one >> shift & 255).astype(np.uint8) for one in channels for shift in shifts]


def stored(rng: Generator, bits: int, *, signed: bool) -> NDArray[Any]:
    """Noise or a soft picture from the lowest possible value to the highest."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]] / SHAPE[1]
    share = np.sin(rng.uniform(1, 6) * rows + rng.uniform(1, 6) * columns + rng.uniform(0, 6))
    if rng.random() < 0.5:
        share = rng.random(SHAPE)
    share = (share - share.min()) / np.ptp(share)
    values = np.round(share * (2**bits - 1)).astype(np.int32) - signed * 2 ** (bits - 1)
    return values.astype(f"{'i' if signed else 'u'}{1 if bits == 8 else 2}")


# Grey


def curve(rng: Generator, first: int, last: int, bits: int) -> Dataset:
    """A lookup table that rises from 0 to its highest entry."""
    entries = np.cumsum(rng.random(last - first + 1) ** rng.integers(1, 4))
    entries = (entries - entries[0]) / (entries[-1] - entries[0]) * (2**bits - 1)
    item = lookup_table(np.round(entries).astype(int).tolist(), first, bits)
    return item if rng.random() < 0.5 else _as_numbers(item)


def _as_numbers(item: Dataset) -> Dataset:
    data = np.frombuffer(item.LUTData, "<u2").tolist()
    if len(data) < 2**15:  # longer ones do not fit into a US element
        item.add_new("LUTData", "US", data)
    return item


def modality_tags(rng: Generator, low: int, high: int) -> tuple[dict[str, Any], int, int]:
    """A rescaling or a table, and the range of what comes of it."""
    kind = rng.integers(0, 3)
    if kind == 0:
        return {}, low, high
    if kind == 1:
        slope = float(rng.choice([1, 2, 0.5, 0.25, -1, -0.5, 1.37]))
        intercept = float(rng.choice([0, -1024, 100.5, 7]))
        ends = sorted((low * slope + intercept, high * slope + intercept))
        return {"RescaleSlope": slope, "RescaleIntercept": intercept}, int(ends[0]), int(ends[1])
    bits = int(rng.choice([8, 16]))  # no other depths are legal (C.11.1.1)
    first = max(low, -(2**15))
    return (
        {"ModalityLUTSequence": [curve(rng, first, min(high, first + 4095), bits)]},
        0,
        2**bits - 1,
    )


def voi_tags(rng: Generator, low: int, high: int) -> dict[str, Any]:
    """A window or a table for values of such a range, or none."""
    kind = rng.integers(0, 4)
    if kind == 0:
        return {}
    if kind == 1:
        first = int(np.clip(rng.integers(low, high), -(2**15), 2**15 - 2))
        last = min(first + int(rng.integers(2, 255)), 2**15 - 1)
        return {"VOILUTSequence": [curve(rng, first, last, DEPTHS[rng.integers(len(DEPTHS))])]}
    function = str(rng.choice(["LINEAR", "LINEAR_EXACT", "SIGMOID", ""]))
    width = round(float(rng.uniform(1, 1.5 * (high - low))), 2)
    tags: dict[str, Any] = {"WindowWidth": 1 if rng.random() < 0.1 else width}
    tags["WindowCenter"] = round(float(rng.uniform(low, high)), 2)
    if rng.random() < 0.3:
        tags |= {"WindowCenter": [tags["WindowCenter"], 1], "WindowWidth": [tags["WindowWidth"], 2]}
    return tags | ({"VOILUTFunction": function} if function else {})


def draw_grey(rng: Generator) -> tuple[bytes, Dataset]:
    bits, signed = int(rng.integers(8, 17)), bool(rng.random() < 0.4)
    pixels = stored(rng, bits, signed=signed)
    low, high = int(pixels.min()), int(pixels.max())
    modality, low, high = modality_tags(rng, low, high)
    tags = modality | voi_tags(rng, low, high)
    tags |= {"BitsStored": bits, "PhotometricInterpretation": f"MONOCHROME{rng.integers(1, 3)}"}
    compressed = (JPEGLSLossless, JPEGLosslessSV1, JPEG2000Lossless, HTJ2KLossless, RLELossless)
    syntax = UID(str(rng.choice([*NATIVE, *compressed])))
    if syntax in NATIVE:
        file = dicom(pixels, syntax, **swapped(tags, syntax))
    else:
        file = dicom(pixels, syntax, frame_of(pixels, bits, syntax), **tags)
    return file, dcmread(io.BytesIO(dicom(pixels, **tags)))


def swapped(tags: dict[str, Any], syntax: UID) -> dict[str, Any]:
    """Turn the words of tables over, as pydicom's writer does not where they are bytes to it."""
    tags = copy.deepcopy(tags)
    for items in (value for key, value in tags.items() if key.endswith("LUTSequence")):
        for item in items if syntax == ExplicitVRBigEndian else ():
            if item["LUTData"].VR == "OW":
                item.LUTData = np.frombuffer(item.LUTData, "<u2").byteswap().tobytes()
    return tags


def grey_by_pydicom(file: Dataset) -> NDArray[np.float64]:
    values = file.pixel_array.astype(np.int32)  # a first value below 0 overflows unsigned ones
    measured = apply_modality_lut(values, file)
    low, high = measured_range(file)
    if "VOILUTSequence" in file:
        # pydicom cuts fractions off; the nearest entry is as legal, and makes no step at 0. It
        # counts places in the depth of the entries, so that of 256 becomes 0 in a table of 8 bits.
        count, first, bits = file.VOILUTSequence[0].LUTDescriptor
        places = np.clip(np.round(measured), first, first + count - 1)
        shades = apply_voi(places.astype(np.int32), file) / (2**bits - 1)
    else:
        # With a negative slope its lowest output is the higher number, so it is divided out.
        shades = (apply_windowing(measured, file) - low) / (high - low)
        if "WindowWidth" not in file:
            shades = (measured - min(low, high)) / abs(high - low)
    shades = 1 - shades if file.PhotometricInterpretation == "MONOCHROME1" else shades
    return np.asarray(shades * 255, np.float64)


def measured_range(file: Dataset) -> tuple[float, float]:
    """What the lowest and the highest possible value measure."""
    if "ModalityLUTSequence" in file:
        return 0, 2.0 ** file.ModalityLUTSequence[0].LUTDescriptor[2] - 1
    low = -(2.0 ** (file.BitsStored - 1)) if file.PixelRepresentation else 0.0
    slope, intercept = file.get("RescaleSlope", 1), file.get("RescaleIntercept", 0)
    ends = low, low + 2.0**file.BitsStored - 1
    return float(ends[0] * slope + intercept), float(ends[1] * slope + intercept)


# Colour


def draw_colour(rng: Generator) -> tuple[bytes, Dataset]:
    bits = int(rng.choice([8, 8, 12, 16]))
    colours = np.stack([stored(rng, bits, signed=False) for _ in range(3)], axis=2)
    kind = "RGB" if bits > 8 else str(rng.choice(["RGB", "YBR_FULL", "YBR_FULL_422"]))
    if kind != "RGB":  # of colours that there are, since those beyond are clipped on the way back
        colours = convert_color_space(colours, "RGB", "YBR_FULL")
    tags: dict[str, Any] = {"PhotometricInterpretation": kind, "BitsStored": bits}
    if kind == "YBR_FULL_422":
        tags["PixelData"] = np.stack(
            [colours[:, ::2, 0], colours[:, 1::2, 0], colours[:, ::2, 1], colours[:, ::2, 2]],
            axis=2,
        ).tobytes()
    elif rng.random() < 0.5:
        tags["PlanarConfiguration"] = 1
        tags["PixelData"] = np.moveaxis(colours, 2, 0).tobytes()
    syntax = UID(str(rng.choice([*NATIVE, RLELossless, JPEGLSLossless])))
    if syntax in NATIVE or kind == "YBR_FULL_422":
        syntax = syntax if syntax in NATIVE else ExplicitVRLittleEndian
        file = dicom(colours, syntax, **tags)
    else:
        said = {key: value for key, value in tags.items() if key != "PixelData"}
        file = dicom(colours, syntax, frame_of(colours, bits, syntax), **said)
    return file, dcmread(io.BytesIO(dicom(colours, **tags)))


def colour_by_pydicom(file: Dataset) -> NDArray[np.float64]:
    file.pixel_array_options(raw=True)
    colours = file.pixel_array
    if file.PhotometricInterpretation == "YBR_FULL_422":
        # Chroma stands for two pixels and is clipped where it does not go with the luma of both.
        return colours[..., 0].astype(np.float64)
    if file.PhotometricInterpretation == "YBR_FULL":
        colours = convert_color_space(colours, "YBR_FULL", "RGB")
    return luma(colours / (2**file.BitsStored - 1))


def luma(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    eight = np.round(shares * 255).astype(np.uint8)
    return np.asarray(Image.fromarray(eight).convert("L"), np.float64)


def draw_palette(rng: Generator) -> tuple[bytes, Dataset]:
    bits, depth = int(rng.choice([8, 12, 16])), int(rng.choice([8, 16]))
    pixels = stored(rng, bits, signed=False)
    count = 2 * int(rng.integers(1, 129 if depth == 8 else 2500))  # pydicom wants no padding
    tags: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR", "BitsStored": bits}
    for ink in ("Red", "Green", "Blue"):
        entries = rng.integers(0, 2**depth, count).astype(f"<u{depth // 8}")
        entries[0] = 2**depth - 1
        descriptor = [count, int(rng.integers(0, 2**bits // 2)), depth]
        if ink != "Red":
            descriptor = tags["RedPaletteColorLookupTableDescriptor"]
        tags[f"{ink}PaletteColorLookupTableDescriptor"] = descriptor
        tags[f"{ink}PaletteColorLookupTableData"] = entries.tobytes()
    made = dataset(pixels, **tags)
    syntax = ExplicitVRLittleEndian if rng.random() < 0.5 else ImplicitVRLittleEndian
    return written(made, syntax), dcmread(io.BytesIO(written(made)))


def palette_by_pydicom(file: Dataset) -> NDArray[np.float64]:
    count, first, bits = file.RedPaletteColorLookupTableDescriptor
    numbers = np.clip(file.pixel_array, first, first + count - 1)  # 256 becomes 0 here, too
    return luma(apply_color_lut(numbers, file) / (2.0**bits - 1))


KINDS = {
    "grey": (draw_grey, grey_by_pydicom),
    "colour": (draw_colour, colour_by_pydicom),
    "palette": (draw_palette, palette_by_pydicom),
}


@pytest.mark.parametrize(
    ("kind", "seed"), [*(("grey", seed) for seed in range(6)), ("colour", 0), ("palette", 0)]
)
def test_picture_is_the_one_of_pydicom(kind: str, seed: int) -> None:
    draw, by_pydicom = KINDS[kind]
    rng = np.random.default_rng(seed)
    for number in range(FILES):
        data, file = draw(rng)
        found = decode(data)
        expected = np.clip(by_pydicom(file), 0, 255)
        difference = np.abs(found.image - expected)
        assert difference.max() <= 1, (number, difference.max(), header_of(file))
        assert found.warnings == (), (number, header_of(file))


def header_of(file: Dataset) -> str:
    """What to look at where a picture differs."""
    return "\n".join(str(element) for element in file if element.tag.group == 0x28)
