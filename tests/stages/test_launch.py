"""The processes that `dtc train` starts on this machine: how many, where they find one another, and how all end."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stages import launch as launching
from stages.launch import Rank, environment_of, launch, processes_to_start, start
from tests.conftest import REPOSITORY
from tests.training_params import ONE_PROCESS, devices_config

PARENT = """
import sys
from stages.launch import launch
from tests.training_params import ONE_PROCESS
sys.exit(launch([sys.executable, *sys.argv[1:]], 2, ONE_PROCESS))
"""


def program(tmp_path: Path, first: str, second: str) -> list[str]:
    """A command for two processes that do other things; neither imports torch."""
    path = tmp_path / "program.py"
    path.write_text(f"import os, signal, sys, time\nif os.environ['RANK'] == '0':\n    {first}\nelse:\n    {second}\n")
    return [sys.executable, str(path)]


FOR_EVER = "signal.pause()"


@pytest.mark.parametrize(
    ("first", "second", "code", "line"),
    [
        ("pass", "pass", 0, ""),
        (
            FOR_EVER,
            "os.kill(os.getpid(), signal.SIGKILL)",
            1,
            "dtc: process 1 was killed by SIGKILL; the same command continues the training\n",
        ),
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            FOR_EVER,
            1,
            "dtc: process 0 was killed by SIGKILL; the same command continues the training\n",
        ),
        (FOR_EVER, "sys.exit('dtc: a fault of process 1')", 1, "dtc: a fault of process 1\n"),
        (
            "os.kill(os.getppid(), signal.SIGTERM); signal.pause()",
            FOR_EVER,
            130,
            "dtc: interrupted\n",
        ),
        ("sys.exit(3)", "print('dtc: a fault', file=sys.stderr); sys.exit(2)", 2, "dtc: a fault\n"),
        ("sys.exit(2)", "print('dtc: the same fault', file=sys.stderr); sys.exit(2)", 2, ""),
        (
            "sys.exit(3)",
            "sys.exit(3)",
            3,
            "dtc: lost a process of the training on another machine; the last checkpoint is intact\n",
        ),
    ],
)
def test_the_end_of_one_process_is_the_end_of_all(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    first: str,
    second: str,
    code: int,
    line: str,
) -> None:
    # Long enough for two processes to begin and end on a busy machine; short where one has to be killed.
    monkeypatch.setattr(launching, "GRACE_S", 1.0 if FOR_EVER in (first, second) else 60.0)
    assert launch(program(tmp_path, first, second), 2, ONE_PROCESS) == code
    assert capsys.readouterr().err == line


def test_ctrl_c_while_the_processes_are_started_ends_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def start_and_interrupt(*args: Any, **options: Any) -> "subprocess.Popen[bytes]":
        started = start(*args, **options)
        os.kill(os.getpid(), signal.SIGINT)
        return started

    monkeypatch.setattr(launching, "start", start_and_interrupt)
    assert launch(program(tmp_path, FOR_EVER, FOR_EVER), 2, ONE_PROCESS) == 130
    assert capsys.readouterr().err == "dtc: interrupted\n"


def test_the_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    """Killed by SIGKILL, it can send no signal."""
    child = "from stages.launch import _end_with_parent; _end_with_parent(); print('ready', flush=True); " + FOR_EVER
    started = subprocess.Popen(
        [sys.executable, "-c", PARENT, *program(tmp_path, child, child)[1:]],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    started.kill()
    assert started.stdout.read() == "", "the end of the file: no process holds it open"
    started.wait()


@pytest.mark.parametrize(
    ("environment", "settings", "expected"),
    [
        ({}, {"processes": 1}, 0),
        ({}, {"processes": "auto"}, 0),
        ({}, {"processes": 3}, 3),
        ({}, {"processes": 1, "num_nodes": 2, "url": "tcp://10.0.0.1:29500"}, 1),
        ({"RANK": "0", "WORLD_SIZE": "2"}, {"processes": 3}, 0),
    ],
)
def test_how_many_processes_are_started(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], settings: dict[str, object], expected: int
) -> None:
    monkeypatch.delenv("RANK", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert processes_to_start(devices_config(**settings), "cpu") == expected


@pytest.mark.parametrize(
    "address", [{"url": "tcp://10.0.0.1:29500"}, {"master_address": "10.0.0.1", "master_port": 29500}]
)
def test_addresses_and_ranks_of_the_processes_of_a_node(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], address: dict[str, object]
) -> None:
    names = "('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'LOCAL_WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT')"
    show = f"print(*map(os.environ.get, {names}))"
    config = devices_config(num_nodes=2, node_rank=1, **address)
    assert launch(program(tmp_path, "sys.exit(1)", show), 2, config) == 0
    assert capfd.readouterr().out == "2 0 4 2 10.0.0.1 29500\n"


def test_processes_on_one_machine_talk_by_its_own_address() -> None:
    here, elsewhere = (environment_of(Rank(1, 2, 1, local), ("10.0.0.1", 29500)) for local in (2, 1))
    assert (here.get("GLOO_SOCKET_IFNAME"), elsewhere.get("GLOO_SOCKET_IFNAME")) == ("lo", None)
