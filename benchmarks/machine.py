"""On what was measured."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

import psutil

PACKAGES = ("onnxruntime", "tensorflow", "keras", "numpy", "pillow", "streamlit")


def describe() -> dict[str, str | int | float | dict[str, str]]:
    """Describe processor, memory and versions, and what else was running."""
    return {
        "cpu": cpu_model(),
        "cores": psutil.cpu_count() or 0,
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "load_before": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in PACKAGES},
        },
    }


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Name the processor; Linux tells family and model beside a name that may say little."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = {name.strip(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    name = facts.get("model name", platform.machine())
    return (
        f"{name}, family {facts['cpu family']}, model {facts['model']}"
        if "model" in facts
        else name
    )
