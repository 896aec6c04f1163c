"""Does a model's verdict rest on lungs? Held-out radiographs, changed in what is no lung.

Plain validation is blind to shortcuts, since held-out patients of the same hospital offer the same
ones. Each perturbation here leaves the diagnosis as it was; a model that looks at lungs gives the
same answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xray_classifier.data.datasets import Sample, read_image
from xray_classifier.data.splits import fingerprint
from xray_classifier.errors import DatasetError
from xray_classifier.evaluation.metrics import Probabilities, Weights, roc_auc, with_intervals
from xray_classifier.files import replace_atomically
from xray_classifier.imaging import perturbations
from xray_classifier.imaging.preprocessing import Tensor, preprocess
from xray_classifier.labels import LABELS
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.spec import ModelSpec
from xray_classifier.progress import track

BATCH_SIZE = 32
SEED = 0

Perturbation = Callable[[Tensor, np.random.Generator], Tensor]

PERTURBATIONS: dict[str, Perturbation] = {
    "text in a corner": perturbations.paste_text,
    "outer 10 % of another image": lambda batch, rng: perturbations.swap_border(batch, rng, 0.1),
    "outer 10 % erased": lambda batch, rng: perturbations.erase_border(batch, rng, 0.1),
    "cropped by 5 % a side": lambda batch, _rng: perturbations.crop(batch, 0.05),
    "brighter by .1": lambda batch, _rng: perturbations.shift_grey(batch, 0.1, 1.0),
    "darker by .1": lambda batch, _rng: perturbations.shift_grey(batch, -0.1, 1.0),
    "contrast .75": lambda batch, _rng: perturbations.shift_grey(batch, 0.0, 0.75),
    "contrast 1.25": lambda batch, _rng: perturbations.shift_grey(batch, 0.0, 1.25),
    "gamma .75": lambda batch, _rng: perturbations.adjust_gamma(batch, 0.75),
    "gamma 1.33": lambda batch, _rng: perturbations.adjust_gamma(batch, 1.33),
    "noise, sigma .03": lambda batch, rng: perturbations.add_noise(batch, rng, 0.03),
    "blur, 2 pixels of 500": lambda batch, _rng: perturbations.blur(batch, 2),
    "JPEG quality 25": lambda batch, _rng: perturbations.compress(batch, 25),
    "112 pixels a side": lambda batch, _rng: perturbations.downsample(batch, 112),
}

BORDER_ALONE: dict[str, Perturbation] = {
    "outer 10 % alone": lambda batch, _rng: perturbations.blank_centre(batch, 0.10),
    "outer 14 % alone": lambda batch, _rng: perturbations.blank_centre(batch, 0.14),
}


def stress(samples: Sequence[Sample], classifier: Classifier) -> dict[str, Any]:
    """Measure what each perturbation does to a model's answers.

    Args:
        samples: held-out radiographs of both classes.
        classifier: the model.

    Returns:
        images, auc as they are; `perturbations`: for each its mean_change (mean absolute change
        of the probability), verdicts_changed (fraction) and auc; `border_alone`: the AUC with
        nothing of a lung left, .5 for a model that looks at lungs only. All but the number of
        images as [value, low, high], with its 95 % interval over patients.

    Raises:
        DatasetError: a file cannot be read; the message names it.
    """
    order = np.random.default_rng(SEED).permutation(len(samples))  # neighbours share a class
    shuffled = [samples[index] for index in order]
    names = {**PERTURBATIONS, **BORDER_ALONE}
    plain, changed = _probabilities(shuffled, classifier, names)
    found = {
        name: _compare(shuffled, plain, probabilities, classifier.spec.threshold)
        for name, probabilities in {"nothing": plain, **changed}.items()
    }
    return {
        "images": len(samples),
        "auc": found["nothing"]["auc"],
        "perturbations": {name: found[name] for name in PERTURBATIONS},
        "border_alone": {name: found[name]["auc"] for name in BORDER_ALONE},
    }


def compare_resolutions(
    samples: Sequence[Sample], full: Path, classifier: Classifier
) -> dict[str, Any]:
    """Compare the answers for radiographs and for the same ones at full resolution.

    Args:
        samples: radiographs; those without a partner of the same name in `full` are left out.
        full: a folder with full-resolution copies, at any depth.
        classifier: the model.

    Returns:
        images, and mean_change, verdicts_changed and auc (of the full resolution) as in `stress`.

    Raises:
        DatasetError: the pairs lack a class, a partner cannot be told from another file of its
            name, or a file cannot be read.
    """
    partners = _partners(samples, full)
    pairs = [sample for sample in samples if sample.path.name in partners]
    if len({sample.label for sample in pairs}) < len(LABELS):
        raise DatasetError(
            f"{full} holds {len(pairs)} files with the name of one of the {len(samples)} "
            "radiographs; wanted are some of both classes. Give the folder with the same "
            "radiographs at full resolution."
        )
    small = _plain(pairs, classifier)
    large = [
        Sample(partners[sample.path.name], sample.label, sample.split, sample.patient)
        for sample in pairs
    ]
    compared = _compare(pairs, small, _plain(large, classifier), classifier.spec.threshold)
    return {"images": len(pairs), **compared}


def describe(report: dict[str, Any]) -> str:
    """Write what `stress` found, and under `full_resolution` `compare_resolutions`, for people."""
    head = ("changed", "mean change", "other verdicts", "AUC")
    rows = [("nothing", "", "", f"{report['auc'][0]:.4f}")]
    rows += [_row(name, found) for name, found in report["perturbations"].items()]
    rows += [(name, "", "", f"{auc[0]:.4f}") for name, auc in report["border_alone"].items()]
    if "full_resolution" in report:
        found = report["full_resolution"]
        rows.append(_row(f"full resolution, {found['images']} images", found))
    lines = [f"{name:36}{mean:>12}{other:>16}{auc:>9}" for name, mean, other, auc in (head, *rows)]
    return "\n".join([f"{report['images']} images", *lines])


def _row(name: str, found: dict[str, list[float]]) -> tuple[str, str, str, str]:
    verdicts = f"{100 * found['verdicts_changed'][0]:.1f} %"
    return name, f"{found['mean_change'][0]:.4f}", verdicts, f"{found['auc'][0]:.4f}"


def identify(samples: Sequence[Sample], spec: ModelSpec, data: Path, split: str) -> dict[str, Any]:
    """Say which model met which radiographs, as it is written beside what was found."""
    return {
        "model": spec.name,
        "sha256": spec.sha256,
        "threshold": spec.threshold,
        "data": f"{data.resolve().name}/{split}",
        "data_sha256": fingerprint(samples),
    }


def write(report: dict[str, Any], target: Path) -> None:
    """Write a report as JSON, in one step."""
    with replace_atomically(target) as path:
        text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8")


def _partners(samples: Sequence[Sample], full: Path) -> dict[str, Path]:
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


def _compare(
    samples: Sequence[Sample], plain: Probabilities, changed: Probabilities, threshold: float
) -> dict[str, list[float]]:
    labels = np.array([sample.label for sample in samples], np.intp)
    distance = np.abs(changed - plain)
    turned = (changed >= threshold) != (plain >= threshold)

    def figures(weights: Weights) -> dict[str, float]:
        return {
            "mean_change": float(np.average(distance, weights=weights)),
            "verdicts_changed": float(np.average(turned, weights=weights)),
            "auc": roc_auc(labels, changed, weights),
        }

    return with_intervals(figures, labels, [sample.patient for sample in samples])


def _plain(samples: Sequence[Sample], classifier: Classifier) -> Probabilities:
    return _probabilities(samples, classifier, {})[0]


def _probabilities(
    samples: Sequence[Sample], classifier: Classifier, changes: dict[str, Perturbation]
) -> tuple[Probabilities, dict[str, Probabilities]]:
    rng = np.random.default_rng(SEED)
    plain: list[Probabilities] = []
    changed: dict[str, list[Probabilities]] = {name: [] for name in changes}
    for batch in track(_batches(samples), "Judging", -(-len(samples) // BATCH_SIZE)):
        plain.append(classifier.probabilities(batch))
        for name, change in changes.items():
            changed[name].append(classifier.probabilities(change(batch, rng)))
    return np.concatenate(plain), {name: np.concatenate(all_) for name, all_ in changed.items()}


def _batches(samples: Sequence[Sample]) -> Iterator[Tensor]:
    for start in range(0, len(samples), BATCH_SIZE):
        part = samples[start : start + BATCH_SIZE]
        yield np.stack([preprocess(read_image(sample)) for sample in part])
