"""Run by test_killed.py: `dtc preprocess` killed by SIGKILL at random moments, each time in a copy of its own.

`killed_at_random.py PROJECT COPIES KILLS SEED` runs the stage undisturbed in COPIES/0, which tells how long it takes;
then it kills it in COPIES/1, …, each at a moment drawn evenly from that time, and prints how many were killed before
they ended. Processes are forked from one that has imported torch, which takes seconds, but never used it.
"""

import importlib
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from typer.testing import CliRunner

from stages.cli import app


def start(folder: Path) -> int:
    """The stage in a process of its own; its number."""
    if (child := os.fork()) == 0:
        os.chdir(folder)
        os._exit(CliRunner().invoke(app, ["preprocess"]).exit_code)
    return child


def main(project: Path, copies: Path, kills: int, seed: int) -> None:
    """One run undisturbed, the others killed."""
    for stage in ("params", "preprocess"):
        importlib.import_module(f"stages.{stage}")
    whole_s = 0.0
    for copy in ("warm", "0"):  # the first run finds cold caches and would tell a longer time
        shutil.copytree(project, copies / copy)
        started = time.monotonic()
        _, status = os.waitpid(start(copies / copy), 0)
        assert status == 0, status
        whole_s = time.monotonic() - started
    generator, killed = random.Random(seed), 0
    for number in range(1, kills + 1):
        shutil.copytree(project, copies / str(number))
        child = start(copies / str(number))
        time.sleep(generator.uniform(0.0, whole_s))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        killed += os.WIFSIGNALED(status)
    print(killed)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
