"""`dtc train` in two processes: the numbers of one, one record, and an end for all where one of them ends."""

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
from stages import launch as launching
from stages.launch import launch, processes_to_start
from tests.conftest import REPOSITORY, Project, write_corpus
from tests.stages.conftest import prepare
from tests.training_params import ONE_PROCESS, devices_config

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
# A process of a training that does something to itself or to its parent after a step.
DISTURBED = """
import os, signal, sys, time
from dtc.errors import InputError
from dtc.training.loop import Training
rank, step, deed = sys.argv[1:4]
update = Training.update
def disturbed(self, learners):
    update(self, learners)
    if os.environ["RANK"] == rank and self.state.step == int(step):
        if deed == "refuse":
            raise InputError("clip-7", "a fault")
        os.kill(os.getppid() if deed == "SIGTERM" else os.getpid(), getattr(signal, deed))
        deadline = time.monotonic() + 60
        while not self.review.stop.requested and time.monotonic() < deadline:
            time.sleep(0.01)  # until the parent has passed it on
Training.update = disturbed
sys.argv = ["dtc", "train", "acoustic", "--device", "cpu"]
from stages.__main__ import main
main()
"""
PARENT = """
import sys
from stages.launch import launch
from tests.training_params import ONE_PROCESS
sys.exit(launch([sys.executable, *sys.argv[1:]], 2, ONE_PROCESS))
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


def disturbed(rank: int, step: int, deed: str) -> "subprocess.CompletedProcess[str]":
    return command("-c", PARENT, "-c", DISTURBED, str(rank), str(step), deed)


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
def test_when_one_is_killed_all_end_and_the_run_continues(project: Project, undisturbed: Result) -> None:
    killed = disturbed(1, 3, "SIGKILL")
    assert killed.returncode == 1
    assert killed.stderr == "dtc: process 1 was killed by SIGKILL; the same command continues the training\n"
    assert_ends_as(undisturbed)


@pytest.mark.slow
def test_sigterm_stops_all_after_the_same_step(project: Project, undisturbed: Result) -> None:
    """Sent to the process that started them."""
    stopped = disturbed(1, 3, "SIGTERM")
    assert stopped.returncode == 130
    assert (
        stopped.stderr == "dtc: acoustic: stopped at step 3 of 8, saved; `dtc train acoustic --device cpu` continues\n"
    )
    assert_ends_as(undisturbed)


@pytest.mark.slow
def test_the_fault_that_one_process_finds_is_one_line(project: Project) -> None:
    done = disturbed(1, 2, "refuse")
    assert (done.returncode, done.stderr) == (2, "dtc: clip-7: a fault\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher",
    [
        ["torch.distributed.run", "--nproc-per-node", "2"],
        ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"],
    ],
)
def test_another_launcher_starts_the_processes(project: Project, launcher: list[str]) -> None:
    done = command("-m", *launcher, "-m", "stages.cli", "train", "acoustic", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("fingerprint") == 1
    assert len(result().curve.splitlines()) > STEPS


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
    monkeypatch.setattr(launching, "GRACE_S", 1.0)
    assert launch(program(tmp_path, first, second), 2, ONE_PROCESS) == code
    assert capsys.readouterr().err == line


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


def test_addresses_and_ranks_of_the_processes_of_a_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    config = devices_config(num_nodes=2, node_rank=1, url="tcp://10.0.0.1:29500")
    first, second = launching._environments(2, config)
    assert (first["RANK"], second["RANK"], first["LOCAL_RANK"], second["LOCAL_RANK"]) == ("2", "3", "0", "1")
    assert (first["WORLD_SIZE"], first["MASTER_ADDR"], first["MASTER_PORT"]) == ("4", "10.0.0.1", "29500")
    assert "GLOO_SOCKET_IFNAME" not in first
    alone = list(launching._environments(2, ONE_PROCESS))
    assert {each["MASTER_ADDR"] for each in alone} == {"127.0.0.1"}
    assert len({each["MASTER_PORT"] for each in alone}) == 1
