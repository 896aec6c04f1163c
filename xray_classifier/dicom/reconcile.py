"""The layout that the pixels of a DICOM file prove, where its tags contradict them or each other.

The length of uncompressed pixels, and what a compressed stream says of itself, is right, since
nothing could be shown otherwise. Of all readings that it allows, the one is taken for which the
fewest tags are wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from xray_classifier.dicom.evidence import are_words, is_thrice
from xray_classifier.dicom.layout import (
    NEGATIVE,
    ONE_SAMPLE,
    PALETTE,
    POSITIVE,
    RGB,
    SUBSAMPLED,
    THREE_SAMPLES,
    YBR,
    Layout,
    check_samples,
    read_tags,
    wrong_photometric,
)
from xray_classifier.dicom.reader import DicomFile
from xray_classifier.dicom.streams import beginning, count_frames, count_segments, read_claim
from xray_classifier.errors import UnreadableImageError

_MOST_WRONG = 2  # tags; with more of them wrong, the header says nothing


def read_layout(file: DicomFile) -> Layout:
    """Read how pixels are stored, and refuse what cannot be one picture.

    Raises:
        UnreadableImageError: a tag is missing or impossible, several frames, too large, too small
            or too deep.
    """
    elements = file.elements
    raw = elements.raw("PixelData") or b""
    said = read_tags(file)
    if said.bits == 1:
        raise _impossible_depth(said)
    layout = _settle_stream(said, raw) if said.compressed else _settle_length(said, raw)
    check_samples(layout)
    if elements.has("NumberOfFrames") and elements.integer("NumberOfFrames") != 1:
        _check_single(layout, raw)
    return layout


@dataclass(frozen=True)
class _Reading:
    """A way to read the pixels.

    Attributes:
        layout: what they are in it.
        wrong: how many tags are wrong by it.
    """

    layout: Layout
    wrong: int


def _possible(said: Layout, samples: int, photometric: str, allocated: int) -> _Reading:
    """The reading with such samples, and of the other tags what goes with them."""
    bits = said.bits or 0
    fits, shift_fits = 2 <= bits <= allocated, 0 <= said.shift <= allocated - bits
    return _Reading(
        replace(
            said,
            samples=samples,
            photometric=photometric,
            allocated=allocated,
            bits=bits if fits else None,
            shift=said.shift if fits and shift_fits else 0,
        ),
        (samples != said.samples)
        + (photometric != said.photometric or (photometric in ONE_SAMPLE) != (samples == 1))
        + (allocated != said.allocated)
        + (not fits)
        + (bits + said.shift > allocated),
    )


def _readings(said: Layout) -> Iterator[_Reading]:
    name = said.photometric
    for allocated in (8, 16):
        yield _possible(said, 1, _of_one_sample(name), allocated)
        yield _possible(said, 3, _of_three_samples(name), allocated)
        if name in (YBR, SUBSAMPLED):
            yield _possible(said, 3, SUBSAMPLED, allocated)
            yield _possible(said, 3, YBR, allocated)


def _of_one_sample(photometric: str) -> str:
    """What one sample is if it is none of colour: in all of these the lowest value is black."""
    return photometric if photometric in ONE_SAMPLE else POSITIVE


def _of_three_samples(photometric: str) -> str:
    """What three samples are: a grey picture may be stored three times."""
    return RGB if photometric == PALETTE else photometric


def _settle_length(said: Layout, raw: bytes) -> Layout:
    """Find the reading that the length of uncompressed pixels allows."""
    own = _possible(said, said.samples, said.photometric, said.allocated)
    readings = [
        reading
        for reading in dict.fromkeys((own, *_readings(said)))
        if _is_sound(reading.layout) and len(raw) - reading.layout.needed in (0, 1)
    ]
    best = min(readings, key=lambda reading: reading.wrong, default=own)
    if said.length != len(raw) or not readings or best.wrong > _MOST_WRONG:
        _check_tags(said, own)  # the file breaks off, or its length tells nothing
        return own.layout
    more_behind = _is_sound(own.layout) and len(raw) > own.layout.needed
    if more_behind and best.wrong > own.wrong and not _is_proven(best.layout, own.layout, raw):
        return own.layout
    return best.layout


def _is_proven(layout: Layout, own: Layout, raw: bytes) -> bool:
    """Whether values speak for a layout that takes all bytes, rather than that of the tags."""
    if layout.allocated > own.allocated:
        shape = (layout.rows, layout.columns, layout.samples)
        return are_words(raw, shape, "<" if layout.little_endian else ">")
    if layout.samples > own.samples:
        kind = np.dtype(f"u{layout.allocated // 8}")
        return is_thrice(np.frombuffer(raw, kind, layout.needed // kind.itemsize))
    return True  # twice as much chroma: nobody leaves as many bytes behind


def _is_sound(layout: Layout) -> bool:
    one, grey = layout.samples == 1, layout.photometric in (NEGATIVE, POSITIVE)
    goes_together = grey or (layout.photometric in ONE_SAMPLE) == one
    return goes_together and layout.allocated in (8, 16)


def _settle_stream(said: Layout, raw: bytes) -> Layout:
    """Find the reading that a compressed stream allows."""
    try:
        stream = beginning(raw)
        claim = read_claim(stream, said.syntax)
        segments = 0 if claim else count_segments(stream)
    except Exception:  # damaged, which will be found again and said  # noqa: BLE001
        claim, segments = None, 0
    samples, photometric, allocated = said.samples, said.photometric, said.allocated
    if claim is not None:
        samples = claim.components if claim.components in (1, 3) else samples
        allocated = 8 if claim.precision <= 8 else 16
        photometric = RGB if claim.becomes_rgb and photometric in THREE_SAMPLES else photometric
    elif segments in (allocated // 8, 3 * allocated // 8):
        samples = 8 * segments // allocated
    name = _of_one_sample(photometric) if samples == 1 else _of_three_samples(photometric)
    reading = _possible(said, samples, name, allocated)
    if claim is None:
        _check_tags(said, reading)
    return reading.layout


def _check_single(layout: Layout, raw: bytes) -> None:
    """Refuse several frames where the number of frames is none, by the pixels themselves."""
    if layout.compressed:
        several = count_frames(raw, layout.syntax) > 1
    else:
        several = len(raw) >= 2 * layout.needed
    if several:
        raise UnreadableImageError(
            "The DICOM file holds several frames, whose number is missing in Number of Frames "
            "(0028,0008); exactly one is wanted. Export the radiograph alone."
        )


def _check_tags(said: Layout, reading: _Reading) -> None:
    """Refuse tags that contradict each other where the pixels do not decide between them."""
    if said.allocated not in (8, 16) or reading.layout.bits is None:
        raise _impossible_depth(said)
    if not _is_sound(reading.layout):
        raise wrong_photometric(said.samples)


def _impossible_depth(said: Layout) -> UnreadableImageError:
    return UnreadableImageError(
        f"The DICOM image keeps {said.bits} bits in {said.allocated} from bit {said.shift} on, say "
        "Bits Allocated (0028,0100), Bits Stored (0028,0101) and High Bit (0028,0102); up to 16 "
        "bits in 8 or 16 are wanted. Export the radiograph again."
    )
