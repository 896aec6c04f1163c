from __future__ import annotations

import pytest

from xray_classifier.percent import as_percent


@pytest.mark.parametrize(
    ("fraction", "digits", "text"),
    [(0.9123, 1, "91.2 %"), (1, 1, "100.0 %"), (0, 1, "0.0 %"), (0.05, 0, "5 %")],
)
def test_fraction_is_written_as_a_percentage(fraction: float, digits: int, text: str) -> None:
    assert as_percent(fraction, digits) == text
