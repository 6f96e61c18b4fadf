"""The batch that has stopped a training: saved for a look at it, and computed again clip by clip.

The file holds tensors and primitives only, so that it loads without running code.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dtc.batch import Batch
from dtc.errors import InputError, reason_of
from dtc.files import write_whole
from dtc.seeding import seed_all
from dtc.training.checkpoints import TrainingState
from dtc.training.config import TrainingConfig
from dtc.training.devices import Devices
from dtc.training.guards import WentWrong
from dtc.training.learner import numbers_of
from dtc.training.logbook import Logbook
from dtc.training.precision import autocast
from dtc.training.run_files import OFFENDING
from dtc.training.task import device_of, losses_of, shipped, with_adversary

ADVERSARY = "adversary"


@contextmanager
def offending_batch_saved(
    state: TrainingState, config: TrainingConfig, logbook: Logbook, devices: Devices
) -> Iterator[None]:
    """Where a step goes wrong, save its batches and the weights before it, and name the file in the error.

    Of several processes, which all raise the error, the main one saves the clips of all.
    """
    try:
        yield
    except WentWrong as error:
        logbook.event("failed", state.step, {"message": str(error)})
        batches = [each for own in devices.gather(error.batches) for each in own] if error.batches else []
        if batches and devices.is_main:
            path = state.folder / OFFENDING
            with contextlib.suppress(OSError):  # the error itself matters more than a full disk
                write_whole(path, _packed(error, batches, state, config))
                error.args = (f"{error}; `dtc debug-batch {path}` shows which clip it is",)
        raise


def _packed(error: WentWrong, batches: Sequence[Batch], state: TrainingState, config: TrainingConfig) -> bytes:
    """Return the content of the file. A validation has the weights of the model that would be kept."""
    model = state.model if error.validation is None else state.kept_model
    content = {
        "message": str(error),
        "step": state.step,
        "seed": config.seed,
        "validation": error.validation,
        "losses": error.values,
        "training": config.model_dump(mode="json"),
        "batches": [vars(batch) for batch in batches],
        "weights": model.state_dict(),
    }
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


@dataclass(frozen=True)
class Offending:
    """What a training has saved of the step that stopped it.

    Args:
        message: what was wrong.
        step: the number of steps before it.
        validation: the number of the validation batch; None: they are batches of the training.
        losses: as the training had computed them.
        training: the training's settings.
        batches: those of the step.
        weights: of the whole module that was trained; of a validation, of the model alone.
    """

    message: str
    step: int
    validation: int | None
    losses: dict[str, float]
    training: TrainingConfig
    batches: tuple[Batch, ...]
    weights: dict[str, Tensor]

    def load_into(self, module: nn.Module) -> nn.Module:
        """Give a module the weights, in the mode of that step; return the part that had computed the losses."""
        used = module if self.validation is None else shipped(module)
        used.load_state_dict(self.weights)
        return used.train(self.validation is None)

    def seed(self, number: int) -> None:
        """Seed the random draws of the batch with this number, as the training had."""
        if self.validation is None:
            seed_all(self.training.seed, "step", self.step * self.training.accumulate + number)
        else:
            seed_all(self.training.seed, "validation", self.validation)


def read_offending(path: Path) -> Offending:
    """Read the file that a training has saved. Raises InputError where it is another file, or none."""
    if not path.is_file():
        raise InputError(path, "no such file", f"the {OFFENDING} that a training has named")
    try:
        found: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        return Offending(
            found["message"],
            found["step"],
            found["validation"],
            found["losses"],
            TrainingConfig.model_validate(found["training"]),
            tuple(Batch(**batch) for batch in found["batches"]),
            found["weights"],
        )
    except Exception as error:  # a file of another kind raises errors of many classes
        raise InputError(path, f"not readable ({reason_of(error)})", f"the {OFFENDING} of a training") from None


@dataclass(frozen=True)
class Findings:
    """What a batch gives: its losses, and the names of inputs, losses and gradients that are not finite."""

    losses: dict[str, float]
    bad_inputs: list[str]
    bad_losses: list[str]
    bad_gradients: list[str]  # by group: encoder, decoder, …


def examined(model: nn.Module, batch: Batch, offending: Offending, number: int) -> Findings:
    """Compute losses and gradients of a batch, or of a part of it, as the training did.

    Args:
        model: with the weights of that step.
        batch: the batch.
        offending: step, settings and random draws.
        number: which batch of the step it is, or is a part of.
    """
    inputs = [name for name in ("mel", "wave") if not getattr(batch, name).isfinite().all()]
    model.zero_grad(set_to_none=True)
    offending.seed(number)
    with torch.set_grad_enabled(offending.validation is None):
        losses = _losses_and_gradients(model, batch, offending)
    bad_losses = [name for name, value in losses.items() if not math.isfinite(value)]
    return Findings(losses, inputs, bad_losses, _not_finite(model, gradients=True))


def bad_weights(model: nn.Module) -> list[str]:
    """Return the groups of parameters (encoder, decoder, …) in which weights are not finite."""
    return _not_finite(model, gradients=False)


def _losses_and_gradients(model: nn.Module, batch: Batch, offending: Offending) -> dict[str, float]:
    precision = offending.training.precision
    losses = losses_of(model, batch, offending.step, precision)
    numbers = numbers_of(losses)
    if offending.validation is None:
        losses["loss"].backward()
        if (adversarial := with_adversary(model)) is not None:
            with autocast(precision, device_of(model)):
                found = adversarial.adversary_loss()
            if found:
                found["loss"].backward()
                numbers |= {f"{ADVERSARY}_{name}": value for name, value in numbers_of(found).items()}
    return numbers


def _not_finite(model: nn.Module, gradients: bool) -> list[str]:
    """Return the first parts of the names of parameters whose weights, or gradients, are not finite; each once."""
    modules = {"": shipped(model)}
    if (adversarial := with_adversary(model)) is not None:
        modules[f"{ADVERSARY}."] = adversarial.adversary
    bad = dict[str, None]()
    for prefix, module in modules.items():
        for name, parameter in module.named_parameters():
            values = parameter.grad if gradients else parameter
            if values is not None and not values.isfinite().all():
                bad[prefix + name.partition(".")[0]] = None
    return list(bad)
