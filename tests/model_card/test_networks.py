from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.pictures import zipped
from tests.support.recorded import trained
from xray_classifier.errors import DatasetError
from xray_classifier.model_card.networks import geometry, recipe_table

POOLED = ("AveragePooling2D", {"pool_size": [2, 2], "strides": [2, 2]})
BLURRED = ("AveragePooling2D", {"pool_size": [3, 3], "strides": [1, 1]})
CROPPED = ("Cropping2D", {"cropping": [[10, 10], [10, 10]]})
STEPS = [
    ("InputLayer", {}),
    POOLED,
    BLURRED,
    CROPPED,
    ("Resizing", {"height": 200}),
    ("Conv2D", {}),
    POOLED,
]
WAY = (
    "averaging to 250 x 250, blurring over 3 x 3 to 248 x 248, the outer 4 % cut off at each edge, "
    "which leaves 228 x 228, resizing to 200 x 200"
)


def layers(steps: list[Any]) -> dict[str, Any]:
    return {"layers": [{"class_name": kind, "config": facts} for kind, facts in steps]}


def written(config: dict[str, Any], folder: Path) -> Path:
    path = folder / "model.keras"
    path.write_bytes(zipped({"config.json": json.dumps({"config": config}).encode()}))
    return path


def test_way_to_the_first_convolution_is_told_from_the_file(tmp_path: Path) -> None:
    assert geometry(written(layers(STEPS), tmp_path)) == WAY


def test_each_network_of_an_average_is_told_by_its_name(tmp_path: Path) -> None:
    views: dict[str, list[Any]] = {"sharp": [POOLED, ("Conv2D", {})], "soft": STEPS}
    nested = [
        {"class_name": "Functional", "name": name, "config": layers(steps)}
        for name, steps in views.items()
    ]
    outer = {"layers": [{"class_name": "InputLayer", "config": {}}, *nested]}
    assert geometry(written(outer, tmp_path)) == (f"`sharp`: averaging to 250 x 250; `soft`: {WAY}")


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none\.keras is missing: the card tells how it looks"):
        geometry(tmp_path / "none.keras")


def test_recipe_states_settings_that_belong_together_row_by_row() -> None:
    recipe = {"batch_size": 32, "augmentation": {"zoom_per_axis": [0.8, 1.2], "flip": True}}
    assert recipe_table(trained(recipe=recipe)).splitlines() == [
        "|  |  |",
        "| --- | --- |",
        "| batch size | 32 |",
        "| augmentation: zoom per axis | 0.8 to 1.2 |",
        "| augmentation: flip | yes |",
    ]


def test_recipes_of_an_average_stand_side_by_side() -> None:
    networks = (
        trained(recipe={"batch_size": 32, "start": "ImageNet"}, recipe_name="sharp"),
        trained(recipe={"batch_size": 16, "crop": 3}, recipe_name="soft"),
    )
    assert recipe_table(trained(recipe={"weights": {}}, networks=networks)).splitlines() == [
        "|  | `sharp` | `soft` |",
        "| --- | --- | --- |",
        "| batch size | 32 | 16 |",
        "| start | ImageNet |  |",
        "| crop |  | 3 |",
    ]
