"""`dtc` in processes that are forked from one that has imported everything, which takes seconds, but never used it.

Where `dtc train` starts processes of its own, they are forked too.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import torch

from stages import launch
from stages.__main__ import main

IMPORTED = (
    "stages.cli",
    "stages.train",
    "stages.params",
    "accelerate",
    "pocketsphinx",
    "dtc.evaluation.recognisers.grammar",
)


def import_all() -> None:
    """Import what a training needs."""
    for module in IMPORTED:
        importlib.import_module(module)


class Forked:
    """A process that runs `dtc`, with the attributes of `subprocess.Popen` that `stages.launch` uses.

    Args:
        command: a command line; the arguments of `dtc` follow "stages".
        env: its environment.
        stdout: a file or the number of one for its output; None: that of this process.
        stderr: likewise for its errors.
        pass_fds: the numbers of the files that stay open in it, beside those.
        others: what `Popen` takes besides, without effect.
    """

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        stdout: IO[str] | int | None = None,
        stderr: IO[str] | None = None,
        pass_fds: Sequence[int] = (),
        **others: object,
    ) -> None:
        sys.stdout.flush()
        self.returncode: int | None = None
        if (pid := os.fork()) == 0:
            _run(command, env, {1: _number(stdout, 1), 2: _number(stderr, 2)}, pass_fds)
        self.pid = pid

    def wait(self) -> int:
        """Wait until it ends; return its exit code, or -N after signal N."""
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode

    def poll(self) -> int | None:
        """Return its exit code, None as long as it runs."""
        if self.returncode is None and (found := os.waitpid(self.pid, os.WNOHANG))[0]:
            self.returncode = os.waitstatus_to_exitcode(found[1])
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL, unless it has ended."""
        self.send_signal(signal.SIGKILL)


def _number(file: IO[str] | int | None, default: int) -> int:
    if file == subprocess.DEVNULL:
        return os.open(os.devnull, os.O_WRONLY)
    return default if file is None else file if isinstance(file, int) else file.fileno()


def _run(command: Sequence[str], env: Mapping[str, str], outputs: Mapping[int, int], pass_fds: Sequence[int]) -> None:
    """Run `dtc` in a process that has just been forked, and end the process."""
    os.environ.clear()
    os.environ.update(env)
    for number, file in outputs.items():
        os.dup2(file, number)
    for file in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
        if file not in (0, *outputs, *pass_fds):
            with contextlib.suppress(OSError):  # that of the list itself
                os.close(file)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))
    torch.set_num_threads(1)
    launch.subprocess.Popen = Forked  # type: ignore[misc, assignment]
    sys.argv = ["dtc", *command[command.index("stages") + 1 :]]
    code = 1
    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
