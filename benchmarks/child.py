"""What is measured in a process of its own: `python -m benchmarks.child NAME ARGUMENT ...`.

Each prints one line of JSON as soon as it is done. Imports stand inside, since they are a part of
what is measured. What runs the networks is chosen by `XRAY_CLASSIFIER_RUNTIME`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

PAGE = Path(__file__).parents[1] / "webapp.py"


def page(script: str) -> None:
    """Run the page once, without an upload."""
    from streamlit.testing.v1 import AppTest

    shown = AppTest.from_file(script, default_timeout=300).run()
    if shown.exception:
        raise SystemExit(f"The page failed: {shown.exception[0].value}")
    _answer(len(shown.main))


def page_reruns(image: str, times: str) -> None:
    """Upload a JPEG to the page, then have it drawn anew; give the CPU seconds of each time."""
    import time

    from streamlit.testing.v1 import AppTest

    shown = AppTest.from_file(str(PAGE), default_timeout=300).run()
    shown.file_uploader[0].upload("image.jpeg", Path(image).read_bytes(), "image/jpeg").run()
    seconds = []
    for _ in range(int(times)):
        start = time.process_time()
        shown.run()
        seconds.append(time.process_time() - start)
    judged = any("Probability of pneumonia" in text.value for text in shown.markdown)
    if shown.exception or not judged:
        raise SystemExit(f"The page judged nothing: {[box.value for box in shown.error]}")
    _answer(seconds)


def import_tensorflow() -> None:
    """Import TensorFlow; give the peak memory."""
    import tensorflow  # noqa: F401

    _answer(_peak())


def predict(image: str) -> None:
    """Run the command `predict` on a file; give the peak memory."""
    from xray_classifier.cli.main import main

    status = main(["predict", image])
    if status:
        raise SystemExit(status)
    _answer(_peak())


def bare_verdict(image: str, model: str) -> None:
    """Import Keras, load a model and predict, with nothing around it."""
    import keras

    network = keras.models.load_model(model)
    picture = keras.utils.load_img(image, target_size=(500, 500), color_mode="grayscale")
    pixels = keras.utils.img_to_array(picture) / 255
    _answer(float(network.predict(pixels[None], verbose=0)[0, 0]))


def verdict(image: str) -> None:
    """Load default model and gate, and judge, as the page does for its first upload."""
    from xray_classifier.inference.pipeline import Choices, classify
    from xray_classifier.models.gate import load_gate
    from xray_classifier.models.loading import load_classifier

    data = Path(image).read_bytes()
    _answer(
        classify(data, load_classifier(), load_gate(), choices=Choices(use_gate=False)).probability
    )


def verdicts(folder: str, *counts: str) -> None:
    """Judge the files of a folder over and over; give the memory after so many verdicts."""
    from xray_classifier.inference.pipeline import Choices, classify
    from xray_classifier.models.gate import load_gate
    from xray_classifier.models.loading import load_classifier

    files = [path.read_bytes() for path in sorted(Path(folder).iterdir())]
    classifier, gate = load_classifier(), load_gate()
    resident = {}
    for number in range(1, max(map(int, counts)) + 1):
        classify(files[number % len(files)], classifier, gate, choices=Choices(use_gate=False))
        if str(number) in counts:
            resident[str(number)] = _resident()
    _answer(resident)


def where_memory_goes(image: str) -> None:
    """Give the resident memory after each step from a bare Python to a heatmap."""
    steps = {"Python": _resident()}
    from streamlit.testing.v1 import AppTest

    AppTest.from_file(str(PAGE), default_timeout=300).run()
    steps["the page, before an upload"] = _resident()
    from xray_classifier.models.gate import load_gate
    from xray_classifier.models.loading import load_classifier

    classifier = load_classifier()
    steps["runtime and model `default`"] = _resident()
    gate = load_gate()
    steps["gate"] = _resident()
    from xray_classifier.imaging.preprocessing import preprocess
    from xray_classifier.inference.heatmap import Explainer
    from xray_classifier.inference.pipeline import Choices, classify
    from xray_classifier.inputs.decoding import decode

    data = Path(image).read_bytes()
    classify(data, classifier, gate, choices=Choices(use_gate=False))
    steps["first verdict"] = _resident()
    Explainer(classifier).heatmap(preprocess(decode(data).image))
    steps["first heatmap"] = _resident()
    _answer(steps)


def folder_peak(folder: str, model: str) -> None:
    """Score a folder as `predict` does; give seconds without the start, and peak memory."""
    import time

    from xray_classifier.batch.scoring import score
    from xray_classifier.inference.pipeline import Choices
    from xray_classifier.inputs.listing import list_files
    from xray_classifier.models.gate import load_gate
    from xray_classifier.models.loading import load_classifier

    classifier, gate = load_classifier(model), load_gate()
    start = time.perf_counter()
    rows = sum(
        1 for _ in score(list_files([folder]), classifier, gate, choices=Choices(use_gate=False))
    )
    seconds = time.perf_counter() - start
    _answer({"images": rows, "seconds": seconds, "peak_mb": _peak()})


def image_peak(image: str) -> None:
    """Judge an image three times; give the seconds of each, and peak memory."""
    import time

    from xray_classifier.inference.pipeline import Choices, classify
    from xray_classifier.models.gate import load_gate
    from xray_classifier.models.loading import load_classifier

    data = Path(image).read_bytes()
    classifier, gate = load_classifier(), load_gate()
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        classify(data, classifier, gate, choices=Choices(use_gate=False))
        seconds.append(time.perf_counter() - start)
    _answer({"seconds": seconds, "peak_mb": _peak()})


PROGRAMS: dict[str, Callable[..., None]] = {
    program.__name__: program
    for program in (
        page,
        page_reruns,
        import_tensorflow,
        predict,
        bare_verdict,
        verdict,
        verdicts,
        where_memory_goes,
        folder_peak,
        image_peak,
    )
}


def _resident() -> float:
    """Give this process's resident memory in MB."""
    import psutil

    return psutil.Process().memory_info().rss / 2**20


def _peak() -> float:
    """Give the most memory that this process had so far, in MB.

    `getrusage` would count what the process that started this one had, too.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 2**10


def _answer(value: object) -> None:
    print(f"answer {json.dumps(value)}", flush=True)


if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
