"""How much of a model's figures is luck? The same recipe with several seeds, on the hold-out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xray_classifier.data.datasets import Sample
from xray_classifier.data.splits import fingerprint
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.evaluation.evaluate import evaluate
from xray_classifier.files import replace_atomically
from xray_classifier.models.loading import load_classifier


def measure_spread(samples: Sequence[Sample], models: Sequence[str]) -> dict[str, Any]:
    """Evaluate models that differ in their seed only.

    Args:
        samples: radiographs that none of them was trained on.
        models: names or paths; each with its JSON.

    Returns:
        `images`, `data_sha256`, and `seeds`: by seed the model's sha256 and figures.

    Raises:
        ModelUnavailableError: two models have the same seed, or one has none.
        DatasetError: a file cannot be read; the message names it.
    """
    seeds: dict[str, Any] = {}
    for model in models:
        classifier = load_classifier(model)
        seed = str(classifier.spec.training.get("seed", ""))
        if not seed or seed in seeds:
            raise ModelUnavailableError(
                f"The seed of {model} is {seed or 'not in its JSON'}; wanted are models that "
                "`train` wrote, each with a seed of its own."
            )
        figures = evaluate(samples, classifier).summary["figures"]
        seeds[seed] = {"sha256": classifier.spec.sha256, "figures": figures}
    return {"images": len(samples), "data_sha256": fingerprint(samples), "seeds": seeds}


def write_spread(found: dict[str, Any], target: Path) -> None:
    """Write the figures as JSON, in one step."""
    with replace_atomically(target) as path:
        path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
