from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from xray_classifier.model_card.benchmarks import (
    BENCHMARKS,
    HARDNESS,
    REASONS,
    archive_table,
    benchmarks_table,
    hardness_table,
    host_table,
    rate_of_a_core,
    sizing_table,
)

SIDE = {"median": 25.61, "low": 24.0, "high": 27.25, "times": 30, "unit": "ms"}
FIGURE: dict[str, Any] = {
    "key": "speed",
    "what": "faster",
    "value": 3.14159,
    "target": 3,
    "at_least": True,
    "met": True,
    "sides": {"ours": SIDE, "theirs": SIDE | {"median": 80.4, "times": 1}},
}
MEASURED: dict[str, Any] = {
    "date": "2026-11-24",
    "command": "python -m benchmarks --quick",
    "machine": {
        "cpu": "A CPU",
        "cores": 2,
        "memory_gb": 8.0,
        "load_before": 1.5,
        "versions": {"python": "3.11.7"},
    },
    "figures": [
        FIGURE,
        FIGURE
        | {
            "key": "default_ms",
            "what": "slower",
            "value": 70.1,
            "target": 60,
            "at_least": False,
            "met": False,
        },
    ],
    "memory_mb": {
        "Python": {"ours": 10.4, "Keras": 10.6},
        "first verdict": {"ours": 150.2, "Keras": 819.7},
    },
    "installed_mb": {"requirements.txt": 2707.9, "requirements-serve.txt": 742.3},
}


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_benchmarks_stand_with_what_was_wanted_and_where(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(MEASURED), encoding="utf-8")
    table, _, reason, memory, disk, machine = benchmarks_table(path).split("\n\n")
    sides = "ours 25.6 (24 to 27.2) ms; theirs 80.4 ms"
    assert [*map(cells, table.splitlines())] == [
        ["what", "measured", "wanted", "medians (quartiles)"],
        ["---"] * 4,
        ["faster", "3.14", "at least 3", sides],
        ["slower", "**70.1**", "at most 60", sides],
    ]
    assert reason == f"- slower: {REASONS['default_ms']}"
    assert [*map(cells, memory.splitlines())] == [
        ["resident memory in MB after", "ours", "Keras"],
        ["---"] * 3,
        ["Python", "10", "11"],
        ["first verdict", "150", "820"],
    ]
    assert [*map(cells, disk.splitlines()[2:])] == [
        ["`requirements.txt`", "2,708"],
        ["`requirements-serve.txt`", "742"],
    ]
    assert machine == (
        "Measured on 2026-11-24 by `python -m benchmarks --quick`: A CPU, 2 cores, 8 GB; "
        "python 3.11.7. In bold: missed."
    )


def test_nothing_missed_needs_no_reason(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(MEASURED | {"figures": [FIGURE]}), encoding="utf-8")
    assert "and why" not in benchmarks_table(path)


def test_targets_that_are_missed_have_their_reasons_and_no_others() -> None:
    files = [json.loads(path.read_text(encoding="utf-8")) for path in (BENCHMARKS, HARDNESS)]
    assert all(file["figures"] for file in files)
    missed = {figure["key"] for file in files for figure in file["figures"] if not figure["met"]}
    assert missed == REASONS.keys()


def test_growth_stands_between_them_if_it_was_measured(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    growth = {
        "by_count": [{"images": 5000, "seconds": 80.0, "peak_mb": 901.6}],
        "by_side": [{"side": 8000, "ms": 812.3, "peak_mb": 1100.2}],
        "beyond_limit": ["Too large."],
    }
    path.write_text(json.dumps(MEASURED | growth), encoding="utf-8")
    *_, by_count, by_side, limit, machine = benchmarks_table(path).split("\n\n")
    assert cells(by_count.splitlines()[2]) == ["5,000", "80.0", "62.5", "902"]
    assert cells(by_side.splitlines()[2]) == ["8,000 x 8,000", "812", "1100"]
    assert limit == "Above the limit: *Too large.*"
    assert machine.startswith("Measured on")


def test_nothing_measured_is_said(tmp_path: Path) -> None:
    assert archive_table(tmp_path / "archive.json") == "Not measured yet."
    assert benchmarks_table(tmp_path / "results.json") == "Not measured yet."
    assert hardness_table(tmp_path / "measured.json") == "Not measured yet."
    for missing in ((HARDNESS, tmp_path / "measured.json"), (tmp_path / "results.json", HARDNESS)):
        assert host_table(*missing) == "Not measured yet."


def test_hardness_stands_with_the_waits(tmp_path: Path) -> None:
    path = tmp_path / "measured.json"
    figures = [
        FIGURE | {"what": "files", "value": 3405, "target": 2000, "sides": {}},
        FIGURE | {"what": "MB", "value": 301.2, "target": 300, "at_least": False, "met": False},
    ]
    waits = {"median": 9.61, "at most": 18}
    path.write_text(json.dumps(MEASURED | {"figures": figures, "waits": waits}), encoding="utf-8")
    table, missed, reason, latency, machine = hardness_table(path).split("\n\n")
    assert cells(table.splitlines()[2]) == ["files", "3,405", "at least 2,000", ""]
    assert cells(table.splitlines()[3])[1:3] == ["**301**", "at most 300"]
    assert (missed, reason) == ("Missed, and why:", "- MB: The reason is not known.")
    assert latency == (
        "Seconds from upload to verdict with all of them at once: median 9.6; at most 18.0."
    )
    assert machine.startswith("Measured on 2026-11-24")
    assert machine.endswith("Other work on the machine before: a load of 1.5.")


def test_host_needs_what_both_measured(tmp_path: Path) -> None:
    def figure(key: str, ours: float, keras: float) -> dict[str, Any]:
        sides = {"ours": SIDE | {"median": ours}, "Keras": SIDE | {"median": keras}}
        return FIGURE | {"key": key, "sides": sides}

    run, crowd = tmp_path / "results.json", tmp_path / "measured.json"
    sizes = {"requirements.txt": 2700.4, "requirements-serve.txt": 740.0}
    run.write_text(json.dumps({"installed_mb": sizes}))
    found = [figure("resident_mb", 200.4, 870), figure("visitors_mb", 290, 1370)]
    crowd.write_text(json.dumps({"figures": found}))

    head, _, disk, verdict, visitors = map(cells, host_table(run, crowd).splitlines())

    assert head[1:] == [
        "with TensorFlow, as `requirements.txt` installs it",
        "without, as the container does",
    ]
    assert disk == ["disk, for packages", "2,700 MB", "740 MB"]
    assert verdict[1:] == ["200 MB; 870 MB if Keras runs the model", "200 MB"]
    assert visitors[1:] == ["290 MB; 1,370 MB if Keras runs the model", "290 MB"]


# Archives

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
