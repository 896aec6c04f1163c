"""The pages for people say what is so, and lead where they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import xray_classifier
from tests.support.markdown_pages import (
    DOCS,
    PAGES,
    anchors,
    blocks,
    code_spans,
    links,
    prose,
    target_of,
)
from tests.support.places import ROOT
from xray_classifier.inference.warnings import WARNINGS
from xray_classifier.inputs.decoding import MAX_BYTES
from xray_classifier.inputs.zip_archive import MAX_MEMBERS, MAX_RATIO, MAX_TOTAL_BYTES
from xray_classifier.model_card.readme import BLOCKS, marks
from xray_classifier.models.loading import model_names

LINKS = [(page, link) for page, text in PAGES.items() for link in links(text)]
INSIDE = [(page, link) for page, link in LINKS if not re.match(r"\w+:", link)]
ARCHITECTURE = "docs/architecture.md"


def places_of_architecture() -> list[str]:
    """Files and folders that the page names: from the root, or below the package."""
    spans = code_spans(PAGES[ARCHITECTURE])
    return [span for span in spans if "/" in span and " " not in span]


# Links


@pytest.mark.parametrize(("page", "link"), INSIDE)
def test_link_leads_somewhere(page: str, link: str) -> None:
    path, anchor = target_of(page, link)
    assert path.exists()
    if anchor:
        assert anchor in anchors(path.read_text(encoding="utf-8"))


def test_links_were_found() -> None:
    assert ("README.md", "docs/judge.png") in INSIDE
    assert ("README.md", "docs/evaluation.md#limits") in INSIDE
    assert len(LINKS) > len(INSIDE)


def test_anchors_are_those_of_github() -> None:
    text = "# Rows of `predict`\n\n## What's this, then?\n\n```bash\n# no heading\n```\n"
    assert anchors(text) == {"rows-of-predict", "whats-this-then"}


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_page_begins_with_what_it_is_for_and_leads_back(path: Path) -> None:
    title, about = path.read_text(encoding="utf-8").split("\n\n")[:2]
    assert title.startswith("# ")
    assert "[README](../README.md)" in about


# Generated and copied


@pytest.mark.parametrize("name", BLOCKS)
def test_block_is_the_one_that_the_program_writes(name: str) -> None:
    start, end = marks(name)
    shown = PAGES[BLOCKS[name].page].split(start)[1].split(end)[0]
    assert shown == f"\n{BLOCKS[name].write()}\n"


def test_every_model_was_stressed() -> None:
    heading = " | ".join(f"{name}: change, other verdicts" for name in model_names())
    assert f"{heading} |" in PAGES["docs/evaluation.md"]


def test_warnings_are_listed_as_they_are() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", PAGES["docs/dicom.md"], re.MULTILINE)
    assert dict(rows) == WARNINGS


def test_limits_of_archives_are_those_of_the_code() -> None:
    limits = (
        f"{MAX_MEMBERS:,} members, {MAX_BYTES // 2**20} MB each, {MAX_TOTAL_BYTES // 2**30} GB in "
        f"all and {MAX_RATIO} times"
    )
    assert limits in PAGES["docs/command-line.md"]


def test_limit_of_a_file_is_that_of_the_code() -> None:
    assert f"A file of {MAX_BYTES // 2**20} MB;" in PAGES["docs/security.md"]


@pytest.mark.parametrize("page", PAGES)
def test_percentages_are_written_in_one_way(page: str) -> None:
    assert not re.findall(r"\d%", prose(PAGES[page]))


# Architecture


@pytest.mark.parametrize("place", sorted(set(places_of_architecture())))
def test_place_exists(place: str) -> None:
    assert (ROOT / place).exists() or (ROOT / "xray_classifier" / place).exists()


def test_places_were_found() -> None:
    wanted = {
        "calibration/points.py",
        "dicom/display.py",
        "inference/warnings.py",
        "tests/golden/",
    }
    assert wanted <= set(places_of_architecture())


def test_drawing_names_modules_that_exist() -> None:
    (drawing,) = blocks(PAGES[ARCHITECTURE], "mermaid")
    labels = re.findall(r'\["([^"<]+)<br>', drawing)
    names = [name for label in labels for name in label.split(", ")]
    assert "pipeline" in names
    package = ROOT / "xray_classifier"
    assert [name for name in names if not [*package.rglob(f"{name}.py")]] == []


@pytest.mark.parametrize(
    ("place", "what"),
    [
        ("calibration/points.py", "def fit_band("),
        ("dicom/display.py", "window"),
        ("inference/warnings.py", "an adult's, for example"),
        ("inputs/decoding.py", "MAX_BYTES = "),
        ("imaging/limits.py", "MAX_PIXELS = "),
        ("models/gate.py", "This does not look like a chest radiograph."),
        ("app/judge.py", "Drop one frontal chest X-ray above to begin."),
    ],
)
def test_what_is_looked_for_stands_where_the_page_says(place: str, what: str) -> None:
    assert f"`{place}`" in PAGES[ARCHITECTURE]
    assert what in (ROOT / "xray_classifier" / place).read_text(encoding="utf-8")


# Versions


def test_newest_entry_of_the_changelog_is_this_version() -> None:
    newest, *_ = re.findall(r"^## \[(.+)\] - \d{4}-\d\d-\d\d$", PAGES["CHANGELOG.md"], re.MULTILINE)
    assert newest == xray_classifier.__version__
