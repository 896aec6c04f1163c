"""Decoders whose cost no header tells, each picture in a process of its own that can be ended.

A few hundred bytes of AVIF, JPEG XL or JPEG 2000 may describe thousands of layers, and memory that
no extent bounds. File and pixels go through pipes, so nothing is written.
"""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from threading import Thread, Timer
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from xray_classifier.errors import UnreadableImageError

MAX_SECONDS = 10
MAX_MEMORY = 2**30
"""Bytes of address space, of which the libraries take 160 MB; where the system bounds it."""

_TOO_MUCH = 3  # the status of a process that ran out of memory
_THREADS = 2


def decode_apart(codec: str, name: str, data: bytes) -> NDArray[Any]:
    """Decode a picture with imagecodecs.

    Args:
        codec: what imagecodecs calls it: `avif`, `jpegxl` or `jpeg2k`.
        name: what people call it.
        data: the whole file.

    Raises:
        UnreadableImageError: it takes over `MAX_SECONDS`, or too much memory.
        ValueError: it is damaged.
    """
    with _process(codec) as process:
        assert process.stdin is not None  # noqa: S101 - for the types: it is a pipe
        assert process.stdout is not None  # noqa: S101
        Thread(target=_feed, args=(process.stdin, data), daemon=True).start()
        samples = _received(process.stdout)
        status = process.wait()
    if samples is not None and status == 0:
        return samples
    if status < 0 or status == _TOO_MUCH:
        raise UnreadableImageError(
            f"The {name} image takes over {MAX_SECONDS} seconds to decode, or too much memory. "
            "Save it as JPEG or PNG."
        )
    raise ValueError(f"{codec} ended with status {status}")


@contextlib.contextmanager
def _process(codec: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start this file in a process with the same modules, which ends in time."""
    paths = os.pathsep.join(path or os.curdir for path in sys.path)
    process = subprocess.Popen(  # noqa: S603 - nothing of the file is in the command
        [sys.executable, "-P", "-B", "-m", __spec__.name, codec],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1"},
    )
    late = Timer(MAX_SECONDS, process.kill)
    late.start()
    try:
        with process:
            yield process
    finally:
        late.cancel()


def _feed(pipe: IO[bytes], data: bytes) -> None:
    with contextlib.suppress(OSError), pipe:  # it may have ended
        pipe.write(data)


def _received(pipe: IO[bytes]) -> NDArray[Any] | None:
    """Take type, shape and samples from the process; None if they do not come, or not all."""
    kind, *shape = pipe.readline().decode("ascii").split() or ("",)
    if not kind:
        return None
    sides = [int(side) for side in shape]
    size = math.prod(sides) * np.dtype(kind).itemsize
    samples = pipe.read(size)
    return np.frombuffer(samples, kind).reshape(sides) if len(samples) == size else None


def main() -> None:
    """Decode standard input to standard output by the codec that the first argument names."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # not on every system
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (_THREADS * MAX_SECONDS,) * 2)
    import imagecodecs

    decode = getattr(imagecodecs, f"{sys.argv[1]}_decode")
    try:
        samples = np.ascontiguousarray(decode(sys.stdin.buffer.read(), numthreads=_THREADS))
    except MemoryError:
        sys.exit(_TOO_MUCH)
    shape = " ".join(str(side) for side in samples.shape)
    sys.stdout.buffer.write(f"{samples.dtype.str} {shape}\n".encode("ascii"))
    sys.stdout.buffer.write(samples.data.cast("B"))


if __name__ == "__main__":
    main()
