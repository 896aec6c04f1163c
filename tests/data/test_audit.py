from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.pictures import encoded
from xray_classifier.data.audit import Check, check
from xray_classifier.data.datasets import Sample, find_samples

UNREADABLE_DEVICE = Path("/proc/self/mem")  # a regular file that even root cannot read from


def image(path: Path, grey: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(np.full((40, 40), grey, np.uint8)))
    return path


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A data set without a fault: two patients in train, two in test."""
    image(tmp_path / "train/NORMAL/IM-1-0001.png", 10)
    image(tmp_path / "train/NORMAL/IM-1-0002.png", 20)
    image(tmp_path / "train/PNEUMONIA/person1_virus_1.png", 30)
    image(tmp_path / "test/NORMAL/IM-2-0001.png", 40)
    image(tmp_path / "test/PNEUMONIA/person1_bacteria_1.png", 50)
    return tmp_path


def checked(root: Path) -> Check:
    return check(find_samples(root))


def names(groups: list[list[Sample]]) -> list[set[str]]:
    return [{sample.path.name for sample in group} for group in groups]


def test_sound_data_pass(sound: Path) -> None:
    found = checked(sound)
    assert found.passed
    assert (found.unreadable, found.twins, found.shared_patients) == ([], [], [])
    assert found.report().endswith("Fit for use.")
    assert "NOT FIT" not in found.report()


def test_report_counts_images_and_patients_of_each_split(sound: Path) -> None:
    lines = [line.split() for line in checked(sound).report().splitlines()]
    assert lines[:3] == [
        ["split", "normal", "pneumonia", "patients"],
        ["test", "1", "1", "2"],
        ["train", "2", "1", "2"],
    ]


def test_unsplit_data_pass(tmp_path: Path) -> None:
    image(tmp_path / "NORMAL/IM-1-0001.png", 10)
    image(tmp_path / "opacity/person1_virus_1.png", 20)
    found = checked(tmp_path)
    assert found.passed
    assert ["all", "1", "1", "2"] in [line.split() for line in found.report().splitlines()]


def test_patient_in_two_splits_does_not_pass(sound: Path) -> None:
    image(sound / "test/NORMAL/IM-1-0003.png", 60)
    found = checked(sound)
    assert found.shared_patients == ["IM-1"]
    assert not found.passed
    assert "Patients in more than one split: 1\n  IM-1\n" in found.report()
    assert "NOT FIT FOR USE" in found.report()


def test_bacterial_and_viral_patients_of_one_number_are_two(sound: Path) -> None:
    assert checked(sound).shared_patients == []  # person1_virus and person1_bacteria


def test_identical_file_in_two_splits_does_not_pass(sound: Path) -> None:
    image(sound / "test/NORMAL/IM-3-0001.png", 10)
    found = checked(sound)
    assert found.shared_patients == []
    assert names(found.shared_images) == [{"IM-1-0001.png", "IM-3-0001.png"}]
    assert not found.passed
    assert "Identical files in more than one split: 1\n" in found.report()


def test_identical_files_of_one_split_are_counted_but_pass(sound: Path) -> None:
    for number in (3, 4):
        image(sound / f"train/NORMAL/IM-1-000{number}.png", 10)
    image(sound / "train/NORMAL/IM-1-0005.png", 20)
    found = checked(sound)
    assert names(found.twins) == [
        {"IM-1-0001.png", "IM-1-0003.png", "IM-1-0004.png"},
        {"IM-1-0002.png", "IM-1-0005.png"},
    ]
    assert found.shared_images == []
    assert found.passed
    assert "Groups of identical files: 2\n" in found.report()


def test_identical_files_with_different_labels_are_named(sound: Path) -> None:
    image(sound / "train/PNEUMONIA/person2_virus_1.png", 10)
    found = checked(sound)
    assert names(found.contradictions) == [{"IM-1-0001.png", "person2_virus_1.png"}]
    (line,) = (line for line in found.report().splitlines() if "with different labels" in line)
    assert "IM-1-0001.png" in line
    assert "person2_virus_1.png" in line


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "The file is empty"), (b"a text", "This is not an image that can be read")],
)
def test_unreadable_file_does_not_pass(content: bytes, reason: str, sound: Path) -> None:
    path = sound / "train/NORMAL/IM-9-0001.png"
    path.write_bytes(content)
    found = checked(sound)
    assert [sample.path for sample, _ in found.unreadable] == [path]
    assert not found.passed
    assert f"Unreadable: 1\n  {path}: {reason}" in found.report()


@pytest.mark.skipif(not UNREADABLE_DEVICE.exists(), reason="needs Linux's /proc")
def test_file_on_a_failing_disk_is_unreadable_like_any_other(sound: Path) -> None:
    path = sound / "train/NORMAL/IM-9-0001.png"
    path.symlink_to(UNREADABLE_DEVICE)
    found = checked(sound)
    assert [sample.path for sample, _ in found.unreadable] == [path]
    assert not found.passed
    assert "Input/output error" in found.report()
