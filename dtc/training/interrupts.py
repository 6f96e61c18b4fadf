"""Ctrl-C and SIGTERM in a training: the first stops it after the present step, the second at once."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE_S = 0.5  # after which a request that is still pending is acknowledged
EXIT_CODE = 130  # of a process that Ctrl-C ended


class Interrupted(KeyboardInterrupt):
    """The training was stopped by Ctrl-C or SIGTERM. Its state is saved, and the same command resumes it."""


class StopRequest:
    """The state of a request to stop: whether it was made, and whether the training has stopped."""

    def __init__(self) -> None:
        self.requested = False
        self.stopped = threading.Event()

    def handle(self, number: int, frame: object) -> None:
        """Handle a signal: record the first request, and raise KeyboardInterrupt at the second."""
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


@contextmanager
def stop_requests(print_line: Callable[[str], None], leave: Callable[[], None] = lambda: None) -> Iterator[StopRequest]:
    """Yield a `StopRequest` that Ctrl-C and SIGTERM set; outside the main thread, no signal is handled.

    Python runs a signal handler only after the present call, and one backward pass of a large model takes seconds. So a
    thread receives the signals too: it acknowledges the first request, and ends the process where the second one has no
    effect. The last checkpoint then remains, as after a kill.

    Args:
        print_line: prints a line for the user.
        leave: called before the process is ended.
    """
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)  # set_wakeup_fd requires it
    handlers = {number: signal.signal(number, stop.handle) for number in SIGNALS}
    wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    watcher = threading.Thread(target=_watch, args=(reader, stop, print_line, leave), daemon=True)
    watcher.start()
    try:
        yield stop
    finally:
        stop.stopped.set()
        signal.set_wakeup_fd(wakeup)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        writer.close()  # which ends the thread
        watcher.join()
        reader.close()


def _watch(
    reader: socket.socket, stop: StopRequest, print_line: Callable[[str], None], leave: Callable[[], None]
) -> None:
    """Read the numbers of received signals until the other end is closed."""
    requests = 0
    while received := reader.recv(1):
        if received[0] not in SIGNALS:
            continue
        requests += 1
        if stop.stopped.wait(PATIENCE_S):
            continue
        if requests > 1:
            print_line("stopped at once")
            leave()
            os._exit(EXIT_CODE)
        print_line("stopping after this step; Ctrl-C again stops at once, and the last checkpoint is what remains")
