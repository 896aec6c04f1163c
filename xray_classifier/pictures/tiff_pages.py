"""The directories of a TIFF (6.0, section 2), and which of its pictures is meant."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging.limits import MAX_READS, TIFF_FORMS, TiffForm, several_images

# Tags
SUBFILE, OLD_SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION = 254, 255, 256, 257, 258, 259
PHOTOMETRIC, ORIENTATION, SAMPLES, STRIP_BYTES, PLANAR, COLOUR_MAP = 262, 274, 277, 279, 284, 320
TILE_WIDTH, TILE_HEIGHT, SUB_DIRECTORIES, EXTRA_SAMPLES, SAMPLE_FORMAT = 322, 323, 330, 338, 339
SUBSAMPLING, XMP, DEPTH = 530, 700, 32997

_KINDS = {1: "B", 2: "B", 3: "H", 4: "I", 7: "B", 13: "I", 16: "Q", 18: "Q"}  # by type
_MAX_VALUES = 64  # of a tag that says what a picture is
_MAX_DIRECTORIES = 1000  # that are looked into
_MAX_ENTRIES = 4096  # of a directory
_NOT_PRIMARY = 0b1101  # bits of NewSubfileType: reduced, mask, and in DNG a map of distances
_OLD_REDUCED = 2  # the SubfileType of a reduced picture


@dataclass(frozen=True)
class Page:
    """A directory, which tells of one picture.

    Attributes:
        data: the whole file.
        form: how its numbers are stored.
        start: where the directory begins.
        entries: where the entry of each tag begins.
    """

    data: bytes
    form: TiffForm
    start: int
    entries: dict[int, int]

    def values(self, tag: int, most: int = _MAX_VALUES) -> tuple[int, ...]:
        """Read the first numbers of a tag; none if it is missing.

        Raises:
            ValueError: they are no whole numbers.
            struct.error: they lie outside of the file.
        """
        if tag not in self.entries:
            return ()
        start, form = self.entries[tag], self.form
        kind, count = struct.unpack_from(f"{form.order}H{form.place}", self.data, start + 2)
        if kind not in _KINDS:
            raise ValueError(f"tag {tag} is of type {kind}")
        place = self.place(tag)
        if count * struct.calcsize(f"={_KINDS[kind]}") > struct.calcsize(f"={form.place}"):
            (place,) = struct.unpack_from(form.order + form.place, self.data, place)
        return struct.unpack_from(f"{form.order}{min(count, most)}{_KINDS[kind]}", self.data, place)

    def value(self, tag: int, default: int) -> int:
        """Read the first number of a tag."""
        return next(iter(self.values(tag, 1)), default)

    def place(self, tag: int) -> int:
        """Where the numbers of a tag stand, or where it says that they stand."""
        return self.entries[tag] + self.form.entry - struct.calcsize(f"={self.form.place}")

    def with_value(self, tag: int, value: int) -> bytes:
        """Give the file with another number for a tag that has one."""
        kind = struct.unpack_from(f"{self.form.order}H", self.data, self.entries[tag] + 2)[0]
        number = struct.pack(self.form.order + _KINDS[kind], value)
        place = self.place(tag)
        return self.data[:place] + number + self.data[place + len(number) :]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.value(WIDTH, 0), self.value(HEIGHT, 0)

    @property
    def is_marked(self) -> bool:
        """Whether the directory says of its picture that it only goes with another one."""
        reduced = self.value(OLD_SUBFILE, 0) == _OLD_REDUCED
        return reduced or bool(self.value(SUBFILE, 0) & _NOT_PRIMARY)

    def is_preview_of(self, other: Page) -> bool:
        """Whether the picture is at most half as wide and high as another, of the same shape."""
        (width, height), (full_width, full_height) = self.size, other.size
        skew = abs(width * full_height - height * full_width)
        return 2 * max(width / full_width, height / full_height) <= 1 and (
            skew <= full_width + full_height  # either side may be rounded
        )


def primary_page(data: bytes) -> Page:
    """Find the only picture of a TIFF that is no preview, mask or the like.

    Returns:
        Its page, and the file with this as the first one.

    Raises:
        UnreadableImageError: there are several.
        ValueError, struct.error, OverflowError: the file is damaged.
    """
    form = TIFF_FORMS[data[:4]]
    starts = list(_chain(data, form))
    if len(starts) > _MAX_DIRECTORIES:
        raise UnreadableImageError(several_images(len(starts)))
    pages = [_page(data, form, start) for start in starts]
    inside = {place for page in pages for place in page.values(SUB_DIRECTORIES)} - set(starts)
    pages += [_page(data, form, place) for place in sorted(inside)[:_MAX_DIRECTORIES]]
    if any(0 in page.size for page in pages):
        raise ValueError("no picture in a directory")
    unmarked = [page for page in pages if not page.is_marked] or pages
    largest = max(unmarked, key=lambda page: page.size[0] * page.size[1])
    full = [page for page in unmarked if page is largest or not page.is_preview_of(largest)]
    if len(full) > 1:
        raise UnreadableImageError(several_images(len(full)))
    return _as_first(largest)


def _as_first(page: Page) -> Page:
    """Make the file begin with a page."""
    place = struct.pack(page.form.order + page.form.place, page.start)
    if page.data.startswith(place, page.form.head):
        return page
    head, tail = page.data[: page.form.head], page.data[page.form.head + len(place) :]
    return replace(page, data=head + place + tail)


def _chain(data: bytes, form: TiffForm) -> Iterator[int]:
    """Give where each directory of the chain begins; it ends where it comes back to one."""
    seen: set[int] = set()
    (place,) = struct.unpack_from(form.order + form.place, data, form.head)
    while place and place not in seen:
        if len(seen) == MAX_READS:
            raise ValueError(f"over {MAX_READS} directories")
        seen.add(place)
        yield place
        (entries,) = struct.unpack_from(form.order + form.count, data, place)
        end = place + struct.calcsize(f"={form.count}") + entries * form.entry
        (place,) = struct.unpack_from(form.order + form.place, data, end)


def _page(data: bytes, form: TiffForm, start: int) -> Page:
    (entries,) = struct.unpack_from(form.order + form.count, data, start)
    if entries > _MAX_ENTRIES:
        raise ValueError(f"{entries} tags")
    first = start + struct.calcsize(f"={form.count}")
    tags = np.ndarray((entries,), f"{form.order}u2", data, first, (form.entry,))
    entry_of = {tag: index for index, tag in reversed(list(enumerate(tags.tolist())))}
    places = {tag: first + index * form.entry for tag, index in entry_of.items()}
    return Page(data, form, start, places)
