"""What runs in Ray's workers while Ray trains a model: each starts a process of the training, and waits for its end.

The processes are those of `stages.launch`, with the same command line and environment variables. So checkpoints, errors
and an interruption are those of a training without Ray. Ray decides where the processes run, and starts all of them
again where one was lost. The training then continues from the last checkpoint of its run's folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM
from tempfile import TemporaryFile
from typing import IO, Any

import ray.train
from ray.train.backend import Backend, BackendConfig
from ray.train.collective import barrier, broadcast_from_rank_zero

from dtc.errors import InputError
from stages.cli_errors import DONE, INTERRUPTED, LOST, REFUSED
from stages.launch import GRACE_S, LOCAL, Ended, Rank, free_port, killed, read_back, start, watched_by_processes
from stages.ray_desk import BEGUN, FAILURE, STDERR, STDOUT


class ProcessLost(RuntimeError):
    """A process of the training was killed, or has lost the others. Ray starts all of them again."""


class OneMachineGpus(Backend):
    """Lets each process see the GPUs of all processes on its machine, of which it takes the one with its number."""

    share_cuda_visible_devices = True


class OwnConnections(BackendConfig):
    """Leaves it to the processes to connect: those that TorchConfig connects are Ray's workers, which train nothing."""

    @property
    def backend_cls(self) -> type[Backend]:
        """Return what prepares the workers."""
        return OneMachineGpus


class Failures(ray.train.UserCallback):
    """Tells the desk why Ray starts the processes again, or gives up."""

    def __init__(self, desk: Any) -> None:
        self.desk = desk

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        """Tell the reason: that of the process that was lost, where others have lost it."""
        reasons = [
            str(error) if isinstance(error, ProcessLost) else f"the Ray worker of process {number} died"
            for number, error in sorted(worker_exceptions.items())
        ]
        self.desk.write.remote(FAILURE, reasons[0])


@dataclass(frozen=True)
class Job:
    """What all workers need to know.

    Args:
        arguments: of Python, which run the training.
        folder: the project's folder.
        mark: a file in it that was made on the machine of the command.
        threads: of each process, where it computes on the CPU.
        desk: the actor.
    """

    arguments: tuple[str, ...]
    folder: Path
    mark: Path
    threads: int
    desk: Any

    def ask(self, method: str, *arguments: object) -> Any:
        """Call a method of the desk, and return what it returns."""
        return ray.get(getattr(self.desk, method).remote(*arguments))


def train_rank(job: Job) -> None:
    """Run one process of the training to its end, in a worker of Ray.

    Raises ProcessLost where the processes are to be started again.
    """
    here = ray.train.get_context()
    rank = Rank(here.get_world_rank(), here.get_world_size(), here.get_local_rank(), here.get_local_world_size())
    host = LOCAL if rank.local_world == rank.world else ray.util.get_node_ip_address()
    address = broadcast_from_rank_zero((host, free_port()))
    if not job.mark.is_file():
        job.ask("end", Ended(rank.number, REFUSED, f"dtc: {_not_shared(job.folder, ray.util.get_node_ip_address())}\n"))
    barrier()  # after which all know whether one of them has ended
    if job.ask("is_over", 0.0):
        return
    if rank.number == 0:
        job.ask("write", BEGUN, "")
    ended = _run(job, rank, address)
    if ended.code < 0:
        raise ProcessLost(killed(ended.number, ended.code))
    if ended.code == LOST and not job.ask("is_over", GRACE_S):  # else another one says why
        raise ProcessLost(f"process {rank.number} has lost the others")
    if ended.code not in (DONE, LOST):
        job.ask("end", ended)


def _not_shared(folder: Path, node: str) -> InputError:
    expected, remedy = "a folder that all nodes share", "mount it at the same path on all of them"
    return InputError(folder, f"is not on the node {node}, or is another folder there", expected, remedy)


def _run(job: Job, rank: Rank, address: tuple[str, int]) -> Ended:
    """Start the process, show what the first one prints, pass a request to stop on, and return how it has ended."""
    asked = threading.Event()
    os.environ["OMP_NUM_THREADS"] = str(job.threads)
    with watched_by_processes() as parent, TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        command = [sys.executable, *job.arguments]
        stdout, stderr = (subprocess.DEVNULL, errors) if rank.number else (subprocess.PIPE, subprocess.PIPE)
        process = start(command, rank, address, parent, cwd=job.folder, stdout=stdout, stderr=stderr)
        shown = [
            _in_background(_show, job, kind, stream)
            for kind, stream in ((STDOUT, process.stdout), (STDERR, process.stderr))
            if stream is not None
        ]
        _in_background(_pass_stop_on, job, process, asked)
        code = process.wait()
        for thread in shown:
            thread.join()
        if code == -SIGTERM and asked.is_set():  # it had not come far enough to handle the signal
            return Ended(rank.number, INTERRUPTED, "dtc: interrupted\n")
        return Ended(rank.number, code, read_back(errors))


def _in_background(work: Callable[..., None], *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=work, args=arguments, daemon=True)
    thread.start()
    return thread


def _show(job: Job, kind: int, stream: IO[bytes]) -> None:
    for line in stream:
        job.ask("write", kind, line.decode("utf-8", "replace"))


def _pass_stop_on(job: Job, process: subprocess.Popen[bytes], asked: threading.Event) -> None:
    job.ask("stopped")
    asked.set()
    process.terminate()
