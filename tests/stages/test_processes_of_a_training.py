"""`dtc train` in two processes, also on Ray: the numbers of one, one record, and an end for all where one ends."""

import csv
import os
import re
import shutil
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dtc.training.run_files import CURVE, TENSORBOARD
from stages.train_ray import train_on_ray
from tests.conftest import REPOSITORY, Project, write_corpus
from tests.stages.conftest import prepare
from tests.stages.test_launch import PARENT
from tests.training_params import devices_config

DEADLINE_S = 120.0
STEPS = 8
TOLERANCE = 1e-4  # of float32 sums in another order, over STEPS steps
EDITS = {
    "training.acoustic.batch_size": 4,
    "training.acoustic.epochs": None,
    "training.acoustic.max_steps": STEPS,
    "run.acoustic.epochs_save": 2,
    "run.acoustic.epochs_test": 1,
    "run.acoustic.tensorboard_update": 1,
    "run.acoustic.dataloader.train_set.num_workers": 2,
    # All that has a state: it goes on after a kill.
    "training.acoustic.weight_average": 0.9,
    "training.acoustic.keep_best": "loss",
    "training.acoustic.early_stopping": {"metric": "loss", "patience": 9, "min_delta": 0.0},
    "training.acoustic.lr_scheduler": {
        "type": "reduce_lr_on_plateau",
        "metric": "loss",
        "factor": 0.5,
        "patience": 0,
        "min_delta": 9.0,  # each validation but the first has no such gain
        "min_share": 0.0,
    },
    "run.devices.processes": 2,
}
# A training whose processes do deeds after steps, each once: "rank@step=refuse" or "rank@step=SIGNAL:process".
DISTURBED = """
import os, signal, sys, time
from pathlib import Path
from dtc.errors import InputError
from dtc.training.loop import Training
deeds = dict(each.split("=") for each in sys.argv[1:])
update = Training.update
def disturbed(self, learners):
    update(self, learners)
    here = f"{os.environ['RANK']}@{self.state.step}"
    if here not in deeds or Path("runs", here).exists():
        return
    Path("runs", here).touch()
    if deeds[here] == "refuse":
        raise InputError("clip-7", "a fault")
    name, process = deeds[here].split(":")
    known = {"self": os.getpid(), "parent": os.getppid()}
    os.kill(known.get(process) or int(process), getattr(signal, name))
    deadline = time.monotonic() + 60
    while not self.review.stop.requested and time.monotonic() < deadline:
        time.sleep(0.01)  # until it is ended, or asked to stop
Training.update = disturbed
sys.argv = ["dtc", "train", "acoustic", "--device", "cpu"]
from stages.__main__ import main
main()
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    root = tmp_path_factory.mktemp("ranks")
    project = Project(root, write_corpus(root / "recordings", 20))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
        patch.setenv("OMP_NUM_THREADS", "1")
        project.write_params(EDITS)
        prepare(project)
        yield project


@pytest.fixture
def project(prepared: Project) -> Iterator[Project]:
    """Features are there, and no run."""
    yield prepared
    for folder in ("runs", "models"):
        shutil.rmtree(folder, ignore_errors=True)


class Result(NamedTuple):
    weights: dict[str, torch.Tensor]
    curve: str
    points: dict[str, list[tuple[int, float]]]  # of TensorBoard; those of the machine have no value


def result() -> Result:
    [run] = Path("runs").glob("acoustic-*")
    shown = EventAccumulator(str(run / TENSORBOARD)).Reload()
    points = {
        tag: [(each.step, 0.0 if tag.startswith("run/") else each.value) for each in shown.Scalars(tag)]
        for tag in shown.Tags()["scalars"]
    }
    return Result(load_file("models/acoustic/model.safetensors"), (run / CURVE).read_text(), points)


@pytest.fixture(scope="module")
def undisturbed(prepared: Project) -> Result:
    """The result of two processes."""
    done = train()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("fingerprint") == 1, "one table"
    [run] = Path("runs").glob("acoustic-*")
    writers = {re.sub(r".*\.(\d+)\.\d+(\.from-.*)?$", r"\1", file.name) for file in run.glob("tensorboard/*")}
    assert len(writers) == 1, "one process"
    found = result()
    for folder in ("runs", "models"):
        shutil.rmtree(folder)
    return found


def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=DEADLINE_S)


def train() -> "subprocess.CompletedProcess[str]":
    return command("-m", "stages", "train", "acoustic", "--device", "cpu")


def disturbed(*deeds: str) -> "subprocess.CompletedProcess[str]":
    return command("-c", PARENT, "-c", DISTURBED, *deeds)


def assert_ends_as(undisturbed: Result) -> None:
    done = train()
    assert (done.returncode, done.stderr) == (0, "")
    assert "continuing from step" in done.stdout
    weights, curve, points = result()
    assert (curve, points) == (undisturbed.curve, undisturbed.points)
    torch.testing.assert_close(weights, undisturbed.weights, rtol=0, atol=0)


@pytest.mark.slow
def test_two_processes_train_as_one(project: Project, undisturbed: Result) -> None:
    project.write_params(EDITS | {"run.devices.processes": 1})
    project.run("train", "acoustic", "--device", "cpu")
    project.write_params(EDITS)
    weights, curve, _ = result()
    torch.testing.assert_close(undisturbed.weights, weights, rtol=0, atol=TOLERANCE)
    rows = (csv.DictReader(each.splitlines()) for each in (undisturbed.curve, curve))
    for ours, theirs in zip(*rows, strict=True):
        assert (ours.pop("step"), ours.pop("split")) == (theirs.pop("step"), theirs.pop("split"))
        numbers = [{name: float(value) for name, value in row.items() if value} for row in (ours, theirs)]
        assert numbers[0] == pytest.approx(numbers[1], abs=TOLERANCE)


@pytest.mark.slow
def test_a_fault_a_kill_and_sigterm_end_all_and_the_run_continues(project: Project, undisturbed: Result) -> None:
    """Each disturbs what the one before has left. SIGTERM is sent to the process that started the others."""
    deeds = ("1@1=refuse", "1@3=SIGKILL:self", "1@5=SIGTERM:parent")
    ends = [
        (2, "dtc: clip-7: a fault\n"),
        (1, "dtc: process 1 was killed by SIGKILL; the same command continues the training\n"),
        (130, "dtc: acoustic: stopped at step 5 of 8, saved; `dtc train acoustic --device cpu` continues\n"),
    ]
    for end in ends:
        done = disturbed(*deeds)
        assert (done.returncode, done.stderr) == end
    assert "continuing from step 2 of 8" in done.stdout
    assert_ends_as(undisturbed)


@pytest.mark.slow
def test_torchrun_starts_the_processes(project: Project) -> None:
    launcher = ("torch.distributed.run", "--nproc-per-node", "2")
    done = command("-m", *launcher, "-m", "stages.cli", "train", "acoustic", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("fingerprint") == 1
    assert len(result().curve.splitlines()) > STEPS


TELL = """
import os
from pathlib import Path
names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR")
Path(f"rank-{os.environ['RANK']}").write_text(" ".join(os.environ[name] for name in names))
int(os.environ["MASTER_PORT"])
"""


@pytest.mark.slow
def test_accelerate_launch_tells_each_process_its_place_among_all(project: Project) -> None:
    Path("tell.py").write_text(TELL)
    options = ("--multi_gpu", "--num_processes", "2", "--main_process_port", "0")
    done = command("-m", "accelerate.commands.launch", *options, "tell.py")
    assert done.returncode == 0, done.stderr
    assert [Path(f"rank-{rank}").read_text() for rank in "01"] == ["0 2 0 127.0.0.1", "1 2 1 127.0.0.1"]


@pytest.mark.slow
def test_an_address_where_something_else_answers_is_one_line(project: Project) -> None:
    """As a proxy does that answers for every address."""
    with socketserver.TCPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"tcp://127.0.0.1:{server.server_address[1]}"
        node = {"processes": 1, "num_nodes": 2, "node_rank": 1, "url": url, "connect_s": 1.0}
        project.write_params(EDITS | {f"run.devices.{key}": value for key, value in node.items()})
        done = train()
        project.write_params(EDITS)
        server.shutdown()
    assert done.returncode == 2
    assert done.stderr.startswith(f"dtc: run.devices, {url.removeprefix('tcp://')}: not all 2 processes connected")
    assert done.stderr.count("\n") == 1


class Answering(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.fixture(scope="module")
def local_ray(prepared: Project) -> Iterator[None]:
    """A Ray of this machine that all tests share."""
    pytest.importorskip("pandas")
    ray = pytest.importorskip("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.mark.slow
@pytest.mark.timeout(900)  # Ray starts about twenty processes, which take long on a busy machine
def test_ray_starts_processes_again_that_are_killed(
    project: Project, local_ray: None, undisturbed: Result, capfd: pytest.CaptureFixture[str]
) -> None:
    """And Ctrl-C saves, as without Ray. The result is that of processes that `dtc train` starts."""
    config = devices_config(engine="ray", processes=2, max_failures=1)
    deeds = ["1@3=SIGKILL:parent", f"1@6=SIGINT:{os.getpid()}"]
    assert train_on_ray(["-c", DISTURBED, *deeds], config, "cpu") == 130
    out, err = capfd.readouterr()
    assert [line for line in out.splitlines() if line.startswith("ray: ") or "continuing" in line] == [
        "ray: the Ray worker of process 1 died; starting again from the last checkpoint, 1 of 1",
        "acoustic: continuing from step 2 of 8",
    ]
    assert err == "dtc: acoustic: stopped at step 6 of 8, saved; `dtc train acoustic --device cpu` continues\n"
    assert_ends_as(undisturbed)
