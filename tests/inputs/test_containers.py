"""The same picture is the same radiograph, whatever its file."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from tests.support.containers import WRITERS, decode_here, random_file
from xray_classifier.inputs.decoding import decode
from xray_classifier.pictures import newer

FEW, MANY = 25, 400


def assert_alike(kind: str, files: range) -> None:
    for number in files:
        rng = np.random.default_rng([zlib.crc32(kind.encode()), number])
        words, file, reference = random_file(kind, rng)
        image, wanted = (decode(one).image.astype(int) for one in (file, reference))
        assert image.shape == wanted.shape, f"{kind} {number}: {words}"
        assert np.abs(image - wanted).max() <= 1, f"{kind} {number}: {words}"


@pytest.fixture
def decoded_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no process for each picture; in the long form each has its own."""
    monkeypatch.setattr(newer, "decode_apart", decode_here)


@pytest.mark.usefixtures("decoded_here")
@pytest.mark.parametrize("kind", WRITERS)
def test_picture_of_any_depth_and_channels_is_as_bright_as_in_8_bits(kind: str) -> None:
    assert_alike(kind, range(FEW))


@pytest.mark.long
@pytest.mark.parametrize("kind", WRITERS)
def test_many_pictures_of_any_depth_and_channels_are_as_bright_as_in_8_bits(kind: str) -> None:
    assert_alike(kind, range(FEW, FEW + MANY))
