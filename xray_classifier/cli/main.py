"""The command line: `python -m xray_classifier COMMAND`, or `xray-classifier COMMAND`.

Results go to stdout; progress, remarks and errors go to stderr. Exit status: 0 well, 1 the data
are not in order, 2 wrong usage or something missing.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from xray_classifier.cli import data, evaluate, one_image, predict, train
from xray_classifier.errors import XrayClassifierError

BAD_USAGE = 2
SCRIPT = "xray-classifier"
"""The command of an installed package, as pyproject.toml names it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's notes on CPU and GPU
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # file names may hold bytes that are no text
            stream.reconfigure(errors="backslashreplace")
    options = build_parser().parse_args(arguments)
    try:
        status = int(options.run(options))
        sys.stdout.flush()  # here, where a reader that has gone is still caught
    except XrayClassifierError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_USAGE
    except BrokenPipeError:  # the reader, `head` for example, has seen enough
        _drop_output()
        return 0
    except OSError as error:  # a path that cannot be read or written, or a full disk
        print(f"error: {error}", file=sys.stderr)
        if error.errno == errno.ENOSPC:
            _drop_output()
        return BAD_USAGE
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    return status


def _drop_output() -> None:
    """Let what is still buffered go nowhere, so that Python does not try again at its end."""
    with contextlib.suppress(io.UnsupportedOperation):  # a stand-in that is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def build_parser() -> argparse.ArgumentParser:
    """Describe all commands and options."""
    parser = argparse.ArgumentParser(
        prog=SCRIPT if Path(sys.argv[0]).stem == SCRIPT else "python -m xray_classifier",
        description="Pneumonia on chest radiographs of children of 1 to 5 years. "
        "For research and education; not a medical device.",
    )
    group = parser.add_subparsers(required=True, metavar="COMMAND")
    for part in (predict, one_image, evaluate, train, data):
        part.add_commands(group)
    return parser
