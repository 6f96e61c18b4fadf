"""`dtc board`: a real TensorBoard on this machine alone."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Project


def test_it_shows_the_runs_names_a_port_in_use_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "stages", "board", "--port", str(port)]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as board:
        assert board.stdout is not None
        line = board.stdout.readline()
        assert line == f"board: http://127.0.0.1:{port}/ shows runs/; Ctrl-C ends it\n"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/data/runs", timeout=60) as answer:
            assert answer.status == 200
        second = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
        assert second.returncode == 2
        assert second.stderr.splitlines()[-1] == (
            f"dtc: --port: {port} is in use; name another one, or leave --port out"
        )
        board.send_signal(signal.SIGINT)
        assert board.wait(timeout=60) == 0


def test_without_runs_it_names_what_makes_some(project: Project) -> None:
    assert project.run("board", code=2) == (
        "runs: no such folder, expected runs of trainings; run `dtc train acoustic` first"
    )


@pytest.mark.parametrize("port", ["0", "65536"])
def test_a_port_that_is_none_is_refused(project: Project, port: str) -> None:
    assert "--port" in project.run("board", "--port", port, code=2)
