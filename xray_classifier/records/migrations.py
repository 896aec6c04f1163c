"""Files of schema version 1, which names no version, to version 2.

Version 1 held figures as [value, low, high], confusion matrices as rows and points of curves as
lists, and called the checks of heatmaps by what they do.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Values = dict[str, Any]

_CURVES = {
    "roc": ("false_positive_rate", "true_positive_rate"),
    "reliability": ("predicted", "observed", "images"),
    "coverage": ("decided", "right"),
}


def upgrade_model(old: Values) -> Values:
    """Bring a model's JSON to version 2."""
    new = dict(old)
    for name, upgrade in (("training", _training), ("calibration", _calibration)):
        facts = new.pop(name, None)
        if facts:
            new[name] = upgrade(facts)
    if "operating_points" in old:
        new["operating_points"] = [
            _operating_point(name, point) for name, point in old["operating_points"].items()
        ]
    if "results" in old:
        new["results"] = {data: _evaluation(found) for data, found in old["results"].items()}
    return new


def upgrade_stress(old: Values) -> Values:
    """Bring the report of `stress` to version 2."""
    new = old | {
        "auc": _estimate(old["auc"]),
        "perturbations": {
            name: _estimates(change) for name, change in old["perturbations"].items()
        },
        "border_alone": _estimates(old["border_alone"]),
    }
    if "full_resolution" in old:
        images, change = _taken(old["full_resolution"], "images")
        new["full_resolution"] = {"images": images, "change": _estimates(change)}
    return new


def upgrade_explanation(old: Values) -> Values:
    """Bring the report of `explain-check` to version 2."""
    filling, rest = _taken(old, "filling")
    shuffling, rest = _taken(rest, "shuffling")
    fraction, drops = _taken(filling, "hottest")
    everything, likenesses = _taken(shuffling, "all")
    cascade = []
    for step in shuffling["cascade"]:
        down_to, likeness = _taken(step, "down_to")
        cascade.append({"down_to": down_to, "likeness": likeness})
    return rest | {
        "deletion_test": {"fraction": fraction} | drops,
        "parameter_randomisation_test": likenesses | {"all_layers": everything, "cascade": cascade},
    }


def upgrade_seeds(old: Values) -> Values:
    """Bring the report of `seeds` to version 2."""
    seeds = {
        seed: run | {"figures": _estimates(run["figures"])} for seed, run in old["seeds"].items()
    }
    return old | {"seeds": seeds}


def _training(old: Values) -> Values:
    new = old | {"median_source_size": _named(("width", "height"), old["median_source_size"])}
    if "best_epoch" in new:  # the first runs told less of the epoch that they shipped
        figures = {
            name: new.pop(f"best_validation_{of}")
            for name, of in (("val_accuracy", "accuracy"), ("val_loss", "loss"))
        }
        new |= {"shipped_epoch": new.pop("best_epoch"), "figures_of_that_epoch": figures}
    return new


def _calibration(old: Values) -> Values:
    return old | {"out_of_fold": _estimates(old["out_of_fold"])}


def _operating_point(name: str, old: Values) -> Values:
    band, rest = _taken(old, "band")
    figures = _estimates(old["out_of_fold"])
    return {"name": name} | rest | _named(("low", "high"), band) | {"out_of_fold": figures}


def _evaluation(old: Values) -> Values:
    normals, pneumonias = old["confusion"]
    confusion = _named(("true_normal", "false_pneumonia"), normals) | _named(
        ("false_normal", "true_pneumonia"), pneumonias
    )
    new = old | {"confusion": confusion, "figures": _estimates(old["figures"])}
    if "operating_points" in old:
        points = old["operating_points"].items()
        new["operating_points"] = {name: _estimates(figures) for name, figures in points}
    if "etiology" in old:
        new["etiology"] = {kind: _estimates(part) for kind, part in old["etiology"].items()}
    if "curves" in old:
        curves = old["curves"].items()
        new["curves"] = {
            name: [_named(_CURVES[name], point) for point in points] for name, points in curves
        }
    if "compared" in old:
        difference = _estimates(old["compared"]["difference"])
        new["compared"] = old["compared"] | {"difference": difference}
    if "robustness" in old:
        spoilt = old["robustness"].items()
        new["robustness"] = {
            name: [_estimates(point) for point in points] for name, points in spoilt
        }
    return new


def _estimates(figures: Values) -> Values:
    """Name the parts of each figure; what is no figure, such as a number of images, stays."""
    return {
        name: _estimate(figure) if isinstance(figure, list) else figure
        for name, figure in figures.items()
    }


def _estimate(figure: Iterable[float]) -> Values:
    return _named(("value", "low", "high"), figure)


def _named(names: Iterable[str], values: Iterable[Any]) -> Values:
    return dict(zip(names, values, strict=True))


def _taken(values: Values, name: str) -> tuple[Any, Values]:
    return values[name], {key: value for key, value in values.items() if key != name}
