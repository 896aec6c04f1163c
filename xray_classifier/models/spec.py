"""What a model is, kept beside it in a JSON file: the one place for its facts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from xray_classifier.errors import ModelUnavailableError
from xray_classifier.imaging.preprocessing import SIDE
from xray_classifier.labels import LABELS
from xray_classifier.models.operating_point import OperatingPoint
from xray_classifier.paths import MODEL_FOLDER
from xray_classifier.records import migrations
from xray_classifier.records.checks import ExplanationReport, SeedsReport, StressReport
from xray_classifier.records.evaluation import EvaluationReport
from xray_classifier.records.export import OnnxFacts
from xray_classifier.records.json_files import REQUIRED, read_record, write_record
from xray_classifier.records.training import CalibrationFacts, EtiologyFacts, TrainingFacts

INPUT_SHAPE = (SIDE, SIDE, 1)
SCALING = "1/255"
DEFAULT_THRESHOLD = 0.5
PNEUMONIA, BACTERIAL = "pneumonia", "bacterial"
OFFICIAL_TEST = "chest_xray/test"
"""The key of `results` under which the official test set stands."""

Report = TypeVar("Report", StressReport, ExplanationReport, SeedsReport)

_UPGRADES = {
    StressReport: migrations.upgrade_stress,
    ExplanationReport: migrations.upgrade_explanation,
    SeedsReport: migrations.upgrade_seeds,
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
        answers: what the network's answers are the probabilities of: of pneumonia, and where
            there are two, of a bacterial one if it is a pneumonia.
        labels: class names by label.
        input_shape: (height, width, channels) of the tensor.
        scaling: from uint8 pixels to the tensor.
        download: Google Drive id or URL of the file, None where there is none.
        onnx: the same network for ONNX Runtime, None where it was not exported.
        calibration_prevalence: of pneumonia, that the probabilities assume; None for a model that
            is not calibrated.
        calibration: None for a model that is not calibrated.
        operating_points: the one taken by default first; none where none were fitted.
        training: None where it is not recorded.
        etiology: how its second answer was calibrated; None for a model that has none.
        results: what `evaluate --record` measured, by data set and split, as chest_xray/test.
    """

    name: str
    title: str
    file: str
    sha256: str = field(default="", metadata=REQUIRED)
    bytes: int = field(default=0, metadata=REQUIRED)
    threshold: float = field(default=DEFAULT_THRESHOLD, metadata=REQUIRED)
    answers: tuple[str, ...] = (PNEUMONIA,)
    labels: tuple[str, ...] = LABELS
    input_shape: tuple[int, ...] = INPUT_SHAPE
    scaling: str = SCALING
    download: str | None = None
    onnx: OnnxFacts | None = None
    calibration_prevalence: float | None = None
    calibration: CalibrationFacts | None = None
    operating_points: tuple[OperatingPoint, ...] = ()
    training: TrainingFacts | None = None
    etiology: EtiologyFacts | None = None
    results: dict[str, EvaluationReport] = field(default_factory=dict)

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
        if self.answers not in ((PNEUMONIA,), (PNEUMONIA, BACTERIAL)):
            raise ModelUnavailableError(
                f"The JSON of model {self.name} says answers {self.answers}; wanted are "
                f"{PNEUMONIA}, or {PNEUMONIA} and {BACTERIAL}."
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

    @property
    def points(self) -> tuple[OperatingPoint, ...]:
        """The model's operating points, the one taken by default first; never none."""
        return self.operating_points or (OperatingPoint.fixed(self.threshold),)

    @property
    def point_names(self) -> list[str]:
        """The names of the model's operating points, the one taken by default first."""
        return [point.name for point in self.points]

    def point(self, name: str | None = None) -> OperatingPoint:
        """Give an operating point, the default one without a name.

        Raises:
            ModelUnavailableError: the model has no such point.
        """
        for point in self.points:
            if name in (None, point.name):
                return point
        raise ModelUnavailableError(
            f"Model {self.name} has no operating point {name!r}; it has: "
            f"{', '.join(self.point_names)}."
        )

    @property
    def shown_etiology(self) -> EtiologyFacts | None:
        """Facts on the second answer, None where it is not to be shown."""
        return self.etiology if self.etiology and self.etiology.shown else None

    @property
    def short_hash(self) -> str:
        """The first eight digits of the hash, or "unverified"."""
        return self.sha256[:8] or "unverified"


def read_spec(path: Path) -> ModelSpec:
    """Read a model's JSON.

    Raises:
        ModelUnavailableError: no such file, not JSON, of a version that is not known, or a field
            missing, unknown or wrong.
    """
    return read_record(path, ModelSpec, migrations.upgrade_model, "The model description")


def write_spec(spec: ModelSpec, path: Path) -> None:
    """Write a model's JSON in one step."""
    write_record(spec, path)


def report_path(kind: type[Report], spec: ModelSpec, folder: Path = MODEL_FOLDER) -> Path:
    """Say where the report of that kind on a model lies, in a folder of models."""
    return folder / kind.folder / f"{spec.name}.json"


def read_report(kind: type[Report], spec: ModelSpec, folder: Path = MODEL_FOLDER) -> Report | None:
    """Read a report on this very model file; None if there is none, or it is on another file.

    Raises:
        ModelUnavailableError: the report cannot be read.
    """
    path = report_path(kind, spec, folder)
    if not path.exists():
        return None
    report = read_record(path, kind, _UPGRADES[kind])
    return report if spec.sha256 in report.files else None
