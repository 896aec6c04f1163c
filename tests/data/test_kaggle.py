from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from xray_classifier.data.kaggle import DATASETS, download
from xray_classifier.errors import DatasetError, MissingPackageError

Pretend = Callable[..., None]


def unpack(_dataset: str, output_dir: str) -> str:
    """Do what the client does when all is well."""
    folder = Path(output_dir) / "train" / "NORMAL"
    folder.mkdir(parents=True)
    (folder / "a.jpeg").write_text("a")
    return output_dir


@pytest.fixture
def kaggle(monkeypatch: pytest.MonkeyPatch) -> Pretend:
    """Put a client in the place of Kaggle's, with the token and the transport given."""

    def pretend(
        fetch: Callable[..., str] = unpack, token: Callable[[], Any] = lambda: "token"
    ) -> None:
        client, config = ModuleType("kagglehub"), ModuleType("kagglehub.config")
        client.dataset_download = fetch  # type: ignore[attr-defined]
        client.config = config  # type: ignore[attr-defined]
        config.get_kaggle_credentials = token  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "kagglehub", client)
        monkeypatch.setitem(sys.modules, "kagglehub.config", config)

    return pretend


def never(*_: Any, **__: Any) -> str:
    raise AssertionError("nothing may be asked of Kaggle")


def test_both_sets_of_the_article_are_known_its_own_first() -> None:
    assert DATASETS == (
        "pcbreviglieri/pneumonia-xray-images",
        "paultimothymooney/chest-xray-pneumonia",
    )


@pytest.mark.parametrize("there", ["nothing", "an empty folder", "no parent either"])
def test_data_set_is_moved_in_place_whole(there: str, kaggle: Pretend, tmp_path: Path) -> None:
    kaggle()
    dest = tmp_path / "deep" / "er" / "data" if there == "no parent either" else tmp_path / "data"
    if there == "an empty folder":
        dest.mkdir()
    download(DATASETS[0], dest)
    assert (dest / "train" / "NORMAL" / "a.jpeg").read_text() == "a"
    assert list(dest.parent.iterdir()) == [dest]


@pytest.mark.parametrize("name", DATASETS)
def test_the_named_data_set_is_asked_for(name: str, kaggle: Pretend, tmp_path: Path) -> None:
    asked = []

    def fetch(dataset: str, output_dir: str) -> str:
        asked.append(dataset)
        return unpack(dataset, output_dir)

    kaggle(fetch)
    download(name, tmp_path / "data")
    assert asked == [name]


def test_nothing_stands_in_place_until_all_has_come(kaggle: Pretend, tmp_path: Path) -> None:
    dest = tmp_path / "data"
    seen = []

    def fetch(dataset: str, output_dir: str) -> str:
        unpack(dataset, output_dir)
        seen.append(dest.exists())
        return output_dir

    kaggle(fetch)
    download(DATASETS[0], dest)
    assert seen == [False]


def test_missing_client_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(MissingPackageError, match=r"kagglehub is missing.*requirements-train"):
        download(DATASETS[0], tmp_path / "data")


def test_missing_token_is_said(kaggle: Pretend, tmp_path: Path) -> None:
    kaggle(never, token=lambda: None)
    with pytest.raises(DatasetError, match=r"No Kaggle token was found.*KAGGLE_API_TOKEN"):
        download(DATASETS[0], tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


def test_faulty_token_is_said(kaggle: Pretend, tmp_path: Path) -> None:
    def token() -> str:
        raise ValueError("Invalid Kaggle credentials file at kaggle.json")

    kaggle(never, token)
    with pytest.raises(DatasetError, match=r"Invalid Kaggle credentials.*\. Create a token"):
        download(DATASETS[0], tmp_path / "data")


def test_broken_download_is_said_and_leaves_nothing(kaggle: Pretend, tmp_path: Path) -> None:
    def fetch(dataset: str, output_dir: str) -> str:
        unpack(dataset, output_dir)
        raise ConnectionError("Name or service\nnot known")

    kaggle(fetch)
    wanted = f"{DATASETS[0]} could not be downloaded: Name or service not known.*network"
    with pytest.raises(DatasetError, match=wanted):
        download(DATASETS[0], tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


def test_interrupted_download_leaves_nothing(kaggle: Pretend, tmp_path: Path) -> None:
    def fetch(dataset: str, output_dir: str) -> str:
        unpack(dataset, output_dir)
        raise KeyboardInterrupt("by hand")

    kaggle(fetch)
    with pytest.raises(KeyboardInterrupt, match="by hand"):
        download(DATASETS[0], tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", ["a file", "a folder in use"])
def test_place_that_is_taken_is_refused(there: str, kaggle: Pretend, tmp_path: Path) -> None:
    kaggle(never, never)
    dest = tmp_path / "data"
    kept = dest if there == "a file" else dest / "mine.txt"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("mine")
    with pytest.raises(DatasetError, match=r"data is there already\. Choose a new folder"):
        download(DATASETS[0], dest)
    assert kept.read_text() == "mine"
