"""A DICOM file to a radiograph: the way through this folder, one step after the other.

`reader` finds the elements, `header` reads the facts in them once and refuses what is no chest
radiograph, `pixels` unpacks the stored pixels and `display` makes them grey. Where the facts
contradict the pixels or each other, `reconcile`, `evidence` and `tables` say what holds. pydicom
is imported with the first DICOM file, so other formats do not wait for it.

Names, identifiers and dates of a patient are neither logged nor kept, nor part of any message:
errors from below are not chained, since their texts may quote the header.
"""

from __future__ import annotations

from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging.radiograph import Radiograph

_PREAMBLE = 128  # bytes
_MARK = b"DICM"
# How a data set without preamble begins: the tags (0002,00xx) or (0008,00xx) in little-endian,
# or (0008,00xx) in big-endian byte order.
_LITTLE_ENDIAN_GROUPS = (b"\x02\x00", b"\x08\x00")
_BIG_ENDIAN_GROUP = b"\x00\x08\x00"
_UID_ROOT = b"1.2.840.10008."  # begins every class and transfer syntax of the standard
_UID_REACH = 4096  # bytes; the class stands among the first elements


def is_dicom(data: bytes) -> bool:
    """Tell from the content whether a file is DICOM, with or without the preamble."""
    if data[_PREAMBLE : _PREAMBLE + len(_MARK)] == _MARK:
        return True
    little = data[:2] in _LITTLE_ENDIAN_GROUPS and data[3:4] == b"\0"
    return (little or data[:3] == _BIG_ENDIAN_GROUP) and _UID_ROOT in data[:_UID_REACH]


def decode_dicom(data: bytes, *, keep_stored: bool = False) -> Radiograph:
    """Decode a DICOM file that `is_dicom` has recognised.

    Args:
        data: the whole file.
        keep_stored: whether values of more than 8 bits are wanted, too.

    Returns:
        The image as a viewer would show it, uint8 with 0 = black, scaled as `display` says, and
        the warnings that `header` finds, also of what had to be guessed.

    Raises:
        UnreadableImageError: damaged, of an unknown compression, several frames, no pixels, or by
            its header no chest radiograph. The message holds no name, identifier or date.
    """
    from xray_classifier.dicom.display import stored_values, to_grey
    from xray_classifier.dicom.header import DAMAGED, read_header
    from xray_classifier.dicom.pixels import unpack
    from xray_classifier.dicom.reader import read

    try:
        file = read(data, _PREAMBLE + len(_MARK) if data[_PREAMBLE:].startswith(_MARK) else 0)
        header = read_header(file)
        stored = unpack(header.raw, header.layout)
        image = to_grey(stored, header.display)
        guesses = {"pixels_guessed": stored.guessed, "greys_guessed": header.greys_guessed}
        words = (word for word, guessed in guesses.items() if guessed)
        kept = stored_values(stored, header.display) if keep_stored else None
        return Radiograph(image, (*header.warnings, *words), kept)
    except UnreadableImageError:
        raise
    except Exception:  # whatever broken or lying bytes lead the libraries into  # noqa: BLE001
        raise UnreadableImageError(DAMAGED) from None
