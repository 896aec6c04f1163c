"""Judge the corpus in a process of its own, which may hang or crash: one line of JSON a file.

Called by tests/system/test_hostile.py with the step of `corpus`. All ZIP files of it are judged,
whatever the step, and as the command line does, since that unpacks them; the others as all ways in
do.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import io
import itertools
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.support.hostile_archives import archives
from tests.support.hostile_corpus import corpus, made
from tests.support.pictures import encoded, gradient
from tests.support.stand_ins import BrightnessNetwork, TinyGate
from xray_classifier.cli import main as cli
from xray_classifier.errors import UnreadableImageError
from xray_classifier.inference.pipeline import classify
from xray_classifier.inputs.zip_archive import is_zip
from xray_classifier.models import gate, loading
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.spec import ModelSpec

HANG_SECONDS = 120  # a machine may be busy with other things
GOOD = encoded(gradient(500, 500))


def megabytes(field: str) -> float:
    """Resident memory of this process: VmRSS now, VmHWM at most since `forget_peak`."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split(f"{field}:")[1].split()[0]) / 1024


def forget_peak() -> None:
    """Give memory that is not in use back to the system, and begin to look for the peak anew."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def judged_by_function(file: bytes) -> tuple[str, str]:
    """Outcome and message for an image."""
    try:
        result = classify(file, loading.load_classifier(), gate.load_gate())
    except UnreadableImageError as error:
        return "unreadable", str(error)
    return result.status, result.message or str(result.verdict)


def judged_by_command(file: bytes) -> tuple[str, str]:
    """The worst outcome for a member of an archive, and all messages."""
    said = io.StringIO()
    with tempfile.NamedTemporaryFile(suffix=".zip") as archive:
        archive.write(file)
        archive.flush()
        with contextlib.redirect_stdout(said):
            status = cli.main(["predict", archive.name, "--format", "jsonl"])
    rows = [json.loads(line) for line in said.getvalue().splitlines()]
    outcomes = {row["status"] for row in rows}
    assert rows
    assert status == ("unreadable" in outcomes)
    return max(outcomes), " ".join(row["message"] or row["verdict"] for row in rows)


def judged(file: bytes) -> dict[str, Any]:
    """What came of one file, and what it cost; other processes' share of the time is left out."""
    forget_peak()
    before, wall, own = megabytes("VmRSS"), time.perf_counter(), time.process_time()
    try:
        outcome, message = (judged_by_command if is_zip(file) else judged_by_function)(file)
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        outcome, message = "traceback", repr(error)
    seconds = min(time.perf_counter() - wall, time.process_time() - own)
    return {
        "outcome": outcome,
        "message": message,
        "seconds": seconds,
        "megabytes": megabytes("VmHWM") - before,
    }


def main(step: int) -> None:
    spec = ModelSpec("tiny", "Tiny", "tiny.keras", sha256="ab" * 32, bytes=1)
    classifier = Classifier(BrightnessNetwork(), spec)
    loading.load_classifier = lambda *_, **__: classifier
    gate.load_gate = lambda *_, **__: TinyGate()  # type: ignore[assignment]
    wanted = classify(GOOD, classifier).probability
    stream = sys.stdout
    images = (case for case in corpus(step, but=archives) if not is_zip(case[1]))
    with contextlib.redirect_stdout(sys.stderr):
        for name, file in itertools.chain(images, made(archives)):
            print(json.dumps({"name": name}), file=stream, flush=True)
            faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
            found = judged(file)
            found["same"] = classify(GOOD, classifier).probability == wanted
            faulthandler.cancel_dump_traceback_later()
            print(json.dumps(found), file=stream, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
