from __future__ import annotations

import pytest

from benchmarks import scaling


def test_flatness_compares_the_peaks() -> None:
    found = [{"images": count, "peak_mb": peak} for count, peak in ((500, 800), (5000, 840))]
    figure = scaling.flatness(found)
    assert (figure.value, figure.met) == (1.05, True)


def test_image_above_the_limit_is_refused_with_a_message() -> None:
    assert "8001 x 8001 pixels; the limit is 64 million" in scaling.beyond_limit()


def test_image_within_the_limit_is_noticed() -> None:
    with pytest.raises(RuntimeError, match="40 x 40 pixels was not refused"):
        scaling.beyond_limit(40)
