"""TIFF pictures that Pillow cuts to 8 bits or cannot open, and those that are not shown rightly.

Pillow decodes up to 8 bits a sample, and grey of 16; libtiff, by imagecodecs, the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image, ImagePalette

from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging.grey import Samples, to_grey
from xray_classifier.imaging.limits import (
    MAX_PIECES,
    MAX_SAMPLE_BYTES,
    TIFF_FORMS,
    check_depth,
    check_extent,
)
from xray_classifier.imaging.radiograph import GreyImage
from xray_classifier.pictures import tiff_pages as tags
from xray_classifier.pictures.tiff_pages import Page

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _INKS, _YCBCR = 0, 1, 2, 3, 5, 6
_COLOURS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _INKS: 4, _YCBCR: 3}
_OTHER_COLOURS = {
    **dict.fromkeys((8, 9, 10), "L*a*b* colour"),
    **dict.fromkeys((32803, 34892), "camera raw"),
    4: "a mask",
}

_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_TYPES = {_UNSIGNED: "u", _SIGNED: "i", _FLOAT: "f"}
_WHOLE = {_UNSIGNED: (8, 16, 32, 64), _SIGNED: (8, 16, 32, 64), _FLOAT: (16, 32, 64)}  # bits
_OPACITY = (2, 999)  # among ExtraSamples; the other is Corel Draw's

_MAX_XMP = 2**20  # bytes that are looked through
_UNCOMPRESSED, _OLD_JPEG = 1, 6
_LOSSLESS = (_UNCOMPRESSED, 5, 8, 32773, 32946, 34925, 50000)
_KNOWN = (*_LOSSLESS, 2, 3, 4, _OLD_JPEG, 7, 32771, 32809, 50001)


def is_tiff(data: bytes) -> bool:
    """Tell by the first bytes."""
    return data[:4] in TIFF_FORMS


def decode_page(page: Page) -> Image.Image | None:
    """Decode what is not to be left to Pillow.

    Returns:
        A grey picture with its orientation; None for what Pillow shows rightly.

    Raises:
        UnreadableImageError: it can be shown by neither, or is too large; with the reason.
        Exception: of many kinds, where the file is damaged.
    """
    layout = _layout(page)
    if layout.is_for_pillow:
        return None
    picture = Image.fromarray(_decode(page, layout))
    if tags.XMP in page.entries:
        picture.info["xmp"] = bytes(page.values(tags.XMP, _MAX_XMP))
    if turned := page.value(tags.ORIENTATION, 0):
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = turned
        picture.info["exif"] = exif.tobytes()
    return picture


def use_palette_of_8_bits(image: Image.Image) -> None:
    """Take a palette whose entries are all below 256 for one of 8 bits, not 16, as libtiff does."""
    entries = getattr(image, "tag_v2", {}).get(tags.COLOUR_MAP, ())
    if image.mode == "P" and entries and max(entries) < 256:
        image.palette = ImagePalette.raw("RGB;L", bytes(entries))


@dataclass(frozen=True)
class _Layout:
    """How the samples of a page are stored.

    Attributes:
        photometric: the PhotometricInterpretation.
        kind: the SampleFormat.
        bits: of a sample.
        channels: of a pixel.
        extra: the ExtraSamples.
        compression: its number.
        planar: whether each channel is stored by itself.
        little: whether the low bytes come first.
        big: whether it is a BigTIFF.
    """

    photometric: int
    kind: int
    bits: int
    channels: int
    extra: tuple[int, ...]
    compression: int
    planar: bool
    little: bool
    big: bool

    @property
    def is_for_libtiff(self) -> bool:
        """Whether libtiff gives the samples as they are."""
        return (
            self.compression in _LOSSLESS
            and self.bits in _WHOLE[self.kind]
            and self.channels >= _COLOURS[self.photometric]
            and self.photometric != _YCBCR
            and (self.photometric != _PALETTE or self.bits == 16)
        )

    @property
    def is_for_pillow(self) -> bool:
        """Whether Pillow can open the picture and loses nothing of it, if it is no other's."""
        if not self.is_for_libtiff:
            return True
        if self.kind != _UNSIGNED or self.bits > 16 or (self.big and not self.little):
            return False
        if self.photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO):
            known = self.little or self.photometric == _BLACK_IS_ZERO
            return self.channels == 1 and (self.bits == 8 or (known and not self.planar))
        if self.bits != 8 or self.photometric not in (_RGB, _INKS):
            return False
        more = self.channels - _COLOURS[self.photometric]
        untold = not self.extra and more <= (self.photometric == _RGB)
        first = self.photometric == _RGB  # which may be alpha, the others must be nothing
        told = len(self.extra) == more <= 2 + first and not any(self.extra[first:])
        return untold or told

    @property
    def reason(self) -> str:
        """Why neither of both can show the picture; empty if one can."""
        if self.photometric not in _COLOURS:
            other = f"photometric interpretation {self.photometric}"
            return _OTHER_COLOURS.get(self.photometric, other)
        if self.kind not in _TYPES:
            return f"sample format {self.kind}"
        if self.compression not in _KNOWN:
            return f"compression {self.compression}"
        deep_for_pillow = self.bits == 12 and self.channels == 1 and self.little
        few = self.bits == 8 or (self.bits in (1, 2, 4) and self.channels == 1) or deep_for_pillow
        if not self.is_for_libtiff and not (few and self.kind == _UNSIGNED):
            return (
                f"{self.channels} x {self.bits} bits, sample format {self.kind}, photometric "
                f"interpretation {self.photometric}, compression {self.compression}"
            )
        return ""


def _layout(page: Page) -> _Layout:
    compression = page.value(tags.COMPRESSION, _UNCOMPRESSED)
    photometric = page.value(tags.PHOTOMETRIC, _WHITE_IS_ZERO)
    if compression == _OLD_JPEG:
        photometric = _YCBCR
    channels = page.value(tags.SAMPLES, _COLOURS[_YCBCR] if compression == _OLD_JPEG else 1)
    bits = page.values(tags.BITS)[:channels] or (1,)
    kinds = page.values(tags.SAMPLE_FORMAT)[:channels] or (_UNSIGNED,)
    layout = _Layout(
        *(photometric, kinds[0], bits[0], channels, page.values(tags.EXTRA_SAMPLES), compression),
        planar=page.value(tags.PLANAR, 1) == 2,  # the other is 1
        little=page.form.order == "<",
        big=page.form.place == "Q",
    )
    reason = layout.reason
    if len({*bits}) > 1 or len({*kinds}) > 1:
        reason = "channels of several depths"
    elif page.value(tags.DEPTH, 1) > 1:
        reason = "a volume"
    elif layout.photometric == _YCBCR and compression == _UNCOMPRESSED:
        width, height = page.size
        if sum(page.values(tags.STRIP_BYTES, MAX_PIECES)) < width * height * channels:
            reason = "uncompressed YCbCr with fewer values of colour than pixels"
    if reason:
        raise UnreadableImageError(
            f"The TIFF image is stored in a way that cannot be read here: {reason}. Save it as "
            "8- or 16-bit grey or RGB."
        )
    return layout


def _decode(page: Page, layout: _Layout) -> GreyImage:
    samples = _samples(page, layout)
    if layout.photometric == _PALETTE:
        return _look_up(samples[..., 0], page.values(tags.COLOUR_MAP, 3 * 2**16))
    colours = _COLOURS[layout.photometric]
    extra = (layout.extra or _OPACITY[:1] * layout.channels)[: layout.channels - colours]
    # What is multiplied with its opacity, the other kind of alpha, already lies on black.
    place = next((place for place, kind in enumerate(extra) if kind in _OPACITY), None)
    return to_grey(
        samples[..., :colours],
        None if place is None else samples[..., colours + place],
        negative=layout.photometric == _WHITE_IS_ZERO,
    )


def _samples(page: Page, layout: _Layout) -> Samples:
    """Decode to shape (height, width, channels)."""
    from imagecodecs import tiff_decode

    width, height = page.size
    size = layout.channels * layout.bits // 8
    check_extent(width, height)
    check_depth(width, height, size, MAX_SAMPLE_BYTES)
    tile = page.value(tags.TILE_WIDTH, 0) * page.value(tags.TILE_HEIGHT, 0)
    if tile * size > MAX_SAMPLE_BYTES:
        raise ValueError(f"tiles of {tile} pixels")
    data = page.data
    if layout.photometric == _INKS:  # of which libtiff would make 8 bits of red, green and blue
        data = page.with_value(tags.PHOTOMETRIC, _BLACK_IS_ZERO)
    shape: tuple[int, ...] = (height, width)
    if layout.channels > 1:
        shape = (layout.channels, *shape) if layout.planar else (*shape, layout.channels)
    samples = np.zeros(shape, f"{_TYPES[layout.kind]}{layout.bits // 8}")
    tiff_decode(data, out=samples)  # raises if it finds another shape or type
    if layout.channels == 1:
        return samples[..., np.newaxis]
    return np.moveaxis(samples, 0, 2) if layout.planar else samples


def _look_up(samples: Samples, entries: tuple[int, ...]) -> GreyImage:
    """Put the luma of its entry in the palette, of 65,536 x 3, in place of each sample."""
    colours = np.array(entries, np.uint16).reshape(3, -1).T
    if colours.max() > 255:
        colours = colours // 256
    luma = Image.fromarray(colours.astype(np.uint8)[np.newaxis]).convert("L")
    return np.asarray(luma)[0][samples]
