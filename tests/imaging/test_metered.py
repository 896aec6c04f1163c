from __future__ import annotations

import pytest

from xray_classifier.imaging import metered
from xray_classifier.imaging.metered import MeteredStream


def test_stream_can_be_read_so_many_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metered, "MAX_READS", 2)
    stream = MeteredStream(b"abc")
    assert stream.read(1) + stream.read(1) == b"ab"
    with pytest.raises(ValueError, match="over 2 reads"):
        stream.read(1)
