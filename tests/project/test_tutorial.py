"""The notebook runs from an empty folder to a page, and holds no patient's picture."""

from __future__ import annotations

import re
import resource
import socket
import time
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from tests.support.pictures import encoded
from tests.support.places import ROOT

TUTORIAL = ROOT / "docs" / "tutorial.ipynb"
MOST_SECONDS = 60


class Run(NamedTuple):
    """What came of the notebook.

    Attributes:
        cells: with their outputs.
        text: all that was printed.
        pictures: how many figures were drawn.
        checkout: the checkout that it used.
        port: of the page that it started.
        seconds: that it took; other processes' time is left out.
    """

    cells: list[Any]
    text: str
    pictures: int
    checkout: Path
    port: int
    seconds: float


def read() -> Any:
    return nbformat.read(TUTORIAL, as_version=4)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The notebook, executed on drawn pictures beside a checkout that it may change."""
    folder = tmp_path_factory.mktemp("tutorial")
    (folder / "home").mkdir()
    checkout, data = link_checkout(folder / "checkout"), draw_data(folder / "data")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    notebook = read()
    (parameters,) = (cell for cell in notebook.cells if cell.metadata.get("tags") == ["parameters"])
    parameters.source += (
        f"\nREPOSITORY, DATA, OUT = {str(checkout)!r}, {str(data)!r}, 'run'"
        f"\nIMAGES, EPOCHS, PORT = 12, 2, {port}"
    )
    begun, own = time.monotonic(), seconds_of_children()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(checkout))
        patch.setenv("HOME", str(folder / "home"))  # for what Jupyter and IPython leave
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")
        place = {"metadata": {"path": str(folder)}}
        NotebookClient(notebook, timeout=2 * MOST_SECONDS, resources=place).execute()
    seconds = min(time.monotonic() - begun, seconds_of_children() - own)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = "".join(output.get("text", "") for output in outputs)
    pictures = sum("image/png" in output.get("data", {}) for output in outputs)
    return Run(notebook.cells, text, pictures, checkout, port, seconds)


def seconds_of_children() -> float:
    """Of the processor, for the processes that this one has started and seen end."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def link_checkout(folder: Path) -> Path:
    """Make a checkout of links, to whose models one can be added."""
    (folder / "model").mkdir(parents=True)
    for name in ("xray_classifier", "webapp.py", ".streamlit"):
        (folder / name).symlink_to(ROOT / name)
    for path in (ROOT / "model").iterdir():
        (folder / "model" / path.name).symlink_to(path)
    return folder


def draw_data(folder: Path) -> Path:
    """Draw bright pneumonias and dark normals, two images of each patient."""
    for split, first, patients in (("train", 500, 10), ("test", 1, 2)):
        for number in range(first, first + patients):
            for image in (1, 2):
                draw(folder / split / "NORMAL" / f"IM-{number:04d}-{image:04d}.png", 50)
                draw(folder / split / "PNEUMONIA" / f"person{number}_virus_{image}.png", 200)
    return folder


def draw(path: Path, grey: int) -> None:
    """Draw noise around a grey, other noise for each name."""
    rng = np.random.default_rng(list(path.name.encode()))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded((rng.integers(-30, 30, (40, 40)) + grey).astype(np.uint8)))


# As it is kept


def test_it_is_kept_without_outputs() -> None:
    code = [cell for cell in read().cells if cell.cell_type == "code"]
    assert len(code) > 15
    assert [cell.id for cell in code if cell.outputs or cell.execution_count] == []


def test_it_holds_no_picture() -> None:
    assert [cell.id for cell in read().cells if cell.get("attachments")] == []
    assert not re.search(r"data:image|base64|<img|!\[", TUTORIAL.read_text(encoding="utf-8"))


def test_its_links_lead_to_pages() -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", "\n".join(cell.source for cell in read().cells))
    inside = [link for link in links if "://" not in link]
    assert len(links) > len(inside) > 1
    assert [link for link in inside if not (TUTORIAL.parent / link).is_file()] == []


# As it runs


def test_every_cell_runs_in_a_minute(ran: Run) -> None:
    code = [cell for cell in ran.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert 1 < ran.seconds < MOST_SECONDS


def test_it_finds_the_data_fit_for_use(ran: Run) -> None:
    assert re.search(r"^train +20 +20 +20$", ran.text, re.MULTILINE)
    assert "Fit for use." in ran.text


def test_it_counts_the_parameters_of_the_article(ran: Run) -> None:
    assert "1,467,137 parameters" in ran.text


def test_it_trains_and_measures(ran: Run) -> None:
    assert "Epoch 2/2" in ran.text
    assert "32 images to learn from, 8 to validate on" in ran.text
    assert re.search(r"Test accuracy \d+\.\d%, interval \d+\.\d% to \d+\.\d%", ran.text)
    assert "8 images of 4 patients, threshold 0.5" in ran.text


def test_it_draws_data_augmentation_history_confusion_predictions_and_heatmap(ran: Run) -> None:
    assert ran.pictures == 6


def test_gate_refuses_the_drawing(ran: Run) -> None:
    assert "rejected This does not look like a chest radiograph." in ran.text


def test_page_gets_the_model_and_is_stopped(ran: Run) -> None:
    assert f"Open http://127.0.0.1:{ran.port}/?model=tutorial" in ran.text
    assert (ran.checkout / "model" / "tutorial.json").is_file()
    assert not (ROOT / "model" / "tutorial.json").exists()
    with socket.socket() as closed:
        assert closed.connect_ex(("127.0.0.1", ran.port)) != 0


def test_what_the_article_did_not_do_is_shown(ran: Run) -> None:
    assert re.search(r"by image: [1-8] of 8\nby child: 0 of 8", ran.text)
    assert "mean distance 0." in ran.text
    assert re.search(r"^outer 14 % alone +\d\.\d{4}$", ran.text, re.MULTILINE)
