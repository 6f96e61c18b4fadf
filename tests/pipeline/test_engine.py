"""pipeline.engine: results in the jobs' order whoever computes, few jobs in memory, and a killed worker told."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from dtc.errors import InputError
from pipeline.config import DistributedConfig
from pipeline.engine import run

LOCAL = DistributedConfig(engine="local", workers=0, ray_address=None)


def config(workers: int, engine: str = "local") -> DistributedConfig:
    return LOCAL.model_copy(update={"engine": engine, "workers": workers})


# What the workers do stands at the top of a module, where a process of its own can find it.
def square(number: int) -> int:
    return number * number


def refuse_seven(number: int) -> int:
    if number == 7:
        raise InputError("job 7", "a seven", "another number", "take it out")
    return number


def facts(_: int) -> tuple[int, int]:
    return os.getpid(), torch.get_num_threads()


def kill_oneself(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def wait_for_ever(folder: Path) -> None:
    (folder / str(os.getpid())).touch()
    signal.pause()


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_results_come_in_the_order_of_the_jobs(workers: int) -> None:
    assert list(run(square, range(20), config(workers))) == [number * number for number in range(20)]


@pytest.mark.parametrize("workers", [0, 2])
def test_no_jobs(workers: int) -> None:
    assert list(run(square, [], config(workers))) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_arrives_whole(workers: int) -> None:
    results = run(refuse_seven, range(10), config(workers))
    with pytest.raises(InputError) as error:
        list(results)
    assert str(error.value) == "job 7: a seven, expected another number; take it out"
    assert error.value.remedy == "take it out"


@pytest.mark.parametrize("workers", [0, 2])
def test_every_worker_computes_with_one_thread(workers: int) -> None:
    before = torch.get_num_threads()
    found = set(run(facts, range(8), config(workers)))
    assert {threads for _, threads in found} == {1}
    assert (os.getpid() in {pid for pid, _ in found}) is (workers == 0)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("workers", "most"), [(0, 1), (2, 4)])
def test_jobs_are_drawn_as_they_are_needed(workers: int, most: int) -> None:
    drawn = 0

    def jobs() -> Iterator[int]:
        nonlocal drawn
        for number in range(50):
            drawn += 1
            yield number

    for done, _ in enumerate(run(square, jobs(), config(workers))):
        assert drawn - done <= most


def test_a_killed_worker_is_told() -> None:
    with pytest.raises(InputError) as error:
        list(run(kill_oneself, range(8), config(2)))
    assert str(error.value) == (
        "a worker process: died (killed, or out of memory); "
        "run it again: what is finished is kept; fewer distributed.workers need less memory"
    )


MASTER = """
import sys
from pathlib import Path
from test_engine import config, run, wait_for_ever
if __name__ == "__main__":
    list(run(wait_for_ever, [Path(sys.argv[1])] * 2, config(2)))
"""


def _wait_but_for_the_first(job: int) -> int:
    if job:
        signal.pause()  # until it is killed
    return job


def test_an_end_does_not_wait_for_the_jobs_at_work() -> None:
    results = run(_wait_but_for_the_first, range(6), config(2))
    assert next(results) == 0
    results.close()  # type: ignore[attr-defined]
    assert multiprocessing.active_children() == []


def test_workers_do_not_outlive_a_killed_master(tmp_path: Path) -> None:
    (tmp_path / "master.py").write_text(MASTER)
    (folder := tmp_path / "workers").mkdir()
    here = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2])])}
    master = subprocess.Popen([sys.executable, tmp_path / "master.py", folder], env=here)
    while len(workers := list(folder.iterdir())) < 2:
        assert master.poll() is None
        time.sleep(0.01)  # real processes: there is nothing else to wait on
    master.kill()
    master.wait()
    for worker in workers:
        while Path("/proc", worker.name).exists():
            time.sleep(0.01)


NEVER_STARTING = """
import pipeline.engine
from test_engine import config, run, square
if __name__ == "__main__":
    pipeline.engine.PRELOADED = ["never_imported"]
    try:
        list(run(square, range(4), config(2)))
    except KeyboardInterrupt:
        print("interrupted")
"""
NEVER_IMPORTED = """
import pathlib, signal, sys
if "forkserver" in " ".join(sys.orig_argv):
    pathlib.Path("importing").touch()
    while True:
        signal.pause()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked from a process on Linux alone")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_does_not_wait_for_workers_that_start(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "master.py").write_text(NEVER_STARTING)
    (tmp_path / "never_imported.py").write_text(NEVER_IMPORTED)
    paths = map(str, (tmp_path, Path(__file__).parent, Path(__file__).parents[2]))
    master = subprocess.Popen(
        [sys.executable, "master.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / "importing").exists():
        assert master.poll() is None
        time.sleep(0.01)  # real processes: there is nothing else to wait on
    os.killpg(master.pid, number)
    # Standard error ends when the last process that has inherited it has ended.
    assert master.communicate(timeout=60) == ("interrupted\n", "")


@pytest.fixture
def deaf_address() -> Iterator[str]:
    """The address of a port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_a_ray_address_where_nothing_answers(deaf_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setattr("pipeline.ray_cluster.CONNECTION_S", 1.0)
    with pytest.raises(InputError) as error:
        list(run(square, [1], config(0, "ray").model_copy(update={"ray_address": deaf_address})))
    assert str(error.value) == (
        f"distributed.ray_address: {deaf_address}: no answer in 1 s, expected the address of a running cluster; "
        "correct it, or set it to null for a cluster on this machine"
    )


def test_a_wrong_ray_address_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(InputError) as error:
        list(run(square, [1], config(0, "ray").model_copy(update={"ray_address": "nowhere"})))
    reason = "ValueError: Invalid address format: nowhere"
    assert str(error.value).startswith(f"distributed.ray_address: nowhere: {reason}")
    assert "\n" not in str(error.value)
