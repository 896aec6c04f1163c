"""The page about the model shows what is recorded, says what is not, and needs no TensorFlow."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.support.etiologies import FACTS, FIGURES
from tests.support.processes import printed
from tests.support.recorded import POINT_FIGURES, RENDERING, SUMMARY
from xray_classifier.app import model
from xray_classifier.errors import ModelUnavailableError
from xray_classifier.inference.etiology import NO_PROOF
from xray_classifier.models import gate, loading
from xray_classifier.models.operating_point import OperatingPoint
from xray_classifier.models.spec import ModelSpec
from xray_classifier.records.evaluation import (
    Confusion,
    CoveragePoint,
    Curves,
    ReliabilityPoint,
    RocPoint,
)

SPEC = ModelSpec("tiny", "A tiny model", "tiny.keras", sha256="ab" * 32, bytes=1)
MEASURED = replace(
    SUMMARY,
    images=1200,
    patients=800,
    threshold=0.4,
    confusion=Confusion(90, 10, 5, 1095),
)
CURVES = Curves(
    (RocPoint(0, 0), RocPoint(0.1, 0.9), RocPoint(1, 1)),
    (ReliabilityPoint(0.1, 0.2, 80), ReliabilityPoint(0.9, 0.8, 80)),
    (CoveragePoint(0.5, 1), CoveragePoint(1, 0.98)),
)


def script(name: str) -> None:
    from xray_classifier.app.model import show_model_page

    show_model_page(name)


def shown(
    monkeypatch: pytest.MonkeyPatch, folder: Path, results: dict[str, Any], card: str = ""
) -> AppTest:
    """Draw the page for a made-up model."""
    if card:
        (folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")
    monkeypatch.setattr(loading, "read_facts", lambda name: replace(SPEC, results=results))
    monkeypatch.setattr(model, "MODEL_CARD", folder / "MODEL_CARD.md")
    return drawn("tiny")


def drawn(name: str) -> AppTest:
    page = AppTest.from_function(script, args=(name,), default_timeout=60).run()
    assert not page.exception
    return page


def texts(page: AppTest) -> str:
    return " ".join(element.value for element in [*page.markdown, *page.caption])


def charts(page: AppTest) -> list[Any]:
    return [*page.get("vega_lite_chart"), *page.get("arrow_vega_lite_chart")]


def words(page: AppTest) -> str:
    """What the charts say to who cannot see them."""
    return " ".join(str(chart.proto) for chart in charts(page))


def test_shipped_model_is_shown_with_its_hash_and_where_it_fails() -> None:
    page = drawn("default")
    assert page.title[0].value == "About the model"
    assert "Not a medical device" in page.caption[0].value
    headings = [element.value for element in page.header]
    assert "Where it fails" in headings
    assert "**Adults**: On 200 images of adults of another hospital its AUC is" in texts(page)
    assert "border" in texts(page)
    assert not page.error


def test_figures_come_with_counts_intervals_and_confusion(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = shown(monkeypatch, tmp_path, {"chest_xray/test": MEASURED})
    assert "**A tiny model** (`tiny`, `abababab`)" in texts(page)
    assert "1,200 images of 800 patients" in texts(page)
    assert "threshold of 40 %" in texts(page)
    figures = page.table[0].value
    assert figures["value"].tolist() == ["0.512", "70.0 %", "66.7 %", "75.0 %", "0.812"]
    assert figures["95 % interval"].tolist()[1] == "55.0 % to 85.0 %"
    assert "of pneumonia 1,095 called pneumonia (99.5 %)" in words(page)


def test_curves_are_drawn_where_they_were_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    results = {
        "chest_xray/test": replace(MEASURED, curves=CURVES, rendering=RENDERING),
        "adult_nih/all": MEASURED,
    }
    page = shown(monkeypatch, tmp_path, results)
    titles = [element.value for element in page.subheader]
    assert titles == [
        *("ROC curve", "Confusion", "Reliability", "Coverage"),
        *("Figures", "Where rendering does not help"),
    ]
    assert len(charts(page)) == 4
    assert "Not measured." not in texts(page)
    page.selectbox(key="data").set_value("adult_nih/all").run()
    assert len(charts(page)) == 2  # the threshold alone, and the confusion
    assert [element.value for element in page.markdown].count("Not measured.") == 3


def test_rendering_is_shown_in_figures_and_in_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = shown(
        monkeypatch, tmp_path, {"chest_xray/holdout": replace(MEASURED, rendering=RENDERING)}
    )
    figures = page.table[1].value
    assert figures["figure"][0] == "specificity, 76 hard normals"
    assert figures["value"][0] == "75.0 %"
    assert figures["95 % interval"][0] == "60.0 % to 85.0 %"
    assert "**Other machines**: Most normals of these data come from one machine" in texts(page)
    assert "Hard: rendered as most of the other class are." in texts(page)
    assert "every image is weighted so that its rendering tells nothing" in texts(page)


def test_rendering_that_was_not_measured_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = shown(monkeypatch, tmp_path, {"chest_xray/test": MEASURED})
    assert "**Other machines**: What the rendering of the picture does to this model was not" in (
        texts(page)
    )
    assert len(page.table) == 2  # the figures, and the gate


def test_charts_stand_before_text() -> None:
    page = drawn("default")
    assert [element.value for element in page.header] == [
        "How well it does",
        "Operating points",
        "What it learned from",
        "Where it fails",
        "Does it look at lungs?",
        "What the gate refuses",
    ]


def test_two_models_are_compared_side_by_side() -> None:
    page = drawn("default")
    page.selectbox(key="compare").set_value("article").run()
    assert not page.exception
    titles = [element.value for element in page.subheader]
    assert titles[:4] == [
        *("ROC curve: default", "ROC curve: article"),
        *("Confusion: default", "Confusion: article"),
    ]
    assert "The article's CNN" in texts(page)
    assert "of normal 49 called pneumonia (20.9 %)" in words(page)
    assert "Fixed: 95.9 % sensitivity at 20.9 % false alarms." in words(page)


def test_data_set_is_read_from_the_address() -> None:
    page = AppTest.from_function(script, args=("default",), default_timeout=60)
    page.query_params["data"] = "adult_nih/all"
    assert page.run().selectbox(key="data").value == "adult_nih/all"
    page.query_params["data"] = "rubbish"
    assert page.run().selectbox(key="data").options[0] in ("chest_xray/test", "chest_xray/holdout")
    assert not page.exception


def test_model_that_was_never_measured_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = shown(monkeypatch, tmp_path, {})
    assert "Not measured." in texts(page)
    assert "**Adults**: Not measured yet." in texts(page)
    assert "Whether it looks at lungs was not measured." in texts(page)
    assert [choice.key for choice in page.selectbox] == ["compare"]
    assert not page.expander


def test_model_card_is_shown_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = shown(monkeypatch, tmp_path, {}, card="## Intended use\nNone.")
    assert page.expander[0].label == "The model card"
    assert "Intended use" in page.expander[0].markdown[0].value


def test_operating_points_are_shown_for_each_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    points = dict.fromkeys(("balanced", "screening"), POINT_FIGURES)
    monkeypatch.setattr(
        sys.modules[__name__],
        "SPEC",
        replace(
            SPEC,
            operating_points=(
                OperatingPoint("balanced", 0.6, 0.4, 0.75, "equal", POINT_FIGURES),
                OperatingPoint("screening", 0.5, 0.4, 0.75, "equal", POINT_FIGURES),
            ),
        ),
    )
    found = replace(MEASURED, operating_points=points)
    page = shown(monkeypatch, tmp_path, {"chest_xray/test": found})
    assert "Operating points, where they were fitted, out of fold:" in texts(page)
    assert "Operating points, official test set:" in texts(page)
    assert "*balanced*, equal; *screening*, equal." in texts(page)
    # 100 normals and 1,100 pneumonias: 80 % and 95 % of them are judged rightly.
    assert "of normal 20 called pneumonia (20.0 %)" in words(page)
    assert "threshold of 60 %" in texts(page)
    page.selectbox(key="point").set_value("screening").run()
    assert "threshold of 50 %" in texts(page)


def test_missing_description_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(loading, "MODEL_FOLDER", tmp_path)
    assert "cannot be read" in drawn("default").error[0].value


def test_missing_gate_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gate, "GATE_FILE", tmp_path / "gate.json")
    assert "The description of the gate " in drawn("default").error[0].value


def test_page_needs_no_framework() -> None:
    program = (
        "import sys\n"
        "from streamlit.testing.v1 import AppTest\n"
        "script = 'from xray_classifier.app.model import *; show_model_page(\\'default\\')'\n"
        "page = AppTest.from_string(script, default_timeout=60).run()\n"
        "assert page.title[0].value == 'About the model'\n"
        "print({'keras', 'tensorflow'} & sys.modules.keys())"
    )
    assert printed(program) == "set()"


def test_damaged_report_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(kind: type, spec: ModelSpec) -> None:
        raise ModelUnavailableError("stress/tiny.json is not valid JSON.")

    monkeypatch.setattr(model, "read_report", fail)
    page = drawn("default")
    assert page.error[0].value == "stress/tiny.json is not valid JSON."


def test_second_answer_is_told_with_how_often_it_is_right(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    results = {"chest_xray/test": replace(MEASURED, bacterial_or_viral=FIGURES)}
    assert "acterial" not in texts(shown(monkeypatch, tmp_path, results))
    spec = replace(SPEC, results=results, etiology=FACTS)
    monkeypatch.setattr(loading, "read_facts", lambda name: spec)
    (told,) = (each.value for each in drawn("tiny").markdown if "acterial" in each.value)
    assert told.startswith("**Bacterial or viral.** Under a verdict of pneumonia")
    assert "82.0 % (78.0 % to 86.0 %) of 390 pneumonias of the official test set" in told
    assert told.endswith(NO_PROOF)
