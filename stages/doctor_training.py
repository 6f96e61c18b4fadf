"""Time some training steps for `dtc doctor`: how long the training takes, and what its curve shows at which step.

The steps change nothing: weights are drawn anew, and nothing is written into the project.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import torch

from dtc.errors import InputError
from dtc.training.checkpoints import TrainingState
from dtc.training.guards import WentWrong
from dtc.training.interrupts import StopRequest
from dtc.training.loop import Training
from dtc.training.review import Review
from dtc.training.silent_logbook import SilentLogbook
from dtc.training.task import Task, batches_from, phase_starts, shipped
from stages.cli_base import device as device_of
from stages.doctor import Finding
from stages.kinds import KINDS, Kind
from stages.run_folders import identity_of, read_run
from stages.training_recipe import Recipe, read_recipe

if TYPE_CHECKING:
    from stages.params import Params

WARM_UP, STEPS = 2, 20
LONGEST_S = 40.0  # in which the steps of a phase are timed; then fewer have to do
# Model → what its curve shows, as in docs/projects.md.
TO_SEE: Mapping[str, str] = {
    "parallel": "a loss of 0.1 when the aligner is trained (step 400), a duration_ratio near 1 from step 600 on",
    "tacotron2": "a diagonal_score of 0.97 at step 200; the loss halves until step 600",
    "vocos": "a loss of 1.6 at step 200, 1.35 at step 600, 1.15 at the end of the preset numbers",
    "waveglow": "a loss of -4.6 at step 250, -5.4 at step 1,000, -5.9 at step 4,000",
}


@dataclass(frozen=True)
class Timing:
    """The time, memory and disk that a training takes, by some of its steps.

    Args:
        steps: of the whole training.
        left_s: seconds for the steps that are left, without validation and checkpoints.
        step_s: seconds of a step in the last phase.
        timed: the number of steps that were timed.
        memory_gb: the most memory that the process, or its tensors on a GPU, took.
        disk_gb: of the checkpoints and the trained model.
    """

    steps: int
    left_s: float
    step_s: float
    timed: int
    memory_gb: float
    disk_gb: float


def training(params: Params, device: str) -> Iterator[Finding]:
    """Yield how long each of the two trainings takes, where there are features to train on."""
    from stages import paths

    if not paths.FEATURES.is_dir():
        yield Finding("training", f"cannot be timed before {paths.FEATURES} is there; run `dvc repro preprocess`")
        return
    for kind in KINDS.values():
        try:
            yield from _training_of(kind, params, device_of(device))
        except InputError as error:  # mels to train on are missing, or made for other settings
            yield Finding(kind.name, f"cannot be timed: {error}")


def _training_of(kind: Kind, params: Params, device: torch.device) -> Iterator[Finding]:
    recipe, how = read_recipe(kind, params), getattr(params.run, kind.name)
    run = read_run(identity_of(recipe, how).folder)
    name = getattr(recipe.config, kind.parts.field)
    if run.finished:
        yield Finding(kind.name, f"{name} is trained: {run.step:,} steps")
        return
    timing = time_steps(recipe, params, device, run.step)
    if timing is None:
        yield Finding(kind.name, f"{name} has nothing to train")
        return
    left = f"{timing.steps - run.step:,} of {timing.steps:,}" if run.step else f"{timing.steps:,}"
    memory = f"{timing.memory_gb:.1f} GB of memory, {timing.disk_gb:.1f} GB of disk"
    step = f"{timing.step_s:.2g} s each in {timing.timed} steps timed on {device}"
    yield Finding(kind.name, f"{name}: {left} steps in about {_shown(timing.left_s)} ({step}), {memory}")
    if name in TO_SEE:
        yield Finding("", f"to be seen: {TO_SEE[name]}")


def time_steps(recipe: Recipe, params: Params, device: torch.device, done: int = 0) -> Timing | None:
    """Time steps in the middle of each phase of a training; None for a model with nothing to train.

    Args:
        recipe: what is trained.
        params: with the section `run`.
        device: where.
        done: the number of steps that need not be done again.
    """
    kind, how = recipe.kind, getattr(params.run, recipe.kind.name)
    model = recipe.model().to(device)
    if not any(True for _ in model.parameters()):
        return None
    loaders = how.dataloader
    batches = recipe.batches("train", loaders.train_set), recipe.batches("validation", loaders.validation_set)
    task = Task(model, *batches, kind.log_examples, f"training.{kind.name}")
    with TemporaryDirectory() as folder:
        state = TrainingState(task, recipe.training, Path(folder))
        review = Review(task, recipe.training, how, state, SilentLogbook(Path(folder), kind.name), StopRequest())
        starts = phase_starts(shipped(model))
        left_s, seconds = 0.0, [0.0]
        for start, end in zip(starts, (*starts[1:], state.total_steps), strict=True):
            seconds = _seconds_of_steps(Training(task, recipe.training, state, review), (start + end) // 2)
            left_s += max(0, end - max(start, done)) * sum(seconds) / len(seconds)
        step_s, disk_gb = sum(seconds) / len(seconds), _disk_gb(state, how.keep_last)
        return Timing(state.total_steps, left_s, step_s, len(seconds), _memory_gb(device), disk_gb)


def _seconds_of_steps(training: Training, step: int) -> list[float]:
    """Do some steps from a step of the training on, with random weights; return the seconds of each."""
    training.state.step, accumulate = step, training.config.accumulate
    batches = batches_from(training.task.training, step * accumulate)
    seconds: list[float] = []
    began = time.perf_counter()
    with contextlib.suppress(WentWrong):  # random weights may diverge; the steps before are as long as any
        while len(seconds) < WARM_UP + STEPS and sum(seconds) < LONGEST_S:
            started = time.perf_counter()
            training.do_step(list(islice(batches, accumulate)))
            seconds.append(time.perf_counter() - started)
    return seconds[WARM_UP:] or seconds or [time.perf_counter() - began]


def _memory_gb(device: torch.device) -> float:
    """Return the most memory that this process took; on a GPU, that its tensors took there."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


def _disk_gb(state: TrainingState, keep_last: int) -> float:
    """Return the size of the checkpoints, one more while it is written, and of two copies of the trained model."""
    tensors = [*state.model.state_dict().values(), *(state.average.state_dict().values() if state.average else ())]
    for learner in state.learners.values():
        for of_parameter in learner.optimizer.state.values():
            tensors += [value for value in of_parameter.values() if isinstance(value, torch.Tensor)]
    model = sum(value.nbytes for value in shipped(state.model).state_dict().values())
    return ((keep_last + 1) * sum(value.nbytes for value in tensors) + 2 * model) / 1e9


def _shown(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{seconds / 60:.1f} min"
