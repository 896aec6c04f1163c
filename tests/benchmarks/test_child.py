from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import child
from tests.support.stand_ins import tiny_model
from xray_classifier.inference.pipeline import classify

if TYPE_CHECKING:
    from xray_classifier.models.classifier import Classifier


def test_memory_is_told_after_so_many_verdicts(
    tiny: None, image: str, answer: Callable[[], Any]
) -> None:
    child.verdicts(str(Path(image).parent), "2", "5")
    resident = answer()
    assert resident.keys() == {"2", "5"}
    assert all(megabytes > 10 for megabytes in resident.values())


def test_memory_is_told_after_each_step(tiny: None, image: str, answer: Callable[[], Any]) -> None:
    child.where_memory_goes(image)
    steps = answer()
    first, *_, last = steps
    assert (first, last) == ("Python", "first heatmap")


def test_folder_tells_time_and_peak(tiny: None, image: str, answer: Callable[[], Any]) -> None:
    start = time.perf_counter()
    child.folder_peak(str(Path(image).parent), "any")
    found = answer()
    assert found["images"] == 1
    assert 0 < found["seconds"] < time.perf_counter() - start
    assert found["peak_mb"] > 10


def test_image_tells_time_and_peak(tiny: None, image: str, answer: Callable[[], Any]) -> None:
    start = time.perf_counter()
    child.image_peak(image)
    found = answer()
    assert [0 < seconds < time.perf_counter() - start for seconds in found["seconds"]] == [True] * 3
    assert found["peak_mb"] > 10


def test_bare_verdict_is_that_of_the_model(
    image: str, tiny_classifier: Classifier, tmp_path: Path, answer: Callable[[], Any]
) -> None:
    model = tmp_path / "tiny.keras"
    tiny_model().save(model)
    child.bare_verdict(image, str(model))
    probability = classify(Path(image).read_bytes(), tiny_classifier).probability
    assert answer() == pytest.approx(probability, abs=0.01)  # it is resized in another way


def test_verdict_is_that_of_the_model(
    tiny: None, image: str, square_classifier: Classifier, answer: Callable[[], Any]
) -> None:
    child.verdict(image)
    assert answer() == classify(Path(image).read_bytes(), square_classifier).probability


def test_page_is_drawn_anew_with_its_image(
    tiny_models: None, image: str, answer: Callable[[], Any]
) -> None:
    start = time.process_time()
    child.page_reruns(image, "2")
    seconds = answer()
    assert len(seconds) == 2
    assert 0 < min(seconds) <= sum(seconds) < time.process_time() - start


def test_page_that_judges_nothing_is_an_error(tiny_models: None, tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("no image", encoding="utf-8")
    with pytest.raises(SystemExit, match="The page judged nothing: .*image"):
        child.page_reruns(str(text), "1")


def test_command_prints_its_row_then_its_peak(
    tiny: None, image: str, capsys: pytest.CaptureFixture[str]
) -> None:
    child.predict(image)
    *_, row, peak = capsys.readouterr().out.splitlines()
    assert "a.png" in row
    assert float(peak.removeprefix("answer ")) > 10


def test_command_that_fails_is_an_error(tiny: None, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as failed:
        child.predict(str(tmp_path / "none.png"))
    assert failed.value.code == 2


def test_import_tells_its_peak(answer: Callable[[], Any]) -> None:
    child.import_tensorflow()
    assert answer() > 10
