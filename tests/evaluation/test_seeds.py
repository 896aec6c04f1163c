from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.stand_ins import tiny_model
from xray_classifier.data.datasets import Sample
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.evaluation.metrics import patient_intervals
from xray_classifier.evaluation.seeds import measure_spread, write_spread
from xray_classifier.files import sha256_of
from xray_classifier.models.spec import ModelSpec, read_spec, write_spec


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patient_intervals, "__defaults__", (20, 0))


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    found = []
    for number in range(4):
        path = tmp_path / f"{number}.png"
        Image.fromarray(np.full((40, 40), 60 + 100 * (number % 2), np.uint8)).save(path)
        found.append(Sample(path, number % 2, "all", str(number)))
    return found


@pytest.fixture
def models(tmp_path: Path) -> list[str]:
    paths = []
    for seed in (1, 2):
        path = tmp_path / f"seed{seed}" / "tiny.keras"
        path.parent.mkdir()
        tiny_model().save(path)
        facts = {"seed": seed}
        spec = ModelSpec("tiny", "Tiny", path.name, sha256_of(path), 1, training=facts)
        write_spec(spec, path.with_suffix(".json"))
        paths.append(str(path))
    return paths


def test_each_seed_has_its_figures(
    samples: list[Sample], models: list[str], tmp_path: Path
) -> None:
    found = measure_spread(samples, models)
    assert found["images"] == 4
    assert found["seeds"].keys() == {"1", "2"}
    assert found["seeds"]["1"]["figures"]["accuracy"][0] == 1
    write_spread(found, tmp_path / "spread.json")
    assert json.loads((tmp_path / "spread.json").read_text()) == found


def test_one_seed_twice_is_refused(samples: list[Sample], models: list[str]) -> None:
    with pytest.raises(ModelUnavailableError, match="The seed of .* is 1; wanted are models"):
        measure_spread(samples, [models[0], models[0]])


def test_model_without_a_seed_is_refused(samples: list[Sample], models: list[str]) -> None:
    path = Path(models[0]).with_suffix(".json")
    write_spec(replace(read_spec(path), training={}), path)
    with pytest.raises(ModelUnavailableError, match="is not in its JSON"):
        measure_spread(samples, models[:1])
