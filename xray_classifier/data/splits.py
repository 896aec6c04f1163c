"""Splits that keep patients apart, and what tells two sets of radiographs apart."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from xray_classifier.data.datasets import Sample
from xray_classifier.errors import missing_package
from xray_classifier.files import sha256_of
from xray_classifier.labels import LABELS

VALIDATION_FRACTION = 1040 / 5232  # the article held back 267 + 773 of 1349 + 3883
SPLIT_SEED = 2026  # one hold-out for every model, whatever its training seed


def split_by_patient(
    samples: Iterable[Sample], fraction: float = VALIDATION_FRACTION, seed: int = SPLIT_SEED
) -> tuple[list[Sample], list[Sample]]:
    """Divide samples into training and validation so that no patient and no image is in both.

    Whole groups (a patient, or patients who share an identical file) are drawn class by class
    until the fraction is reached as nearly as the groups allow.

    Returns:
        (training, validation), each in the order given.
    """
    samples = list(samples)
    groups = linked_groups(samples)
    held_out: set[str] = set()
    rng = np.random.default_rng(seed)
    for label in range(len(LABELS)):
        members: dict[str, int] = defaultdict(int)
        for sample, group in zip(samples, groups, strict=True):
            if sample.label == label:
                members[group] += 1
        wanted = round(fraction * sum(members.values()))
        wanted -= sum(members[group] for group in held_out & members.keys())
        names = sorted(members.keys() - held_out)
        for index in rng.permutation(len(names)):
            if members[names[index]] <= wanted:
                held_out.add(names[index])
                wanted -= members[names[index]]
    training = [s for s, group in zip(samples, groups, strict=True) if group not in held_out]
    validation = [s for s, group in zip(samples, groups, strict=True) if group in held_out]
    return training, validation


def part_of(samples: Sequence[Sample], images: int, seed: int = SPLIT_SEED) -> list[Sample]:
    """Keep about so many images, of whole patients and of each class its share; all if more.

    For a quick look: figures of a part are figures of that part.
    """
    if images >= len(samples):
        return list(samples)
    return split_by_patient(samples, images / len(samples), seed)[1]


def linked_groups(samples: Sequence[Sample]) -> list[str]:
    """Name the group of each sample: its patient, merged with patients who share an image.

    Raises:
        MissingPackageError: SciPy is not installed; the app does without it.
    """
    try:
        from scipy.cluster.hierarchy import DisjointSet
    except ModuleNotFoundError as error:
        raise missing_package(error, "requirements-train.txt") from error
    linked = DisjointSet({sample.patient for sample in samples})
    for first, *others in duplicates(samples):
        for other in others:
            linked.merge(first.patient, other.patient)
    names = {patient: min(group) for group in linked.subsets() for patient in group}
    return [names[sample.patient] for sample in samples]


def duplicates(samples: Iterable[Sample]) -> list[list[Sample]]:
    """Find files that are identical byte for byte; each list has two samples or more."""
    by_digest: dict[str, list[Sample]] = defaultdict(list)
    samples = list(samples)
    with ThreadPoolExecutor() as pool:
        for sample, digest in zip(samples, pool.map(_digest, samples), strict=True):
            by_digest[digest].append(sample)
    return [twins for twins in by_digest.values() if len(twins) > 1]


def fingerprint(samples: Iterable[Sample]) -> str:
    """Hash what a set of samples is: names, labels and bytes, whatever folder it lies in."""
    lines = (f"{s.path.name} {s.label} {_digest(s)}" for s in samples)
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _digest(sample: Sample) -> str:
    return sha256_of(sample.path)
