"""DICOM files made in memory, from drawn images and from radiographs."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filereader import dcmread
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from tests.support.pictures import gradient
from xray_classifier.imaging.radiograph import GreyImage
from xray_classifier.inputs.decoding import decode

NAME, IDENTIFIER, BIRTH = "Fakename^Zoe", "ID-4711", "20230107"
"""What identifies the patient of every file made here."""


def bundled(name: str) -> bytes:
    """One of the files that come with pydicom, never a download."""
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str), name
    with open(path, "rb") as stream:  # noqa: PTH123
        return stream.read()


def dicom(
    pixels: NDArray[Any] | None = None,
    syntax: UID = ExplicitVRLittleEndian,
    frame: bytes | None = None,
    **tags: Any,
) -> bytes:
    """Write a DICOM file of a child's chest.

    Args:
        pixels: shape (rows, columns) or (rows, columns, 3), uint8, uint16 or int16.
        syntax: the transfer syntax.
        frame: the pixels as compressed by the caller.
        tags: further elements by keyword; None removes one.
    """
    return written(dataset(pixels, frame, **tags), syntax)


def dataset(pixels: NDArray[Any] | None = None, frame: bytes | None = None, **tags: Any) -> Dataset:
    """Build the elements of such a file."""
    pixels = gradient() if pixels is None else pixels
    made = Dataset()
    made.SOPClassUID = ComputedRadiographyImageStorage
    made.SOPInstanceUID = "1.2.3.4"
    made.StudyDate = "20260301"
    made.Modality = "CR"
    made.PatientName, made.PatientID, made.PatientBirthDate = NAME, IDENTIFIER, BIRTH
    made.BodyPartExamined = "CHEST"
    made.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    made.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    if pixels.ndim == 3:
        made.PlanarConfiguration = 0
    made.Rows, made.Columns = pixels.shape[:2]
    made.BitsAllocated = made.BitsStored = 8 * pixels.dtype.itemsize
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    if frame is not None:
        made.PixelData = encapsulate([frame])
        made["PixelData"].is_undefined_length = True
    else:
        made.PixelData = pixels.tobytes() + bytes(pixels.nbytes % 2)
    if tags.get("BitsStored"):
        made.HighBit = tags["BitsStored"] - 1
    for keyword, value in tags.items():
        if value is None:
            del made[keyword]
        else:
            setattr(made, keyword, value)
    made["PixelData"].VR = "OB" if frame is not None or pixels.dtype.itemsize == 1 else "OW"
    return made


def written(made: Dataset, syntax: UID = ExplicitVRLittleEndian) -> bytes:
    """Write a data set as a file with preamble."""
    stream = io.BytesIO()
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = made.get("SOPClassUID", ComputedRadiographyImageStorage)
    meta.MediaStorageSOPInstanceUID = UID("1.2.3.4")
    implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    file = FileDataset(stream, made, bytes(128), meta, implicit, little)
    if not little and made.BitsAllocated == 16:
        file.PixelData = np.frombuffer(made.PixelData, "<u2").byteswap().tobytes()
    file.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def relabelled(name: str, **tags: Any) -> bytes:
    """A file of pydicom's as if it were a radiograph, since most of them are not."""
    file = dcmread(io.BytesIO(bundled(name)))
    file.Modality = "CR"
    if "BodyPartExamined" in file:
        del file.BodyPartExamined
    for keyword, value in tags.items():
        setattr(file, keyword, value)
    stream = io.BytesIO()
    file.save_as(stream)
    return stream.getvalue()


def image_of(file: bytes) -> GreyImage:
    """The picture that the package makes of a file, and that a viewer makes of what is kept."""
    radiograph = decode(file, keep_stored=True)
    if stored := radiograph.stored:
        np.testing.assert_array_equal(stored.greys[stored.values], radiograph.image)
    return radiograph.image


def lookup_table(entries: Sequence[int], first: int = 0, bits: int = 16) -> Dataset:
    """An item of a modality or VOI LUT sequence."""
    item = Dataset()
    item.LUTDescriptor = [len(entries) % 2**16, first, bits]
    item["LUTDescriptor"].VR = "US" if first >= 0 else "SS"
    item.add_new("LUTData", "OW", np.array(entries, "<u2").tobytes())
    return item


def table_item(descriptor: Sequence[int] | None, data: bytes | None, kind: str = "OW") -> Dataset:
    """The same, word by word, for tables that are wrong; None leaves an element out."""
    item = Dataset()
    if descriptor is not None:
        item.add_new("LUTDescriptor", "US", list(descriptor))
    if data is not None:
        item.add_new("LUTData", kind, data)
    return item


def shades(bits: int = 8, height: int = 60, width: int = 80) -> NDArray[Any]:
    """A drawn picture with the soft edges and the grain of a radiograph, over all of its range."""
    rows, columns = np.mgrid[:height, :width] / width
    soft = np.sin(7 * rows + 3 * np.sin(5 * columns)) * np.cos(6 * columns)
    grain = np.random.default_rng(6).normal(0, 0.01, soft.shape)
    share = np.clip((soft - soft.min()) / np.ptp(soft) + grain, 0, 1)
    return np.round(share * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)


def rle_frame(planes: Sequence[NDArray[np.uint8]]) -> bytes:
    """Compress byte planes, the highest byte of each channel first, as RLE."""
    segments = [
        b"".join(imagecodecs.packbits_encode(row.tobytes()) for row in plane) for plane in planes
    ]
    segments = [segment + bytes(len(segment) % 2) for segment in segments]
    offsets = np.cumsum([64, *map(len, segments)])[:-1]
    header = [len(segments), *offsets, *[0] * (15 - len(segments))]
    return struct.pack("<16L", *header) + b"".join(segments)


def compressed_frames() -> dict[UID, bytes]:
    """The drawn image of 12 bits (8 in baseline JPEG) in each compression."""
    deep = gradient().astype(np.uint16) * 16
    high, low = (deep >> 8).astype(np.uint8), (deep & 255).astype(np.uint8)
    frames = {
        JPEGExtended12Bit: imagecodecs.jpeg8_encode(deep, 98, bitspersample=12),
        JPEGLosslessSV1: imagecodecs.jpeg8_encode(
            deep, lossless=True, predictor=1, bitspersample=12
        ),
        JPEGLSLossless: imagecodecs.jpegls_encode(deep),
        JPEG2000Lossless: imagecodecs.jpeg2k_encode(deep, 0, codecformat="j2k", bitspersample=12),
        RLELossless: rle_frame([high, low]),
        JPEGBaseline8Bit: imagecodecs.jpeg8_encode(gradient(), 98),
    }
    return {syntax: bytes(frame) for syntax, frame in frames.items()}


def compressed() -> dict[UID, bytes]:
    """The same as files."""
    deep = gradient().astype(np.uint16) * 16
    frames = compressed_frames()
    baseline = frames.pop(JPEGBaseline8Bit)
    files = {syntax: dicom(deep, syntax, frame, BitsStored=12) for syntax, frame in frames.items()}
    return files | {JPEGBaseline8Bit: dicom(gradient(), JPEGBaseline8Bit, baseline)}
