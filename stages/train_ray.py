"""Train on a cluster: Ray Train starts the processes on any of its nodes, and starts them again where one is lost.

This process computes nothing. It prints what the first process of the training prints, and passes Ctrl-C and SIGTERM
on.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from dtc.errors import InputError, install_hint, plural, reason_of
from dtc.training.devices_config import DevicesConfig
from dtc.training.interrupts import stop_requests
from pipeline.ray_cluster import ray_cluster
from stages import paths
from stages.cli_errors import BROKE, DONE
from stages.launch import GRACE_S, report
from stages.ray_desk import BEGUN, END, FAILURE, STDOUT, Desk

if TYPE_CHECKING:
    from stages.ray_worker import Job

SECTION = "run.devices"
POLL_S = 0.2  # between looks at a request to stop
# Read by Ray Train: its second API, the time between looks at the workers, and no processes that are not needed.
SETTINGS = {
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
}


def train_on_ray(arguments: Sequence[str], config: DevicesConfig, device: str) -> int:
    """Run a training on the nodes of a Ray cluster, and return its exit code.

    Only its first process prints. Of the others, the errors of one that fails are printed.

    Args:
        arguments: of Python, which run the training.
        config: the section run.devices.
        device: what `--device` names.

    Raises InputError where Ray is not installed or does not answer, the cluster has no room for the processes, or it
    cannot start them.
    """
    os.environ.update(SETTINGS)
    with ray_cluster(SECTION, config.ray_address) as ray:
        try:
            from stages.ray_worker import Job
        except ImportError as error:  # of what Ray Train needs
            remedy = f"run {install_hint('ray')}, or set {SECTION}.engine to local"
            raise InputError(f"{SECTION}.engine", reason_of(error), remedy=remedy) from None
        count, resources = room_for(config, device, ray.nodes())
        paths.RUNS.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".ray-", dir=paths.RUNS.resolve()) as store:
            mark = Path(store, "mark")
            mark.touch()
            desk = ray.remote(num_cpus=0, scheduling_strategy=_on_this_node(ray))(Desk).remote()
            job = Job(tuple(arguments), Path.cwd(), mark, int(resources["CPU"]), desk)
            free = ray.available_resources()
            if any(free.get(name, 0) < count * each for name, each in resources.items()):
                sys.stdout.write("ray: waiting, as others use the cluster\n")
            done = _in_background(partial(_fit, job, count, resources, config.max_failures, store))
            return Watch(job, done, config.max_failures).until_the_end()


def room_for(config: DevicesConfig, device: str, nodes: Sequence[Mapping[str, Any]]) -> tuple[int, dict[str, int]]:
    """Return the number of processes, and the CPUs and GPUs of each: as many CPUs as there are, or OMP_NUM_THREADS.

    Raises InputError where they do not fit the cluster.

    Args:
        config: the section run.devices.
        device: what `--device` names.
        nodes: of the cluster, as `ray.nodes` returns them.
    """
    if ":" in device:
        raise InputError("--device", f"{device} with {SECTION}.engine ray", "cuda, of which Ray chooses, or cpu")
    there = [(int(each.get("CPU", 0)), int(each.get("GPU", 0))) for each in _resources(nodes)]
    cpus, gpus = (sum(counts) for counts in zip(*there, strict=True))
    if device == "cuda" and not gpus:
        raise InputError("--device", "cuda, of 0 GPUs in the cluster", remedy="use --device cpu, or add nodes")
    on_gpu = device != "cpu" and gpus > 0
    count = (gpus if on_gpu else 1) if config.processes == "auto" else config.processes
    asked = os.environ.get("OMP_NUM_THREADS", "").lstrip("0")
    sizes = [int(asked)] if asked.isdigit() else range(max(cpus, 1), 0, -1)

    def room(size: int) -> int:
        return sum(min(cpu // size, gpu) if on_gpu else cpu // size for cpu, gpu in there)

    for size in sizes:
        if room(size) >= count:
            return count, {"CPU": size, "GPU": int(on_gpu)}
    threads = f" with {plural(sizes[-1], 'CPU')} each, as OMP_NUM_THREADS asks" if sizes[-1] > 1 else ""
    found = f"{count}{threads}, of {plural(cpus, 'CPU')} and {plural(gpus, 'GPU')} in the cluster"
    raise InputError(f"{SECTION}.processes", found, f"at most {room(sizes[-1])}", "set it to less, or add nodes")


def _on_this_node(ray: Any) -> Any:
    node = ray.get_runtime_context().get_node_id()
    return ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)


def _resources(nodes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, float]]:
    return [node["Resources"] for node in nodes if node["Alive"]]


def _in_background(work: Any) -> Future[None]:
    """Run a function in a thread with which the process may end, and return its future."""
    done = Future[None]()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return done


def _fit(job: Job, count: int, resources: dict[str, int], max_failures: int, store: str) -> None:
    """Have Ray Train start the processes, and start them again after failures.

    In the main thread Ray Train would handle Ctrl-C itself.
    """
    import ray.train
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    from stages.ray_worker import Failures, OwnConnections, train_rank

    DataParallelTrainer(
        partial(train_rank, job),
        backend_config=OwnConnections(),
        scaling_config=ray.train.ScalingConfig(
            num_workers=count, use_gpu=resources["GPU"] > 0, resources_per_worker=resources
        ),
        run_config=ray.train.RunConfig(
            name="training",
            storage_path=store,  # where Ray keeps nothing: checkpoints are in the run's folder
            failure_config=ray.train.FailureConfig(max_failures=max_failures),
            callbacks=[Failures(job.desk)],  # type: ignore[list-item]
        ),
    ).fit()


class Watch:
    """Prints what a training on Ray prints, passes a request to stop on, and waits for the end.

    Args:
        job: what the workers know.
        done: the end of the training, as Ray sees it.
        max_failures: after so many, Ray gives up.
    """

    def __init__(self, job: Job, done: Future[None], max_failures: int) -> None:
        self.job, self.done, self.max_failures = job, done, max_failures
        self.failures = list[str]()
        self.running = False  # whether the processes are there
        self.deadline = float("inf")  # for processes that do not notice that another one has ended

    def until_the_end(self) -> int:
        """Return the exit code of the training.

        Raises InputError where Ray cannot start it; KeyboardInterrupt where it is stopped while no process is there.
        """
        with stop_requests(lambda line: None) as stop:  # the first process prints the line
            asked = False
            while not self.done.done() and time.monotonic() < self.deadline:
                self._print_new(POLL_S)
                if stop.requested and not self.running:
                    raise KeyboardInterrupt
                if stop.requested and not asked:
                    self.job.ask("stop")
                    asked = True
        self._print_new(0.0)
        if asked and not self.running:
            raise KeyboardInterrupt
        return self._code()

    def _print_new(self, patience_s: float) -> None:
        for kind, text in self.job.ask("read", patience_s):
            if kind == END:
                self.deadline = time.monotonic() + GRACE_S
            elif kind == BEGUN:
                self.running = True
            elif kind == FAILURE:
                self.running = False
                self.failures.append(text)
                if len(self.failures) <= self.max_failures:
                    number = f"{len(self.failures)} of {self.max_failures}"
                    sys.stdout.write(f"ray: {text}; starting again from the last checkpoint, {number}\n")
            else:
                (sys.stdout if kind == STDOUT else sys.stderr).write(text)
        sys.stdout.flush()

    def _code(self) -> int:
        import ray.train

        if ended := self.job.ask("ended"):
            return report(ended)
        try:
            self.done.result()
        except ray.train.ControllerError as error:
            found = f"Ray cannot start the training ({reason_of(error.controller_failure)})"
            remedy = "let all nodes have the same version of dtc, with its extras train and ray"
            raise InputError(f"{SECTION}.engine", found, remedy=remedy) from None
        except ray.train.WorkerGroupError:
            again = f", after {plural(len(self.failures) - 1, 'new start')}" if len(self.failures) > 1 else ""
            sys.stderr.write(f"dtc: {self.failures[-1]}{again}; the same command continues the training\n")
            return BROKE
        return DONE
