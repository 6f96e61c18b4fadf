"""`dtc train acoustic` and `dtc train vocoder`: shards → a model folder and its curve.

An unfinished run is continued, and a finished one is restored, if nothing that decides the weights has changed.
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import yaml
from rich.console import Console
from rich.table import Table
from torch import nn

from dtc.config import Section
from dtc.errors import InputError, named, plural
from dtc.files import locked, write_whole
from dtc.made_by import MadeBy, computing_environment
from dtc.model_card import ModelCard, ModelKind
from dtc.model_folder import read_model, require_replaceable, save_model
from dtc.provenance import fingerprint
from dtc.training.checkpoints import checkpoints_in
from dtc.training.config import RunConfig, TrainingConfig
from dtc.training.curve import read_curve
from dtc.training.devices import Devices
from dtc.training.logbook import Logbook
from dtc.training.loop import train as train_model
from dtc.training.precision import has_bfloat16, resolved
from dtc.training.result import Trained
from dtc.training.run_files import CURVE, METRICS
from dtc.training.silent_logbook import SilentLogbook
from dtc.training.start_from import Start
from dtc.training.task import Listen, Task, shipped, with_adversary
from stages.align import align
from stages.kinds import KINDS, Kind
from stages.listening import listening_of
from stages.run_folders import MODEL, Identity, Run, differences, identity_of, leaves, read_run, runs
from stages.training_recipe import Recipe, read_recipe

if TYPE_CHECKING:
    from stages.named_parts import StrategyConfig
    from stages.params import Params

# Of a model with nothing to train.
EMPTY_CURVE = "step,split,loss\n"
EMPTY_METRICS = '{"steps": 0, "kept_step": 0}\n'


def train(name: ModelKind, params: Params, devices: Devices, console: Console, profiles: bool = False) -> None:
    """Train the model that params.yaml names on data/features, or restore it from its finished run.

    Args:
        name: acoustic or vocoder.
        params: with the sections `audio`, of the model, of its training, and of how that is run.
        devices: the processes that train it together. The main one writes and prints.
        console: where lines and a table are printed.
        profiles: whether some steps are profiled.

    Raises InputError, where the input is not usable; what `dtc.training.loop.train` raises.
    """
    kind = KINDS[name]
    recipe = read_recipe(kind, params)
    how: RunConfig = getattr(params.run, name)
    identity = identity_of(recipe, how)
    devices.require_same(identity.folder.name, f"training of the {name}", "give all processes the same params and data")
    if not devices.is_main:
        if not devices.broadcast(False):
            recipe.start(model := recipe.model())
            _trained(recipe, model, params, SilentLogbook(identity.folder, kind.name), devices)
        return
    kind.model.parent.mkdir(parents=True, exist_ok=True)
    require_replaceable(kind.model)  # before hours of training, not after
    with locked(identity.folder):
        run = read_run(identity.folder)
        if devices.broadcast(run.finished):
            again = f"`dtc runs --prune {run.name}` or another seed trains it anew"
            _say(console, kind, f"is complete already, restored from {run.folder}; {again}")
            if profiles:
                _say(console, kind, "no step is done, so none is profiled")
        else:
            _report_other_run(kind, identity, run, console)
            identity.write()
            model = recipe.model()
            start = recipe.start(model)
            if start and not (run.unfinished and how.load_model):
                _report_start(start, getattr(params, name), recipe, console)
            logbook = Logbook(identity.folder, name, console, dict(leaves(recipe.settings())), profiles)
            trained = _trained(recipe, model, params, logbook, devices)
            _save(recipe.card(start), identity, devices, trained)
        card = _publish(kind, identity)
    _report(recipe, card, console)


def train_in_turn(strategy: StrategyConfig, params: Params, devices: Devices, console: Console) -> None:
    """Train the models of a strategy in its order, and predict the mels that the vocoder learns from before it."""
    for name in strategy.order:
        if name == "vocoder" and devices.is_main:
            align(params.vocoder.train_on, devices.device, console)
        devices.barrier()
        train(name, params, devices, console)


def _trained(recipe: Recipe, model: nn.Module, params: Params, logbook: Logbook, devices: Devices) -> Trained:
    """Return the result of the training; 0 steps for a model with nothing to train."""
    kind, training = recipe.kind, recipe.training
    how: RunConfig = getattr(params.run, kind.name)
    listen: Listen | None = None
    if devices.is_main:
        listen = listening_of(recipe, how, getattr(params, "evaluate", None), logbook)
    if devices.broadcast(listen is not None):
        listen = listen or _not_here
    if not any(True for _ in model.parameters()):
        return Trained(shipped(model).state_dict(), 0, "")
    if training.precision == "bf16" and not has_bfloat16(devices.device):
        logbook.print(f"this {devices.device.type} has no arithmetic in bfloat16; precision: fp32 is faster here")
    task = Task(
        model.to(devices.device),
        recipe.batches("train", how.dataloader.train_set, devices.rank, devices.world),
        recipe.batches("validation", how.dataloader.validation_set, devices.rank, devices.world),
        kind.log_examples,
        f"training.{kind.name}",
        listen,
        devices,
    )
    logbook.print(_summary(task, training))
    return train_model(task, training, how, logbook.folder, logbook)


def _summary(task: Task, training: TrainingConfig) -> str:
    """Return the line that is printed before the first step, which may take minutes."""
    device, world = task.devices.device, task.devices.world
    name = f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
    where = f"on {name}" if world == 1 else f"by {world} processes on {device.type}"
    batches = "a batch" if training.accumulate == 1 else f"{training.accumulate} batches"
    size = f"at most {training.batch_frames:,} frames" if training.batch_frames else f"{training.batch_size:,} clips"
    steps = plural(training.steps(task.training.batches_per_epoch), "step")
    model = f"{_trained_parameters(task.model, training):,} parameters to train"
    return f"{model} {where} in {resolved(training.precision, device)}; {steps}, each of {batches} of {size}"


def _trained_parameters(model: nn.Module, training: TrainingConfig) -> int:
    """Return the number of parameters, those of discriminators too, but of those that are never trained."""
    adversarial = with_adversary(model)
    modules = (model,) if adversarial is None else (adversarial.model, adversarial.adversary)
    frozen = [freeze.params for freeze in training.freeze if freeze.until_step is None]
    return sum(
        parameter.numel()
        for module in modules
        for name, parameter in module.named_parameters()
        if not any(fnmatchcase(name, glob) for glob in frozen)
    )


def _not_here(*_: object) -> None:
    """Stand for the recogniser that the main process has; it alone listens."""


def _save(card: ModelCard, identity: Identity, devices: Devices, trained: Trained) -> None:
    """Keep the trained model in the run's folder."""
    facts = {
        "steps": trained.steps,
        "kept": trained.kept,
        "training": {**card.training, "precision": resolved(card.training["precision"], devices.device)},
        "made_by": MadeBy(
            code=fingerprint(identity.tree["code"]),
            environment=computing_environment(devices.device, devices.world),
        ),
    }
    save_model(identity.folder / MODEL, trained.weights, card.model_copy(update=facts))


def _publish(kind: Kind, identity: Identity) -> ModelCard:
    """Copy model, curve and figures of a finished run to where others read them; return the model's card.

    The states to resume from are not needed any more.
    """
    try:
        card, weights = read_model(identity.folder / MODEL, kind.name)
    except InputError as error:
        remedy = f"run `dtc runs --prune {identity.folder.name}`, then train again"
        raise InputError(error.where, error.found, error.expected, remedy) from None
    for checkpoint in checkpoints_in(identity.folder):
        checkpoint.unlink()
    card = save_model(kind.model, weights, card)
    for name, target, empty in ((CURVE, kind.curve, EMPTY_CURVE), (METRICS, kind.metrics, EMPTY_METRICS)):
        source = identity.folder / name
        write_whole(target, source.read_bytes() if source.is_file() else empty)
    return card


def _report_other_run(kind: Kind, identity: Identity, run: Run, console: Console) -> None:
    """Print why training starts over, and how to continue an unfinished run, where there is one."""
    others = [other for other in runs() if other.kind == kind.name and other.unfinished and other.name != run.name]
    if run.unfinished or not others:
        return
    other = max(others, key=lambda each: each.changed)
    changed = differences(other.tree, identity.tree) if other.tree else ["the version of dtc"]
    _say(console, kind, f"starts over, as this changed: {named(changed) or 'nothing that it notes'}")
    back = f"stop this, change it back and run `dtc train {kind.name}` again"
    _say(console, kind, f"{other.folder} stays at step {other.progress}; to continue it, {back}")


def _report_start(start: Start, config: Section, recipe: Recipe, console: Console) -> None:
    """Print what a model has taken from the one that its training starts from, and what is changed in its section."""
    kind, source, card = recipe.kind, start.folder, start.source
    name = f"{card.config[kind.parts.field]}, {plural(card.steps, 'step')}"
    _say(console, kind, f"starts from {source} ({name}, fingerprint {card.fingerprint})")
    table = Table("part", "", "tensors", "names", box=None, padding=(0, 2, 0, 0))
    for row in start.rows():
        table.add_row(*row)
    console.print(table)
    before, after = ({str(kind.name): each.model_dump(mode="json")} for each in (config, recipe.config))
    shorter = [f"{change}, as this part is trained already" for change in differences(before, after)]
    for remark in start.remarks() + shorter:
        _say(console, kind, remark)
    stage = os.environ.get("DVC_STAGE")
    if stage and not _is_watched(source, stage):
        remedy = f"add it to the deps of {stage} in dvc.yaml"
        _say(console, kind, f"DVC does not watch {source}, and will not notice a change there: {remedy}")


def _is_watched(folder: str, stage: str) -> bool:
    """Return whether a folder is a dependency of a stage in dvc.yaml, or inside one."""
    stages = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"]
    dependencies = stages.get(stage, {}).get("deps", ())
    watched = Path(folder).expanduser().resolve()
    return any(watched.is_relative_to(Path(each).resolve()) for each in dependencies if isinstance(each, str))


def _report(recipe: Recipe, card: ModelCard, console: Console) -> None:
    """Print a table with the model's facts."""
    kind = recipe.kind
    table = Table("model", "parameters", "steps", "validation loss", "folder", "fingerprint")
    losses = [row["loss"] for row in read_curve(kind.curve) if row["split"] == "validation"]
    parameters = sum(value.numel() for value in shipped(recipe.model()).parameters())
    facts: tuple[Any, ...] = (card.config[kind.parts.field], f"{parameters:,}", card.steps)
    table.add_row(*map(str, facts), losses[-1] if losses else "–", str(kind.model), card.fingerprint)
    console.print(table)


def _say(console: Console, kind: Kind, message: str) -> None:
    console.print(f"{kind.name}: {message}")
