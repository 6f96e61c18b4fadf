"""`run.devices.engine: ray`: what a worker of Ray does, and what is refused. Ray itself is not started here.

test_processes_of_a_training.py trains on a Ray of this machine.
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from dtc.errors import InputError
from stages.launch import Ended
from stages.ray_desk import FAILURE, STDOUT, Desk
from stages.train_ray import Watch, room_for, train_on_ray
from tests.training_params import devices_config


def node(cpus: int, gpus: int = 0, alive: bool = True) -> Mapping[str, Any]:
    return {"Alive": alive, "Resources": {"CPU": float(cpus), "GPU": float(gpus), "memory": 1e9}}


@pytest.mark.parametrize(
    ("processes", "device", "threads", "nodes", "expected"),
    [
        (2, "cpu", "", [node(8)], (2, {"CPU": 4, "GPU": 0})),
        (2, "cpu", "1", [node(8)], (2, {"CPU": 1, "GPU": 0})),
        (2, "cpu", "0", [node(8)], (2, {"CPU": 4, "GPU": 0})),
        (3, "cpu", "", [node(4), node(3), node(64, alive=False)], (3, {"CPU": 2, "GPU": 0})),
        ("auto", "cpu", "", [node(8, 2)], (1, {"CPU": 8, "GPU": 0})),
        ("auto", "auto", "", [node(8), node(2)], (1, {"CPU": 8, "GPU": 0})),
        ("auto", "auto", "", [node(8, 2), node(12, 1), node(99)], (3, {"CPU": 4, "GPU": 1})),
        (2, "cuda", "", [node(8, 2), node(8, 2)], (2, {"CPU": 8, "GPU": 1})),
    ],
)
def test_the_processes_and_their_share_of_the_cluster(
    monkeypatch: pytest.MonkeyPatch, processes: object, device: str, threads: str, nodes: Any, expected: object
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert room_for(devices_config(engine="ray", processes=processes), device, nodes) == expected


@pytest.mark.parametrize(
    ("processes", "device", "threads", "line"),
    [
        (4, "cpu", "", "run.devices.processes: 4, of 3 CPUs and 1 GPU in the cluster, expected at most 3; "),
        (2, "cuda", "", "run.devices.processes: 2, of 3 CPUs and 1 GPU in the cluster, expected at most 1; "),
        (3, "cpu", "2", "run.devices.processes: 3 with 2 CPUs each, as OMP_NUM_THREADS asks, of 3 CPUs and 1 GPU in "),
        (1, "cuda:1", "", "--device: cuda:1 with run.devices.engine ray, expected cuda, of which Ray chooses, or cpu"),
    ],
)
def test_more_processes_than_the_cluster_has_room_for(
    monkeypatch: pytest.MonkeyPatch, processes: int, device: str, threads: str, line: str
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    with pytest.raises(InputError) as error:
        room_for(devices_config(engine="ray", processes=processes), device, [node(2, 1), node(1)])
    assert str(error.value).startswith(line)


def test_a_cluster_without_gpus_is_named() -> None:
    with pytest.raises(InputError) as error:
        room_for(devices_config(engine="ray"), "cuda", [node(2)])
    assert str(error.value) == "--device: cuda, of 0 GPUs in the cluster; use --device cpu, or add nodes"


def test_ray_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError) as error:
        train_on_ray([], devices_config(engine="ray"), "cpu")
    assert str(error.value) == (
        "run.devices.engine: ray is not installed; run pip install 'dueling-turing-classifier[ray]', or set "
        "run.devices.engine to local"
    )


def test_an_address_without_a_cluster() -> None:
    pytest.importorskip("ray")
    with pytest.raises(InputError, match=r"^run.devices.ray_address: no address: ValueError: Invalid address format"):
        train_on_ray([], devices_config(engine="ray", ray_address="no address"), "cpu")


def test_ray_knows_the_nodes_itself() -> None:
    with pytest.raises(ValidationError, match="num_nodes 2 with engine ray, expected 1: Ray knows the nodes"):
        devices_config(engine="ray", num_nodes=2, url="tcp://10.0.0.1:29500")


class Here:
    """A desk in this process, which a worker asks as it would ask the actor."""

    def __init__(self) -> None:
        self.desk, self.runner = Desk(), asyncio.Runner()

    def ask(self, method: str, *arguments: Any) -> Any:
        if method == "stopped":  # in a thread of its own, which ends with this process
            threading.Event().wait()
        return self.runner.run(getattr(self.desk, method)(*arguments))


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Here]:
    """This process is one of two workers of Ray, alone on its machine."""
    pytest.importorskip("pandas")
    pytest.importorskip("ray")
    from stages import ray_worker

    here = Here()
    place = {"get_world_rank": 1, "get_world_size": 2, "get_local_rank": 0, "get_local_world_size": 1}
    context = SimpleNamespace(**{name: lambda value=value: value for name, value in place.items()})
    monkeypatch.setattr("ray.train.get_context", lambda: context)
    monkeypatch.setattr("ray.util.get_node_ip_address", lambda: "10.0.0.2")
    monkeypatch.setattr(ray_worker, "broadcast_from_rank_zero", lambda own: ("10.0.0.1", 29500))
    monkeypatch.setattr(ray_worker, "barrier", lambda: None)
    monkeypatch.setattr(ray_worker, "GRACE_S", 0.0)
    monkeypatch.setattr(ray_worker.Job, "ask", lambda job, *arguments: here.ask(*arguments))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with here.runner:
        yield here


def run_worker(folder: Path, program: str, mark: str = "mark") -> None:
    from stages.ray_worker import Job, train_rank

    (folder / "mark").touch()
    train_rank(Job(("-c", f"import os, signal, sys; {program}"), folder, folder / mark, 3, None))


def test_a_worker_starts_a_process_in_the_project_with_its_place_among_all(here: Here, tmp_path: Path) -> None:
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "OMP_NUM_THREADS")
    run_worker(tmp_path, f"print(*map(os.environ.get, {names}), file=open('found', 'w'))")
    assert (tmp_path / "found").read_text() == "1 2 0 10.0.0.1 29500 3\n"
    assert here.ask("ended") == []


@pytest.mark.parametrize(("code", "line"), [(2, "dtc: a fault\n"), (1, "dtc: it diverged\n"), (130, "dtc: stopped\n")])
def test_how_a_process_ends_that_is_not_started_again(here: Here, tmp_path: Path, code: int, line: str) -> None:
    run_worker(tmp_path, f"sys.stderr.write({line!r}); sys.exit({code})")
    assert here.ask("ended") == [Ended(1, code, line)]


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "process 1 was killed by SIGKILL"),
        ("sys.exit(3)", "process 1 has lost the others"),
    ],
)
def test_a_process_that_is_lost_is_started_again(here: Here, tmp_path: Path, program: str, reason: str) -> None:
    from stages.ray_worker import ProcessLost

    with pytest.raises(ProcessLost, match=reason):
        run_worker(tmp_path, program)
    assert here.ask("ended") == []


def test_a_process_that_has_lost_one_with_a_fault_is_not(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stages import ray_worker

    def ask(job: object, method: str, *arguments: Any) -> Any:
        if method == "is_over" and (tmp_path / "begun").exists():
            here.ask("end", Ended(0, 2, ""))
        return here.ask(method, *arguments)

    monkeypatch.setattr(ray_worker.Job, "ask", ask)
    run_worker(tmp_path, "open('begun', 'w'); sys.exit(3)")
    assert here.ask("ended") == [Ended(0, 2, "")]


def test_a_node_that_does_not_see_the_folder_starts_nothing(here: Here, tmp_path: Path) -> None:
    run_worker(tmp_path, "open('started', 'w')", mark="of another machine")
    line = (
        f"dtc: {tmp_path}: is not on the node 10.0.0.2, or is another folder there, expected a folder that all nodes "
        "share; mount it at the same path on all of them\n"
    )
    assert here.ask("ended") == [Ended(1, 2, line)]
    assert not (tmp_path / "started").exists()


def ended_with(error: Exception, max_failures: int = 0) -> int:
    """The exit code of a command whose training Ray has ended."""
    from stages.ray_worker import Job

    done = Future[None]()
    done.set_exception(error)
    return Watch(Job((), Path(), Path(), 1, None), done, max_failures).until_the_end()


def test_after_so_many_failures_it_gives_up(here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    import ray.train

    for _ in range(2):
        here.ask("write", FAILURE, "process 1 was killed by SIGKILL")
    assert ended_with(ray.train.WorkerGroupError("", {}), max_failures=1) == 1
    assert capsys.readouterr() == (
        "ray: process 1 was killed by SIGKILL; starting again from the last checkpoint, 1 of 1\n",
        "dtc: process 1 was killed by SIGKILL, after 1 new start; the same command continues the training\n",
    )


def test_a_fault_is_told_though_another_process_was_lost(here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    import ray.train

    here.ask("end", Ended(1, 2, "dtc: a fault\n"))
    assert ended_with(ray.train.WorkerGroupError("", {})) == 2
    assert capsys.readouterr().err == "dtc: a fault\n"


def test_ctrl_c_while_no_process_is_there(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """As while Ray waits for others who use the cluster."""
    from stages.ray_worker import Job

    monkeypatch.setattr("stages.train_ray.POLL_S", 0.01)
    watch = Watch(Job((), Path(), Path(), 1, None), Future(), 0)
    here.ask("write", STDOUT, "a line\n")
    monkeypatch.setattr("sys.stdout", SimpleNamespace(write=lambda text: interrupt(), flush=lambda: None))
    with pytest.raises(KeyboardInterrupt):
        watch.until_the_end()


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_a_node_that_cannot_load_dtc(here: Here) -> None:
    import ray.train

    with pytest.raises(InputError) as error:
        ended_with(ray.train.ControllerError(ModuleNotFoundError("No module named 'stages'")))
    assert str(error.value) == (
        "run.devices.engine: Ray cannot start the training (No module named 'stages'); let all nodes have the same "
        "version of dtc, with its extras train and ray"
    )
