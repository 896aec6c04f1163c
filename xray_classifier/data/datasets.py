"""Folders of labelled radiographs, as they lie on disk."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from xray_classifier.data.patients import patient_from_name
from xray_classifier.errors import DatasetError, UnreadableImageError
from xray_classifier.imaging.radiograph import GreyImage
from xray_classifier.inputs.decoding import decode

_log = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")
UNSPLIT = "all"
"""The split of a folder that holds the two classes directly."""

_CLASS_FOLDERS = {"normal": 0, "pneumonia": 1, "opacity": 1}


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


def read_image(sample: Sample) -> GreyImage:
    """Decode the radiograph of a sample, shape (height, width), uint8.

    Raises:
        DatasetError: the file cannot be read; the message names it.
    """
    try:
        return decode(sample.path.read_bytes()).image
    except (UnreadableImageError, OSError) as error:
        raise DatasetError(f"{sample.path}: {error} Remove or replace the file.") from error


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


def find_partners(samples: Sequence[Sample], full: Path) -> dict[str, Path]:
    """Find the files of a folder, at any depth, that bear the names of radiographs.

    Args:
        samples: the radiographs.
        full: a folder with the same ones at full resolution.

    Returns:
        Paths by file name; of some radiographs there may be none.

    Raises:
        DatasetError: a name is there twice.
    """
    names = {sample.path.name for sample in samples}
    partners: dict[str, Path] = {}
    for path in sorted(full.rglob("*")):
        if path.name not in names or not path.is_file():
            continue
        if path.name in partners:
            raise DatasetError(
                f"{partners[path.name]} and {path} have the same name, so that the partner of "
                "the radiograph cannot be told. Keep one of them."
            )
        partners[path.name] = path
    return partners
