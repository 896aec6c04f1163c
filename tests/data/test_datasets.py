from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from xray_classifier.data.datasets import (
    Sample,
    duplicates,
    etiology,
    find_samples,
    fingerprint,
    linked_groups,
    patient_from_name,
    read_patients,
    select,
    split_by_patient,
)
from xray_classifier.errors import DatasetError


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


def found(root: Path) -> list[tuple[str, int, str]]:
    return [(s.path.name, s.label, s.split) for s in find_samples(root)]


def labels(samples: list[Sample]) -> Counter[int]:
    return Counter(sample.label for sample in samples)


# Layouts


@pytest.mark.parametrize(
    ("normal", "pneumonia"),
    [
        ("NORMAL", "PNEUMONIA"),
        ("normal", "opacity"),
        ("Normal", "Opacity"),
        ("normal", "Pneumonia"),
    ],
)
def test_class_folders_are_found_under_each_name(
    normal: str, pneumonia: str, tmp_path: Path
) -> None:
    write(tmp_path, f"train/{normal}/a.png", f"train/{pneumonia}/b.png", f"test/{normal}/c.png")
    assert sorted(found(tmp_path)) == [
        ("a.png", 0, "train"),
        ("b.png", 1, "train"),
        ("c.png", 0, "test"),
    ]


def test_val_is_a_split_where_it_is_there(tmp_path: Path) -> None:
    write(tmp_path, "train/NORMAL/a.png", "val/NORMAL/b.png", "test/NORMAL/c.png")
    assert {split for *_, split in found(tmp_path)} == {"train", "val", "test"}


def test_split_folders_are_found_in_any_case(tmp_path: Path) -> None:
    write(tmp_path, "Train/NORMAL/a.png", "TEST/NORMAL/b.png")
    assert {split for *_, split in found(tmp_path)} == {"train", "test"}


def test_two_class_folders_alone_are_unsplit(tmp_path: Path) -> None:
    write(tmp_path, "normal/a.png", "opacity/b.png")
    assert found(tmp_path) == [("a.png", 0, "all"), ("b.png", 1, "all")]


@pytest.mark.parametrize("wrapping", ["chest_xray", "archive/chest_xray"])
def test_wrapping_folders_are_followed(wrapping: str, tmp_path: Path) -> None:
    write(tmp_path, f"{wrapping}/train/NORMAL/a.png", "__MACOSX/train/NORMAL/b.png", ".cache/c")
    assert found(tmp_path) == [("a.png", 0, "train")]


def test_copy_inside_the_data_set_is_not_counted_twice(tmp_path: Path) -> None:
    write(tmp_path, "train/NORMAL/a.png", "chest_xray/train/NORMAL/a.png")  # as Kaggle ships it
    assert found(tmp_path) == [("a.png", 0, "train")]


def test_folders_within_a_class_are_searched(tmp_path: Path) -> None:
    write(tmp_path, "train/NORMAL/2019/a.png", "train/NORMAL/2020/b.png")
    assert [name for name, *_ in found(tmp_path)] == ["a.png", "b.png"]


@pytest.mark.parametrize("hidden", [".DS_Store", "._a.png", ".cache/b.png", "__MACOSX/._a.png"])
def test_hidden_files_are_ignored(hidden: str, tmp_path: Path) -> None:
    write(tmp_path, "train/NORMAL/a.png", f"train/NORMAL/{hidden}")
    assert [name for name, *_ in found(tmp_path)] == ["a.png"]


def test_data_set_in_a_hidden_folder_is_found(tmp_path: Path) -> None:
    write(tmp_path, ".data/chest_xray/train/NORMAL/a.png")
    assert found(tmp_path / ".data") == [("a.png", 0, "train")]


def test_other_folders_are_ignored(tmp_path: Path) -> None:
    write(tmp_path, "train/NORMAL/a.png", "train/covid/b.png", "notes/NORMAL/c.png", "readme.txt")
    assert found(tmp_path) == [("a.png", 0, "train")]


def test_samples_are_sorted_by_path(tmp_path: Path) -> None:
    write(
        tmp_path, *(f"{split}/NORMAL/{name}.png" for split in ("train", "test") for name in "cab")
    )
    paths = [sample.path for sample in find_samples(tmp_path)]
    assert paths == sorted(paths)


def test_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere is not a folder"):
        find_samples(tmp_path / "nowhere")


@pytest.mark.parametrize("names", [[], ["cats/a.png", "dogs/b.png"], ["a.png"], ["train/a.png"]])
def test_folder_without_classes_is_an_error(names: list[str], tmp_path: Path) -> None:
    write(tmp_path, *names)
    with pytest.raises(DatasetError, match=r"holds no radiographs in class folders. Wanted: train"):
        find_samples(tmp_path)


def test_empty_class_folders_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "train" / "NORMAL").mkdir(parents=True)
    with pytest.raises(DatasetError, match="holds no radiographs in class folders"):
        find_samples(tmp_path)


# Patients


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("person1_bacteria_1.jpeg", "person1_bacteria"),
        ("person1_bacteria_2.jpeg", "person1_bacteria"),
        ("person1_virus_6.jpeg", "person1_virus"),
        ("person1_virus_2_3.jpeg", "person1_virus"),
        ("person10_virus_35.jpeg", "person10_virus"),
        ("IM-0115-0001.jpeg", "IM-0115"),
        ("IM-0437-0001-0002.jpeg", "IM-0437"),
        ("00001303_001.jpeg", "00001303"),
        ("NORMAL2-IM-0115-0001.jpeg", "NORMAL2-IM-0115"),
        ("NORMAL2-IM-0832-0001-0002.jpeg", "NORMAL2-IM-0832"),
        ("scan17.png", None),
        ("person1.jpeg", None),
        ("copy of person1_virus_6.jpeg", None),
        ("IM-0115.jpeg", None),
    ],
)
def test_patient_is_read_from_the_file_name(name: str, patient: str | None) -> None:
    assert patient_from_name(name) == patient


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("person1_bacteria_1.jpeg", "bacteria"),
        ("person1_virus_6.jpeg", "virus"),
        ("IM-0115-0001.jpeg", ""),
        ("scan.png", ""),
    ],
)
def test_etiology_is_read_from_the_file_name(name: str, kind: str) -> None:
    assert etiology(Sample(Path(name), 1, "train", "p")) == kind


def test_file_of_unknown_patient_is_its_own_patient_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, "train/NORMAL/1.png", "test/NORMAL/1.png", "train/NORMAL/IM-1-1.png")
    with caplog.at_level(logging.WARNING):
        test, other, known = find_samples(tmp_path)
    assert (test.patient, other.patient) == ("test/NORMAL/1.png", "train/NORMAL/1.png")
    assert not test.patient_known
    assert not other.patient_known
    assert (known.patient, known.patient_known) == ("IM-1", True)
    assert "the patient of 2 of 3 images is unknown" in caplog.text
    assert "--patients CSV" in caplog.text


def test_known_patients_need_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "train/NORMAL/IM-1-1.png")
    find_samples(tmp_path)
    assert not caplog.records


@pytest.mark.parametrize("key", ["train/NORMAL/a.png", "a.png"])
def test_patient_table_names_files_by_path_or_name(key: str, tmp_path: Path) -> None:
    write(tmp_path, "train/NORMAL/a.png")
    (sample,) = find_samples(tmp_path, {key: "Ann"})
    assert (sample.patient, sample.patient_known) == ("Ann", True)


def test_path_in_the_patient_table_goes_before_the_bare_name(tmp_path: Path) -> None:
    write(tmp_path, "train/NORMAL/a.png", "test/NORMAL/a.png")
    test, train = find_samples(tmp_path, {"train/NORMAL/a.png": "Ann", "a.png": "Bob"})
    assert (train.patient, test.patient) == ("Ann", "Bob")


def test_path_in_the_patient_table_is_relative_to_the_folder_given(tmp_path: Path) -> None:
    write(tmp_path, "chest_xray/train/NORMAL/a.png")
    (sample,) = find_samples(tmp_path, {"chest_xray/train/NORMAL/a.png": "Ann"})
    assert (sample.patient, sample.patient_known) == ("Ann", True)


def test_patient_table_replaces_what_file_names_say(tmp_path: Path) -> None:
    write(tmp_path, "train/NORMAL/IM-1-1.png", "train/NORMAL/IM-1-2.png")
    listed, missing = find_samples(tmp_path, {"IM-1-1.png": "Ann"})
    assert (listed.patient, listed.patient_known) == ("Ann", True)
    assert (missing.patient, missing.patient_known) == ("train/NORMAL/IM-1-2.png", False)


@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_patient_table_is_read(start: str, tmp_path: Path) -> None:
    table = tmp_path / "patients.csv"
    table.write_text(f'{start}patient,age,file\nAnn,3,a.png\n"Bob, jr",4,b.png\n', encoding="utf-8")
    assert read_patients(table) == {"a.png": "Ann", "b.png": "Bob, jr"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "needs the columns file,patient"),
        (b"file,patient\n", "needs the columns file,patient and a row for each image"),
        (b"file,child\na.png,Ann\n", "needs the columns file,patient"),
        (b"file;patient\na.png;Ann\n", "needs the columns file,patient"),
        (b"file,patient\na.png,Ann\nb.png,\n", r"patients\.csv, line 3: file or patient is empty"),
        (b"file,patient\na.png\n", "line 2: file or patient is empty"),
        (b"file,patient\n,Ann\n", "line 2: file or patient is empty"),
        (b"file,patient\n\na.png,\n", "line 3: file or patient is empty"),
        (b"file,patient\na.png,Zo\xeb\n", r"patients\.csv cannot be read: .*utf-8"),
    ],
)
def test_faulty_patient_table_is_an_error(text: bytes, message: str, tmp_path: Path) -> None:
    table = tmp_path / "patients.csv"
    table.write_bytes(text)
    with pytest.raises(DatasetError, match=message):
        read_patients(table)


def test_missing_patient_table_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"patient table .*none\.csv cannot be read: .*No such"):
        read_patients(tmp_path / "none.csv")


# Choosing and splitting


def test_selected_splits_are_kept(tmp_path: Path) -> None:
    write(tmp_path, "train/NORMAL/a.png", "val/NORMAL/b.png", "test/NORMAL/c.png")
    chosen = select(find_samples(tmp_path), "train", "val")
    assert [sample.path.name for sample in chosen] == ["a.png", "b.png"]


def test_selecting_a_missing_split_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "train/NORMAL/a.png", "test/NORMAL/c.png")
    with pytest.raises(DatasetError, match="has no split val or all; it has: test, train"):
        select(find_samples(tmp_path), "val", "all")


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
def test_radiographs_are_counted_as_published(kermany: list[Sample]) -> None:
    assert labels(select(kermany, "train")) == {0: 1349, 1: 3883}
    assert labels(select(kermany, "test")) == {0: 234, 1: 390}
    assert all(sample.patient_known for sample in kermany)


@pytest.mark.data
def test_no_patient_of_the_test_set_is_in_training(kermany: list[Sample]) -> None:
    training, test = (
        {sample.patient for sample in select(kermany, split)} for split in ("train", "test")
    )
    assert len({patient for patient in test if patient.startswith("person")}) == 203
    assert not training & test


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
