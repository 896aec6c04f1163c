"""Folders of labelled radiographs: who is in them, and splits that keep patients apart."""

from __future__ import annotations

import csv
import hashlib
import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xray_classifier.errors import DatasetError, UnreadableImageError
from xray_classifier.files import sha256_of
from xray_classifier.imaging.radiograph import GreyImage
from xray_classifier.inputs.decoding import decode
from xray_classifier.labels import LABELS

_log = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")
UNSPLIT = "all"
"""The split of a folder that holds the two classes directly."""

VALIDATION_FRACTION = 1040 / 5232  # the article held back 267 + 773 of 1349 + 3883
SPLIT_SEED = 2026  # one hold-out for every model, whatever its training seed

_CLASS_FOLDERS = {"normal": 0, "pneumonia": 1, "opacity": 1}

# File names of the sets that are used here. In Kermany's, bacterial and viral patients are
# numbered separately, so "person1_bacteria" and "person1_virus" are two children.
_PATIENT_PATTERNS = (
    re.compile(r"(?P<patient>person\d+_(?:bacteria|virus))_\d+"),
    re.compile(r"(?P<patient>(?:NORMAL\d*-)?IM-\d+)-\d+"),
    re.compile(r"(?P<patient>\d{8})_\d{3}\."),  # NIH ChestX-ray14
)


@dataclass(frozen=True)
class Sample:
    """One labelled radiograph.

    Attributes:
        path: the image file.
        label: 0 = normal, 1 = pneumonia.
        split: "train", "val", "test", or "all" in a folder without splits.
        patient: images of one patient share it; the file's own name where nothing is known.
        patient_known: False where `patient` is only the file's name.
    """

    path: Path
    label: int
    split: str
    patient: str
    patient_known: bool = True


def find_samples(root: Path, patients: Mapping[str, str] | None = None) -> list[Sample]:
    """List the radiographs of a data set, sorted by path.

    Understands `root/{train,val,test}/{NORMAL,PNEUMONIA}` with any case, "opacity" for pneumonia,
    a folder that wraps these, and `root/{NORMAL,PNEUMONIA}` alone.

    Args:
        root: the folder of the data set.
        patients: patient of each file, by path relative to `root` or by bare file name; replaces
            what the file names say.

    Raises:
        DatasetError: no such folder, or no class folders with files in it.
    """
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder. Give the folder that holds the data set.")
    base = _unwrap(root)
    samples = [
        _sample(path, root, label, split, patients)
        for split, folder in _split_folders(base).items()
        for label, class_folder in _class_folders(folder)
        for path in _files(class_folder)
    ]
    if not samples:
        raise DatasetError(
            f"{root} holds no radiographs in class folders. Wanted: train/, test/ (and val/), each "
            "with NORMAL/ and PNEUMONIA/ (or opacity/), or these two folders alone."
        )
    _warn_of_unknown_patients(samples)
    return sorted(samples, key=lambda sample: sample.path)


def select(samples: Iterable[Sample], *splits: str) -> list[Sample]:
    """Keep the samples of the named splits.

    Raises:
        DatasetError: the data set has no sample in them.
    """
    samples = list(samples)
    chosen = [sample for sample in samples if sample.split in splits]
    if not chosen:
        present = ", ".join(sorted({sample.split for sample in samples}))
        wanted = " or ".join(splits)
        raise DatasetError(f"The data set has no split {wanted}; it has: {present}.")
    return chosen


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


def linked_groups(samples: list[Sample]) -> list[str]:
    """Name the group of each sample: its patient, merged with patients who share an image."""
    parent = {sample.patient: sample.patient for sample in samples}

    def root_of(patient: str) -> str:
        while parent[patient] != patient:
            patient = parent[patient]
        return patient

    for twins in duplicates(samples):
        roots = sorted({root_of(twin.patient) for twin in twins})
        for other in roots[1:]:
            parent[other] = roots[0]
    return [root_of(sample.patient) for sample in samples]


def read_image(sample: Sample) -> GreyImage:
    """Decode the radiograph of a sample, shape (height, width), uint8.

    Raises:
        DatasetError: the file cannot be read; the message names it.
    """
    try:
        return decode(sample.path.read_bytes()).image
    except (UnreadableImageError, OSError) as error:
        raise DatasetError(f"{sample.path}: {error} Remove or replace the file.") from error


def duplicates(samples: Iterable[Sample]) -> list[list[Sample]]:
    """Find files that are identical byte for byte; each list has two samples or more."""
    by_digest: dict[str, list[Sample]] = defaultdict(list)
    samples = list(samples)
    with ThreadPoolExecutor() as pool:
        for sample, digest in zip(samples, pool.map(_file_digest, samples), strict=True):
            by_digest[digest].append(sample)
    return [twins for twins in by_digest.values() if len(twins) > 1]


def fingerprint(samples: Iterable[Sample]) -> str:
    """Hash what a set of samples is: names, labels and bytes, whatever folder it lies in."""
    lines = (f"{s.path.name} {s.label} {_file_digest(s)}" for s in samples)
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def patient_from_name(name: str) -> str | None:
    """Read the patient from a file name of the Kermany or NIH sets, None for other names."""
    for pattern in _PATIENT_PATTERNS:
        match = pattern.match(name)
        if match:
            return match["patient"]
    return None


def etiology(sample: Sample) -> str:
    """Tell "bacteria", "virus" or "" (unknown, or normal) from a file name of the Kermany sets."""
    return next((kind for kind in ("bacteria", "virus") if f"_{kind}_" in sample.path.name), "")


def read_patients(path: Path) -> dict[str, str]:
    """Read a CSV with the columns `file` and `patient`.

    Raises:
        DatasetError: no such file, a column missing, a row without a value, or a file with two
            patients.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"The patient table {path} cannot be read: {error}.") from error
    if not rows or not {"file", "patient"} <= rows[0][1].keys():
        raise DatasetError(f"{path} needs the columns file,patient and a row for each image.")
    patients: dict[str, str] = {}
    for line, row in rows:
        file, patient = row["file"], row["patient"]
        if not file or not patient:
            raise DatasetError(f"{path}, line {line}: file or patient is empty.")
        if patients.setdefault(file, patient) != patient:
            raise DatasetError(f"{path}, line {line}: {file} has a second patient, {patient}.")
    return patients


def _warn_of_unknown_patients(samples: list[Sample]) -> None:
    unknown = sum(not sample.patient_known for sample in samples)
    if unknown:
        _log.warning(
            "WARNING: the patient of %d of %d images is unknown; each counts as a patient of its "
            "own, so images of one child may end on both sides of a split, and intervals come out "
            "too narrow. Give the patients with --patients CSV (columns: file,patient).",
            unknown,
            len(samples),
        )


def _unwrap(root: Path) -> Path:
    """Follow folders that hold nothing but one folder, as Kaggle's archives do."""
    while not _split_folders(root):
        inner = [entry for entry in root.iterdir() if entry.is_dir() and _visible(entry.name)]
        if len(inner) != 1:
            return root
        root = inner[0]
    return root


def _split_folders(base: Path) -> dict[str, Path]:
    named = {entry.name.lower(): entry for entry in base.iterdir() if entry.is_dir()}
    splits = {split: named[split] for split in SPLITS if split in named}
    if not splits and _CLASS_FOLDERS.keys() & named.keys():
        return {UNSPLIT: base}
    return splits


def _class_folders(folder: Path) -> list[tuple[int, Path]]:
    entries = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    return [
        (_CLASS_FOLDERS[entry.name.lower()], entry)
        for entry in entries
        if entry.name.lower() in _CLASS_FOLDERS
    ]


def _files(folder: Path) -> list[Path]:
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and _visible(*path.relative_to(folder).parts)
    ]


def _visible(*names: str) -> bool:
    return not any(name.startswith((".", "__MACOSX")) for name in names)


def _sample(
    path: Path, base: Path, label: int, split: str, patients: Mapping[str, str] | None
) -> Sample:
    if patients is None:
        patient = patient_from_name(path.name)
    else:
        patient = patients.get(path.relative_to(base).as_posix(), patients.get(path.name))
    if patient is None:
        name = path.relative_to(base).as_posix()
        return Sample(path, label, split, patient=name, patient_known=False)
    return Sample(path, label, split, patient)


def _file_digest(sample: Sample) -> str:
    return sha256_of(sample.path)
