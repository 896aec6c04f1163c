from __future__ import annotations

import json
from pathlib import Path

from xray_classifier.model_card.sizing import archive_table, rate_of_a_core, sizing_table

ENGINES = {
    "local": {"workers": 0, "images_per_second": 20.0},
    "ray, 1 worker": {"workers": 1, "images_per_second": 12.0},
    "ray, 2 workers": {"workers": 2, "images_per_second": 18.0},
}


def test_core_is_as_fast_as_one_worker_beside_others() -> None:
    assert rate_of_a_core(ENGINES) == 9


def test_time_is_images_by_cores_and_rate() -> None:
    lines = sizing_table(10).splitlines()
    assert lines[0] == "| cores | 1,000,000 images | 100,000,000 images |"
    assert lines[2] == "| 2 | 13.9 hours | 57.9 days |"  # 1e6 / 20 = 50,000 s
    assert lines[-1] == "| 1024 | 2 minutes | 2.7 hours |"


def test_table_says_what_was_measured(tmp_path: Path) -> None:
    found = {"engines": ENGINES, "images": 400, "model": "default", "cores": 2, "cpu": "A chip"}
    path = tmp_path / "archive.json"
    path.write_text(json.dumps(found | {"date": "2026-01-02", "command": "python -m x"}))
    table = archive_table(path)
    assert "| local | 20.0 | 1.00 |  |\n| ray, 1 worker | 12.0 | 0.60 | 1.00 |\n" in table
    assert "| ray, 2 workers | 18.0 | 0.90 | 1.50 |\n\nWanted of Ray" in table
    assert "400 images, model `default` with gate, on 2 cores (A chip), 2026-01-02" in table
    assert table.endswith(sizing_table(9))


def test_without_figures_it_says_so(tmp_path: Path) -> None:
    assert archive_table(tmp_path / "none.json") == "Not measured yet."
