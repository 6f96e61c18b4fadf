"""The code and the environment that made a file, as features and models record it. This file imports no torch."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from pydantic import Field

from dtc.config import Section

if TYPE_CHECKING:
    import torch


class MadeBy(Section):
    """What made a file, beside the files that it was made from.

    It holds no date, host or path, and no version of dtc, which may change while the code that made the file does not.
    It is no part of a fingerprint: equal results of another version have the same fingerprint.
    """

    code: str  # fingerprint of the syntax trees of the code that decides the content
    params: dict[str, Any] = Field(default_factory=dict)  # the sections of params.yaml that the file has nowhere else
    environment: dict[str, str]  # what decides the last bits of the numbers: versions, device, threads


def versions_of(*packages: str) -> dict[str, str]:
    """Return the versions of those packages that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def computing_environment(device: torch.device, processes: int = 1) -> dict[str, str]:
    """Return the version of torch, and the kind of device, the threads and the processes that compute with it."""
    import torch

    if device.type == "cuda":
        kind = f"cuda {torch.cuda.get_device_name(device)}"
    else:
        kind = f"{device.type} {torch.backends.cpu.get_cpu_capability()}"
    return {
        "torch": torch.__version__,
        "device": kind,
        "threads": str(torch.get_num_threads()),
        "processes": str(processes),
    }
