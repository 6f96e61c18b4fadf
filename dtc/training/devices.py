"""The processes of one training: numbers and gradients averaged over them, and decisions that all of them take.

torchrun, `accelerate launch`, Ray and stages/launch.py start the processes and tell each of them its rank by
environment variables, which accelerate reads. With one process nothing here does anything.
"""

from __future__ import annotations

import os
import socket
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar, cast
from zlib import crc32

import torch
import torch.distributed as dist
from torch import Tensor, nn

from dtc import whole_batch
from dtc.batch import Batch
from dtc.errors import InputError, reason_of
from dtc.training.devices_config import DevicesConfig

if TYPE_CHECKING:
    from accelerate import PartialState

BUCKET_BYTES = 25 << 20  # of gradients that are averaged at once
# While the main process logs sounds, saves or predicts mels, the others wait. One that has ended is noticed at once.
LONGEST_WAIT = timedelta(hours=6)
RETRY_S = 0.2  # between attempts to connect
Value = TypeVar("Value")


class RankLost(RuntimeError):
    """Another process of the training has ended or cannot be reached. The last checkpoint is intact."""


@dataclass(frozen=True)
class Devices:
    """The processes of a training, as one of them sees them, and its device.

    Args:
        device: where the model is.
        rank: its number; the process with rank 0 prints, logs and saves.
        world: the number of processes.
        group: that of torch.distributed; None with one process.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    rank: int = 0
    world: int = 1
    group: dist.ProcessGroup | None = None

    @property
    def is_main(self) -> bool:
        """Return whether this process prints, logs and saves."""
        return self.rank == 0

    @contextmanager
    def share(self, batch: Batch) -> Iterator[Batch]:
        """Yield this process's clips of a batch, padded as the whole batch is.

        Inside, dropout is drawn for the whole batch, and the mean of all processes' losses is the loss of it.

        Args:
            batch: the clips rank, rank + world, … of the whole batch; the first one where none is left.
        """
        if self.group is None:
            yield batch
            return
        sizes = torch.tensor([crc32(batch.ids[0].encode()), len(batch.ids), *batch.sizes])
        of_all = [torch.empty_like(sizes) for _ in range(self.world)]
        with _others_needed():
            dist.all_gather(of_all, sizes, group=self.group)
        firsts, counts, *largest = torch.stack(of_all).T
        has_own = (firsts != firsts[0]) | (torch.arange(self.world) == 0)
        share = whole_batch.Share(self.rank, self.world, int(counts[has_own].sum()), self._add_up)
        with whole_batch.shared(share):
            yield batch.padded(*(int(size.max()) for size in largest))

    def mean(self, values: Mapping[str, float]) -> dict[str, float]:
        """Return the mean of each number over the processes, the same bits in all of them."""
        if self.group is None:
            return dict(values)
        numbers = torch.tensor(list(values.values()), dtype=torch.float64)
        self._add_up(numbers)
        return dict(zip(values, (numbers / self.world).tolist(), strict=True))

    def any(self, is_so: bool) -> bool:
        """Return whether something is so in any process."""
        return is_so if self.group is None else self.mean({"": float(is_so)})[""] > 0.0

    def broadcast(self, value: Value) -> Value:
        """Return the main process's value, an object that can be pickled."""
        if self.group is None:
            return value
        values = [value]
        with _others_needed():
            dist.broadcast_object_list(values, src=0, group=self.group, device=torch.device("cpu"))
        return values[0]

    def gather(self, value: Value) -> list[Value]:
        """Return the values of all processes, objects that can be pickled, in the order of their ranks."""
        if self.group is None:
            return [value]
        values = [value] * self.world
        with _others_needed():
            dist.all_gather_object(values, value, group=self.group)
        return values

    def require_same(self, value: str, where: str, remedy: str) -> None:
        """Raise InputError unless this process has the same value as the main one."""
        if (main := self.broadcast(value)) != value:
            raise InputError(where, f"{value} in process {self.rank}", f"{main}, as in process 0", remedy)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace the gradients by their means over the processes.

        This is not left to DistributedDataParallel. It wraps one `forward`, whose backward pass reaches all parameters
        in every step. Here losses are computed by several methods of a module, and a learner may sit a step out.
        """
        if self.group is None:
            return
        for gradients in _buckets([each.grad for each in parameters if each.grad is not None]):
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            self._add_up(flat)
            parts = (flat / self.world).split([gradient.numel() for gradient in gradients])
            for gradient, part in zip(gradients, parts, strict=True):
                gradient.copy_(part.view_as(gradient))

    def barrier(self) -> None:
        """Wait until all processes are here."""
        self.mean({"": 0.0})

    def _add_up(self, values: Tensor) -> None:
        with _others_needed():
            dist.all_reduce(values, group=self.group)


def _buckets(gradients: list[Tensor]) -> Iterator[list[Tensor]]:
    """Yield the gradients in groups of one dtype, each of about BUCKET_BYTES or less."""
    bucket: list[Tensor] = []
    for gradient in sorted(gradients, key=lambda each: str(each.dtype)):  # which keeps the order of equal ones
        size = sum(each.nbytes for each in bucket)
        if bucket and (gradient.dtype != bucket[0].dtype or size + gradient.nbytes > BUCKET_BYTES):
            yield bucket
            bucket = []
        bucket.append(gradient)
    if bucket:
        yield bucket


@contextmanager
def _others_needed() -> Iterator[None]:
    """Turn the failure of a collective operation into RankLost."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        found = f"another process of this training has ended or cannot be reached ({reason_of(error)})"
        raise RankLost(f"process {os.environ.get('RANK')}: {found}; the last checkpoint is intact") from error


def is_started_with_others(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether this process was started as one of several, by torchrun or another launcher."""
    return "RANK" in environment and int(environment.get("WORLD_SIZE", 1)) > 1


@contextmanager
def joined(config: DevicesConfig, device: torch.device) -> Iterator[Devices]:
    """Yield this process among those of the training, once all of them are connected.

    Raises InputError, within `connect_s` seconds, where an address cannot be reached or a process is missing.

    Args:
        config: backend, patience and settings of PyTorch.
        device: cpu or cuda; with several processes on GPUs each takes the one with its local rank.
    """
    torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark = config.cudnn_enabled, config.cudnn_benchmark
    if config.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)  # PyTorch names an operation that has no such way
    if not is_started_with_others():
        yield Devices(device)
        return
    if device.index is not None:
        found = f"{device} for {os.environ['WORLD_SIZE']} processes"
        raise InputError("--device", found, "cuda, of which each process takes its own GPU, or cpu")
    state, group = _connected(config, device)
    devices = Devices(state.device, state.process_index, state.num_processes, group)
    yield devices  # where an error is raised here, the others may have ended: waiting for them would not
    devices.barrier()
    state.destroy_process_group()


def _connected(config: DevicesConfig, device: torch.device) -> tuple[PartialState, dist.ProcessGroup]:
    """Connect all processes, within `connect_s` seconds, and let them add up a number."""
    from accelerate import PartialState  # which takes a second: a training with one process does not need it

    address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    if os.environ["RANK"] != "0":
        _require_reachable(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), config.connect_s)
    on_gpu = device.type == "cuda"
    if config.backend == "nccl" and not on_gpu:
        raise InputError("run.devices.backend", "nccl, which has no CPU", "gloo or auto", "set it to auto")
    uses_nccl = config.backend == "nccl" or (config.backend == "auto" and on_gpu)
    backend = "cpu:gloo,cuda:nccl" if uses_nccl else "gloo"  # what all processes decide together is on the CPU
    try:
        with warnings.catch_warnings():  # under torchrun, it says that it chooses the number of threads
            warnings.filterwarnings("ignore", message="OMP_NUM_THREADS")
            state = PartialState(cpu=not on_gpu, backend=backend, timeout=timedelta(seconds=config.connect_s))
        count = torch.ones(1)
        dist.all_reduce(count)
        group = dist.new_group(timeout=LONGEST_WAIT)
    except (RuntimeError, ValueError) as error:
        missing = f"not all {os.environ['WORLD_SIZE']} processes connected within {config.connect_s:g} s"
        remedy = "start all of them, and let them reach one another"
        raise InputError(f"run.devices, {address}", f"{missing} ({reason_of(error)})", remedy=remedy) from None
    return state, cast(dist.ProcessGroup, group)


def _require_reachable(host: str, port: int, patience_s: float) -> None:
    """Raise InputError where no process listens at an address within some seconds."""
    deadline = time.monotonic() + patience_s
    while True:
        left = deadline - time.monotonic()
        try:
            socket.create_connection((host, port), timeout=max(left, RETRY_S)).close()
            return
        except socket.gaierror as error:
            reason = error.strerror or "unknown name"
        except OSError as error:
            reason = error.strerror or str(error)
            if left > RETRY_S:
                time.sleep(RETRY_S)
                continue
        remedy = "correct run.devices.master_address, or start node 0 and open the port"
        raise InputError(f"{host}:{port}", f"cannot be reached ({reason})", "process 0 of the training", remedy)
