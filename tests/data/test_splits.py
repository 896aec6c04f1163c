from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.labelled_files import labels, made, write
from xray_classifier.data.datasets import Sample, find_samples, select
from xray_classifier.data.splits import (
    duplicates,
    fingerprint,
    linked_groups,
    part_of,
    split_by_patient,
)
from xray_classifier.errors import MissingPackageError


def test_split_holds_back_the_fraction_of_each_class(tmp_path: Path) -> None:
    normals = [(f"n{number}", 0) for number in range(50)]
    pneumonias = [(f"p{number // 3}", 1) for number in range(150)]
    training, validation = split_by_patient(made(tmp_path, normals + pneumonias), 0.2)
    assert labels(training) == {0: 40, 1: 120}
    assert labels(validation) == {0: 10, 1: 30}


def test_split_counts_are_near_where_patients_are_unequal(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    patients = [(f"{label}-{rng.integers(40)}", label) for label in (0, 1) for _ in range(100)]
    _, validation = split_by_patient(made(tmp_path, patients), 0.25)
    assert labels(validation)[0] == pytest.approx(25, abs=1)
    assert labels(validation)[1] == pytest.approx(25, abs=1)


@pytest.mark.parametrize("seed", range(5))
def test_fraction_is_kept_where_patients_have_images_of_both_classes(
    seed: int, tmp_path: Path
) -> None:
    patients = [(f"p{number // 4}", number % 2) for number in range(200)]
    _, validation = split_by_patient(made(tmp_path, patients), 0.2, seed)
    assert labels(validation)[0] == pytest.approx(20, abs=4)
    assert labels(validation)[1] == pytest.approx(20, abs=4)


@pytest.mark.parametrize("seed", range(5))
def test_no_patient_and_no_image_is_on_both_sides(seed: int, tmp_path: Path) -> None:
    samples = made(tmp_path, [(f"p{number // 2}", number // 50) for number in range(100)])
    for number in range(0, 90, 9):  # copies of another patient's image
        samples[number].path.write_bytes(samples[number + 9].path.read_bytes())
    training, validation = split_by_patient(samples, 0.3, seed)
    assert len(training) + len(validation) == 100
    assert validation
    assert not {s.patient for s in training} & {s.patient for s in validation}
    images = [{s.path.read_bytes() for s in side} for side in (training, validation)]
    assert not images[0] & images[1]


def test_split_follows_from_the_seed(tmp_path: Path) -> None:
    samples = made(tmp_path, [(f"p{number}", number % 2) for number in range(60)])
    assert split_by_patient(samples, 0.3, 1) == split_by_patient(samples, 0.3, 1)
    assert split_by_patient(samples, 0.3, 1) != split_by_patient(samples, 0.3, 2)


def test_split_does_not_depend_on_the_order_given(tmp_path: Path) -> None:
    samples = made(tmp_path, [(f"p{number // 2}", number % 2) for number in range(60)])
    samples[7].path.write_bytes(samples[20].path.read_bytes())
    shuffled = [samples[index] for index in np.random.default_rng(1).permutation(60)]
    _, validation = split_by_patient(samples, 0.3)
    _, again = split_by_patient(shuffled, 0.3)
    assert {sample.path for sample in validation} == {sample.path for sample in again}


def test_split_keeps_the_order_given(tmp_path: Path) -> None:
    samples = made(tmp_path, [(f"p{number}", number % 2) for number in range(40)])
    for side in split_by_patient(samples, 0.5):
        assert side == [sample for sample in samples if sample in side]


# Identical files


def test_part_has_whole_patients_and_of_each_class_its_share(tmp_path: Path) -> None:
    normals = [(f"n{number // 2}", 0) for number in range(40)]
    samples = made(tmp_path, normals + [(f"p{number // 2}", 1) for number in range(120)])
    part = part_of(samples, 40)
    assert labels(part) == {0: 10, 1: 30}
    rest = {sample.patient for sample in samples if sample not in part}
    assert not rest & {sample.patient for sample in part}


@pytest.mark.parametrize("images", [2, 3, 1000])
def test_part_as_large_as_the_whole_is_the_whole(images: int, tmp_path: Path) -> None:
    samples = made(tmp_path, [("n", 0), ("p", 1)])
    assert part_of(samples, images) == samples


def test_identical_files_are_duplicates(tmp_path: Path) -> None:
    a, b, c, d, e, f = made(tmp_path, [(name, 0) for name in "abcdef"])
    for twins in ((a, c, f), (b, d)):
        for twin in twins:
            twin.path.write_text(f"same as {twins[0].path.name}")
    assert duplicates([a, b, c, d, e, f]) == [[a, c, f], [b, d]]


def test_same_name_does_not_make_duplicates(tmp_path: Path) -> None:
    write(tmp_path, "train/NORMAL/a.png", "test/NORMAL/a.png")
    assert duplicates(find_samples(tmp_path)) == []


def test_patients_who_share_an_image_are_one_group(tmp_path: Path) -> None:
    samples = made(tmp_path, [(name, 0) for name in "abcdefa"])
    for number, content in enumerate(["x", "y", "z", "z", "y", "alone", "x"]):
        samples[number].path.write_text(content)
    assert linked_groups(samples) == ["a", "b", "c", "c", "b", "f", "a"]


def test_groups_are_linked_through_third_patients(tmp_path: Path) -> None:
    # a and b share x, b and c share y, c and d share z: all four are one.
    samples = made(tmp_path, [(name, 0) for name in "dcbacbe"])
    for number, content in enumerate(["z", "z", "x", "x", "y", "y", "alone"]):
        samples[number].path.write_text(content)
    assert linked_groups(samples) == ["a"] * 6 + ["e"]


def test_linked_patients_end_on_the_same_side(tmp_path: Path) -> None:
    samples = made(tmp_path, [(f"p{number:02d}", 0) for number in range(40)])
    for first, second in [(0, 39), (39, 20), (5, 6)]:
        write(tmp_path, f"link{first}.png", f"link{second}.png", content=f"{first} and {second}")
        samples += [
            Sample(tmp_path / f"link{number}.png", 0, "train", f"p{number:02d}")
            for number in (first, second)
        ]
        for seed in range(10):
            training, validation = split_by_patient(samples, 0.5, seed)
            for side in (training, validation):
                patients = {sample.patient for sample in side}
                assert (f"p{first:02d}" in patients) == (f"p{second:02d}" in patients)


def test_missing_scipy_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.cluster.hierarchy", None)
    with pytest.raises(
        MissingPackageError, match=r"scipy\S* is missing.*-r requirements-train\.txt"
    ):
        split_by_patient(made(tmp_path, [("a", 0), ("b", 1)]))


# Fingerprint


def test_fingerprint_depends_on_neither_folder_nor_order(tmp_path: Path) -> None:
    for folder in ("here", "there/deeper"):
        write(tmp_path / folder, "NORMAL/a.png", content="a")
        write(tmp_path / folder, "opacity/b.png", content="b")
    here, there = (find_samples(tmp_path / folder) for folder in ("here", "there"))
    assert fingerprint(here) == fingerprint(there) == fingerprint(reversed(here))


@pytest.mark.parametrize("change", ["bytes", "name", "label", "one more"])
def test_fingerprint_depends_on(change: str, tmp_path: Path) -> None:
    write(tmp_path / "old", "NORMAL/a.png", "PNEUMONIA/b.png", content="a")
    name = "c.png" if change == "name" else "a.png"
    folder = "PNEUMONIA" if change == "label" else "NORMAL"
    write(tmp_path / "new", f"{folder}/{name}", content="A" if change == "bytes" else "a")
    write(tmp_path / "new", "PNEUMONIA/b.png", content="a")
    if change == "one more":
        write(tmp_path / "new", "NORMAL/d.png", content="a")
    old, new = (find_samples(tmp_path / folder) for folder in ("old", "new"))
    assert fingerprint(old) != fingerprint(new)


# The radiographs of Kermany et al. Of the test set only the file names are read here.


@pytest.fixture(scope="module")
def kermany(data: Path) -> list[Sample]:
    return find_samples(data / "chest_xray")


@pytest.mark.data
def test_training_radiographs_hold_24_groups_of_duplicates(kermany: list[Sample]) -> None:
    groups = duplicates(select(kermany, "train"))
    assert len(groups) == 24
    assert all(len({sample.label for sample in group}) == 1 for group in groups)


@pytest.mark.data
def test_validation_split_is_about_the_articles(kermany: list[Sample]) -> None:
    training, validation = split_by_patient(select(kermany, "train"))
    assert [labels(training)[0], labels(training)[1]] == pytest.approx([1082, 3110], abs=2)
    assert [labels(validation)[0], labels(validation)[1]] == pytest.approx([267, 773], abs=2)
    assert not {s.patient for s in training} & {s.patient for s in validation}
