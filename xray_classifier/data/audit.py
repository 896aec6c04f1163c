"""Is a folder of labelled radiographs fit for training and for an honest evaluation?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from xray_classifier.data.datasets import Sample
from xray_classifier.data.splits import duplicates
from xray_classifier.errors import UnreadableImageError
from xray_classifier.inputs.decoding import decode
from xray_classifier.labels import LABELS
from xray_classifier.progress import track


@dataclass(frozen=True)
class Check:
    """What was found in a data set.

    Attributes:
        samples: all radiographs.
        unreadable: (sample, reason) for each file that cannot be decoded.
        twins: lists of files that are identical byte for byte.
    """

    samples: Sequence[Sample]
    unreadable: list[tuple[Sample, str]]
    twins: list[list[Sample]]

    @property
    def shared_patients(self) -> list[str]:
        """Patients with images in more than one split."""
        splits: dict[str, set[str]] = defaultdict(set)
        for sample in self.samples:
            splits[sample.patient].add(sample.split)
        return sorted(patient for patient, where in splits.items() if len(where) > 1)

    @property
    def shared_images(self) -> list[list[Sample]]:
        """Identical files that lie in more than one split."""
        return [twins for twins in self.twins if len({twin.split for twin in twins}) > 1]

    @property
    def contradictions(self) -> list[list[Sample]]:
        """Identical files with different labels."""
        return [twins for twins in self.twins if len({twin.label for twin in twins}) > 1]

    @property
    def passed(self) -> bool:
        """Nothing leaks from one split into another, and every file can be read."""
        return not (self.unreadable or self.shared_patients or self.shared_images)

    def report(self) -> str:
        """Describe what was found, for people."""
        lines = [*self._count_lines(), ""]
        lines += [f"Unreadable: {len(self.unreadable)}"]
        lines += [f"  {sample.path}: {reason}" for sample, reason in self.unreadable]
        lines += [f"Groups of identical files: {len(self.twins)}"]
        lines += _name_groups("with different labels", self.contradictions)
        lines += [f"Patients in more than one split: {len(self.shared_patients)}"]
        lines += [f"  {patient}" for patient in self.shared_patients]
        lines += [f"Identical files in more than one split: {len(self.shared_images)}"]
        lines += _name_groups("shared", self.shared_images)
        lines += ["", "Fit for use." if self.passed else "NOT FIT FOR USE: see above."]
        return "\n".join(lines)

    def _count_lines(self) -> list[str]:
        images = Counter((sample.split, sample.label) for sample in self.samples)
        lines = [f"{'split':8}{LABELS[0]:>12}{LABELS[1]:>12}{'patients':>12}"]
        for split in sorted({sample.split for sample in self.samples}):
            patients = {sample.patient for sample in self.samples if sample.split == split}
            counts = "".join(f"{images[split, label]:12}" for label in range(len(LABELS)))
            lines.append(f"{split:8}{counts}{len(patients):12}")
        return lines


def check(samples: Sequence[Sample]) -> Check:
    """Decode every file and look for what is shared between splits."""
    with ThreadPoolExecutor() as pool:
        reasons = list(track(pool.map(_problem, samples), "Checking", len(samples)))
    unreadable = [
        (sample, reason) for sample, reason in zip(samples, reasons, strict=True) if reason
    ]
    readable = (sample for sample, reason in zip(samples, reasons, strict=True) if not reason)
    return Check(samples, unreadable, duplicates(readable))


def _problem(sample: Sample) -> str:
    try:
        decode(sample.path.read_bytes())
    except (UnreadableImageError, OSError) as error:
        return str(error)
    return ""


def _name_groups(what: str, groups: list[list[Sample]]) -> list[str]:
    return [f"  {what}: {', '.join(str(twin.path) for twin in twins)}" for twins in groups]
