"""What the networks of a model look at, and how they were trained, as Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from xray_classifier.errors import DatasetError
from xray_classifier.model_card.markdown import table
from xray_classifier.models.spec import INPUT_SHAPE
from xray_classifier.percent import as_percent
from xray_classifier.records.training import TrainingFacts

Layers = list[dict[str, Any]]
"""As Keras configures them."""


def geometry(path: Path) -> str:
    """Say what the networks in a Keras file do to a picture before their first convolution.

    Raises:
        DatasetError: the file is missing.
    """
    if not path.exists():
        raise DatasetError(f"{path} is missing: the card tells how it looks at a picture.")
    with ZipFile(path) as archive:
        layers: Layers = json.loads(archive.read("config.json"))["config"]["layers"]
    nested = [layer for layer in layers if layer["class_name"] == "Functional"]
    if not nested:
        return _steps(layers)
    return "; ".join(f"`{each['name']}`: {_steps(each['config']['layers'])}" for each in nested)


def recipe_table(training: TrainingFacts) -> str:
    """Write the settings, those of a mapping in rows of their own, of each network in a column."""
    networks = training.networks or (training,)
    settings = [dict(_flat(each.recipe)) for each in networks]
    names = dict.fromkeys(name for each in settings for name in each)
    rows = [
        (name.replace("_", " "), *(_setting(each.get(name, "")) for each in settings))
        for name in names
    ]
    head = [f"`{each.recipe_name}`" for each in training.networks] or [""]
    return table(("", *head), rows)


def _steps(layers: Layers) -> str:
    side, steps = INPUT_SHAPE[0], []
    for layer in layers:
        facts = layer["config"]
        match layer["class_name"]:
            case "AveragePooling2D":
                width, stride = facts["pool_size"][0], facts["strides"][0]
                side = (side - width) // stride + 1
                blurred = f"blurring over {width} x {width}" if stride == 1 else "averaging"
                steps.append(f"{blurred} to {side} x {side}")
            case "Cropping2D":
                cut = facts["cropping"][0][0]
                steps.append(f"the outer {as_percent(cut / side, 0)} cut off at each edge")
                side -= 2 * cut
                steps.append(f"which leaves {side} x {side}")
            case "Resizing":
                side = facts["height"]
                steps.append(f"resizing to {side} x {side}")
            case "Conv2D":
                break
    return ", ".join(steps)


def _flat(recipe: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for name, value in recipe.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}: {inner}", each) for inner, each in value.items())
        else:
            yield name, value


def _setting(value: Any) -> str:
    """Write a setting of a recipe; two numbers are the ends of a range."""
    match value:
        case bool():
            return "yes" if value else "no"
        case [int() | float() as low, int() | float() as high]:
            return f"{low} to {high}"
    return f"{value}"
