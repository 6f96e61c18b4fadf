"""Formats of other projects: the functions that turn their files into models of dtc, and models into files."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from dtc.audio_config import AudioConfig
from dtc.config import Section
from dtc.model_card import CARD, ModelCard, ModelKind
from dtc.model_folder import read_model
from dtc.registry import Registry
from dtc.text.symbols import TextConfig

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
    """The content of a file or a folder for another project, and facts about it for the user."""

    content: bytes | dict[str, bytes]  # of a folder: name of the file → content
    card: ModelCard  # of the model
    facts: dict[str, str]  # column → value, for the table that the command prints
    notes: tuple[str, ...]  # a line each


@dataclass(frozen=True)
class Format:
    """A format of another project, for one kind of model, or for a voice."""

    kind: ModelKind | None  # of the model; None: it is a voice
    suffixes: tuple[str, ...]  # of its files, the usual one first; none: it is a folder
    # (state_dict, hyper-parameters, name of the file for messages) → model; None: the format cannot be imported.
    read: Callable[[Mapping[str, Tensor], Mapping[str, Any], object], Imported[Section]] | None
    write: Callable[[Path], Exported]  # model folder, or the folder of a voice → file or folder
    text: TextConfig | None = None  # of an imported model
    alphabet: tuple[str, ...] = ()  # symbols that an imported model was trained on
    files: tuple[str, ...] = ()  # that a folder can hold


# (section, card, weights, name of the folder for messages) → checkpoint with a `state_dict`, and a line on each part
# that it lacks.
Convert = Callable[[Any, ModelCard, Mapping[str, Tensor], object], tuple[dict[str, Any], list[str]]]


def write_checkpoint(kind: ModelKind, registry: Registry[Any], convert: Convert, folder: Path) -> Exported:
    """Return the model in a folder as a file of `torch.save`, whose checkpoint is made by `convert`.

    Raises InputError if the folder holds no model of this kind, and as `convert` does.
    """
    card, weights = read_model(folder, kind)
    config = registry.parse(card.config, f"{folder / CARD}: config")
    checkpoint, notes = convert(config, card, weights, folder)
    stream = io.BytesIO()  # torch.save puts the name of a file into its bytes
    torch.save(checkpoint, stream)
    reading = 'it is read by torch.load(FILE, weights_only=True)["state_dict"]'
    tensors = str(len(checkpoint["state_dict"]))
    return Exported(stream.getvalue(), card, {"tensors": tensors}, (*notes, reading))
