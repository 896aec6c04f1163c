"""Measured results to the tables of the model card.

Each function takes the facts about a model and the folder with everything measured of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from xray_classifier.evaluation.metrics import predictive_values, wilson_interval
from xray_classifier.models.spec import OFFICIAL_TEST, ModelSpec

TEST, HOLDOUT, ADULTS = OFFICIAL_TEST, "chest_xray/holdout", "adult_nih/all"
PREVALENCES = (0.05, 0.1, 0.25, 0.5)
NOT_YET = "Not measured yet."


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def percent(figure: Sequence[float]) -> str:
    """Write [value, low, high] as percentages."""
    return "{:.1%} ({:.1%} to {:.1%})".format(*figure)


def decimal(figure: Sequence[float], digits: int = 3) -> str:
    """Write [value, low, high] as decimal fractions."""
    value, low, high = (f"{number:.{digits}f}" for number in figure)
    return f"{value} ({low} to {high})"


def proportion(count: int, n: int) -> str:
    """Write a proportion as percentages, with Wilson's interval."""
    return percent([count / n, *wilson_interval(count, n)])


def performance(spec: ModelSpec, _folder: Path) -> str:
    """Write the figures out of fold, on the hold-out and on the test, and the confusion matrix."""
    rows = [("out of fold", f"{spec.calibration['images']}", spec.calibration["out_of_fold"])]
    for name, data in (("hold-out", HOLDOUT), ("**test**", TEST)):
        if data in spec.results:
            found = spec.results[data]
            rows.append((name, f"{found['images']}", found["figures"]))
    shares, decimals = ("accuracy", "sensitivity", "specificity"), ("loss", "brier", "ece")
    heading = ("on", "images", *shares, "AUC", "loss", "Brier", "ECE")
    return "\n\n".join(
        [
            table(
                heading,
                (
                    (
                        name,
                        images,
                        *(percent(figures[share]) for share in shares),
                        decimal(figures["auc"], 4),
                        *(decimal(figures[name_]) for name_ in decimals),
                    )
                    for name, images, figures in rows
                ),
            ),
            _confusion(spec),
        ]
    )


def _confusion(spec: ModelSpec) -> str:
    if TEST not in spec.results:
        return "The official test set was not met yet."
    (a, b), (c, d) = spec.results[TEST]["confusion"]
    rows = [("normal", f"{a}", f"{b}"), ("pneumonia", f"{c}", f"{d}")]
    return "On the official test set:\n\n" + table(
        ("is", "called normal", "called pneumonia"), rows
    )


def points(spec: ModelSpec, _folder: Path) -> str:
    """Write what each operating point gave, wherever it was measured."""
    names = ("sensitivity", "specificity", "accuracy", "undecided", "decided_right")
    rows = []
    for point in spec.operating_points:
        places = [("out of fold", spec.point(point).out_of_fold)]
        places += [
            (name, spec.results[data]["operating_points"][point])
            for name, data in (("hold-out", HOLDOUT), ("**test**", TEST))
            if data in spec.results
        ]
        rows += [(point, where, *(percent(found[n]) for n in names)) for where, found in places]
    return table(("point", "on", *(name.replace("_", " ") for name in names)), rows)


def thresholds(spec: ModelSpec, _folder: Path) -> str:
    """Write the thresholds and bands of the operating points."""
    points = [spec.point(name) for name in spec.operating_points]
    rows = [
        (
            point.name,
            point.criterion,
            f"{point.threshold:.4f}",
            f"{point.low:.4f} to {point.high:.4f}",
        )
        for point in points
    ]
    return table(("point", "chosen by", "threshold", "uncertain band"), rows)


def predictive(spec: ModelSpec, _folder: Path) -> str:
    """Write PPV and NPV of the default operating point at several prevalences."""
    if TEST not in spec.results:
        return NOT_YET
    figures = spec.results[TEST]["figures"]
    rows = []
    own = spec.calibration_prevalence
    for prevalence in (*PREVALENCES, *([own] if own else [])):
        ends = [
            predictive_values(figures["sensitivity"][end], figures["specificity"][end], prevalence)
            for end in (0, 1, 2)
        ]
        rows.append((f"{prevalence:.0%}", *(percent(values) for values in zip(*ends, strict=True))))
    note = "Ranges: both at the lower, both at the upper end of their intervals."
    return table(("prevalence", "PPV", "NPV"), rows) + f"\n\n{note}"


def spread(spec: ModelSpec, folder: Path) -> str:
    """Write the figures of each seed."""
    path = folder / "spread" / f"{spec.name}.json"
    if not path.exists():
        return NOT_YET
    found = json.loads(path.read_text(encoding="utf-8"))
    rows = [
        (
            seed,
            *(percent(run["figures"][name]) for name in ("accuracy", "sensitivity", "specificity")),
            *(decimal(run["figures"][name], 4) for name in ("auc", "brier", "ece")),
        )
        for seed, run in found["seeds"].items()
    ]
    heading = ("seed", "accuracy", "sensitivity", "specificity", "AUC", "Brier", "ECE")
    text = f"The same recipe on the {found['images']} images of the hold-out, calibrated alike:"
    return f"{text}\n\n{table(heading, rows)}"


def compared(spec: ModelSpec, _folder: Path) -> str:
    """Write how the model compares with the article's."""
    found = spec.results.get(TEST, {}).get("compared")
    if not found:
        return NOT_YET
    rows = [(name, decimal(value)) for name, value in found["difference"].items()]
    return (
        f"On the official test set, ours less `{found['model']}` (paired bootstrap over "
        f"patients):\n\n{table(('figure', 'difference'), rows)}\n\nMcNemar p "
        f"{found['mcnemar_p']:.1e}, DeLong p {found['delong_p']:.1e}."
    )


def subgroups(spec: ModelSpec, _folder: Path) -> str:
    """Write the figures of bacterial and viral pneumonia."""
    rows = [
        (where, kind, f"{found['images']}", percent(found["sensitivity"]), decimal(found["auc"]))
        for where, data in (("hold-out", HOLDOUT), ("test", TEST))
        for kind, found in spec.results.get(data, {}).get("etiology", {}).items()
    ]
    heading = ("on", "pneumonia by", "images", "sensitivity", "AUC against all normals")
    return table(heading, rows) if rows else NOT_YET


def robustness(spec: ModelSpec, _folder: Path) -> str:
    """Write accuracy and AUC on ever more spoilt images."""
    curves = spec.results.get(TEST, {}).get("robustness")
    if not curves:
        return NOT_YET
    figures = spec.results[TEST]["figures"]
    rows = [("nothing", "", percent(figures["accuracy"]), decimal(figures["auc"]))]
    rows += [
        (name, f"{point['level']:g}", percent(point["accuracy"]), decimal(point["auc"]))
        for name, points in curves.items()
        for point in points
    ]
    return table(("changed", "level", "accuracy", "AUC"), rows)


def gate(spec: ModelSpec, folder: Path) -> str:
    """Write what the gate does with images of each kind."""
    results = json.loads((folder / "gate" / "gate.json").read_text(encoding="utf-8"))["results"]
    rows = [
        (
            kind,
            f"{found['images']}",
            *(
                proportion(round(found[share] * found["images"]), found["images"])
                for share in ("rejected", "outside_population")
            ),
        )
        for kind, found in results.items()
    ]
    if TEST in spec.results:
        images, gate = spec.results[TEST]["images"], spec.results[TEST]["gate"]
        shares = (proportion(gate[name], images) for name in ("rejected", "flagged"))
        rows.append(("official test set", f"{images}", *shares))
    note = "In brackets Wilson's intervals."
    return table(("images of", "n", "rejected", "flagged"), rows) + f"\n\n{note}"


def coverage(spec: ModelSpec, _folder: Path) -> str:
    """Write how right the verdicts are if fewer are given."""
    names = {"hold-out": HOLDOUT, "test": TEST}
    curves = {
        name: dict(spec.results[data]["curves"]["coverage"])
        for name, data in names.items()
        if data in spec.results
    }
    if not curves:
        return NOT_YET
    counts = {name: spec.results[names[name]]["images"] for name in curves}
    steps = (1.0, 0.98, 0.96, 0.94, 0.92, 0.9, 0.86, 0.8)
    rows = [
        (f"{step:.0%}", *(_right(curves[name], step, counts[name]) for name in curves))
        for step in steps
    ]
    heading = ("decided", *(f"right, {name} ({count:,} images)" for name, count in counts.items()))
    return table(heading, rows)


def _right(curve: dict[float, float], step: float, images: int) -> str:
    decided = min(curve, key=lambda share: abs(share - step))
    n = round(decided * images)
    return proportion(round(curve[decided] * n), n)


def errors(spec: ModelSpec, _folder: Path) -> str:
    """List every error on the test by file name."""
    if TEST not in spec.results:
        return NOT_YET
    rows = [
        (f"`{error['file']}`", error["label"], f"{error['probability']:.3f}")
        for error in spec.results[TEST]["errors"]
    ]
    return table(("file", "is", "probability of pneumonia"), rows)
