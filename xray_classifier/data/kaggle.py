"""Fetch the article's data set from Kaggle with the user's own token."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from xray_classifier.errors import DatasetError, missing_package
from xray_classifier.files import make_folder

DATASETS = ("pcbreviglieri/pneumonia-xray-images", "paultimothymooney/chest-xray-pneumonia")

_ACCESS_HELP = (
    "Create a token under kaggle.com > Settings > API and set it as the environment variable "
    "KAGGLE_API_TOKEN, or save the file kaggle.json in ~/.kaggle."
)


def download(dataset: str, dest: Path) -> None:
    """Download and unpack a Kaggle data set into a new folder, whole or not at all.

    Args:
        dataset: owner/name on Kaggle.
        dest: a folder that does not exist yet, or is empty.

    Raises:
        DatasetError: the token or the network is missing, or `dest` is in use.
        MissingPackageError: Kaggle's client is not installed.
    """
    if dest.exists() and (not dest.is_dir() or any(dest.iterdir())):
        raise DatasetError(f"{dest} is there already. Choose a new folder with --dest.")
    try:
        import kagglehub
        from kagglehub.config import get_kaggle_credentials
    except ModuleNotFoundError as error:
        raise missing_package(error, "requirements-train.txt") from error
    try:
        credentials = get_kaggle_credentials()
    except ValueError as error:
        raise DatasetError(f"{error}. {_ACCESS_HELP}") from error
    if credentials is None:
        raise DatasetError(f"No Kaggle token was found. {_ACCESS_HELP}")
    make_folder(dest.parent)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=dest.parent) as folder:
        try:
            unpacked = kagglehub.dataset_download(dataset, output_dir=f"{folder}/data")
        except Exception as error:  # the client lets through what its transport raises
            raise DatasetError(
                f"{dataset} could not be downloaded: {' '.join(str(error).split())}. "
                f"Check the network and the token. {_ACCESS_HELP}"
            ) from error
        os.replace(unpacked, dest)
