"""The state from which a training is resumed: tensors and primitives, so that it loads without running code."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from dtc.errors import InputError, named, reason_of
from dtc.files import write_whole
from dtc.training.config import RunConfig, TrainingConfig
from dtc.training.devices import Devices
from dtc.training.guards import Spikes, require_finite_weights
from dtc.training.learner import Learner, Updates, average_of, require_known
from dtc.training.run_files import CHECKPOINTS, PROGRESS
from dtc.training.schedule import Place
from dtc.training.stopping import Stopping
from dtc.training.task import Task, device_of, phase_of, shipped, with_adversary


class TrainingState:
    """All that changes in a training: weights, optimizers, average, step, and the values since the last logged row.

    Args:
        task: the model, with its adversary if it has one, and its data.
        config: optimizers, schedules, average, spikes and stopping.
        folder: the run's folder.
    """

    def __init__(self, task: Task, config: TrainingConfig, folder: Path) -> None:
        self.model, self.folder = task.model, folder
        self.steps_per_epoch = config.steps_per_epoch(task.training.batches_per_epoch)
        self.total_steps = config.steps(task.training.batches_per_epoch)
        self.learners = self._learners(config)
        require_known(config, [learner.module for learner in self.learners.values()], task.section)
        self.average = average_of(shipped(self.model), config.weight_average) if config.weight_average else None
        self.spikes, self.stopping = Spikes(config.loss_spikes), Stopping(config, task.section)
        self.scaler = GradScaler(device_of(self.model).type, enabled=config.precision == "fp16")
        self.step = 0  # number of steps done
        self.window: list[dict[str, float]] = []  # values of each step since the last logged row
        self.due: list[str] = []  # the reviews of this very step that are not done yet
        self.best: dict[str, Tensor] = {}  # the weights that are best by the chosen metric
        self.best_step, self.best_value = 0, 0.0  # the number of steps after which, and the metric

    def _learners(self, config: TrainingConfig) -> dict[str, Learner]:
        """Return the learner of the model, and that of its adversary."""
        place_of = self._place_of(shipped(self.model))
        learners = {"": Learner(shipped(self.model), Updates(config.optimizer, config.lr_scheduler, config), place_of)}
        if (adversarial := with_adversary(self.model)) is not None:
            own = config.adversary or config
            updates = Updates(own.optimizer, own.lr_scheduler, config)
            learners["adversary_"] = Learner(adversarial.adversary, updates, self._place_of(adversarial.adversary))
        return learners

    def _place_of(self, module: nn.Module) -> Callable[[int], Place]:
        """Return a function from a step to its place in the phase of a module that it is in."""
        return lambda step: Place(
            *phase_of(module, step, self.total_steps), self.steps_per_epoch, self.stopping.plateaus
        )

    @property
    def kept_model(self) -> nn.Module:
        """Return the model to validate and keep: the average where there is one."""
        return self.average.module if self.average else shipped(self.model)

    def remember_best(self, metric: float) -> None:
        """Copy the present weights of the kept model as the best so far."""
        self.best = {name: value.detach().cpu().clone() for name, value in self.kept_model.state_dict().items()}
        self.best_step, self.best_value = self.step, metric

    def require_finite(self) -> None:
        """Raise NonFiniteLoss, naming the tensors, unless all weights are finite, those of the average too."""
        for model in (self.model, self.kept_model):
            require_finite_weights(model, f"step {self.step}")

    def save(self, keep_last: int) -> None:
        """Write a checkpoint, and delete those before the last ones.

        Raises NonFiniteLoss, and writes nothing, where a weight is not finite.
        """
        self.require_finite()
        folder = self.folder / CHECKPOINTS
        folder.mkdir(exist_ok=True)
        write_whole(folder / f"{self.step:08}.pt", self._packed())
        self.save_progress()
        for old in checkpoints_in(self.folder)[:-keep_last]:
            old.unlink()

    def save_progress(self) -> None:
        """Write the number of steps done and of all steps, for those who look at the folder."""
        write_whole(self.folder / PROGRESS, json.dumps({"step": self.step, "total_steps": self.total_steps}) + "\n")

    def resume(self, run: RunConfig, print_line: Callable[[str], None], devices: Devices) -> None:
        """Continue from the checkpoint that `run` asks for: by default the last one that is whole, if there is one.

        The main process reads it, and the others get its state. Later checkpoints are deleted. Damaged ones are named
        and passed over. Raises InputError where all are damaged, and where there is none of the epoch that
        `run.load_epoch` names.
        """
        if devices.is_main:
            self._resume(run, print_line)
        if devices.world > 1:
            self._unpack(devices.broadcast(self._packed() if devices.is_main else b""))

    def _resume(self, run: RunConfig, print_line: Callable[[str], None]) -> None:
        found, damaged = self._wanted(run), list[InputError]()
        while found and self.step == 0:
            try:
                self._read(found[-1])
            except InputError as error:
                damaged.append(error)
                found.pop()
        if damaged and not found:
            raise damaged[0]
        for fault in damaged:
            print_line(f"{fault.where}: {fault.found}; it was passed over")
        for later in checkpoints_in(self.folder)[len(found) :]:
            later.unlink()

    def _wanted(self, run: RunConfig) -> list[Path]:
        """Return the checkpoints that may be continued from, the earliest first; the last one is to be tried first."""
        found = checkpoints_in(self.folder) if run.load_model else []
        if run.load_epoch is None:
            return found
        epochs = {step_of(path) / self.steps_per_epoch: number for number, path in enumerate(found, 1)}
        if run.load_epoch not in epochs:
            known = named([f"{epoch:g}" for epoch in epochs]) if epochs else "none"
            remedy = "set load_epoch to null, which continues from the last one"
            raise InputError(self.folder, f"no checkpoint of epoch {run.load_epoch}", f"one of {known}", remedy)
        return found[: epochs[run.load_epoch]]

    def _packed(self) -> bytes:
        stream = io.BytesIO()
        torch.save(self._state_dict(), stream)
        return stream.getvalue()

    def _state_dict(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "window": self.window,
            "due": self.due,
            "model": self.model.state_dict(),
            "average": self.average.state_dict() if self.average else {},
            "optimizers": {name: learner.optimizer.state_dict() for name, learner in self.learners.items()},
            "spikes": self.spikes.state_dict(),
            "stopping": self.stopping.state_dict(),
            "scaler": self.scaler.state_dict(),
            "best": (self.best, self.best_step, self.best_value),
        }

    def _read(self, path: Path) -> None:
        content = path.read_bytes()
        try:
            self._unpack(content)
        except Exception as error:  # a damaged file raises errors of many classes
            remedy = "delete this file, and the same command starts the training over"
            raise InputError(path, f"damaged ({reason_of(error)})", "the state of a training", remedy) from None

    def _unpack(self, content: bytes) -> None:
        saved = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
        self.model.load_state_dict(saved["model"])
        for name, learner in self.learners.items():
            learner.optimizer.load_state_dict(saved["optimizers"][name])
        if self.average:
            self.average.load_state_dict(saved["average"])
        self.spikes.load_state_dict(saved["spikes"])
        self.stopping.load_state_dict(saved["stopping"])
        self.scaler.load_state_dict(saved["scaler"])
        self.best, self.best_step, self.best_value = saved["best"]
        self.step, self.window, self.due = (saved[name] for name in ("step", "window", "due"))


def checkpoints_in(folder: Path) -> list[Path]:
    """Return the checkpoints in a run's folder, the earliest first."""
    return sorted(path for path in (folder / CHECKPOINTS).glob("*.pt") if path.stem.isdigit())


def step_of(checkpoint: Path) -> int:
    """Return the number of steps after which a checkpoint was written."""
    return int(checkpoint.stem)
