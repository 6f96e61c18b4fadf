"""Ctrl-C and SIGTERM in a training: it stops after the step in hand, or at once where it is asked again."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE_S = 0.5  # after which a request that has not been answered yet is acknowledged
EXIT_CODE = 130  # of a process that Ctrl-C ended


class Interrupted(KeyboardInterrupt):
    """The training was stopped by Ctrl-C or SIGTERM. Its state is saved, and the same command goes on from there."""


class StopRequest:
    """Whether the training has been asked to stop."""

    def __init__(self) -> None:
        self.requested = False
        self.answered = threading.Event()

    def handle(self, number: int, frame: object) -> None:
        """Note a request; raise KeyboardInterrupt at the second. It is the handler of the signals."""
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


@contextmanager
def stop_requests(say: Callable[[str], None]) -> Iterator[StopRequest]:
    """Yield what tells whether Ctrl-C or SIGTERM was received; outside the main thread, no signal is handled.

    A signal handler written in Python waits for the call in hand, and one backward pass of a large model takes seconds.
    So a thread receives the signals too: it tells the user that the request was heard, and ends the process where a
    second request is not answered. The last checkpoint is then what remains, as after a kill.

    Args:
        say: prints a line for the user.
    """
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)  # as set_wakeup_fd demands
    handlers = {number: signal.signal(number, stop.handle) for number in SIGNALS}
    wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    watcher = threading.Thread(target=_watch, args=(reader, stop, say), daemon=True)
    watcher.start()
    try:
        yield stop
    finally:
        stop.answered.set()
        signal.set_wakeup_fd(wakeup)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        writer.close()  # which ends the thread
        watcher.join()
        reader.close()


def _watch(reader: socket.socket, stop: StopRequest, say: Callable[[str], None]) -> None:
    """Read the numbers of received signals until the other end is closed."""
    requests = 0
    while received := reader.recv(1):
        if received[0] not in SIGNALS:
            continue
        requests += 1
        if stop.answered.wait(PATIENCE_S):
            continue
        if requests > 1:
            os._exit(EXIT_CODE)
        say("stopping after this step; Ctrl-C again stops at once, and the last checkpoint is what remains")
