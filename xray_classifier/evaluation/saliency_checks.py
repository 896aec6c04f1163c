"""Do the heatmaps show what the network looks at? Two sanity checks, measured.

1. Deletion test: filling the hottest part of a picture with the picture's mean must lower the score
   more than filling a patch of the same shape elsewhere (the idea of Samek et al., IEEE TNNLS 28,
   2017). It flatters heatmaps that come of deleting, as ours do by blurring one field at a time.
2. Parameter-randomisation test: shuffling the network's weights must destroy the heatmap: all of
   them at once, and cascading from the last layers to the first (Adebayo et al., NeurIPS 2018).
   A picture may then move the answer so little that its heatmap is blank, which counts as unlike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from scipy.stats import spearmanr, wilcoxon

from xray_classifier.data.datasets import Sample, read_image
from xray_classifier.errors import DatasetError
from xray_classifier.imaging.preprocessing import Tensor, preprocess
from xray_classifier.inference.heatmap import METHOD, Explainer, Heatmap
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.keras_network import keras_model
from xray_classifier.models.network import Network
from xray_classifier.percent import as_percent
from xray_classifier.progress import track
from xray_classifier.records.checks import (
    CascadeStep,
    DeletionTest,
    Drops,
    ExplanationReport,
    Likeness,
    RandomisationTest,
)

HOTTEST = 0.1
PATCHES = 5  # random places for each image
SHUFFLES = 3  # of all weights
STAGES = 8  # of the cascade; a deep network's layers are taken several at a time
SIGNIFICANCE = 0.05
DESTROYED = 0.3  # a rank correlation below it is weak

STRIDE = 5  # pixels between those that are compared; the fields of a heatmap are 83 wide
SSIM_WINDOW = 7

Mask = NDArray[np.bool_]


def check(
    samples: Sequence[Sample], classifier: Classifier, images: int, seed: int = 0
) -> ExplanationReport:
    """Run both checks on pictures that the classifier calls pneumonia, one of each patient.

    The classifier must not be in use elsewhere: its weights are shuffled meanwhile.

    Args:
        samples: radiographs that the model was not trained on.
        classifier: the model.
        images: how many radiographs to take.
        seed: of the choice of radiographs, the random patches and the shuffling.

    Raises:
        DatasetError: a file cannot be read, or fewer radiographs than wanted are called pneumonia.
        ModelUnavailableError: the model cannot be explained.
    """
    explainer = Explainer(classifier)
    rng = np.random.default_rng(seed)
    tensors = called_pneumonia(samples, classifier, images, rng)
    heatmaps = [explainer.heatmap(tensor) for tensor in tensors]
    deletion = deletion_test(tensors, heatmaps, classifier.network, rng)
    randomisation = parameter_randomisation_test(tensors, heatmaps, explainer, rng)
    return ExplanationReport(
        model=classifier.spec.name,
        sha256=classifier.spec.sha256,
        method=METHOD,
        images=images,
        deletion_test=deletion,
        parameter_randomisation_test=randomisation,
        passed=deletion.passed and randomisation.passed,
    )


def called_pneumonia(
    samples: Sequence[Sample], classifier: Classifier, images: int, rng: np.random.Generator
) -> list[Tensor]:
    """Draw radiographs that the classifier calls pneumonia, at most one of each patient."""
    found: dict[str, Tensor] = {}
    for index in track(rng.permutation(len(samples)), "Choosing images", len(samples)):
        if len(found) == images:
            break
        sample = samples[index]
        if sample.patient not in found:
            tensor = preprocess(read_image(sample))
            if classifier.probabilities(tensor[np.newaxis])[0] >= classifier.spec.threshold:
                found[sample.patient] = tensor
    if len(found) < images:
        raise DatasetError(
            f"The model calls {len(found)} patients' radiographs pneumonia; {images} are wanted. "
            "Give more data, or a smaller --images."
        )
    return list(found.values())


def deletion_test(
    tensors: Sequence[Tensor],
    heatmaps: Sequence[Heatmap],
    network: Network,
    rng: np.random.Generator,
) -> DeletionTest:
    """Compare what filling the hottest part does to the score with filling other parts.

    Other parts are the same shape at random places, and, as a harder control that knows where
    this network tends to look, the hottest part of the next picture's heatmap.
    """
    masks = [hottest(heatmap) for heatmap in heatmaps]
    others = [*masks[1:], masks[0]]
    drops = []
    for tensor, mask, other in track(
        zip(tensors, masks, others, strict=True), "Filling", len(tensors)
    ):
        fills = [mask, other, *(moved(mask, rng) for _ in range(PATCHES))]
        batch = np.stack([tensor, *(filled(tensor, fill) for fill in fills)])
        logits = network.logits(batch)
        scores = np.stack([logits, 1 / (1 + np.exp(-logits))])
        lost = scores[:, :1] - scores[:, 1:]
        drops.append(np.column_stack([lost[:, :2], lost[:, 2:].mean(axis=1)]))
    by_logit, by_probability = (_compare(rows) for rows in np.array(drops).transpose(1, 0, 2))
    return DeletionTest(
        fraction=HOTTEST,
        patches=PATCHES,
        logit=by_logit,
        probability=by_probability,
        passed=max(by_logit.p, by_probability.p) < SIGNIFICANCE,
    )


def parameter_randomisation_test(
    tensors: Sequence[Tensor],
    heatmaps: Sequence[Heatmap],
    explainer: Explainer,
    rng: np.random.Generator,
) -> RandomisationTest:
    """Compare heatmaps before and after the weights are shuffled."""

    def likeness(others: Sequence[Heatmap]) -> Likeness:
        pairs = list(zip(heatmaps, others, strict=True))
        thinned = [[heatmap[::STRIDE, ::STRIDE] for heatmap in pair] for pair in pairs]
        return Likeness(
            rank_correlation=float(np.median([rank_correlation(*pair) for pair in thinned])),
            ssim=float(np.median([ssim(*pair) for pair in thinned])),
            blank=sum(not other.any() for other in others),
        )

    def explain() -> Likeness:
        return likeness([explainer.heatmap(tensor) for tensor in tensors])

    layers = list(weighted_layers(keras_model(explainer.classifier.network)))
    all_layers, cascade = [], []
    for _ in track(range(SHUFFLES), "Shuffling all", SHUFFLES):
        with shuffled(layers, rng):
            all_layers.append(explain())
    depths = np.unique(np.linspace(0, len(layers), STAGES + 1).astype(int)[1:])
    for depth in track(depths, "Shuffling from the top", len(depths)):
        with shuffled(layers[-depth:], rng):
            cascade.append(CascadeStep(layers[-depth].name, explain()))
    mean = float(np.mean([draw.rank_correlation for draw in all_layers]))
    return RandomisationTest(
        other_image=likeness([*heatmaps[1:], heatmaps[0]]),
        all_layers=tuple(all_layers),
        cascade=tuple(cascade),
        passed=abs(mean) < DESTROYED,
    )


def hottest(heatmap: Heatmap, part: float = HOTTEST) -> Mask:
    """Mark the hottest part of the pixels; less of them where the rest is cold."""
    marked = np.zeros(heatmap.size, bool)
    marked[np.argsort(heatmap, axis=None)[-round(part * heatmap.size) :]] = True
    return marked.reshape(heatmap.shape) & (heatmap > 0)


def moved(mask: Mask, rng: np.random.Generator) -> Mask:
    """Mirror and shift a mask at random; what leaves the picture comes back on the other side."""
    for axis in (0, 1):
        if rng.random() < 0.5:
            mask = np.flip(mask, axis)
    return np.roll(mask, rng.integers(mask.shape), axis=(0, 1))


def filled(tensor: Tensor, mask: Mask) -> Tensor:
    """Replace what is marked by the picture's mean."""
    return np.where(mask[..., np.newaxis], tensor.mean(), tensor)


def weighted_layers(model: Any) -> Iterator[Any]:
    """List the layers that have weights, those of nested models too, the first layer first."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from weighted_layers(layer)
        elif layer.weights:
            yield layer


@contextmanager
def shuffled(layers: Sequence[Any], rng: np.random.Generator) -> Iterator[None]:
    """Put each weight array of the layers in a random order; restore them in the end."""
    kept = [layer.get_weights() for layer in layers]
    try:
        for layer, arrays in zip(layers, kept, strict=True):
            layer.set_weights([rng.permutation(a.ravel()).reshape(a.shape) for a in arrays])
        yield
    finally:
        for layer, arrays in zip(layers, kept, strict=True):
            layer.set_weights(arrays)


def rank_correlation(one: Heatmap, other: Heatmap) -> float:
    """Give Spearman's correlation, 0 where a heatmap is the same everywhere."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(spearmanr(one, other, axis=None).statistic)


def ssim(one: Heatmap, other: Heatmap) -> float:
    """Give the mean structural similarity of heatmaps (Wang et al., IEEE TIP 13, 2004)."""

    def local(values: NDArray[np.float64]) -> NDArray[np.float64]:
        edge = SSIM_WINDOW // 2
        return uniform_filter(values, SSIM_WINDOW)[edge:-edge, edge:-edge]

    a, b = one.astype(np.float64), other.astype(np.float64)
    mean_a, mean_b = local(a), local(b)
    variances = local(a * a) - mean_a**2 + local(b * b) - mean_b**2
    covariance = local(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    likeness = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return float(np.mean(likeness / ((mean_a**2 + mean_b**2 + c1) * (variances + c2))))


def describe(report: ExplanationReport) -> str:
    """Write the figures of `check` for people."""
    deletion, randomisation = report.deletion_test, report.parameter_randomisation_test
    likenesses = [
        ("of the next image", randomisation.other_image),
        *(("all weights shuffled", each) for each in randomisation.all_layers),
        *((f"shuffled down to {step.down_to}", step.likeness) for step in randomisation.cascade),
    ]
    lines = [
        f"{report.method}, {report.model}: {report.images} radiographs called pneumonia, one of "
        "each patient",
        f"Deletion test, {as_percent(deletion.fraction, 0)} of the pixels filled with the mean: "
        "median drop",
        _drops_line("logit", deletion.logit),
        _drops_line("probability", deletion.probability),
        "Parameter-randomisation test, likeness to the heatmap: median rank correlation, SSIM, "
        "blank heatmaps",
        *(
            f"  {what:40} {each.rank_correlation:6.2f} {each.ssim:6.2f} {each.blank:4}"
            for what, each in likenesses
        ),
        "passed" if report.passed else "FAILED",
    ]
    return "\n".join(lines)


def _drops_line(name: str, drops: Drops) -> str:
    return (
        f"  {name:12} hottest {drops.hottest:.3f}, same shape elsewhere {drops.random:.3f} "
        f"(Wilcoxon p = {drops.p:.1e}), another image's hottest {drops.other_image:.3f} "
        f"(p = {drops.p_other_image:.1e})"
    )


def _compare(drops: NDArray[np.float64]) -> Drops:
    """Test drops of shape (n, 3): hottest part, another image's, random places."""
    hot, other, elsewhere = drops.T
    return Drops(
        hottest=float(np.median(hot)),
        random=float(np.median(elsewhere)),
        other_image=float(np.median(other)),
        p=_p_greater(hot, elsewhere),
        p_other_image=_p_greater(hot, other),
        images_hottest_above_random=float(np.mean(hot > elsewhere)),
    )


def _p_greater(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Give the p of Wilcoxon's signed-rank test, paired and one-sided; 1 where all are equal."""
    return (
        float(wilcoxon(one, other, alternative="greater").pvalue) if np.any(one != other) else 1.0
    )
