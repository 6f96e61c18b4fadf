"""Several processes train as one would, and say what keeps them from one another."""

import json
import os
import socket
import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from dtc.errors import InputError
from dtc.training import devices as devices_module
from dtc.training.devices import Devices, joined
from tests.conftest import REPOSITORY
from tests.dtc.tiny_acoustic import batch
from tests.training_params import devices_config

DEADLINE_S = 240.0
TOLERANCE = 1e-4
KINK = 1e-2  # of a gradient, in which a rounding error may change the sign of one term of an L1 loss
CPU = torch.device("cpu")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def rank_variables(rank: int, world: int, port: int, host: str = "127.0.0.1") -> dict[str, str]:
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(world),
        "LOCAL_WORLD_SIZE": str(world),
        "MASTER_ADDR": host,
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo",
    }


def start(rank: int, world: int, port: int, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, *arguments],
        env=os.environ | rank_variables(rank, world, port),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_two_processes_give_the_curves_of_one() -> None:
    """With dropout, random segments, batch normalisation, two learners, and batches of one clip."""
    port = free_port()
    processes = [start(rank, 2, port, "-m", "tests.dtc.training_of_ranks") for rank in range(2)]
    outputs = [process.communicate(timeout=DEADLINE_S) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    curves = json.loads(outputs[0][0])
    assert curves.pop("decisions") == {
        "any": [False, True],
        "broadcast": {"rank": 0},
        "gradients": [[0.5, 0.5, 0.5], [0.5, 0.5], None],
    }
    assert set(curves) == {"tacotron", "dtc", "parallel", "vocos", "waveglow"}
    for name, (together, alone) in curves.items():
        for step, (ours, theirs) in enumerate(zip(together, alone, strict=True)):
            assert ours.pop("grad_direction", 0.0) == pytest.approx(theirs.pop("grad_direction", 0.0), abs=KINK)
            assert ours == pytest.approx(theirs, rel=TOLERANCE, abs=TOLERANCE), f"{name}, step {step}"


def test_one_process_does_nothing() -> None:
    alone, example, parameter = Devices(), batch((5, 9), (7, 12)), nn.Parameter(torch.zeros(2))
    parameter.grad = torch.ones(2)
    alone.average_gradients([parameter])
    assert parameter.grad.tolist() == [1.0, 1.0]
    with alone.share(example) as own:
        assert own is example
    assert (alone.is_main, alone.any(True), alone.any(False), alone.broadcast("a")) == (True, True, False, "a")
    assert alone.mean({"loss": 0.1}) == {"loss": 0.1}


def test_one_process_connects_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    program = (
        "import sys, torch; from dtc.training.devices import joined; from tests.training_params import devices_config\n"
        "with joined(devices_config(), torch.device('cpu')) as devices: print(devices.world, 'accelerate' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=REPOSITORY)
    assert done.stdout == "1 False\n", done.stderr


@pytest.mark.parametrize(
    ("host", "reason"),
    [("127.0.0.1", "Connection refused"), ("nowhere.invalid", "")],
)
def test_an_address_that_cannot_be_reached_is_named(monkeypatch: pytest.MonkeyPatch, host: str, reason: str) -> None:
    port = free_port()
    for name, value in rank_variables(1, 2, port, host).items():
        monkeypatch.setenv(name, value)
    with (
        pytest.raises(InputError, match=rf"^{host}:{port}: cannot be reached \({reason}.*master_address"),
        joined(devices_config(connect_s=0.3), CPU),
    ):
        pass


def test_nccl_needs_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in rank_variables(0, 2, free_port()).items():
        monkeypatch.setenv(name, value)
    with (
        pytest.raises(InputError, match=r"^run.devices.backend: nccl, which has no CPU, expected gloo or auto"),
        joined(devices_config(backend="nccl"), CPU),
    ):
        pass


MISSING = """
import torch
from dtc.errors import InputError
from dtc.training.devices import joined
from tests.training_params import devices_config
try:
    with joined(devices_config(connect_s=2.0), torch.device("cpu")):
        pass
except InputError as error:
    print(error)
"""


def test_a_process_that_does_not_come_is_an_error() -> None:
    process = start(0, 2, port := free_port(), "-c", MISSING)
    printed, errors = process.communicate(timeout=DEADLINE_S)
    assert printed.startswith(f"run.devices, 127.0.0.1:{port}: not all 2 processes connected within 2 s ("), errors


LOST = """
import os, signal, sys, torch
from dtc.training.devices import RankLost, joined
from tests.training_params import devices_config
with joined(devices_config(), torch.device("cpu")) as devices:
    devices.barrier()
    if devices.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        devices.mean({"loss": 1.0})
    except RankLost as error:
        print(error, flush=True)
        os._exit(0)
"""


def test_a_process_that_is_killed_is_noticed_by_the_other() -> None:
    port = free_port()
    processes = [start(rank, 2, port, "-c", LOST) for rank in range(2)]
    printed, errors = processes[0].communicate(timeout=DEADLINE_S)
    processes[1].communicate(timeout=DEADLINE_S)
    assert printed.startswith("process 0: another process of this training has ended or cannot be reached ("), errors
    assert processes[1].returncode == -9


def test_gradients_are_averaged_in_buckets_of_one_dtype(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices_module, "BUCKET_BYTES", 16)
    sizes = [(2, torch.float32), (1, torch.float64), (2, torch.float32), (1, torch.float32), (9, torch.float64)]
    buckets = devices_module._buckets([torch.zeros(size, dtype=dtype) for size, dtype in sizes])
    assert [[(each.numel(), each.dtype) for each in bucket] for bucket in buckets] == [
        [(2, torch.float32), (2, torch.float32)],
        [(1, torch.float32)],
        [(1, torch.float64)],
        [(9, torch.float64)],
    ]


def test_a_gpu_is_not_named_where_each_process_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in rank_variables(0, 2, free_port()).items():
        monkeypatch.setenv(name, value)
    with (
        pytest.raises(InputError, match=r"^--device: cuda:1 for 2 processes"),
        joined(devices_config(), torch.device("cuda:1")),
    ):
        pass


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"url": "tcp://10.0.0.1:1", "master_address": "10.0.0.2"}, "with another master_address"),
        ({"num_nodes": 2}, "2 nodes without master_address"),
        ({"num_nodes": 2, "node_rank": 2, "url": "tcp://10.0.0.1:1"}, "node_rank 2 of 2 nodes"),
        ({"url": "file:///tmp/a"}, "pattern"),
        ({"processes": 0}, "processes"),
    ],
)
def test_settings_that_do_not_fit_one_another(changes: dict[str, object], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        devices_config(**changes)


def test_settings_of_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    cudnn = torch.backends.cudnn
    before = cudnn.enabled, cudnn.benchmark
    try:
        with joined(devices_config(cudnn_enabled=False, cudnn_benchmark=True, deterministic=True), CPU):
            assert (cudnn.enabled, cudnn.benchmark, torch.are_deterministic_algorithms_enabled()) == (False, True, True)
    finally:
        cudnn.enabled, cudnn.benchmark = before
        torch.use_deterministic_algorithms(False)
