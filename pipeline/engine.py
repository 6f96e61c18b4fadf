"""Who computes: this process, processes beside it, or a Ray cluster. The results are the same, in the same order."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import TypeVar

import torch

from dtc.errors import InputError, install_hint
from pipeline.config import DistributedConfig

IN_PROCESS = DistributedConfig(engine="local", workers=0, ray_address=None)
WAITING_PER_WORKER = 2  # jobs handed out and not yet fetched: one at work, one behind it
RETRIES = 3  # of a Ray task whose worker died
REMEDY = "run it again: what is finished is kept; fewer distributed.workers need less memory"

Job = TypeVar("Job")
Result = TypeVar("Result")


def run(work: Callable[[Job], Result], jobs: Iterable[Job], config: DistributedConfig) -> Iterator[Result]:
    """`work` of every job, in the jobs' order. Jobs are drawn as they are needed: few are in memory at a time.

    Raises what `work` raises, and InputError where a process died.
    """
    if config.engine == "ray":
        return _run_on_ray(work, jobs, config)
    return _run_in_processes(work, jobs, config.workers) if config.workers else _run_here(work, jobs)


def _run_here(work: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
    with _one_thread():
        for job in jobs:
            yield work(job)


@contextmanager
def _one_thread() -> Iterator[None]:
    """A sum's rounding may depend on how many threads share it; in a worker process it is one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _run_in_processes(work: Callable[[Job], Result], jobs: Iterable[Job], workers: int) -> Iterator[Result]:
    with _sigterm_as_ctrl_c():
        yield from _run_in_pool(work, jobs, workers)


def _run_in_pool(work: Callable[[Job], Result], jobs: Iterable[Job], workers: int) -> Iterator[Result]:
    pool = ProcessPoolExecutor(workers, mp_context=_context(), initializer=_start_worker)
    waiting: deque[Future[Result]] = deque()
    try:
        for job in jobs:
            with _ctrl_c_held():  # until the worker that may be started for it has
                waiting.append(pool.submit(work, job))
            if len(waiting) == workers * WAITING_PER_WORKER:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise InputError("a worker process", "died (killed, or out of memory)", remedy=REMEDY) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _context() -> multiprocessing.context.BaseContext:
    """Processes forked from one that has imported what they need and has no threads yet; elsewhere, spawned ones."""
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    # A clip's arrays come and go by megabytes: in pages of two megabytes, where the system has them, that costs an
    # eighth less of the whole stage. glibc reads this when a process starts.
    os.environ.setdefault("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pipeline.features", "pipeline.shards"])
    return context


def _takes_signals() -> bool:
    return sys.platform != "win32" and threading.current_thread() is threading.main_thread()


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """SIGTERM raises KeyboardInterrupt too: a master that dies of it leaves semaphores, which Python complains of."""
    if not _takes_signals():
        yield
        return
    handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


@contextmanager
def _ctrl_c_held() -> Iterator[None]:
    """Raises KeyboardInterrupt at its end where Ctrl-C, or SIGTERM, came meanwhile.

    A terminal sends it to all processes. The one that workers are forked from would die of it while it imports, and a
    worker that starts after the master has gone finds nothing of what it was promised: both are loud about it.
    """
    if not _takes_signals():
        yield
        return
    came: list[int] = []
    resource_tracker.ensure_running()  # would otherwise be started within, and unblocks the signal
    handlers = {
        number: signal.signal(number, lambda number, frame: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    # Processes started within inherit it. Not SIGTERM, by which a broken pool ends those that are left.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


def _start_worker() -> None:
    """One thread to compute, no Ctrl-C of its own (the master ends it), and no life after the master's."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_master, daemon=True).start()


def _die_with_master() -> None:
    master = multiprocessing.parent_process()
    assert master is not None
    wait([master.sentinel])
    os._exit(1)


def _run_on_ray(work: Callable[[Job], Result], jobs: Iterable[Job], config: DistributedConfig) -> Iterator[Result]:
    """The same as tasks of a Ray cluster; a task whose worker died is given to another."""
    ray = _import_ray()
    started_here = not ray.is_initialized()
    if started_here:
        local = {} if config.ray_address else {"num_cpus": config.workers or None, "include_dashboard": False}
        ray.init(address=config.ray_address or "local", log_to_driver=False, logging_level="ERROR", **local)
    task = ray.remote(max_retries=RETRIES, num_cpus=1)(_compute)
    shared = ray.put(work)
    most_waiting = WAITING_PER_WORKER * (config.workers or int(ray.cluster_resources().get("CPU", 1)))
    waiting: deque[object] = deque()
    try:
        for job in jobs:
            waiting.append(task.remote(shared, job))
            if len(waiting) == most_waiting:
                yield ray.get(waiting.popleft())
        while waiting:
            yield ray.get(waiting.popleft())
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.WorkerCrashedError:
        raise InputError("a Ray worker", f"died {RETRIES + 1} times at one shard", remedy=REMEDY) from None
    finally:
        if started_here:
            ray.shutdown()


def _compute(work: Callable[[Job], Result], job: Job) -> Result:
    torch.set_num_threads(1)
    return work(job)


def _import_ray():  # type: ignore[no-untyped-def]
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would call home
    try:
        import ray
    except ModuleNotFoundError:
        remedy = f"run {install_hint('ray')}, or set distributed.engine to local"
        raise InputError("distributed.engine", "ray is not installed", remedy=remedy) from None
    return ray
