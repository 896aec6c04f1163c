"""The page that opens the article's network, in Streamlit's own test client."""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import streamlit
from PIL import Image
from streamlit.testing.v1 import AppTest

from tests.support.pictures import encoded, shaded_square
from tests.support.stand_ins import find_no_model
from xray_classifier.app import learn
from xray_classifier.imaging.preprocessing import preprocess
from xray_classifier.inference.verdict import percent
from xray_classifier.inference.warnings import WARNINGS
from xray_classifier.learn.edits import Edits, edited
from xray_classifier.learn.experiments import EXPERIMENTS
from xray_classifier.learn.steps import ARTICLE, take_steps
from xray_classifier.models import loading
from xray_classifier.models.gate import OUTSIDE_POPULATION, GateDecision


def script(name: str) -> None:
    from xray_classifier.app.learn import show_learn_page

    show_learn_page(name)


def opened(name: str = "default", file: bytes | None = None) -> AppTest:
    page = AppTest.from_function(script, args=(name,), default_timeout=60).run()
    if file is not None:
        page.file_uploader(key="learn_upload").upload("x.png", file, "image/png").run()
    assert not page.exception
    return page


def texts(page: AppTest) -> str:
    shown = [*page.markdown, *page.caption, *page.info, *page.warning, *page.error]
    return "\n".join([*(element.value for element in shown), *progress(page)])


def progress(page: AppTest) -> list[str]:
    """The lines above the bars."""
    return [element.proto.text for element in page.get("progress")]


def answer(tensor: np.ndarray[Any, np.dtype[np.float32]]) -> str:
    """What the tiny network says: sigmoid(8 * mean brightness - 4)."""
    return percent(float(1 / (1 + np.exp(4 - 8 * tensor.mean(dtype=np.float64)))))


PICTURE = shaded_square()


@pytest.mark.usefixtures("tiny_models")
class TestWithTinyModel:
    def test_without_an_upload_the_drawing_is_opened(self) -> None:
        assert "a cartoon that this program has drawn, no radiograph" in texts(opened())

    def test_probability_is_that_of_the_picture(self) -> None:
        (line,) = progress(opened(file=encoded(PICTURE)))
        assert line == f"Probability of pneumonia, `tiny`: {answer(preprocess(PICTURE))}"

    @pytest.mark.parametrize(
        ("key", "value", "edits"),
        [
            ("learn_brightness", 0.25, Edits(brightness=0.25)),
            ("learn_blur", 10.0, Edits(blur=10)),
            ("learn_crop", 25, Edits(crop=0.25)),
            ("learn_turn", -30, Edits(degrees=-30)),
        ],
    )
    def test_slider_changes_the_probability_as_the_pipeline_would(
        self, key: str, value: float, edits: Edits
    ) -> None:
        page = opened(file=encoded(PICTURE))
        assert "with your changes" not in texts(page)
        page.slider(key=f"{key}_0").set_value(value).run()
        assert "with your changes" in texts(page)
        assert progress(page)[0].endswith(f": {answer(edited(PICTURE, edits))}")
        page.button[0].click().run()
        assert progress(page)[0].endswith(f": {answer(preprocess(PICTURE))}")
        assert page.slider(key=f"{key}_1").value == 0

    def test_sliders_start_by_themselves_where_nothing_is_changed(self) -> None:
        """What only the session's state told them could be lost on the way to a slow browser."""
        defaults = {slider.label: list(slider.proto.default) for slider in opened().slider}
        assert defaults == {
            "Mask: rows from and to": [0, 0],
            "Mask: columns from and to": [0, 0],
            "Brighten by": [0],
            "Blur, radius in pixels": [0],
            "Crop each edge by, in %": [0],
            "Turn by, in degrees": [0],
        }

    def test_mask_is_set_by_two_sliders(self) -> None:
        page = opened(file=encoded(PICTURE))
        page.slider(key="learn_rows_0").set_range(300, 400).run()
        assert progress(page)[0].endswith(f": {answer(preprocess(PICTURE))}")
        page.slider(key="learn_columns_0").set_range(100, 200).run()
        masked = edited(PICTURE, Edits(rows=(300, 400), columns=(100, 200)))
        assert progress(page)[0].endswith(f": {answer(masked)}")
        assert f"mean {masked.mean():.4f}, with your changes" in texts(page)

    def test_picture_that_the_gate_refuses_is_shown_with_a_warning(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        refusing = SimpleNamespace(decide=lambda _tensor: GateDecision("It is a cat.", False))
        monkeypatch.setattr(learn, "shared_gate", lambda: refusing)
        page = opened(file=encoded(PICTURE))
        (warning,) = page.warning
        assert "means nothing for this picture" in warning.value
        assert "It is a cat." in warning.value
        assert len(progress(page)) == 1

    def test_chest_unlike_those_of_the_training_is_warned_of(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        doubting = SimpleNamespace(decide=lambda _tensor: GateDecision("", True))
        monkeypatch.setattr(learn, "shared_gate", lambda: doubting)
        (warning,) = opened(file=encoded(PICTURE)).warning
        assert warning.value == WARNINGS[OUTSIDE_POPULATION]

    def test_broken_file_gets_a_sentence(self) -> None:
        page = opened(file=b"just text")
        assert "This is not an image that can be read" in page.error[0].value
        assert not page.slider

    def test_network_of_another_kind_stays_closed(self) -> None:
        assert "What lies within this network cannot be shown" in texts(opened())


def test_missing_model_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    streamlit.cache_resource.clear()
    monkeypatch.setattr(loading, "load_classifier", find_no_model)
    page = opened()
    assert "The network cannot be used. The model file is missing." in page.error[0].value
    streamlit.cache_resource.clear()


# The shipped networks


@pytest.fixture(scope="module")
def real() -> AppTest:
    streamlit.cache_resource.clear()
    main = sys.modules["__main__"]
    page = opened(file=encoded(PICTURE))
    sys.modules["__main__"] = main  # as `own_main` does, which begins later
    return page


def test_drawing_is_refused_by_the_gate_and_opened_all_the_same(real: AppTest) -> None:
    assert "means nothing for this picture" in texts(real)
    steps = take_steps(loading.load_classifier(ARTICLE).network, preprocess(PICTURE))
    assert steps is not None
    assert f"Logit **{steps.logit:.3f}**, probability **{percent(steps.probability)}**" in texts(
        real
    )
    assert f"`article`: {percent(steps.probability)}" in progress(real)[0]


@pytest.mark.parametrize(
    ("block", "shape"),
    [
        (1, "32 maps of 249 x 249 cells · receptive field 4 x 4 pixels · 320 parameters"),
        (2, "32 maps of 123 x 123 cells · receptive field 10 x 10 pixels · 9,248 parameters"),
        (3, "32 maps of 60 x 60 cells · receptive field 22 x 22 pixels · 9,248 parameters"),
        (4, "64 maps of 29 x 29 cells · receptive field 46 x 46 pixels · 18,496 parameters"),
        (5, "64 maps of 13 x 13 cells · receptive field 94 x 94 pixels · 36,928 parameters"),
    ],
)
def test_each_block_says_its_shape(real: AppTest, block: int, shape: str) -> None:
    real.segmented_control(key="learn_block").set_value(block).run()
    assert not real.exception
    assert shape in texts(real)


def test_parameters_of_the_whole_are_said(real: AppTest) -> None:
    assert "Most of the 1,467,137 parameters" in texts(real)


def test_the_other_model_answers_on_demand(real: AppTest) -> None:
    assert len(progress(real)) == 1
    real.toggle(key="both").set_value(True).run()
    default = loading.load_classifier("default").probabilities(preprocess(PICTURE)[None])
    assert progress(real)[1] == (
        f"Probability of pneumonia, `default`: {percent(float(default[0]))}"
    )


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda one: one.title)
def test_experiment_says_what_became_of_both_answers_and_what_was_measured(
    real: AppTest, experiment: Any
) -> None:
    toggle = real.toggle(key=f"learn_{experiment.change.__name__}")
    toggle.set_value(True).run()
    for name in (ARTICLE, "default"):
        classifier = loading.load_classifier(name)
        before, after = classifier.probabilities(
            np.stack([preprocess(PICTURE), experiment.change(PICTURE)])
        )
        (line,) = (text for text in texts(real).splitlines() if f"picture `{name}`" in text)
        assert f"from **{percent(before)}** to **{percent(after)}**" in line
        assert all(f"*{figure}*" in line for figure in experiment.measured)
        assert "Measured on 1,040 held-out images: " in line
    real.toggle(key=f"learn_{experiment.change.__name__}").set_value(False).run()


# Drawing with the pointer


def test_rectangle_that_was_drawn_becomes_the_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    state: dict[str, Any] = {}
    monkeypatch.setattr(streamlit, "session_state", state)
    box = {"row": [124.4, 296.7], "column": [510.0, -3.0]}
    state[learn.BOX] = SimpleNamespace(selection={"box": box})
    learn._take_box(learn.BOX)
    starts = state[learn.STARTS]
    assert (starts[learn.ROWS], starts[learn.COLUMNS]) == ((1, (120, 300)), (1, (0, 500)))
    state[learn.BOX] = SimpleNamespace(selection={"box": {}})
    learn._take_box(learn.BOX)
    assert (starts[learn.ROWS], starts[learn.COLUMNS]) == ((2, (0, 0)), (2, (0, 0)))
    assert starts[learn.TURN] == (0, 0)


def test_picture_that_is_drawn_on_is_the_picture() -> None:
    (image, _) = learn._chart(PICTURE)["layer"]
    address = image["data"]["values"][0]["picture"]
    content = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), PICTURE)


def test_grey_values_are_those_under_the_pointer() -> None:
    cells = {(cell["row"], cell["column"]): cell for cell in learn._cells(PICTURE)}
    assert len(cells) == 2500
    assert cells[350, 150] == {"row": 350, "column": 150, "to": 360, "to column": 160, "grey": 255}


def test_learning_keeps_nothing_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    opened(file=encoded(PICTURE))
    assert list(tmp_path.iterdir()) == []
