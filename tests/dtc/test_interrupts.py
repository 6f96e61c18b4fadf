"""Ctrl-C in a training is answered at once: between validation batches, and in the middle of a long call."""

import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from torch import Tensor

from dtc.batch import Batch
from dtc.training.checkpoints import checkpoints_in, step_of
from dtc.training.interrupts import Interrupted, stop_requests
from dtc.training.logbook import Logbook
from dtc.training.loop import train
from dtc.training.task import Task
from tests.conftest import REPOSITORY
from tests.dtc.test_training import Data, Toy, assert_same_run, config, how, run, toy


class Printed(io.StringIO):
    """A console's file that tells when a line with a text was printed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.seen = text, threading.Event()

    def write(self, printed: str) -> int:
        written = super().write(printed)
        if self.text in self.getvalue():
            self.seen.set()
        return written


def test_a_request_in_a_long_step_is_acknowledged_before_the_step_ends(tmp_path: Path) -> None:
    printed = Printed("stopping after this step")

    class Slow(Toy):
        def training_loss(self, batch: Batch, step: int) -> dict[str, Tensor]:
            if self.training and step == 3:
                os.kill(os.getpid(), signal.SIGINT)
                assert printed.seen.wait(timeout=60), "the step ends only when the line was printed"
            return super().training_loss(batch, step)

    with pytest.raises(Interrupted, match="stopped at step 4 of 12, saved"):
        run(tmp_path, Slow(), Console(file=printed, width=200))
    assert "toy: stopping after this step; Ctrl-C again stops at once" in printed.getvalue()


def test_a_second_request_stops_at_once(tmp_path: Path) -> None:
    class Slow(Toy):
        def training_loss(self, batch: Batch, step: int) -> dict[str, Tensor]:
            if self.training and step == 3:
                for _ in range(2):
                    os.kill(os.getpid(), signal.SIGINT)
            return super().training_loss(batch, step)

    with pytest.raises(KeyboardInterrupt) as raised:
        run(tmp_path, Slow())
    assert not isinstance(raised.value, Interrupted)
    assert step_of(checkpoints_in(tmp_path)[-1]) == 3


STUCK = """
import ctypes
from dtc.training.interrupts import stop_requests
mutex = ctypes.create_string_buffer(64)  # a zeroed pthread_mutex_t
libc = ctypes.CDLL(None)
with stop_requests(lambda line: print(line, flush=True), lambda: print("left", flush=True)):
    libc.pthread_mutex_lock(mutex)
    print("stuck", flush=True)
    libc.pthread_mutex_lock(mutex)  # never returns, and no signal handler of Python's runs meanwhile
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a mutex of zeros is glibc's")
def test_a_second_request_in_a_call_that_does_not_return_ends_the_process() -> None:
    process = subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    assert process.stdout is not None
    assert process.stdout.readline() == "stuck\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline().startswith("stopping after this step")
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "stopped at once\n"
    assert process.stdout.readline() == "left\n"
    assert process.wait(timeout=60) == 130


class Interrupting(Data):
    """Validation data that asks to stop once its second batch is read."""

    asked = False

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        for index, batch in enumerate(super().epoch(number, first)):
            if index == 1 and not self.asked:
                self.asked = True
                os.kill(os.getpid(), signal.SIGINT)
            yield batch
            assert not self.asked or index != 2, "no batch is read after the request"


def test_stopped_in_a_validation_it_is_as_if_never_stopped(tmp_path: Path) -> None:
    expected, _ = run(tmp_path / "whole")
    folder = tmp_path / "stopped"
    interrupting = Task(toy(), Data(), Interrupting(), lambda *_: None)
    with pytest.raises(Interrupted, match="stopped at step 5 of 12, saved"):
        train(interrupting, config(), how(), folder, Logbook(folder, "toy", Console(quiet=True)))
    rows = (folder / "history.csv").read_text()
    assert "validation" not in rows
    weights, _ = run(folder)
    assert_same_run(folder, tmp_path / "whole", weights, expected)


def test_outside_the_main_thread_no_signal_is_handled() -> None:
    before, during = signal.getsignal(signal.SIGINT), []

    def look() -> None:
        with stop_requests(print) as stop:
            during.append((signal.getsignal(signal.SIGINT), stop.requested))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert during == [(before, False)]
