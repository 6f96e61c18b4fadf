"""The training loop: its overhead, the time until it trains, and its memory.

    python benchmarks/loop.py [--steps 200] [--rounds 3]

It trains the acoustic model of the preset `smoke`; for the memory over many steps its vocoder, which is faster. All
times are processor time, of all threads, so that other programs on the machine do not count.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from statistics import median

from loader import SMOKE, write_features
from machine import write_results
from rich.console import Console
from torch import nn

from dtc.audio import MelStatistics
from dtc.batch import Batch
from dtc.seeding import seed_all
from dtc.training.config import RunConfig
from dtc.training.event_log import read_events
from dtc.training.logbook import Logbook
from dtc.training.loop import train
from dtc.training.optim import build_optimizer
from dtc.training.run_files import EVENTS
from dtc.training.task import Task
from pipeline.batching import Batching
from pipeline.loader import ShardLoader
from stages.kinds import KINDS
from stages.params import load_params

NEVER = 10**9  # steps
CLIPS = 128
# Trains until a step is done, prints the processor time that it took, and is killed.
FIRST_STEP = """
import os, signal, time
from dtc.training import loop
do_step, wanted = loop.Training.do_step, int(os.environ["STEPS"])
def timed(training, batches):
    values = do_step(training, batches)
    if training.state.step == wanted:
        training.review.save()
        print(time.process_time(), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    return values
loop.Training.do_step = timed
from stages.__main__ import main
main()
"""


class InMemory:
    """Batches that are read already, again in every epoch."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches, self.batches_per_epoch = batches, len(batches)

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches from a number on."""
        yield from self.batches[first:]


def main() -> None:
    """Measure, print and write results/benchmarks/loop.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-steps", type=int, default=2000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        loader = ShardLoader(write_features(folder / "features", CLIPS), "train", Batching(8, seed=1))
        batches = InMemory(list(loader.epoch(0)))
        measured = (
            lambda: memory(batches, folder / "memory", arguments.memory_steps),  # before others leave memory to return
            lambda: starts(folder / "project"),
            lambda: overhead(batches, folder, arguments.steps, arguments.rounds),
        )
        rows: dict[str, float] = {}
        for measure in measured:
            found = measure()
            print(*(f"{figure}: {value:.4g}" for figure, value in found.items()), sep="\n", flush=True)
            rows |= found
    print(write_results("loop", rows))


def overhead(batches: InMemory, folder: Path, steps: int, rounds: int) -> dict[str, float]:
    """Compare the loop, with its logging, and bare forward, backward and step, in turn, on the same batches."""
    bare, whole = list[float](), list[float]()
    for number in range(rounds):
        bare.append(bare_seconds("acoustic", batches, steps))
        whole.append(loop_seconds("acoustic", batches, steps, folder / str(number)))
    shares = [with_loop / without - 1 for with_loop, without in zip(whole, bare, strict=True)]
    return {
        "bare_ms_per_step": 1e3 * median(bare) / steps,
        "loop_ms_per_step": 1e3 * median(whole) / steps,
        "overhead_share": median(shares),
    }


def bare_seconds(name: str, batches: InMemory, steps: int) -> float:
    """Return the processor time of so many steps without the loop; a step before them warms up."""
    model = new_model(name)
    optimizer = build_optimizer(model.parameters(), getattr(load_params(SMOKE).training, name).optimizer)
    started = 0.0
    for number, batch in enumerate(islice(cycle(batches.batches), steps + 1)):
        if number == 1:
            started = time.process_time()
        optimizer.zero_grad(set_to_none=True)
        model.training_loss(batch, number)["loss"].backward()
        optimizer.step()
    return time.process_time() - started


def loop_seconds(name: str, batches: InMemory, steps: int, folder: Path) -> float:
    """Return the processor time of so many steps in the loop, after a first step, until its end."""
    started = list[float]()

    class Timed(Logbook):
        def advance(self, step: int, *others: object) -> None:
            super().advance(step, *others)
            if not started:
                started.append(time.process_time())

    run_loop(name, batches, steps + 1, Timed(folder, name, Console(quiet=True)))
    return time.process_time() - started[0]


def run_loop(name: str, batches: InMemory, steps: int, logbook: Logbook) -> None:
    """Train without validation, pictures and checkpoints until the end."""
    params = load_params(SMOKE)
    config = getattr(params.training, name).model_copy(update={"epochs": None, "max_steps": steps})
    how: RunConfig = getattr(params.run, name).model_copy(
        update={"epochs_test": NEVER, "predict": NEVER, "epochs_save": NEVER}
    )
    short = InMemory(batches.batches[:1])
    train(Task(new_model(name), batches, short, lambda *_: None), config, how, logbook.folder, logbook)


def new_model(name: str) -> nn.Module:
    """Return the module of the preset `smoke` that is trained."""
    params = load_params(SMOKE)
    seed_all("weights")
    statistics = MelStatistics.neutral(params.audio.n_mel_channels)
    return KINDS[name].parts.build(getattr(params, name), params.audio, statistics).for_training()


def starts(project: Path) -> dict[str, float]:
    """Return the processor time from the start of `dtc train` to its first step, and, killed, to its next one."""
    project.mkdir()
    (project / "params.yaml").write_bytes(SMOKE.read_bytes())
    for stage in ("download", "verify", "preprocess"):
        run_stage(project, "-m", "stages", stage)
    return {"start_to_first_step_s": first_step(project, 1), "killed_to_next_step_s": first_step(project, 2)}


def first_step(project: Path, step: int) -> float:
    """Return the processor time of a process that trains up to this step and is killed."""
    train_acoustic = ("train", "acoustic", "--device", "cpu")
    return float(
        run_stage(project, "-c", FIRST_STEP, *train_acoustic, steps=step, code=-signal.SIGKILL).splitlines()[-1]
    )


def run_stage(project: Path, *arguments: str, steps: int = 0, code: int = 0) -> str:
    """Run Python in a project's folder, and return its output. Raises RuntimeError for another exit code."""
    environment = os.environ | {"STEPS": str(steps), "PYTHONPATH": str(SMOKE.parents[2])}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=project, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != code:
        raise RuntimeError(f"ended with {done.returncode}: {done.stdout}")
    return done.stdout


def memory(batches: InMemory, folder: Path, steps: int) -> dict[str, float]:
    """Return the memory of this process a tenth into a training of the vocoder, and how much it differs afterwards."""
    run_loop("vocoder", batches, steps, Logbook(folder, "vocoder", Console(quiet=True)))
    seen = {event["step"]: event["memory_mb"] for event in read_events(folder / EVENTS) if event["event"] == "train"}
    early = next(value for step, value in seen.items() if step >= steps // 10)
    later = [value for step, value in seen.items() if step >= steps // 10]
    return {"memory_mb": early, "memory_change_share": max(abs(value / early - 1) for value in later)}


if __name__ == "__main__":
    main()
