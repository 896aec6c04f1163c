"""Files where a data set's radiographs would lie; not all of them are images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from xray_classifier.data.datasets import Sample


def write(root: Path, *names: str, content: str = "") -> None:
    """Make files; without `content` no two are identical."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content or str(path))


def made(root: Path, patients: Iterable[tuple[str, int]]) -> list[Sample]:
    """One sample, with a file of its own, for each (patient, label)."""
    samples = []
    for number, (patient, label) in enumerate(patients):
        write(root, f"{number:03d}.png")
        samples.append(Sample(root / f"{number:03d}.png", label, "train", patient))
    return samples


def labels(samples: list[Sample]) -> Counter[int]:
    return Counter(sample.label for sample in samples)
