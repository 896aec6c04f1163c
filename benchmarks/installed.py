"""How much room what a requirements file asks for takes on a disk, as it is installed here."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from benchmarks.images import ROOT

FILES = ("requirements.txt", "requirements-serve.txt")


def installed_mb(files: tuple[str, ...] = FILES) -> dict[str, float]:
    """Add up the installed files of what each requirements file asks for, and of all it needs."""
    return {name: size_of(read_requirements(ROOT / name)) / 2**20 for name in files}


def read_requirements(path: Path) -> list[Requirement]:
    """Read a requirements file that builds on no other one."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def size_of(requirements: list[Requirement]) -> int:
    """Add up the bytes of all files of distributions, and of those that they need in turn."""
    waiting = [(one.name, frozenset(one.extras)) for one in requirements]
    seen: set[tuple[str, frozenset[str]]] = set()
    sizes: dict[str, int] = {}
    while waiting:
        name, extras = wanted = waiting.pop()
        if wanted in seen:
            continue
        seen.add(wanted)
        found = metadata.distribution(name)
        sizes[found.name] = sum(_size(Path(str(file.locate()))) for file in found.files or ())
        for line in found.requires or ():
            needed = Requirement(line)
            if _applies(needed, extras):
                waiting.append((needed.name, frozenset(needed.extras)))
    return sum(sizes.values())


def _applies(needed: Requirement, extras: frozenset[str]) -> bool:
    marker = needed.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or {""})


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
