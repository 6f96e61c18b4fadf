"""Connect to a Ray cluster, or start one on this machine, and leave it again; Ray prints nothing meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dtc.errors import InputError, install_hint

CONNECTION_S = 45.0  # for a process to import ray and to connect to a cluster
CONNECT = "import sys, ray; ray.init(address=sys.argv[1], log_to_driver=False, logging_level='ERROR')"


@contextmanager
def ray_cluster(section: str, address: str | None, cpus: int | None = None) -> Iterator[Any]:
    """Yield the module ray, connected to a cluster, or to a new one on this machine that ends with this context.

    A process that is connected already stays so. Raises InputError where Ray is not installed or no cluster answers.

    Args:
        section: the params section with `engine` and `ray_address`, for errors.
        address: of a running cluster; None: start one.
        cpus: of the cluster to start; None: those of this machine.
    """
    ray = _import_ray(section)
    if ray.is_initialized():
        yield ray
        return
    if address:
        require_cluster(section, address)
    local = {} if address else {"num_cpus": cpus, "include_dashboard": False}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level="ERROR", **local)
        yield ray
    except KeyboardInterrupt:
        sys.stderr.write("stopping Ray, which takes some seconds\n")
        raise
    finally:
        ray.shutdown()


def require_cluster(section: str, address: str) -> None:
    """Raise InputError where no Ray cluster answers at an address.

    Another process connects first: at a wrong address `ray.init` waits for minutes in native code, which neither a
    signal nor a thread can stop.
    """
    where, expected = f"{section}.ray_address", "the address of a running cluster"
    remedy = "correct it, or set it to null for a cluster on this machine"
    try:
        done = subprocess.run(
            [sys.executable, "-c", CONNECT, address], capture_output=True, text=True, timeout=CONNECTION_S
        )
    except subprocess.TimeoutExpired:
        raise InputError(where, f"{address}: no answer in {CONNECTION_S:.0f} s", expected, remedy) from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise InputError(where, f"{address}: {reason}", expected, remedy)


def _import_ray(section: str) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # otherwise it sends usage reports
    try:
        import ray
    except ModuleNotFoundError:
        remedy = f"run {install_hint('ray')}, or set {section}.engine to local"
        raise InputError(f"{section}.engine", "ray is not installed", remedy=remedy) from None
    ray._private.worker._worker_logs_enabled = False  # of workers that died, which Ray prints in spite of log_to_driver
    return ray
