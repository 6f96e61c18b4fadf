"""A real process of `dtc duel` in a folder, and a listener that talks to it over HTTP."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.conftest import REPOSITORY

TIMEOUT_S = 60
LONGEST_CLIP_S = 0.6  # of clips whose speech takes a tenth of a second


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Server:
    """A process that serves, from the line in which it tells its address until `end`."""

    def __init__(self, folder: Path, port: int) -> None:
        command = [sys.executable, "-m", "stages", "duel", "--port", str(port)]
        environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        environment |= {"PYTHONPATH": str(REPOSITORY)}
        self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        found = re.match(r"duel: (http://127\.0\.0\.1:\d+/) ", self.process.stdout.readline())
        assert found
        self.address = found[1]

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal; return the exit code and what was printed since."""
        self.process.send_signal(number)
        printed, _ = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, printed


def ask(url: str, body: Any = None) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        return bytes(answer.read())


def begin(address: str) -> list[dict[str, str]]:
    return list(json.loads(ask(f"{address}sessions", {"consent": True}))["trials"])


def hear(address: str, trial: dict[str, str]) -> None:
    """Fetch the clips of a trial and wait as long as they take."""
    sides = "a" if trial["form"] == "single" else "ab"
    for side in sides:
        samples = (len(ask(f"{address}clips/{trial['id']}/{side}.wav")) - 44) / 2
        time.sleep(samples / 16_000)  # a person listens; the server refuses an earlier vote


def vote(address: str, trial: dict[str, str]) -> None:
    ask(f"{address}votes", {"trial": trial["id"], "answer": "human" if trial["form"] == "single" else "a"})
