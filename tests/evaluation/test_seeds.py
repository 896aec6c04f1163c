from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.recorded import trained
from tests.support.stand_ins import resample_seldom, tiny_model
from xray_classifier.data.datasets import Sample
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.evaluation.seeds import measure_seeds
from xray_classifier.files import sha256_of
from xray_classifier.models.spec import ModelSpec, read_spec, write_spec
from xray_classifier.records.checks import SeedsReport
from xray_classifier.records.json_files import read_record, write_record


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    resample_seldom(monkeypatch)


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
        facts = trained(seed=seed)
        spec = ModelSpec("tiny", "Tiny", path.name, sha256_of(path), 1, training=facts)
        write_spec(spec, path.with_suffix(".json"))
        paths.append(str(path))
    return paths


def test_each_seed_has_its_figures(
    samples: list[Sample], models: list[str], tmp_path: Path
) -> None:
    found = measure_seeds(samples, models)
    assert found.images == 4
    assert {seed: run.sha256 for seed, run in found.seeds.items()} == {
        seed: sha256_of(Path(model)) for seed, model in zip("12", models, strict=True)
    }
    assert found.seeds["1"].figures.accuracy.value == 1
    write_record(found, tmp_path / "seeds.json")
    assert read_record(tmp_path / "seeds.json", SeedsReport) == found


def test_one_seed_twice_is_refused(samples: list[Sample], models: list[str]) -> None:
    with pytest.raises(ModelUnavailableError, match="The seed of .* is 1; wanted are models"):
        measure_seeds(samples, [models[0], models[0]])


def test_model_without_a_seed_is_refused(samples: list[Sample], models: list[str]) -> None:
    path = Path(models[0]).with_suffix(".json")
    write_spec(replace(read_spec(path), training=None), path)
    with pytest.raises(ModelUnavailableError, match="is not in its JSON"):
        measure_seeds(samples, models[:1])
