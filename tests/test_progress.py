from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import pytest

from xray_classifier import progress
from xray_classifier.progress import track, track_groups


def test_items_are_passed_on_in_order() -> None:
    assert list(track(iter("abc"), "Reading", 3)) == ["a", "b", "c"]


def test_items_are_asked_for_one_by_one() -> None:
    asked = []

    def source() -> Iterator[int]:
        for number in range(3):
            asked.append(number)
            yield number

    items = track(source(), "Reading", 3)
    assert (next(items), asked) == (0, [0])


def test_bar_is_drawn_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(progress, "SILENT_SECONDS", 0)
    assert list(track("abc", "Reading", 3)) == ["a", "b", "c"]
    written = capsys.readouterr()
    assert "Reading:" in written.err
    assert "/3" in written.err
    assert written.out == ""


def test_what_is_over_at_once_draws_no_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    list(track("abc", "Reading", 3))
    assert "Reading" not in capsys.readouterr().err


def test_no_bar_is_drawn_into_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "SILENT_SECONDS", 0)
    list(track("abc", "Reading", 3))
    assert capsys.readouterr().err == ""


def test_groups_are_counted_by_their_items(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(progress, "SILENT_SECONDS", 0)
    groups = track_groups(["abc", "de"], "Judging", 9, done=4)
    assert next(groups) == "abc"
    time.sleep(0.2)  # the bar is drawn ten times a second at the most
    assert list(groups) == ["de"]
    written = capsys.readouterr().err
    assert "4/9" in written
    assert "7/9" in written
