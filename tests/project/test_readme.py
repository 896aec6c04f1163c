"""The README is short, and says what is so."""

from __future__ import annotations

import re

from tests.support.markdown_pages import DOCS, PAGES, links
from tests.support.places import ROOT

TEXT = PAGES["README.md"]
MOST_BYTES = 10_000


def test_it_is_short() -> None:
    assert len(TEXT.encode()) <= MOST_BYTES


def test_ci_runs_the_second_command() -> None:
    (second,) = re.findall(r"^python3 -m venv .*requirements-dev.*$", TEXT, re.MULTILINE)
    assert second in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_it_says_at_its_top_that_it_is_no_medical_device() -> None:
    assert "**For research and education only. This is not a medical device.**" in TEXT[:1000]


def test_it_leads_to_every_page() -> None:
    pages = {path.relative_to(ROOT).as_posix() for path in DOCS}
    assert pages | {"CONTRIBUTING.md", "CHANGELOG.md"} <= {
        link.partition("#")[0] for link in links(TEXT)
    }
