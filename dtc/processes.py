"""A pool of worker processes that Ctrl-C ends at once and without a traceback, whatever the workers are doing."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent import futures
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import BaseContext
from typing import Any

RETRY_S = 0.05  # between attempts to stop a start of a worker
WRITES_FOR_EVER = sys.version_info[:3] < (3, 11, 7) or sys.version_info[:3] == (3, 12, 0)

Submit = Callable[..., Future[Any]]  # called with a function and its arguments


@contextmanager
def process_pool(
    workers: int | None, context: BaseContext, initializer: Callable[..., object], arguments: tuple[Any, ...] = ()
) -> Iterator[Submit]:
    """Yield the function that submits a call to the pool. The workers are killed at KeyboardInterrupt.

    Args:
        workers: number of processes; None: one for each core.
        context: how they are started.
        initializer: called in each process before its first call, with `arguments`.
        arguments: of the initializer.
    """
    others = multiprocessing.active_children()
    # A worker may be started for each call that is submitted. It may take as long as its imports, and no signal could
    # end it: so a thread submits the calls.
    with ThreadPoolExecutor(1, initializer=_block_ctrl_c) as submitter:
        pool = ProcessPoolExecutor(workers, context, initializer, arguments)
        try:
            yield lambda work, *given: submitter.submit(pool.submit, work, *given).result()
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | GeneratorExit):  # the calls at work may take minutes
                for worker in _started(submitter):
                    if worker not in others:
                        worker.kill()
            _end_writing(pool)
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def _block_ctrl_c() -> None:
    """Block SIGINT in this thread, and in every process that it starts.

    A terminal sends Ctrl-C to all processes. Those that import would print tracebacks, and the process that workers are
    forked from would end.
    """
    if sys.platform != "win32":
        resource_tracker.ensure_running()  # it would be started later otherwise, and unblock the signal
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _end_writing(pool: ProcessPoolExecutor) -> None:
    """Close this process's own end of the pipe from which workers read their calls, where Python does not.

    Otherwise a thread that writes a long call waits for ever where all workers were killed, since the pipe still has a
    reader: this process. `shutdown` waits for that thread (github.com/python/cpython/issues/94777).
    """
    if WRITES_FOR_EVER:
        pool._call_queue._reader.close()  # type: ignore[attr-defined]  # an inner name, of these versions alone


def _started(submitter: ThreadPoolExecutor) -> list[Any]:
    """Return all child processes. A start that is under way is stopped by killing the fork server, if there is one."""
    children = submitter.submit(multiprocessing.active_children)
    while not children.done():
        if server := getattr(forkserver._forkserver, "_forkserver_pid", None):
            with suppress(ProcessLookupError):
                os.kill(server, signal.SIGKILL)
        futures.wait([children], timeout=RETRY_S)  # a start that had just begun starts another server
    return children.result()
