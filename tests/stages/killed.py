"""Run by test_stages.py: a stage killed by SIGKILL before its first, second, … change to the file system.

`killed.py PROJECT COPIES COMMAND` copies PROJECT once for every change that `dtc COMMAND` makes and prints how many there
were. Processes are forked from one that has imported torch, which takes seconds, but never used it.
"""

import importlib
import os
import shutil
import signal
import sys
from pathlib import Path

from typer.testing import CliRunner

from stages.cli import app
from stages.code_identity import PACKAGES, code_digests

IMPORTED = ("params", "download", "verify", "preprocess")  # what every child finds imported

CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}


def run_killed(folder: Path, command: str, before: int) -> None:
    """The command in `folder`, killed before change number `before`."""
    os.chdir(folder)
    seen = 0

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        opened = event == "open" and isinstance(arguments[1], str) and arguments[1][0] in "wax"
        if event in CHANGES or (opened and str(arguments[0]).startswith(("data", "runs", "results"))):
            seen += 1
            if seen == before:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    result = CliRunner().invoke(app, [command])
    os._exit(result.exit_code)


def main(project: Path, copies: Path, command: str) -> None:
    """Kill ever later, until the command ends by itself."""
    for stage in IMPORTED:
        importlib.import_module(f"stages.{stage}")
    # Every child would compute these anew. Not the import graph: its threads would not be there in the children.
    code_digests(".".join(path.with_suffix("").parts) for name in PACKAGES for path in Path(name).rglob("[!_]*.py"))
    number = 0
    while True:
        number += 1
        folder = copies / str(number)
        shutil.copytree(project, folder)
        if (child := os.fork()) == 0:
            run_killed(folder, command, number)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0, status
            print(number - 1)
            return
        assert os.WTERMSIG(status) == signal.SIGKILL


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
