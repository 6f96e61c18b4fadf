"""What `dtc doctor` finds out about the machine: processor, GPUs, memory and disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from stages.doctor import Finding

MEMORY, LIMIT = Path("/proc/meminfo"), Path("/sys/fs/cgroup/memory.max")  # of Linux
DRIVER = Path("/proc/driver/nvidia/version")


def machine() -> Iterator[Finding]:
    """Yield the facts about the machine."""
    yield from _processor()
    yield from _gpus()
    yield from _memory()
    free = shutil.disk_usage(Path.cwd()).free
    yield Finding("disk", f"{free / 1e9:.0f} GB free here")


def _processor() -> Iterator[Finding]:
    import torch

    from dtc.training.precision import has_bfloat16

    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    bfloat16 = "multiplies in bfloat16" if has_bfloat16(torch.device("cpu")) else "has no arithmetic in bfloat16"
    text = f"{usable} of {os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}, {bfloat16}"
    yield Finding("processor", f"{text}; PyTorch uses {torch.get_num_threads()}")
    if (load := os.getloadavg()[0]) > usable:
        yield Finding("", f"other programs are busy here (load {load:.1f}): what is timed takes longer than on its own")


def _gpus() -> Iterator[Finding]:
    import torch

    for number in range(torch.cuda.device_count()):
        found = torch.cuda.get_device_properties(number)
        yield Finding(f"cuda:{number}", f"{found.name}, {found.total_memory / 1e9:.0f} GB")
    if torch.cuda.is_available():
        return
    if DRIVER.exists():
        built = f"is built for CUDA {torch.version.cuda}" if torch.version.cuda else "is built without CUDA"
        remedy = "install a driver and a PyTorch of the same CUDA, see pytorch.org; or train on the processor"
        yield Finding("GPU", f"there is an NVIDIA driver, which PyTorch cannot use; it {built}", remedy)
    else:
        yield Finding("GPU", "none for CUDA; training runs on the processor")


def _memory() -> Iterator[Finding]:
    if not MEMORY.exists():
        return
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in MEMORY.read_text().splitlines()}
    total, available = sizes["MemTotal"], sizes["MemAvailable"]
    limit = LIMIT.read_text().strip() if LIMIT.exists() else "max"
    allowed = (
        f", of which this process may use {int(limit) / 1e9:.1f} GB" if limit.isdigit() and int(limit) < total else ""
    )
    yield Finding("memory", f"{total / 1e9:.1f} GB, {available / 1e9:.1f} GB available{allowed}")
