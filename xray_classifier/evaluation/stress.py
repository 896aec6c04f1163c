"""Does a model's verdict rest on lungs? Held-out radiographs, changed in what is no lung.

Plain validation is blind to shortcuts, since held-out patients of the same hospital offer the same
ones. Each perturbation here leaves the diagnosis as it was; a model that looks at lungs gives the
same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from xray_classifier.data.datasets import Sample, find_partners, read_image
from xray_classifier.data.splits import fingerprint
from xray_classifier.errors import DatasetError
from xray_classifier.evaluation.metrics import Probabilities, Weights, roc_auc, with_intervals
from xray_classifier.imaging import perturbations
from xray_classifier.imaging.preprocessing import Tensor, preprocess
from xray_classifier.labels import LABELS
from xray_classifier.models.classifier import Classifier
from xray_classifier.percent import as_percent
from xray_classifier.progress import track
from xray_classifier.records.checks import (
    OTHER_RENDERING,
    Change,
    ResolutionChange,
    StressReport,
)
from xray_classifier.rendering.bands import transfer_rendering

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
    "mirrored": lambda batch, _rng: perturbations.mirror(batch),
}

BORDER_ALONE: dict[str, Perturbation] = {
    "outer 10 % alone": lambda batch, _rng: perturbations.blank_centre(batch, 0.10),
    "outer 14 % alone": lambda batch, _rng: perturbations.blank_centre(batch, 0.14),
}


def stress(
    samples: Sequence[Sample],
    classifier: Classifier,
    data: str,
    full_resolution: ResolutionChange | None = None,
) -> StressReport:
    """Measure what each perturbation does to a model's answers.

    Args:
        samples: held-out radiographs of both classes.
        classifier: the model.
        data: what they are called in the report, as chest_xray/holdout.
        full_resolution: what `compare_resolutions` found, for the report.

    Raises:
        DatasetError: a file cannot be read; the message names it.
    """
    order = np.random.default_rng(SEED).permutation(len(samples))  # neighbours share a class
    shuffled = [samples[index] for index in order]
    names = {**PERTURBATIONS, **BORDER_ALONE}
    plain, changed = _probabilities(shuffled, classifier, names)
    changed[OTHER_RENDERING] = _rerendered(shuffled, classifier)
    spec = classifier.spec
    found = {
        name: _compare(shuffled, plain, probabilities, spec.threshold)
        for name, probabilities in {"nothing": plain, **changed}.items()
    }
    return StressReport(
        model=spec.name,
        sha256=spec.sha256,
        threshold=spec.threshold,
        data=data,
        data_sha256=fingerprint(samples),
        images=len(samples),
        auc=found["nothing"].auc,
        perturbations={name: found[name] for name in (*PERTURBATIONS, OTHER_RENDERING)},
        border_alone={name: found[name].auc for name in BORDER_ALONE},
        full_resolution=full_resolution,
    )


def compare_resolutions(
    samples: Sequence[Sample], full: Path, classifier: Classifier
) -> ResolutionChange:
    """Compare the answers for radiographs and for the same ones at full resolution.

    Args:
        samples: radiographs; those without a partner of the same name in `full` are left out.
        full: a folder with full-resolution copies, at any depth.
        classifier: the model.

    Raises:
        DatasetError: the pairs lack a class, a partner cannot be told from another file of its
            name, or a file cannot be read.
    """
    partners = find_partners(samples, full)
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
    change = _compare(pairs, small, _plain(large, classifier), classifier.spec.threshold)
    return ResolutionChange(len(pairs), change)


def describe(report: StressReport) -> str:
    """Write what `stress` found for people."""
    head = ("changed", "mean change", "other verdicts", "AUC")
    rows = [("nothing", "", "", f"{report.auc.value:.4f}")]
    rows += [_row(name, change) for name, change in report.perturbations.items()]
    rows += [(name, "", "", f"{auc.value:.4f}") for name, auc in report.border_alone.items()]
    if report.full_resolution:
        images = report.full_resolution.images
        rows.append(_row(f"full resolution, {images} images", report.full_resolution.change))
    lines = [f"{name:36}{mean:>12}{other:>16}{auc:>9}" for name, mean, other, auc in (head, *rows)]
    return "\n".join([f"{report.images} images", *lines])


def _row(name: str, change: Change) -> tuple[str, str, str, str]:
    verdicts = as_percent(change.verdicts_changed.value)
    return name, f"{change.mean_change.value:.4f}", verdicts, f"{change.auc.value:.4f}"


def _compare(
    samples: Sequence[Sample], plain: Probabilities, changed: Probabilities, threshold: float
) -> Change:
    labels = np.array([sample.label for sample in samples], np.intp)
    distance = np.abs(changed - plain)
    turned = (changed >= threshold) != (plain >= threshold)

    def figures(weights: Weights) -> dict[str, float]:
        return {
            "mean_change": float(np.average(distance, weights=weights)),
            "verdicts_changed": float(np.average(turned, weights=weights)),
            "auc": roc_auc(labels, changed, weights),
        }

    patients = [sample.patient for sample in samples]
    return Change(**with_intervals(figures, labels, patients))


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


def _rerendered(samples: Sequence[Sample], classifier: Classifier) -> Probabilities:
    """Judge each radiograph in the rendering of one of the other class."""
    rng = np.random.default_rng(SEED)
    labels = np.array([sample.label for sample in samples])
    donors = [samples[rng.choice(np.flatnonzero(labels != label))] for label in labels]
    pairs = zip(_batches(samples), _batches(donors), strict=True)
    return np.concatenate(
        [
            classifier.probabilities(transfer_rendering(batch, theirs))
            for batch, theirs in track(pairs, "Rendering", -(-len(samples) // BATCH_SIZE))
        ]
    )


def _batches(samples: Sequence[Sample]) -> Iterator[Tensor]:
    for start in range(0, len(samples), BATCH_SIZE):
        part = samples[start : start + BATCH_SIZE]
        yield np.stack([preprocess(read_image(sample)) for sample in part])
