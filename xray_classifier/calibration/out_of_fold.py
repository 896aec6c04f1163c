"""The table of out-of-fold answers: what `cross_validation` writes, calibration reads."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xray_classifier.data.patients import etiology_from_name
from xray_classifier.errors import DatasetError
from xray_classifier.evaluation.metrics import Labels, Probabilities
from xray_classifier.labels import LABELS
from xray_classifier.rendering.score import Scores

COLUMNS = ("file", "patient", "label", "fold", "probability")
BACTERIAL = "bacterial"
"""A column of tables of models that say it: the probability that a pneumonia is a bacterial one."""

RENDERING = "rendering"
"""A column that joined tables have beside them: the rendering score, out of fold, too."""


@dataclass(frozen=True)
class OutOfFold:
    """Answers of models to patients that they never met; all of shape (n,).

    Attributes:
        labels: 0 = normal, 1 = pneumonia.
        probabilities: of pneumonia, in [0, 1], as the network gives them.
        patients: images of one patient share it.
        folds: how many there were.
        rendering: rendering scores, out of the same folds; None in a table without them.
        etiologies: "bacteria", "virus" or "", by the file's name.
        bacterial: the network's probability that a pneumonia is a bacterial one; None in a table
            of a network that does not say.
        files: the images' names.
    """

    labels: Labels
    probabilities: Probabilities
    patients: tuple[str, ...]
    folds: int
    rendering: Scores | None = None
    etiologies: tuple[str, ...] = ()
    bacterial: Probabilities | None = None
    files: tuple[str, ...] = ()


def read_out_of_fold(path: Path) -> OutOfFold:
    """Read what `cross_validate` wrote.

    Raises:
        DatasetError: no such file, a column missing, a value that is none, or one class only.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        labels = np.array([LABELS.index(row["label"]) for row in rows], np.intp)
        probabilities = np.array([float(row["probability"]) for row in rows])
        patients = tuple(row["patient"] for row in rows)
        files = tuple(row["file"] for row in rows)
        folds = len({row["fold"] for row in rows})
        etiologies = tuple(etiology_from_name(file) for file in files)
        rendering, bacterial = (  # the first tables had no such columns
            np.array([float(row[name]) for row in rows]) if rows and name in rows[0] else None
            for name in (RENDERING, BACTERIAL)
        )
    except OSError as error:
        raise DatasetError(f"The table {path} cannot be read: {error.strerror}.") from error
    except (KeyError, ValueError) as error:
        raise DatasetError(
            f"{path} is no table of out-of-fold answers ({error}); wanted are the columns "
            f"{','.join(COLUMNS)}. Make it with `cross-validate`."
        ) from error
    if len(set(labels.tolist())) < len(LABELS):
        raise DatasetError(f"{path} holds one class only; both are needed.")
    return OutOfFold(
        labels, probabilities, patients, folds, rendering, etiologies, bacterial, files
    )
