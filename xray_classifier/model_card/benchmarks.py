"""What benchmarks and long tests wrote down, as Markdown for the pages of `docs/`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xray_classifier.model_card.markdown import NOT_YET, table
from xray_classifier.paths import REPOSITORY

BENCHMARKS = REPOSITORY / "benchmarks" / "results.json"
HARDNESS = REPOSITORY / "tests" / "measured.json"
ARCHIVE = REPOSITORY / "benchmarks" / "archive.json"

ARCHIVES = (1_000_000, 100_000_000)
"""Numbers of images whose time is worked out from the speed that was measured."""

CORES = (2, 16, 64, 256, 1024)
WANTED_OF_RAY = 0.8

REASONS = {
    "speedup_over_article_path": (
        "More than half of what is left is the decoding of the JPEG and its shrinking, which the "
        "article's way needs, too."
    ),
    "forward_over_floor": (
        "The first convolution and its pooling multiply little but write and read 32 MB: working "
        "on strips that fit into the processor's cache, which was tried, gains next to nothing. "
        "What the page *Learn* shows of them is an output of the file, which costs a little more."
    ),
    "default_ms": (
        "About half of it is the decoding of the JPEG and its shrinking, and two networks look at "
        "the picture."
    ),
}
"""Why a target is missed, by the key of its figure; for those that are, and no others."""


def benchmarks_table(path: Path = BENCHMARKS) -> str:
    """Write what `python -m benchmarks --json` measured as Markdown.

    Figures, memory, room on a disk, the growth with number and size if it was measured, and the
    machine.
    """
    if not path.exists():
        return NOT_YET
    found = json.loads(path.read_text(encoding="utf-8"))
    memory, disk = _memory(found["memory_mb"]), _installed(found["installed_mb"])
    growth = _growth(found) if "by_count" in found else []
    return "\n\n".join([*_figures(found["figures"]), memory, disk, *growth, _machine(found)])


def hardness_table(path: Path = HARDNESS) -> str:
    """Write what `pytest -m long --measured` measured as Markdown: figures, waits, machine."""
    if not path.exists():
        return NOT_YET
    found = json.loads(path.read_text(encoding="utf-8"))
    parts = _figures(found["figures"])
    if "waits" in found:  # not if only some of the long tests ran
        waits = "; ".join(f"{which} {seconds:.1f}" for which, seconds in found["waits"].items())
        parts.append(f"Seconds from upload to verdict with all of them at once: {waits}.")
    load = f"Other work on the machine before: a load of {found['machine']['load_before']:g}."
    return "\n\n".join([*parts, f"{_machine(found)} {load}"])


def host_table(path: Path = BENCHMARKS, crowd: Path = HARDNESS) -> str:
    """Write what a host needs, of what benchmarks and long tests measured, as Markdown."""
    if not (path.exists() and crowd.exists()):
        return NOT_YET
    installed = json.loads(path.read_text(encoding="utf-8"))["installed_mb"]
    figures = json.loads(crowd.read_text(encoding="utf-8"))["figures"]
    sides = {figure["key"]: figure["sides"] for figure in figures}
    rows = [["disk, for packages", *(f"{size:,.0f} MB" for size in installed.values())]]
    for what, key in (
        ("memory of the server after a verdict", "resident_mb"),
        ("at most, with 20 visitors at once", "visitors_mb"),
    ):
        ours, keras = (f"{sides[key][side]['median']:,.0f} MB" for side in ("ours", "Keras"))
        rows.append([what, f"{ours}; {keras} if Keras runs the model", ours])
    with_tensorflow = "with TensorFlow, as `requirements.txt` installs it"
    return table(["", with_tensorflow, "without, as the container does"], rows)


def archive_table(path: Path = ARCHIVE) -> str:
    """Write what `python -m benchmarks.archive` measured, and what follows from it, as Markdown."""
    if not path.exists():
        return NOT_YET
    found = json.loads(path.read_text(encoding="utf-8"))
    engines = found["engines"]
    local = engines["local"]["images_per_second"]
    one = next(each["images_per_second"] for each in engines.values() if each["workers"] == 1)
    rows = []
    for name, measured in engines.items():
        rate = measured["images_per_second"]
        of_one = f"{rate / one:.2f}" if measured["workers"] else ""
        rows.append([name, f"{rate:.1f}", f"{rate / local:.2f}", of_one])
    speeds = table(["engine", "images/s", "of local", "of one worker"], rows)
    machine = (
        f"{found['images']} images, model `{found['model']}` with gate, on {found['cores']} cores "
        f"({found['cpu']}), {found['date']}, `{found['command']}`."
    )
    wanted = f"Wanted of Ray with a worker for each core: at least {WANTED_OF_RAY:g} of local."
    return f"{speeds}\n\n{wanted} {machine}\n\n{sizing_table(rate_of_a_core(engines))}"


def rate_of_a_core(engines: dict[str, Any]) -> float:
    """Give the images per second of one worker beside the most others that were measured."""
    most = max((one for one in engines.values() if one["workers"]), key=lambda one: one["workers"])
    return float(most["images_per_second"] / most["workers"])


def sizing_table(rate: float) -> str:
    """Write the time for large archives: images / (cores * rate).

    Args:
        rate: images per second of one core.
    """
    rows = (
        [str(cores), *(_time(images / (cores * rate)) for images in ARCHIVES)] for cores in CORES
    )
    return table(["cores", *(f"{images:,} images" for images in ARCHIVES)], rows)


def _time(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds / 60:.0f} minutes"


def _figures(figures: Sequence[dict[str, Any]]) -> list[str]:
    """Write the figures as a table, and after it why those that are missed are missed."""
    rows = []
    for figure in figures:
        wanted = f"{'at least' if figure['at_least'] else 'at most'} {_number(figure['target'])}"
        value = _number(figure["value"])
        sides = "; ".join(_side(name, side) for name, side in figure["sides"].items())
        rows.append([figure["what"], value if figure["met"] else f"**{value}**", wanted, sides])
    reasons = [
        f"- {figure['what']}: {REASONS.get(figure['key'], 'The reason is not known.')}"
        for figure in figures
        if not figure["met"]
    ]
    parts = [table(["what", "measured", "wanted", "medians (quartiles)"], rows)]
    return [*parts, "\n".join(["Missed, and why:\n", *reasons])] if reasons else parts


def _memory(steps: dict[str, dict[str, float]]) -> str:
    """Write the resident memory after each step, by what runs the networks."""
    sides = next(iter(steps.values()))
    rows = [[step, *(f"{sizes[side]:.0f}" for side in sides)] for step, sizes in steps.items()]
    return table(["resident memory in MB after", *sides], rows)


def _installed(sizes: dict[str, float]) -> str:
    """Write how large what each file of requirements installs is."""
    rows = [[f"`{name}`", f"{size:,.0f}"] for name, size in sizes.items()]
    return table(["packages installed by", "MB"], rows)


def _growth(found: dict[str, Any]) -> list[str]:
    by_count = [
        (
            f"{row['images']:,}",
            f"{row['seconds']:.1f}",
            f"{row['images'] / row['seconds']:.1f}",
            f"{row['peak_mb']:.0f}",
        )
        for row in found["by_count"]
    ]
    by_side = [
        (f"{row['side']:,} x {row['side']:,}", f"{row['ms']:.0f}", f"{row['peak_mb']:.0f}")
        for row in found["by_side"]
    ]
    (message,) = found["beyond_limit"]
    peak = "peak memory in MB"
    return [
        table(
            ["images in a folder", "seconds without the start", "images a second", peak], by_count
        ),
        table(["one image of", "ms", peak], by_side),
        f"Above the limit: *{message}*",
    ]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _side(name: str, side: dict[str, Any]) -> str:
    quartiles = f" ({_number(side['low'])} to {_number(side['high'])})" if side["times"] > 1 else ""
    return f"{name} {_number(side['median'])}{quartiles} {side['unit']}"


def _machine(found: dict[str, Any]) -> str:
    machine = found["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"Measured on {found['date']} by `{found['command']}`: {machine['cpu']}, "
        f"{machine['cores']} cores, {machine['memory_gb']:g} GB; {versions}. In bold: missed."
    )
