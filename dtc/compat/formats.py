"""What a format of another project consists of: how its files become a model of dtc, and how a model becomes a file."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import torch
from torch import Tensor

from dtc.audio_config import AudioConfig
from dtc.config import Section
from dtc.model_card import CARD, ModelCard, read_model
from dtc.registry import Registry
from dtc.text.symbols import TextConfig

Kind = Literal["acoustic", "vocoder"]
Config = TypeVar("Config", bound=Section, covariant=True)


@dataclass(frozen=True)
class Imported(Generic[Config]):
    """A model of dtc with the weights of another project."""

    config: Config
    audio: AudioConfig
    weights: dict[str, Tensor]
    parameters: int
    assumed: dict[str, int | float]  # published values of the hyper-parameters that the file does not contain


@dataclass(frozen=True)
class Exported:
    """The content of a file for another project, and what a user should know about it."""

    content: bytes
    card: ModelCard  # of the model
    facts: dict[str, str]  # column → value, for the table that the command prints
    notes: tuple[str, ...]  # a line each


@dataclass(frozen=True)
class Format:
    """A format of another project, for one kind of model."""

    kind: Kind
    suffixes: tuple[str, ...]  # of its files, the usual one first
    # (state_dict, hyper-parameters, name of the file for messages) → model; None: the format cannot be imported.
    read: Callable[[Mapping[str, Tensor], Mapping[str, Any], object], Imported[Section]] | None
    write: Callable[[Path], Exported]  # model folder → file
    text: TextConfig | None = None  # how the texts of an imported model are written, and
    alphabet: tuple[str, ...] = ()  # the symbols that it was trained on


# (section, card, weights, name of the folder for messages) → checkpoint, and what it lacks, a line each.
Convert = Callable[[Any, ModelCard, Mapping[str, Tensor], object], tuple[dict[str, Any], list[str]]]


def write_checkpoint(kind: Kind, registry: Registry[Any], convert: Convert, folder: Path) -> Exported:
    """Return a model folder as a file of `torch.save`, with a checkpoint that holds a `state_dict`.

    Args:
        kind: the kind of model that the folder must hold.
        registry: the models of that kind.
        convert: makes the checkpoint.
        folder: the model folder.

    Raises InputError if there is no such model in the folder, and as `convert` does.
    """
    card, weights = read_model(folder, kind)
    config = registry.parse(card.config, f"{folder / CARD}: config")
    checkpoint, notes = convert(config, card, weights, folder)
    stream = io.BytesIO()  # torch.save puts the name of a file into its bytes
    torch.save(checkpoint, stream)
    reading = 'it is read by torch.load(FILE, weights_only=True)["state_dict"]'
    tensors = str(len(checkpoint["state_dict"]))
    return Exported(stream.getvalue(), card, {"tensors": tensors}, (*notes, reading))
