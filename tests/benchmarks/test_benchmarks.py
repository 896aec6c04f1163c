"""What the benchmarks compute; how fast things are is not tested, but measured by them."""

from __future__ import annotations

import io
import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from PIL import Image

from benchmarks import __main__ as command
from benchmarks import child, folder, images, latency, machine, processes, results, scaling, startup
from benchmarks.measure import Figure, Quartiles, quartiles, ratio, take_turns
from tests.support.pages import draw_app
from tests.support.pictures import encoded, gradient
from tests.support.places import ROOT
from tests.support.stand_ins import TinyGate, square_model, tiny_model
from xray_classifier.files import write_json
from xray_classifier.inference.pipeline import classify
from xray_classifier.models import gate, loading

if TYPE_CHECKING:
    from xray_classifier.models.classifier import Classifier

ONE = Quartiles(1, 1, 1, 1)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No radiographs are there, and what is drawn is small."""
    monkeypatch.setattr(images, "ORIGINALS", tmp_path / "none")
    monkeypatch.setattr(images, "SIZES", ((40, 50), (60, 40)))


# Arithmetic


def test_median_and_quartiles_are_in_milliseconds() -> None:
    assert quartiles([0.005, 0.001, 0.003, 0.002, 0.004]) == Quartiles(3, 2, 4, 5, "ms")


def test_quartiles_of_one_value_are_that_value() -> None:
    assert quartiles([2.5], "s", 1) == Quartiles(2.5, 2.5, 2.5, 1, "s")


def test_ratio_is_that_of_the_medians() -> None:
    assert ratio(Quartiles(30, 0, 99, 3), Quartiles(12, 0, 99, 3)) == 2.5


@pytest.mark.parametrize(
    ("value", "at_least", "met"),
    [(2.9, True, False), (3, True, True), (3, False, True), (3.1, False, False)],
)
def test_figure_is_met_at_its_target_and_beyond(value: float, at_least: bool, met: bool) -> None:
    assert Figure("key", "what", value, 3, at_least).met is met


def test_sides_take_turns_and_the_warm_up_does_not_count() -> None:
    calls: list[str] = []
    seconds = take_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 3, 1)
    assert calls == ["a", "b"] * 4
    assert [len(values) for values in seconds.values()] == [3, 3]
    assert all(value >= 0 for values in seconds.values() for value in values)


def test_multiply_adds_are_those_worked_out_by_hand() -> None:
    # 50 x 50 pixels after pooling, 48 x 48 after the convolution of 3 x 3; one dense weight
    assert latency.multiply_adds(square_model()) == 48 * 48 * 9 + 1


def test_multiply_adds_of_the_article() -> None:
    from xray_classifier.training.architecture import build_article_cnn

    maps = [(498, 1, 32), (247, 32, 32), (121, 32, 32), (58, 32, 64), (27, 64, 64)]
    convolutions = sum(side**2 * 9 * before * after for side, before, after in maps)
    dense = 13 * 13 * 64 * 128 + 128 * 64 + 64
    assert latency.multiply_adds(build_article_cnn()) == convolutions + dense


# What is written


def test_table_says_what_is_missed() -> None:
    figures = [
        Figure("fast", "what", 3.2, 3, at_least=True, sides={"ours": Quartiles(1, 0.5, 2, 30)}),
        Figure("light", "what", 0.5, 0.05),
    ]
    first, side, second = results.describe(figures).splitlines()
    assert first.split() == ["fast", "3.2", "at", "least", "3", "met"]
    assert side.split() == ["ours", "1", "ms", "(0.5", "to", "2)", "of", "30"]
    assert second.split() == ["light", "0.5", "at", "most", "0.05", "MISSED"]


def test_json_holds_each_key_with_its_value(tmp_path: Path) -> None:
    figure = Figure("fast", "what", 3.2, 3, at_least=True, sides={"ours": ONE})
    target = tmp_path / "results.json"
    collected = results.collect([figure], machine.describe(), "the command", memory_mb={"a": 1})
    write_json(collected, target)
    found = json.loads(target.read_text(encoding="utf-8"))
    assert found["fast"] == 3.2
    assert found["command"] == "the command"
    assert found["memory_mb"] == {"a": 1}
    (entry,) = found["figures"]
    assert entry["met"] is True
    assert entry["sides"] == {"ours": {"median": 1, "low": 1, "high": 1, "times": 1, "unit": "ms"}}
    assert {"cpu", "cores", "memory_gb", "versions"} <= found["machine"].keys()


def test_machine_is_named_by_family_and_model_too(tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text("cpu family\t: 6\nmodel\t\t: 207\nmodel name\t: Some CPU\n", encoding="utf-8")
    assert machine.cpu_model(path) == "Some CPU, family 6, model 207"
    assert machine.cpu_model(tmp_path / "none")


# Images


def test_drawn_jpeg_is_a_grey_one_of_the_size_asked_for() -> None:
    data = images.draw(1700, 1437)
    picture = Image.open(io.BytesIO(data))
    assert (picture.format, picture.mode, picture.size) == ("JPEG", "L", (1700, 1437))
    assert 400_000 < len(data) < 1_000_000  # the original that it stands for has 646,168


def test_folder_is_filled_with_images_of_several_sizes(drawn: None, tmp_path: Path) -> None:
    target = tmp_path / "many"
    target.mkdir()
    images.fill(target, 30)
    files = sorted(target.iterdir())
    assert [file.name for file in files] == [f"{number:05}.jpeg" for number in range(30)]
    assert {Image.open(io.BytesIO(file.read_bytes())).size for file in files} == {
        (40, 50),
        (60, 40),
    }
    assert images.source() == "drawn"


# Each measurement, with tiny models


def test_both_paths_judge_the_same_image(tiny_classifier: Classifier, tmp_path: Path) -> None:
    data = encoded(gradient(500, 500))  # neither has to resize it
    figure = latency.compare_paths(data, tiny_model(), tiny_classifier, rounds=1)
    ours, theirs = figure.sides["ours"], figure.sides["the article's"]
    assert figure.value == pytest.approx(theirs.median / ours.median)
    path = tmp_path / "image.png"
    path.write_bytes(data)
    probability = classify(data, tiny_classifier).probability
    assert latency.article_path(path, tiny_model()) == pytest.approx(probability, abs=1e-5)


def test_floor_is_measured_beside_the_forward_pass(
    square_classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "MATRIX_SIDES", (8, 16))
    figure = latency.compare_with_floor(encoded(gradient()), square_classifier, rounds=2)
    assert figure.sides.keys() == {"forward pass", "floor"}
    assert figure.key == "forward_over_floor"


def test_default_is_timed_with_its_heatmap(square_classifier: Classifier) -> None:
    white = encoded(np.full((50, 50), 255, np.uint8))  # the gate rejects it, the model judges it
    figures = latency.time_default(white, square_classifier, cast("Any", TinyGate()), rounds=1)
    assert [figure.key for figure in figures] == ["default_ms", "heatmap_over_verdict"]


def test_both_ways_judge_every_file_of_a_folder(
    drawn: None, tiny_classifier: Classifier, tmp_path: Path
) -> None:
    target = tmp_path / "images"
    target.mkdir()
    images.fill(target, 5)
    assert folder.judge_as_we_do(target, tiny_classifier) == 5
    assert folder.judge_as_keras(target, tiny_model()).shape == (5, 1)
    figure = folder.compare("key", tiny_classifier, 1.3, images=3, rounds=1, warm_up=0)
    assert figure.sides["ours"].unit == "images/s"


def test_copy_of_the_page_differs_by_one_import() -> None:
    script = child.PAGE.read_text(encoding="utf-8")
    extra = set(startup.eager(script).splitlines()) - set(script.splitlines())
    assert extra == {"import tensorflow"}
    compile(startup.eager(script), "eager.py", "exec")


def test_page_of_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match="is expected to hold"):
        startup.eager("import streamlit")


def test_flatness_compares_the_peaks() -> None:
    found = [{"images": count, "peak_mb": peak} for count, peak in ((500, 800), (5000, 840))]
    figure = scaling.flatness(found)
    assert (figure.value, figure.met) == (1.05, True)


def test_image_above_the_limit_is_refused_with_a_message() -> None:
    assert "8001 x 8001 pixels; the limit is 64 million" in scaling.beyond_limit()


def test_image_within_the_limit_is_noticed() -> None:
    with pytest.raises(RuntimeError, match="40 x 40 pixels was not refused"):
        scaling.beyond_limit(40)


# The command


def test_growth_is_measured_first_while_this_process_is_small(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A process starts with the peak of the one that started it."""
    order = []

    def measured(name: str, *_: int) -> tuple[list[Figure], dict[str, Any]]:
        order.append(name)
        return [Figure(name, name, 1, 2)], {f"table of {name}": ["row"]}

    monkeypatch.setattr(sys, "argv", ["benchmarks", "--scaling"])
    monkeypatch.setattr(command, "measure_scaling", partial(measured, "growth"))
    monkeypatch.setattr(command, "measure", partial(measured, "rest"))
    command.main()
    assert order == ["growth", "rest"]
    said = capsys.readouterr().out
    assert all(word in said for word in ("table of growth", "table of rest"))


# Processes


@pytest.fixture
def tiny(
    monkeypatch: pytest.MonkeyPatch, tiny_classifier: Classifier, square_classifier: Classifier
) -> None:
    """Let the programs load tiny models."""
    del tiny_classifier
    monkeypatch.setattr(loading, "load_classifier", lambda *_, **__: square_classifier)
    monkeypatch.setattr(gate, "load_gate", lambda **_: TinyGate())
    monkeypatch.chdir(ROOT)


def answer(capsys: pytest.CaptureFixture[str]) -> Any:
    line = capsys.readouterr().out.splitlines()[-1]
    return json.loads(line.removeprefix("answer "))


@pytest.fixture
def image(tmp_path: Path) -> str:
    path = tmp_path / "images" / "a.png"
    path.parent.mkdir()
    path.write_bytes(encoded(gradient()))
    return str(path)


def test_memory_is_told_after_so_many_verdicts(
    tiny: None, image: str, capsys: pytest.CaptureFixture[str]
) -> None:
    child.verdicts(str(Path(image).parent), "2", "5")
    resident = answer(capsys)
    assert resident.keys() == {"2", "5"}
    assert all(megabytes > 10 for megabytes in resident.values())


def test_memory_is_told_after_each_step(
    tiny: None, image: str, capsys: pytest.CaptureFixture[str]
) -> None:
    child.where_memory_goes(image)
    steps = answer(capsys)
    first, *_, last = steps
    assert (first, last) == ("Python", "first heatmap")


def test_folder_tells_time_and_peak(
    tiny: None, image: str, capsys: pytest.CaptureFixture[str]
) -> None:
    start = time.perf_counter()
    child.folder_peak(str(Path(image).parent), "any")
    found = answer(capsys)
    assert found["images"] == 1
    assert 0 < found["seconds"] < time.perf_counter() - start
    assert found["peak_mb"] > 10


def test_image_tells_time_and_peak(
    tiny: None, image: str, capsys: pytest.CaptureFixture[str]
) -> None:
    start = time.perf_counter()
    child.image_peak(image)
    found = answer(capsys)
    assert [0 < seconds < time.perf_counter() - start for seconds in found["seconds"]] == [True] * 3
    assert found["peak_mb"] > 10


def test_bare_verdict_is_that_of_the_model(
    image: str, tiny_classifier: Classifier, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "tiny.keras"
    tiny_model().save(model)
    child.bare_verdict(image, str(model))
    probability = classify(Path(image).read_bytes(), tiny_classifier).probability
    assert answer(capsys) == pytest.approx(probability, abs=0.01)  # it is resized in another way


def test_verdict_is_that_of_the_model(
    tiny: None, image: str, square_classifier: Classifier, capsys: pytest.CaptureFixture[str]
) -> None:
    child.verdict(image)
    assert answer(capsys) == classify(Path(image).read_bytes(), square_classifier).probability


def test_page_runs_in_a_process_of_its_own() -> None:
    start = time.perf_counter()
    assert processes.ask("page", str(child.PAGE)) == len(draw_app().main)
    assert 0 < processes.seconds_to_answer("page", str(child.PAGE)) < time.perf_counter() - start


def test_process_without_an_answer_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="ended without an answer, status 1"):
        processes.ask("page", "no-such-page.py")
