from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.support.labelled_files import labels, write
from xray_classifier.data.datasets import Sample, find_samples, select
from xray_classifier.errors import DatasetError


def found(root: Path) -> list[tuple[str, int, str]]:
    return [(s.path.name, s.label, s.split) for s in find_samples(root)]


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


# Choosing


def test_selected_splits_are_kept(tmp_path: Path) -> None:
    write(tmp_path, "train/NORMAL/a.png", "val/NORMAL/b.png", "test/NORMAL/c.png")
    chosen = select(find_samples(tmp_path), "train", "val")
    assert [sample.path.name for sample in chosen] == ["a.png", "b.png"]


def test_selecting_a_missing_split_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "train/NORMAL/a.png", "test/NORMAL/c.png")
    with pytest.raises(DatasetError, match="has no split val or all; it has: test, train"):
        select(find_samples(tmp_path), "val", "all")


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
