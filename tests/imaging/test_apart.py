from __future__ import annotations

import os
import struct
import subprocess
import time
from typing import Any

import imagecodecs
import numpy as np
import pytest

from tests.support.pictures import deep, rgb
from xray_classifier.errors import UnreadableImageError
from xray_classifier.imaging import apart
from xray_classifier.imaging.apart import decode_apart


def encoded(samples: np.ndarray) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(samples, level=0, codecformat="J2K"))


@pytest.mark.parametrize("samples", [deep(12), rgb(), np.dstack([deep(16)] * 4)])
def test_samples_come_back_as_they_were(samples: np.ndarray) -> None:
    decoded = decode_apart("jpeg2k", "JPEG 2000", encoded(samples))
    assert decoded.dtype == samples.dtype
    np.testing.assert_array_equal(decoded, samples)


def test_file_larger_than_a_pipe_is_taken() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (900, 900), np.uint8)
    np.testing.assert_array_equal(decode_apart("jpeg2k", "JPEG 2000", encoded(noise)), noise)


@pytest.mark.parametrize("file", [b"", b"no picture", encoded(rgb())[:200], bytes(10**6)])
def test_damaged_file_is_an_error(file: bytes) -> None:
    with pytest.raises(ValueError, match="jpeg2k ended with status 1"):
        decode_apart("jpeg2k", "JPEG 2000", file)


def test_decoder_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "MAX_SECONDS", 0.01)
    with pytest.raises(
        UnreadableImageError,
        match=r"The JPEG 2000 image takes over .* seconds to decode, or too much memory\. Save it",
    ):
        decode_apart("jpeg2k", "JPEG 2000", encoded(rgb()))


@pytest.mark.skipif(os.name != "posix", reason="other systems do not bound memory so")
def test_decoder_that_takes_too_much_memory_is_ended() -> None:
    file = bytearray(encoded(rgb()))
    for place in (8, 12, 24, 28):  # of picture and tile
        struct.pack_into(">I", file, place, 30_000)
    start = time.perf_counter()
    with pytest.raises((UnreadableImageError, ValueError)):
        decode_apart("jpeg2k", "JPEG 2000", bytes(file))
    assert time.perf_counter() - start < apart.MAX_SECONDS


def test_nothing_of_the_file_is_in_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = []

    class Noted(subprocess.Popen[bytes]):
        def __init__(self, command: list[str], **options: Any) -> None:
            commands.append(command)
            super().__init__(command, **options)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    decode_apart("jpeg2k", "JPEG 2000", encoded(rgb()))
    assert [command[1:] for command in commands] == [
        ["-P", "-B", "-m", "xray_classifier.imaging.apart", "jpeg2k"]
    ]
