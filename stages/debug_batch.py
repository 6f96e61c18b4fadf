"""`dtc debug-batch`: which clip of a batch has stopped a training, and where its numbers go wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import torch
from rich.console import Console
from rich.table import Column, Table
from torch import nn

from dtc.audio import MelStatistics
from dtc.audio_config import AudioConfig
from dtc.batch import Batch
from dtc.config import parse_section
from dtc.errors import InputError, named, plural
from dtc.text.symbols import text_of_ids
from dtc.training.offending import Findings, bad_weights, examined, read_offending
from stages.kinds import KINDS
from stages.run_folders import IDENTITY

LONGEST_TEXT = 40  # characters of a text that are shown


def show_batch(path: Path, device: torch.device, console: Console) -> None:
    """Print what a training had found, and a table with each clip alone and all clips of each batch together.

    Args:
        path: the file that the training has saved; run.json of the training is beside it.
        device: where to compute.
        console: where the table is printed.

    Raises InputError where a file is missing or another one.
    """
    offending = read_offending(path)
    model = offending.load_into(_model(path.parent / IDENTITY).to(device))
    console.print(f"debug-batch: {offending.message}")
    losses = ", ".join(f"{name} {value:g}" for name, value in offending.losses.items())
    console.print(f"debug-batch: the training had computed {losses}")
    if bad := bad_weights(model):
        console.print(f"debug-batch: weights that were not finite before this step: {named(bad)}")
    table = Table("clip", Column("text", overflow="fold"), "symbols", "frames", "loss", "not finite")
    for number, batch in enumerate(offending.batches):
        for row in range(len(batch.ids)):
            clip = batch.part(slice(row, row + 1))
            _add(table, clip.ids[0], clip, examined(model, clip.to(device), offending, number))
        if len(batch.ids) > 1:
            together = examined(model, batch.to(device), offending, number)
            _add(table, f"all {plural(len(batch.ids), 'clip')}", batch, together)
    console.print(table)


def _add(table: Table, name: str, batch: Batch, found: Findings) -> None:
    text = text_of_ids(batch.symbol_ids[0].tolist()) if len(batch.ids) == 1 else ""
    shown = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"
    sizes = [str(int(lengths.sum())) for lengths in (batch.symbol_lengths, batch.mel_lengths)]
    bad = {"input": found.bad_inputs, "losses": found.bad_losses, "gradients": found.bad_gradients}
    told = "; ".join(f"{kind} {named(names)}" for kind, names in bad.items() if names)
    table.add_row(name, shown, *sizes, f"{found.losses['loss']:.4g}", told or "–")


def _model(identity: Path) -> nn.Module:
    """Return the module that a run had trained, as run.json describes it, with other weights."""
    try:
        known: dict[str, Any] = json.loads(identity.read_text(encoding="utf-8"))
        kind, tree = KINDS[known["kind"]], known["identity"]
        section, audio_tree = tree[kind.name], tree["audio"]
    except (OSError, ValueError, KeyError):
        remedy = "leave the batch in the folder of its run"
        raise InputError(identity, "is not there, or not whole", "the description of the run", remedy) from None
    audio = parse_section(audio_tree, AudioConfig, str(identity))
    bands = audio.n_mel_channels
    # The statistics of the mels are buffers of the model, which are loaded with its weights.
    statistics = MelStatistics(torch.zeros(bands), torch.ones(bands))
    model = kind.parts.build(kind.parts.parse(section, str(identity)), audio, statistics)
    return cast(nn.Module, model.for_training())
