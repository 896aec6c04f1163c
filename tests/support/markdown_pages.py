"""The pages for people, README, docs and model card among them, as text and as Markdown."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.places import ROOT

README = ROOT / "README.md"
CARD = ROOT / "model" / "MODEL_CARD.md"
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *DOCS, CARD)
}
"""The text of each page, by its path in the repository."""

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def blocks(text: str, language: str) -> list[str]:
    """Give the contents of the code blocks of a language."""
    return [code for _, found, code in _FENCE.findall(text) if found == language]


def prose(text: str) -> str:
    """Leave out the code blocks."""
    return _FENCE.sub("", text)


def code_spans(text: str) -> list[str]:
    """Give what stands between backticks outside of code blocks."""
    return re.findall(r"`([^`\n]+)`", prose(text))


def links(text: str) -> list[str]:
    """Give the targets of links and pictures, outside of code."""
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]+`", "", prose(text)))


def anchors(text: str) -> set[str]:
    """Give the anchors that GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def target_of(page: str, link: str) -> tuple[Path, str]:
    """Give the file that a link of a page leads to, and the anchor in it; empty if none."""
    path, _, anchor = link.partition("#")
    return (ROOT / page).parent / path if path else ROOT / page, anchor
