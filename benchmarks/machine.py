"""What a figure was measured on, and where it is written: results/benchmarks/NAME.json."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dtc.files import write_whole

RESULTS = Path(__file__).parents[1] / "results/benchmarks"
PACKAGES = ("numpy", "torch", "torchaudio")


def machine_facts() -> dict[str, Any]:
    """CPU, cores that this process may use, the day, and versions."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }


def write_results(name: str, rows: object) -> Path:
    """Write rows (anything that is JSON) with the machine's facts; returns the file."""
    path = RESULTS / f"{name}.json"
    write_whole(path, json.dumps({"machine": machine_facts(), "rows": rows}, indent=2, ensure_ascii=False) + "\n")
    return path


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
