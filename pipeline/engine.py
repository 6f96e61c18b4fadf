"""Run jobs in this process, in worker processes, or on a Ray cluster; the results and their order are the same."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import wait
from typing import TypeVar

import torch

from dtc.errors import InputError
from dtc.processes import process_pool
from dtc.threads import one_thread
from pipeline.config import DistributedConfig
from pipeline.ray_cluster import ray_cluster

IN_PROCESS = DistributedConfig(engine="local", workers=0, ray_address=None)
WAITING_PER_WORKER = 2  # jobs that are submitted and whose results are not taken yet: one at work, one that waits
PRELOADED = ["pipeline.shard_job", "webdataset"]  # what the process imports from which workers are forked
RETRIES = 3  # of a Ray task whose worker died
REMEDY = "run it again: what is finished is kept; fewer distributed.workers need less memory"

Job = TypeVar("Job")
Task = TypeVar("Task")  # of a job that was submitted
Result = TypeVar("Result")


def run(work: Callable[[Job], Result], jobs: Iterable[Job], config: DistributedConfig) -> Iterator[Result]:
    """Yield the result of `work` for every job, in the jobs' order. Jobs are drawn as they are needed.

    Raises what `work` raises, and InputError where a process died or the Ray cluster cannot be reached.
    """
    if config.engine == "ray":
        return _run_on_ray(work, jobs, config)
    return _run_in_processes(work, jobs, config.workers) if config.workers else _run_here(work, jobs)


def _run_here(work: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
    with one_thread():
        for job in jobs:
            yield work(job)


def _run_in_processes(work: Callable[[Job], Result], jobs: Iterable[Job], workers: int) -> Iterator[Result]:
    with _sigterm_as_ctrl_c(), process_pool(workers, _context(), _start_worker) as submit:
        try:
            yield from _in_order(
                jobs, partial(submit, work), lambda future: future.result(), WAITING_PER_WORKER * workers
            )
        except BrokenProcessPool:
            raise InputError("a worker process", "died (killed, or out of memory)", remedy=REMEDY) from None


def _in_order(
    jobs: Iterable[Job], submit: Callable[[Job], Task], result_of: Callable[[Task], Result], most_waiting: int
) -> Iterator[Result]:
    """Submit the jobs, at most `most_waiting` before a result is taken, and yield the results in the jobs' order."""
    waiting: deque[Task] = deque()
    for job in jobs:
        waiting.append(submit(job))
        if len(waiting) == most_waiting:
            yield result_of(waiting.popleft())
    while waiting:
        yield result_of(waiting.popleft())


def _context() -> multiprocessing.context.BaseContext:
    """Return how workers start: forked from a process that has imported what they need, or spawned outside Linux."""
    if sys.platform != "linux":  # Windows cannot fork, and the libraries of macOS may crash in a forked process
        return multiprocessing.get_context("spawn")
    # Arrays of megabytes are made and freed for every clip: with pages of two megabytes, where the system has them, the
    # whole stage takes an eighth less time. glibc reads this when a process starts; other libraries ignore it.
    os.environ.setdefault("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Raise KeyboardInterrupt at SIGTERM too: a process that it kills leaves semaphores, of which Python warns."""
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


def _start_worker() -> None:
    """Compute with one thread, leave Ctrl-C to the parent process, and end when the parent ends."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _run_on_ray(work: Callable[[Job], Result], jobs: Iterable[Job], config: DistributedConfig) -> Iterator[Result]:
    """Run the jobs as tasks of a Ray cluster; a task whose worker died is given to another worker."""
    with ray_cluster("distributed", config.ray_address, config.workers or None) as ray:
        task = ray.remote(max_retries=RETRIES, num_cpus=1)(_compute)
        shared = ray.put(work)
        most_waiting = WAITING_PER_WORKER * (config.workers or int(ray.cluster_resources().get("CPU", 1)))
        try:
            yield from _in_order(jobs, lambda job: task.remote(shared, job), ray.get, most_waiting)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.WorkerCrashedError:
            raise InputError("a Ray worker", f"died {RETRIES + 1} times at one shard", remedy=REMEDY) from None


def _compute(work: Callable[[Job], Result], job: Job) -> Result:
    torch.set_num_threads(1)
    return work(job)
