from __future__ import annotations

from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from benchmarks.installed import installed_mb, read_requirements, size_of


def test_distribution_is_as_large_as_its_files() -> None:
    files = metadata.distribution("iniconfig").files or []
    wanted = sum(
        Path(str(file.locate())).stat().st_size
        for file in files
        if Path(str(file.locate())).is_file()
    )
    assert size_of([Requirement("iniconfig")]) == wanted > 0


def test_what_is_needed_counts_and_counts_once() -> None:
    alone = size_of([Requirement("pytest-cov")])
    assert alone > size_of([Requirement("pytest")]) > size_of([Requirement("iniconfig")])
    assert size_of([Requirement("pytest-cov"), Requirement("iniconfig")]) == alone


def test_extras_count_only_where_they_are_asked_for() -> None:
    assert size_of([Requirement("ray[data]")]) > size_of([Requirement("ray")])


def test_comments_are_no_requirements(tmp_path: Path) -> None:
    (tmp_path / "some.txt").write_text("# A remark.\nnumpy==2.0\n\nray[data]==1\n")
    assert [one.name for one in read_requirements(tmp_path / "some.txt")] == ["numpy", "ray"]


def test_container_is_smaller_by_tensorflow() -> None:
    found = installed_mb()
    assert found["requirements-serve.txt"] < found["requirements.txt"] / 3
