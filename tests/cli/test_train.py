"""Commands that make models."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.commands import Captured, flat, said
from xray_classifier.calibration import calibrate
from xray_classifier.cli import train as cli_train
from xray_classifier.cli.main import main
from xray_classifier.cli.options import AVERAGED, TRAINABLE
from xray_classifier.training import averaging, cross_validation, trainer
from xray_classifier.training.recipes import (
    ARTICLE,
    AVERAGES,
    DEFAULT,
    RECIPES,
    SOFT,
    Average,
    Recipe,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # Keras
    pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built"),
]


@pytest.mark.parametrize(
    ("recipe", "option", "seed", "full"),
    [
        (ARTICLE, [], 1, None),
        (SOFT, ["--seed", "7", "--full-resolution", "f"], 7, Path("f")),
        (DEFAULT, ["--seed", "7", "--full-resolution", "f"], 7, Path("f")),
    ],
    ids=["article", "soft", "default"],
)
def test_training_gets_what_was_asked_for(
    recipe: Recipe | Average,
    option: list[str],
    seed: int,
    full: Path | None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: Captured,
) -> None:
    asked: list[Any] = []

    def train(*arguments: Any, full: Path | None) -> Path:
        asked.append((*arguments, full))
        return tmp_path / "out" / f"{recipe.name}.keras"

    monkeypatch.setattr(trainer, "train", train)
    monkeypatch.setattr(averaging, "train_average", train)
    table = tmp_path / "patients.csv"
    table.write_text("file,patient\na.png,Ann\n")
    command = ["train", recipe.name, "--data", "d", "--out", "o", "--patients", str(table)]
    assert main([*command, *option]) == 0
    assert asked == [(recipe, Path("d"), Path("o"), seed, {"a.png": "Ann"}, full)]
    assert capsys.readouterr().out == f"{tmp_path / 'out' / recipe.name}.keras\n"


def test_each_recipe_has_its_command() -> None:
    assert TRAINABLE.keys() == RECIPES.keys()
    assert AVERAGED.keys() == AVERAGES.keys()


def test_weights_that_are_not_installed_are_one_line_of_error(
    drawn_holdout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    command = ["train", "default", "--data", str(drawn_holdout), "--out", str(tmp_path / "out")]
    assert main(command) == 2
    assert "package torch is missing" in said(capsys)


def test_rendering_score_is_fitted_to_what_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Captured
) -> None:
    asked: list[Any] = []

    def train_rendering(data: Path, out: Path, patients: dict[str, str] | None) -> Path:
        asked.append((data, out, patients))
        return out / "rendering.json"

    monkeypatch.setattr(cross_validation, "train_rendering", train_rendering)
    table = tmp_path / "patients.csv"
    table.write_text("file,patient\na.png,Ann\n")
    command = ["train", "rendering", "--data", "d", "--out", "o", "--patients", str(table)]
    assert main(command) == 0
    assert asked == [(Path("d"), Path("o"), {"a.png": "Ann"})]
    assert capsys.readouterr().out == "o/rendering.json\n"


def test_missing_package_for_the_rendering_score_is_said(
    drawn_holdout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    for name in ("training.cross_validation", "rendering.score"):
        monkeypatch.delitem(sys.modules, f"xray_classifier.{name}", raising=False)
    monkeypatch.delattr("xray_classifier.training.cross_validation")
    monkeypatch.setitem(sys.modules, "sklearn.model_selection", None)
    out = tmp_path / "out"
    assert main(["train", "rendering", "--data", str(drawn_holdout), "--out", str(out)]) == 2
    assert "Install it: pip install -r requirements-train.txt" in said(capsys)


@pytest.mark.parametrize(("option", "plain"), [([], False), (["--plain"], True)])
def test_calibration_weights_the_answers_unless_told_not_to(
    option: list[str],
    plain: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    asked: list[Any] = []

    def calibrated(*arguments: Any) -> Path:
        asked.append(arguments)
        return Path("o/m.keras")

    monkeypatch.setattr(calibrate, "calibrate", calibrated)
    command = ["calibrate", "m.keras", "--answers", "a.csv", "--out", "o", *option]
    assert main(command) == 0
    assert asked == [("m.keras", Path("a.csv"), Path("o"), plain)]
    assert capsys.readouterr().out == "o/m.keras\n"


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The article's network as a file, its weights as drawn at first."""
    from xray_classifier.training.architecture import build_article_cnn

    path = tmp_path_factory.mktemp("untrained") / "untrained.keras"
    build_article_cnn().save(path)
    return path


def test_summary_counts_the_parameters(untrained: Path, capsys: Captured) -> None:
    assert main(["summary", "--model", str(untrained)]) == 0
    written = capsys.readouterr().out
    assert "Total params: 1,467,137" in written
    assert "10816" in written
    assert written.count("Conv2D") == 5


def test_architecture_is_drawn(untrained: Path, tmp_path: Path, capsys: Captured) -> None:
    out = tmp_path / "new" / "architecture.png"
    assert main(["summary", "--model", str(untrained), "--plot", str(out)]) == 0
    assert capsys.readouterr().out.endswith(f"{out}\n")
    with Image.open(out) as picture:
        picture.load()
        assert picture.format == "PNG"
        assert min(picture.size) > 200
        assert len(picture.convert("RGB").getcolors(2**24) or []) > 4
    assert list(out.parent.iterdir()) == [out]


def test_missing_drawing_package_is_said(
    models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Captured
) -> None:
    monkeypatch.setitem(sys.modules, "visualkeras", None)
    assert main(["summary", "--model", "tiny", "--plot", str(tmp_path / "a.png")]) == 2
    error = (
        "error: The package visualkeras is missing. Install it: pip install -r requirements-train"
    )
    assert error in capsys.readouterr().err


def test_export_writes_the_onnx_file_beside_the_model(
    models: Path, drawn: Path, capsys: Captured
) -> None:
    assert main(["export", "tiny", "--images", str(drawn)]) == 0
    written = capsys.readouterr().out
    assert re.fullmatch(
        r"tiny\.onnx: [\d,]+ bytes, sha256 [0-9a-f]{64}; on 8 images no answer differs by "
        r"more than \d\.\de-\d\d\n",
        written,
    )
    assert (models / "tiny.onnx").exists()


def test_export_compares_on_as_many_images_as_it_says_evenly_chosen(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    for number in range(7):
        flat(tmp_path / "many" / f"{number}.png", 30 * number)
    flat(tmp_path / "few" / "7.png", 220)
    monkeypatch.setattr(cli_train, "MOST_IMAGES", 3)
    chosen = list(cli_train._tensors_of([str(tmp_path / "many"), str(tmp_path / "few")]))
    assert [round(float(tensor.mean()) * 255) for tensor in chosen] == [0, 60, 120, 220]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ("gone", "There is no file or folder gone. Check the path."),
        ("model", "model/EVALUATIONS.md: This is not an image that can be read."),
    ],
)
def test_export_says_what_is_wrong_with_the_images(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured, images: str, message: str
) -> None:
    monkeypatch.chdir(models.parent)
    assert main(["export", "tiny", "--images", images]) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")
    assert not (models / "tiny.onnx").exists()


def test_missing_converter_is_said(
    models: Path, drawn: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    assert main(["export", "tiny", "--images", str(drawn)]) == 2
    assert "The package tf2onnx is missing. Install it: pip install -r" in capsys.readouterr().err
