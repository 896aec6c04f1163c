"""How much of a model's figures is luck? The same recipe with several seeds, on the hold-out."""

from __future__ import annotations

from collections.abc import Sequence

from xray_classifier.data.datasets import Sample
from xray_classifier.data.splits import fingerprint
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.evaluation.evaluate import evaluate
from xray_classifier.models.loading import KERAS, load_classifier
from xray_classifier.records.checks import SeedRun, SeedsReport


def measure_seeds(samples: Sequence[Sample], models: Sequence[str]) -> SeedsReport:
    """Evaluate models that differ in their seed only.

    Args:
        samples: radiographs that none of them was trained on.
        models: names or paths; each with its JSON.

    Raises:
        ModelUnavailableError: two models have the same seed, or one has none.
        DatasetError: a file cannot be read; the message names it.
    """
    runs: dict[str, SeedRun] = {}
    for model in models:
        spec = (classifier := load_classifier(model, runtime=KERAS)).spec
        seed = str(spec.training.seed) if spec.training else ""
        if not seed or seed in runs:
            raise ModelUnavailableError(
                f"The seed of {model} is {seed or 'not in its JSON'}; wanted are models that "
                "`train` wrote, each with a seed of its own."
            )
        runs[seed] = SeedRun(spec.sha256, evaluate(samples, classifier).summary.figures)
    return SeedsReport(len(samples), fingerprint(samples), runs)
