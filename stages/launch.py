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
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import typer

from dtc.training.devices_config import DevicesConfig
from stages.cli_base import device as device_of
from stages.cli_errors import BROKE, DONE, INTERRUPTED, LOST, STARTED_BY

if TYPE_CHECKING:
    from dtc.training.devices import Devices

GRACE_S = 5.0  # in which the other processes may end by themselves, when one has failed
LOCAL = "127.0.0.1"
THIS = -1  # the process that starts the others, where their numbers are 0, 1, …


class Rank(NamedTuple):
    """The place of a process among those of a training."""

    number: int
    world: int  # the number of processes
    local_number: int  # among those of its machine
    local_world: int


class Ended(NamedTuple):
    """How a process has ended."""

    number: int
    code: int
    errors: str  # what it has printed on standard error and is not shown yet


@contextmanager
def training_devices(config: DevicesConfig, device: str) -> Iterator[Devices]:
    """Yield the devices of a training, connected; or start its processes, wait for them, and end the command.

    Args:
        config: the section run.devices.
        device: what `--device` names.
    """
    command = ["-P", "-m", "stages", *sys.argv[1:]]
    if config.engine == "ray" and "RANK" not in os.environ:
        from stages.train_ray import train_on_ray

        raise typer.Exit(train_on_ray(command, config, device))
    if count := processes_to_start(config, device):
        raise typer.Exit(launch([sys.executable, *command], count, config))
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
    host, port = config.address
    address = (host or LOCAL, port or free_port())
    with ExitStack() as stack:
        parent = stack.enter_context(watched_by_processes())
        errors = [stack.enter_context(TemporaryFile("w+", encoding="utf-8", errors="replace")) for _ in range(count)]
        signals = stack.enter_context(_signals_received())
        processes: list[subprocess.Popen[bytes]] = []
        for number in range(count):
            rank = Rank(config.node_rank * count + number, config.num_nodes * count, number, count)
            stdout, stderr = (subprocess.DEVNULL, errors[number]) if number else (None, None)
            processes.append(start(command, rank, address, parent, stdout=stdout, stderr=stderr))
        exits, interrupted = _wait_for_all(processes, signals)
        return report([Ended(number, code, read_back(errors[number])) for number, code in exits], interrupted)


@contextmanager
def watched_by_processes() -> Iterator[int]:
    """Yield the number of a file at whose end processes end themselves: the end of this context or of this process."""
    from_parent, to_children = os.pipe()  # which the system closes when this process ends, however it does
    try:
        yield from_parent
    finally:
        os.close(from_parent)
        os.close(to_children)


def start(
    command: Sequence[str], rank: Rank, address: tuple[str, int], parent: int, **options: Any
) -> subprocess.Popen[bytes]:
    """Start a process of a training.

    Args:
        command: what it runs.
        rank: its place among the processes.
        address: host and port of the process with rank 0.
        parent: the file of `watched_by_processes`.
        options: of `subprocess.Popen`.
    """
    return subprocess.Popen(
        command,
        env=os.environ | environment_of(rank, address) | {STARTED_BY: str(parent)},
        stdin=subprocess.DEVNULL,
        pass_fds=[parent],
        start_new_session=True,  # else a terminal would send Ctrl-C too, and a second one stops at once
        **options,
    )


def environment_of(rank: Rank, address: tuple[str, int]) -> Mapping[str, str]:
    """Return the environment variables of a process, by which it finds the others.

    Args:
        rank: its place among them.
        address: host and port of the process with rank 0.
    """
    threads = str(max(1, (os.cpu_count() or 1) // rank.local_world))
    return {
        "RANK": str(rank.number),
        "LOCAL_RANK": str(rank.local_number),
        "WORLD_SIZE": str(rank.world),
        "LOCAL_WORLD_SIZE": str(rank.local_world),
        "MASTER_ADDR": address[0],
        "MASTER_PORT": str(address[1]),
        # What PyTorch would do with all cores in each process takes longer than with one core.
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads),
        # PyTorch logs with a native stack each attempt to connect, and raises what we print in a line.
        "TORCH_CPP_LOG_LEVEL": os.environ.get("TORCH_CPP_LOG_LEVEL", "FATAL"),
        # The processes run the code that runs here, and not that of a checkout in the working folder.
        "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")])),
    } | ({"GLOO_SOCKET_IFNAME": "lo"} if rank.world == rank.local_world and sys.platform == "linux" else {})


def free_port() -> int:
    """Return a port of this machine at which nothing listens."""
    with socket.socket() as found:
        found.bind((LOCAL, 0))
        return int(found.getsockname()[1])


@contextmanager
def _signals_received() -> Iterator[SimpleQueue[tuple[int, int]]]:
    """Yield a queue of SIGINT and SIGTERM that this process receives, as (THIS, signal)."""
    queue = SimpleQueue[tuple[int, int]]()  # whose `put` may be called by a handler
    before = {
        number: signal.signal(number, lambda received, frame: queue.put((THIS, received)))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield queue
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait_for_all(
    processes: Sequence[subprocess.Popen[bytes]], events: SimpleQueue[tuple[int, int]]
) -> tuple[list[tuple[int, int]], bool]:
    """Wait until all processes have ended, and send them SIGTERM for each signal that this one receives.

    SIGTERM has the meaning of Ctrl-C in `dtc`, and it ends a process that Python is only starting without a traceback.
    Return number and exit code of each process that has ended by itself, in order, and whether there was a signal. When
    one has failed, those that do not end within GRACE_S are killed.
    """

    def wait(number: int, process: subprocess.Popen[bytes]) -> None:
        events.put((number, process.wait()))

    for each in enumerate(processes):
        threading.Thread(target=wait, args=each, daemon=True).start()
    ended: list[tuple[int, int]] = []
    interrupted, deadline = False, None
    while len(ended) < len(processes):
        try:
            number, code = events.get(timeout=None if deadline is None else max(0.0, deadline - time.monotonic()))
        except Empty:
            for process in processes:
                process.kill()
            break
        if number == THIS:
            interrupted = True
            for process in processes:
                process.terminate()  # which does nothing where it has ended
            continue
        ended.append((number, code))
        if code != DONE and deadline is None:
            deadline = time.monotonic() + GRACE_S
    return ended, interrupted


def report(ended: Sequence[Ended], interrupted: bool = False) -> int:
    """Print why the processes ended, where the first of them has not printed it, and return the exit code.

    A process that is interrupted before its first line of Python ends by the signal.
    """
    failed = [each for each in ended if each.code not in (DONE, LOST)]
    if not failed:
        first = next((each.code for each in ended if each.number == 0), LOST)
        if first == LOST:
            _print("lost a process of the training on another machine; the last checkpoint is intact")
        return first
    number, code, errors = next((each for each in failed if each.number == 0 and each.code > 0), failed[0])
    if code < 0 and interrupted:
        _print("interrupted")
        return INTERRUPTED
    if code < 0:
        _print(f"{killed(number, code)}; the same command continues the training")
        return BROKE
    sys.stderr.write(errors)
    return code


def killed(number: int, code: int) -> str:
    """Return what has happened to a process that a signal ended."""
    return f"process {number} was killed by {signal.Signals(-code).name}"


def read_back(file: IO[str]) -> str:
    """Return all that was written to a file."""
    file.seek(0)
    return file.read()


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
