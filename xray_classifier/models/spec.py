"""What a model is, kept beside it in a JSON file: the one place for its facts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from xray_classifier.errors import ModelUnavailableError
from xray_classifier.files import replace_atomically
from xray_classifier.imaging.preprocessing import SIDE
from xray_classifier.labels import LABELS
from xray_classifier.models.operating_point import FIXED, OperatingPoint

INPUT_SHAPE = (SIDE, SIDE, 1)
SCALING = "1/255"
DEFAULT_THRESHOLD = 0.5
OFFICIAL_TEST = "chest_xray/test"
"""The key of `results` under which the official test set stands."""

_REQUIRED = {
    "name": str,
    "title": str,
    "file": str,
    "sha256": str,
    "bytes": int,
    "threshold": float,
}
_OPTIONAL = {
    "download": str | None,
    "calibration_prevalence": float | None,
    "calibration": dict,
    "operating_points": dict,
    "training": dict,
    "results": dict,
}


@dataclass(frozen=True)
class ModelSpec:
    """The facts about one trained model.

    Attributes:
        name: what `--model` calls it.
        title: what the page calls it.
        file: name of the model file, in the folder of the JSON.
        sha256: of the model file, hexadecimal; "" where nothing vouches for the file.
        bytes: size of the model file; 0 where nothing vouches for the file.
        threshold: an image is called pneumonia at this probability or above, in (0, 1); that of
            the operating point "balanced" where points were fitted.
        labels: class names by label.
        input_shape: (height, width, channels) of the tensor.
        scaling: from uint8 pixels to the tensor.
        download: Google Drive id or URL of the file, None where there is none.
        calibration_prevalence: of pneumonia, that the probabilities assume; None for a model that
            is not calibrated.
        calibration: how the probabilities were calibrated, and on what.
        operating_points: by name, as `OperatingPoint.to_json` gives them.
        training: data, split, recipe, seed and versions.
        results: what `evaluate --record` measured, by data set and split.
    """

    name: str
    title: str
    file: str
    sha256: str = ""
    bytes: int = 0
    threshold: float = DEFAULT_THRESHOLD
    labels: tuple[str, ...] = LABELS
    input_shape: tuple[int, ...] = INPUT_SHAPE
    scaling: str = SCALING
    download: str | None = None
    calibration_prevalence: float | None = None
    calibration: dict[str, Any] = field(default_factory=dict)
    operating_points: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse facts that this program cannot honour.

        Raises:
            ModelUnavailableError: with the fact, and what was wanted.
        """
        wanted = {"labels": LABELS, "input_shape": INPUT_SHAPE, "scaling": SCALING}
        for name, value in wanted.items():
            if getattr(self, name) != value:
                raise ModelUnavailableError(
                    f"The JSON of model {self.name} says {name} {getattr(self, name)}; this "
                    f"program feeds its models {value}. Use a model made for it."
                )
        if not 0 < self.threshold < 1:
            raise ModelUnavailableError(
                f"The JSON of model {self.name} says threshold {self.threshold}; wanted is a "
                "number between 0 and 1."
            )
        prevalence = self.calibration_prevalence
        if prevalence is not None and not 0 < prevalence < 1:
            raise ModelUnavailableError(
                f"The JSON of model {self.name} says calibration_prevalence {prevalence}; wanted "
                "is a number between 0 and 1, or null."
            )
        for name in self.point_names:
            self.point(name)

    @property
    def point_names(self) -> list[str]:
        """The names of the model's operating points, the one taken by default first."""
        return list(self.operating_points) or [FIXED]

    def point(self, name: str | None = None) -> OperatingPoint:
        """Give an operating point, the default one without a name.

        Raises:
            ModelUnavailableError: the model has no such point, or the JSON's is none.
        """
        name = name or self.point_names[0]
        if name not in self.point_names:
            raise ModelUnavailableError(
                f"Model {self.name} has no operating point {name!r}; it has: "
                f"{', '.join(self.point_names)}."
            )
        if not self.operating_points:
            return OperatingPoint.fixed(self.threshold)
        try:
            return OperatingPoint.from_json(name, self.operating_points[name])
        except ValueError as error:
            raise ModelUnavailableError(f"The JSON of model {self.name}: {error}") from error

    @property
    def short_hash(self) -> str:
        """The first eight digits of the hash, or "unverified"."""
        return self.sha256[:8] or "unverified"


def read_spec(path: Path) -> ModelSpec:
    """Read a model's JSON.

    Raises:
        ModelUnavailableError: no such file, not JSON, or a field missing, unknown or wrong.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelUnavailableError(
            f"The model description {path} cannot be read ({error.strerror}). Restore it from "
            "the repository."
        ) from error
    except ValueError as error:
        raise ModelUnavailableError(
            f"The model description {path} is not valid JSON ({error}). Restore it from the "
            "repository."
        ) from error
    if not isinstance(values, dict):
        raise ModelUnavailableError(f"The model description {path} holds no JSON object.")
    known = {entry.name for entry in fields(ModelSpec)}
    problems = [f"{name} is unknown" for name in sorted(values.keys() - known)]
    problems += [f"{name} is missing" for name in _REQUIRED.keys() - values.keys()]
    problems += [
        f"{name} is {values[name]!r}"
        for name, kind in (_REQUIRED | _OPTIONAL).items()
        if name in values and not isinstance(values[name], kind)
    ]
    if problems:
        raise ModelUnavailableError(
            f"The model description {path} does not fit this program: {', '.join(problems)}. "
            "Take file and description from the same version."
        )
    for name in ("labels", "input_shape"):
        if isinstance(values.get(name), list):
            values[name] = tuple(values[name])
    return ModelSpec(**values)


def write_spec(spec: ModelSpec, path: Path) -> None:
    """Write a model's JSON in one step."""
    with replace_atomically(path) as temporary:
        text = json.dumps(asdict(spec), indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
