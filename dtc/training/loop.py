"""The training loop: one for every model, exact when resumed.

Nothing random is kept between steps. Step k reads batch k of an order fixed by the seed, and everything drawn in it
(dropout, segments) comes from a stream seeded with (seed, k). So the state is the weights, the optimizer and k, and a
run that was killed and goes on computes what it would have computed.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import torch
from rich.console import Console
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dtc.batch import Batch, Losses
from dtc.seeding import seed_all
from dtc.training.checkpoints import read_resume_state, save_resume_state
from dtc.training.config import Precision, RunConfig, TrainingConfig
from dtc.training.logbook import Logbook
from dtc.training.optim import build_optimizer
from dtc.training.precision import autocast
from dtc.training.schedule import rate_share
from dtc.training.spikes import Spikes

RESUME = "resume.pt"

Illustrate = Callable[[nn.Module, Batch, Logbook, int], None]  # pictures and sounds of a step, for the logbook


@runtime_checkable
class Batches(Protocol):
    """Data in an order that is a function of (seed, epoch)."""

    @property
    def batches_per_epoch(self) -> int:
        """Same for every epoch."""

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        """Batches first, first + 1, … of an epoch."""


@runtime_checkable
class WithAdversary(Protocol):
    """A model with an adversary that learns in turn with it. `model` is what the training is for; the rest stays."""

    model: nn.Module
    adversary: nn.Module

    def adversary_loss(self) -> Losses | None:
        """On what the model has just made in `training_loss`; None while the adversary does not play."""


class NonFiniteLoss(RuntimeError):
    """The loss or its gradient is NaN or infinite; the last checkpoint is intact."""


class Interrupted(KeyboardInterrupt):
    """Stopped by Ctrl-C or SIGTERM; the state is saved, and the same command goes on from here."""


def train(
    model: nn.Module,
    training: Batches,
    validation: Batches,
    config: TrainingConfig,
    how: RunConfig,
    run: Path,
    title: str,
    console: Console,
    illustrate: Illustrate,
) -> tuple[dict[str, Tensor], int]:
    """Train `model`, which offers `training_loss(batch, step) -> {"loss": …, parts}`; its final weights and step count.

    Of one that is `WithAdversary`, those of the model inside.

    Goes on from `run`/resume.pt where there is one. Raises NonFiniteLoss and Diverged; Interrupted once the state is
    saved.
    """
    run.mkdir(parents=True, exist_ok=True)
    state = _State(model, config, run / RESUME)
    total_steps = config.epochs * training.batches_per_epoch
    if state.step:
        console.print(f"{title}: going on from step {state.step} of {total_steps}", highlight=False)
    with Logbook(run, title, state.step, total_steps, console) as logbook, _stop_requests() as stop:
        started = time.monotonic()
        shown: dict[str, float] = {}
        for batch in _batches_from(training, state.step, total_steps):
            state.window.append(_step(model, batch, state, config, total_steps))
            if state.spikes.in_a_row:
                loss = state.window[-1]["loss"]
                console.print(f"{title}: step {state.step}, loss {loss:.3f}, a spike: left out", highlight=False)
            elapsed = time.monotonic() - started
            logbook.advance(state.step, state.window[-1]["loss"], elapsed)
            last = state.step == total_steps
            if state.step % how.log_every == 0 or last:
                shown = _means(state.window)
                logbook.scalars(state.step, "train", shown)
                state.window.clear()
            if state.step % how.validate_every == 0 or last:
                losses = validate(state.best_model(), validation, config, state.step)
                logbook.scalars(state.step, "validation", losses)
                logbook.say(state.step, elapsed, shown, losses)
                illustrate(
                    trained(state.best_model()), next(validation.epoch(0)).to(_device(model)), logbook, state.step
                )
            if state.step % how.checkpoint_every == 0 or last or stop.requested:
                state.save()
            if stop.requested and not last:
                raise Interrupted(
                    f"{title}: stopped at step {state.step} of {total_steps}, saved; run it again to go on"
                )
    return trained(state.best_model()).state_dict(), state.step


def trained(model: nn.Module) -> nn.Module:
    """What a training is for."""
    return model.model if isinstance(model, WithAdversary) else model


@torch.no_grad()
def validate(model: nn.Module, batches: Batches, config: TrainingConfig, step: int) -> dict[str, float]:
    """Mean of each loss over the batches, weighted by clips; the same draws of dropout every time."""
    was_training = model.training
    model.eval()
    sums: dict[str, float] = {}
    clips = 0
    for number, batch in enumerate(batches.epoch(0)):
        seed_all(config.seed, "validation", number)
        for name, value in losses_of(model, batch, step, config.precision).items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(batch.ids)
        clips += len(batch.ids)
    model.train(was_training)
    return {name: value / clips for name, value in sums.items()}


def losses_of(model: nn.Module, batch: Batch, step: int, precision: Precision) -> Losses:
    """A model's losses at a step: `loss`, which is minimised, and its named parts, each a scalar."""
    device = _device(model)
    with autocast(precision, device):
        return cast(Callable[[Batch, int], Losses], model.training_loss)(batch.to(device), step)


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of each name over the rows that have it: terms come and go while a model is trained."""
    values = {name: [row[name] for row in rows if name in row] for row in rows for name in row}
    return {name: sum(each) / len(each) for name, each in values.items()}


class _Learner:
    """A module and its optimizer."""

    def __init__(self, module: nn.Module, config: TrainingConfig) -> None:
        self.module, self.max_norm = module, config.grad_max_norm
        self.optimizer = build_optimizer(module, config.optimizer)

    def update(self, losses: Losses, learning_rate: float, where: tuple[str, str]) -> dict[str, float]:
        """One step down the loss; the losses, the gradient's norm and the learning rate.

        Raises NonFiniteLoss, and changes nothing, where the loss or its gradient is no number.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()
        norm = float(nn.utils.clip_grad_norm_(self.module.parameters(), self.max_norm))
        values = {name: value.item() for name, value in losses.items()} | {"grad_norm": norm, "lr": learning_rate}
        if not math.isfinite(norm) or not math.isfinite(values["loss"]):
            shown = ", ".join(f"{name} {value:g}" for name, value in values.items())
            raise NonFiniteLoss(f"{where[0]}: {shown}; {where[1]}")
        self.optimizer.step()
        return values


class _State:
    """All that changes while training: weights, their average, the optimizers, the step, losses not yet logged."""

    def __init__(self, model: nn.Module, config: TrainingConfig, path: Path) -> None:
        self.model, self.path = model, path
        self.learner = _Learner(trained(model), config)
        self.adversary = _Learner(model.adversary, config) if isinstance(model, WithAdversary) else None
        decay = config.weight_average_decay
        self.average = (
            AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True) if decay else None
        )
        self.step = 0
        self.spikes = Spikes(config.loss_spike_deviations)
        self.window: list[dict[str, float]] = []  # since the last row of the log
        if saved := read_resume_state(path):
            self._load(saved)

    def best_model(self) -> nn.Module:
        """The model to keep: the average where there is one."""
        return self.average.module if self.average else self.model

    def save(self) -> None:
        average = self.average.state_dict() if self.average else {}
        save_resume_state(self.path, {
            "step": self.step, "window": self.window, "model": self.model.state_dict(), "average": average,
            "optimizer": self.learner.optimizer.state_dict(),
            "adversary": self.adversary.optimizer.state_dict() if self.adversary else {},
            "spikes": self.spikes.state_dict(),
        })  # fmt: skip

    def _load(self, saved: dict[str, Any]) -> None:
        self.step, self.window = saved["step"], saved["window"]
        self.spikes.load_state_dict(saved["spikes"])
        self.model.load_state_dict(saved["model"])
        self.learner.optimizer.load_state_dict(saved["optimizer"])
        if self.adversary:
            self.adversary.optimizer.load_state_dict(saved["adversary"])
        if self.average:
            self.average.load_state_dict(saved["average"])


def _step(model: nn.Module, batch: Batch, state: _State, config: TrainingConfig, total_steps: int) -> dict[str, float]:
    """One update; returns the losses, the gradient's norm and the learning rate."""
    seed_all(config.seed, "step", state.step)
    learning_rate = config.optimizer.learning_rate * rate_share(state.step, total_steps, config.lr_scheduler)
    where = f"step {state.step}", f"clips {', '.join(batch.ids)}"
    model.train()
    losses = losses_of(model, batch, state.step, config.precision)
    if state.spikes.strikes(losses, where[0]):
        state.step += 1
        return {name: value.item() for name, value in losses.items()}
    values = state.learner.update(losses, learning_rate, where)
    if state.adversary and isinstance(model, WithAdversary):
        with autocast(config.precision, _device(model)):
            against = model.adversary_loss()
        found = state.adversary.update(against, learning_rate, where) if against else {}
        values |= {f"adversary_{name}": value for name, value in found.items()}
    if state.average:
        state.average.update_parameters(model)
    state.step += 1
    return values


def _batches_from(batches: Batches, step: int, total_steps: int) -> Iterator[Batch]:
    """Batches of steps `step` to `total_steps` - 1."""
    while step < total_steps:
        epoch, first = divmod(step, batches.batches_per_epoch)
        for batch in batches.epoch(epoch, first):
            yield batch
            step += 1


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


class _Stop:
    requested = False


@contextmanager
def _stop_requests() -> Iterator[_Stop]:
    """Ctrl-C and SIGTERM ask the loop to save and stop after the step in hand; a second one stops at once."""
    stop = _Stop()

    def ask(number: int, frame: object) -> None:
        if stop.requested:
            raise KeyboardInterrupt
        stop.requested = True

    previous = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
