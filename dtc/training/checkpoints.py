"""The state from which a training is resumed: tensors and primitives, so that it loads without running code."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dtc.errors import InputError, reason_of
from dtc.files import write_whole
from dtc.training.config import TrainingConfig
from dtc.training.guards import Spikes, require_finite_weights
from dtc.training.learner import Learner, average_of
from dtc.training.run_files import PROGRESS, RESUME
from dtc.training.task import shipped, with_adversary


class TrainingState:
    """All that changes in a training: weights, optimizers, average, step, and the losses since the last logged row.

    It is read from the folder, if one was saved there. Raises InputError where that is damaged.

    Args:
        model: the model, with its adversary if it has one.
        config: optimizer, schedule, average and spikes.
        total_steps: number of steps of the whole training.
        folder: the run's folder.
    """

    def __init__(self, model: nn.Module, config: TrainingConfig, total_steps: int, folder: Path) -> None:
        self.model, self.total_steps, self.folder = model, total_steps, folder
        self.learner = Learner(shipped(model), config, total_steps)
        adversarial = with_adversary(model)
        self.adversary = Learner(adversarial.adversary, config, total_steps) if adversarial is not None else None
        decay = config.weight_average_decay
        self.average = average_of(shipped(model), decay) if decay else None
        self.spikes = Spikes(config.loss_spike_deviations)
        self.step = 0  # number of steps done
        self.window: list[dict[str, float]] = []  # values of each step since the last logged row
        self.unvalidated = False  # whether the validation of this very step was interrupted
        if (folder / RESUME).is_file():
            self._read(folder / RESUME)

    @property
    def best_model(self) -> nn.Module:
        """Return the model to validate and keep: the average where there is one."""
        return self.average.module if self.average else shipped(self.model)

    def save(self) -> None:
        """Write the state to the folder. Raises NonFiniteLoss, and writes nothing, where a weight is not finite."""
        self.require_finite()
        stream = io.BytesIO()
        torch.save(self._state_dict(), stream)
        write_whole(self.folder / RESUME, stream.getvalue())
        self.save_progress()

    def save_progress(self) -> None:
        """Write the number of steps done and of all steps, for those who look at the folder."""
        write_whole(self.folder / PROGRESS, json.dumps({"step": self.step, "total_steps": self.total_steps}) + "\n")

    def require_finite(self) -> None:
        """Raise NonFiniteLoss, naming the tensors, unless all weights are finite, those of the average too."""
        for model in (self.model, self.best_model):
            require_finite_weights(model, f"step {self.step}")

    def _state_dict(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "window": self.window,
            "unvalidated": self.unvalidated,
            "model": self.model.state_dict(),
            "average": self.average.state_dict() if self.average else {},
            "optimizer": self.learner.optimizer.state_dict(),
            "adversary": self.adversary.optimizer.state_dict() if self.adversary else {},
            "spikes": self.spikes.state_dict(),
        }

    def _read(self, path: Path) -> None:
        content = io.BytesIO(path.read_bytes())
        try:
            saved = torch.load(content, weights_only=True, map_location="cpu")
            self.model.load_state_dict(saved["model"])
            self.learner.optimizer.load_state_dict(saved["optimizer"])
            if self.adversary:
                self.adversary.optimizer.load_state_dict(saved["adversary"])
            if self.average:
                self.average.load_state_dict(saved["average"])
            self.spikes.load_state_dict(saved["spikes"])
            self.step, self.window, self.unvalidated = (saved[name] for name in ("step", "window", "unvalidated"))
        except Exception as error:  # a damaged file raises errors of many classes
            remedy = "delete this file, and the same command starts the training over"
            raise InputError(path, f"damaged ({reason_of(error)})", "the state of a training", remedy) from None
