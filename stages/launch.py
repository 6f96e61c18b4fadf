"""Start the processes of a training on this machine, and end all of them when one of them fails.

Each process is a command of its own: the same command line, and its rank in the environment, as torchrun would set it.
The process that starts them computes nothing. It passes Ctrl-C and SIGTERM on, by which they stop after the same step.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING

import typer

from dtc.training.devices_config import DevicesConfig
from stages.cli_base import device as device_of
from stages.cli_errors import BROKE, DONE, INTERRUPTED, LOST, STARTED_BY

if TYPE_CHECKING:
    from dtc.training.devices import Devices

GRACE_S = 5.0  # in which the other processes may end by themselves, when one has failed
LOCAL = "127.0.0.1"


@contextmanager
def training_devices(config: DevicesConfig, device: str) -> Iterator[Devices]:
    """Yield the devices of a training, connected; or start its processes, wait for them, and end the command.

    Args:
        config: the section run.devices.
        device: what `--device` names.
    """
    if count := processes_to_start(config, device):
        raise typer.Exit(launch([sys.executable, "-P", "-m", "stages", *sys.argv[1:]], count, config))
    _end_with_parent()
    from dtc.training.devices import joined

    with joined(config, device_of(device)) as devices:
        yield devices


def processes_to_start(config: DevicesConfig, device: str) -> int:
    """Return how many processes this one must start; 0 where it trains itself, alone or as one of several."""
    if "RANK" in os.environ:
        return 0
    count = _gpus(device) if config.processes == "auto" else config.processes
    return count if count * config.num_nodes > 1 else 0


def _gpus(device: str) -> int:
    """Return the number of GPUs that `--device` leaves to be chosen; 1 where there is no choice."""
    if device not in ("auto", "cuda"):
        return 1
    import torch

    return max(1, torch.cuda.device_count())


def launch(command: Sequence[str], count: int, config: DevicesConfig) -> int:
    """Run a command in several processes, and return one exit code for all.

    Only the first of them prints. Of the others, the errors of one that fails are printed.
    """
    from_parent, to_children = os.pipe()  # which the system closes when this process ends, however it does
    with ExitStack() as stack:
        stack.callback(os.close, to_children)
        errors = [stack.enter_context(TemporaryFile("w+", encoding="utf-8", errors="replace")) for _ in range(count)]
        processes: list[subprocess.Popen[bytes]] = []
        received = stack.enter_context(_signals_passed_on(processes))
        for number, environment in enumerate(_environments(count, config)):
            started = subprocess.Popen(
                command,
                env=os.environ | environment | {STARTED_BY: str(from_parent)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if number else None,
                stderr=errors[number] if number else None,
                pass_fds=[from_parent],
                start_new_session=True,  # else a terminal would send Ctrl-C too, and a second one stops at once
            )
            processes.append(started)
        os.close(from_parent)
        return _report(_wait_for_all(processes), errors, bool(received))


def _environments(count: int, config: DevicesConfig) -> Iterator[Mapping[str, str]]:
    """Yield the environment variables of each process, by which it finds the others."""
    host, port = config.address
    port = port or _free_port()
    for number in range(count):
        yield {
            "RANK": str(config.node_rank * count + number),
            "LOCAL_RANK": str(number),
            "WORLD_SIZE": str(config.num_nodes * count),
            "LOCAL_WORLD_SIZE": str(count),
            "MASTER_ADDR": host or LOCAL,
            "MASTER_PORT": str(port),
            # What PyTorch would do with all cores in each process takes longer than with one core.
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count))),
            # PyTorch logs with a native stack each attempt to connect, and raises what we print in a line.
            "TORCH_CPP_LOG_LEVEL": os.environ.get("TORCH_CPP_LOG_LEVEL", "FATAL"),
            # The processes run the code that runs here, and not that of a checkout in the working folder.
            "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")])),
        } | ({"GLOO_SOCKET_IFNAME": "lo"} if config.num_nodes == 1 and sys.platform == "linux" else {})


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((LOCAL, 0))
        return int(found.getsockname()[1])


@contextmanager
def _signals_passed_on(processes: Sequence[subprocess.Popen[bytes]]) -> Iterator[list[int]]:
    """Send SIGINT and SIGTERM that this process receives to others. Yield the list of those received."""
    received: list[int] = []

    def pass_on(number: int, frame: object) -> None:
        received.append(number)
        for process in processes:
            process.send_signal(number)  # which does nothing where it has ended

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait_for_all(processes: Sequence[subprocess.Popen[bytes]]) -> list[tuple[int, int]]:
    """Return number and exit code of each process that has ended by itself, in order; the others are killed."""
    queue = SimpleQueue[tuple[int, int]]()
    for number, process in enumerate(processes):
        threading.Thread(
            target=lambda *of: queue.put((of[0], of[1].wait())), args=(number, process), daemon=True
        ).start()
    ended: list[tuple[int, int]] = []
    deadline = None
    while len(ended) < len(processes):
        try:
            ended.append(queue.get(timeout=None if deadline is None else max(0.0, deadline - time.monotonic())))
        except Empty:
            for process in processes:
                process.kill()
            return ended
        if ended[-1][1] != DONE and deadline is None:
            deadline = time.monotonic() + GRACE_S
    return ended


def _report(ended: Sequence[tuple[int, int]], errors: Sequence[IO[str]], interrupted: bool) -> int:
    """Print why the processes ended, where the first of them has not printed it, and return the exit code.

    A process that is interrupted before its first line of Python ends by the signal.
    """
    first = dict(ended).get(0, LOST)
    failed = [(number, code) for number, code in ended if code not in (DONE, LOST)]
    if not failed:
        if first == LOST:
            _print("lost a process of the training on another machine; the last checkpoint is intact")
        return first
    if first > 0 and first != LOST:
        return first
    number, code = failed[0]
    if code < 0 and interrupted:
        _print("interrupted")
        return INTERRUPTED
    if code < 0:
        _print(f"process {number} was killed by {signal.Signals(-code).name}; the same command continues the training")
        return BROKE
    errors[number].seek(0)
    sys.stderr.write(errors[number].read())
    return code


def _print(line: str) -> None:
    sys.stderr.write(f"dtc: {line}\n")


def _end_with_parent() -> None:
    """End this process when the one that started it ends, where it was started by `launch`."""
    if (descriptor := os.environ.get(STARTED_BY)) is None:
        return
    os.set_inheritable(int(descriptor), False)

    def wait() -> None:
        os.read(int(descriptor), 1)  # returns when the other end is closed
        os._exit(LOST)

    threading.Thread(target=wait, daemon=True).start()
