"""A trained model as a folder: model.safetensors holds its weights, and config.json is its card."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import TypeVar

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from dtc.audio import MelStatistics
from dtc.errors import InputError, named
from dtc.files import files_of_others, locked, remove_folder, replace_folder, settle_replacement, write_whole
from dtc.model_card import CARD, WEIGHTS, ModelCard, ModelKind, read_card, remedy_for
from dtc.provenance import sha256_of
from dtc.registry import Registry
from dtc.seal import seal_in, sealed_json

Model = TypeVar("Model", bound=nn.Module)


def statistics_of(card: ModelCard) -> MelStatistics:
    """Return the statistics of the mels that a model was trained on."""
    return MelStatistics(torch.tensor(card.mel_mean), torch.tensor(card.mel_deviation))


def save_model(folder: Path, weights: Mapping[str, Tensor], card: ModelCard) -> ModelCard:
    """Write a model folder, whole or not at all, and return the card with the checksum of the weights and its seal.

    An older model in `folder` is replaced. Raises InputError, and changes nothing, where the weights hold NaN or
    infinity, where `folder` holds anything but a model, or while another process writes it.
    """
    _require_finite(folder, weights)
    with locked(folder):
        settle_replacement(folder)
        require_replaceable(folder)
        part = folder.with_name(folder.name + ".part")
        remove_folder(part, _is_part_of_model, f"move {part} away")  # of a save that was killed
        tensors = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
        write_whole(part / WEIGHTS, save(tensors))  # `save_file` writes a file that only its owner may read
        card = card.model_copy(update={"weights": sha256_of(part / WEIGHTS), "saved_as": ""})
        content = sealed_json(card.model_dump(mode="json"))
        write_whole(part / CARD, content)
        replace_folder(part, folder)
    return card.model_copy(update={"seal": seal_in(content)})


def _require_finite(folder: Path, weights: Mapping[str, Tensor]) -> None:
    if broken := [name for name, value in weights.items() if not torch.isfinite(value).all()]:
        remedy = "the model was not saved, as its training diverged: train it again"
        raise InputError(folder / WEIGHTS, f"NaN or infinity in {named(broken)}", "finite numbers", remedy)


def _is_part_of_model(path: PurePosixPath) -> bool:
    return str(path).removesuffix(".part") in (WEIGHTS, CARD)


def require_replaceable(folder: Path) -> None:
    """Raise InputError where `folder` is a file or a link, or holds anything but a model that dtc saved.

    Other projects use the same names of files, so the card is examined too.
    """
    expected, remedy = "a model folder of dtc, an empty folder or none", "move it away, or choose another folder"
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(folder, "is a link or a file", expected, remedy)
    if others := files_of_others(folder, _is_part_of_model):
        raise InputError(folder, f"holds more than a model ({named(others)})", expected, remedy)
    if folder.exists() and any(folder.iterdir()) and not is_model_folder(folder):
        raise InputError(folder, "is not a model folder of dtc", expected, remedy)


def is_model_folder(folder: Path) -> bool:
    """Return whether a folder has the card of a model that dtc saved."""
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(card, dict) and card.keys() >= {"format", "kind", "config", "weights"}


def read_model(folder: Path, kind: ModelKind) -> tuple[ModelCard, dict[str, Tensor]]:
    """Return card and weights of a model folder, in the present format.

    Raises InputError where it is missing, was changed since it was saved, or is of the other kind.
    """
    card = read_card(folder, kind)
    if (found := sha256_of(folder / WEIGHTS)) != card.weights:
        remedy = f"the file was changed; {remedy_for(kind)}"
        raise InputError(folder / WEIGHTS, f"SHA-256 {found}", card.weights, remedy)
    return card, _with_present_names(load_file(folder / WEIGHTS))


def _with_present_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a model by their present names.

    For a time the decoder LSTM was an nn.LSTMCell, whose tensors have no layer in their names.
    """
    return {re.sub(r"(?<=decoder_rnn\.)(weight|bias)_(ih|hh)$", r"\1_\2_l0", name): weights[name] for name in weights}


def load_model(
    folder: Path, kind: ModelKind, registry: Registry[Callable[..., Model]], device: torch.device
) -> tuple[Model, ModelCard]:
    """Return a trained model in evaluation mode, and its card.

    Raises InputError if the folder is missing, was changed, or holds weights that do not fit its config.
    """
    card, weights = read_model(folder, kind)
    config = registry.parse(card.config, f"{folder / CARD}: config")
    model = registry.build(config, card.audio, statistics_of(card))
    _load_weights(model, weights, folder)
    return model.to(device).eval(), card


def _load_weights(model: nn.Module, weights: Mapping[str, Tensor], folder: Path) -> None:
    """Load the weights of a folder into a model. Raises InputError where they do not fit the model's config."""
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    if differing := [name for name in {**expected, **found} if found.get(name) != expected.get(name)]:
        sizes = [f"{name} {found.get(name, 'missing')}" for name in differing]
        fitting = named([f"{expected.get(name, 'no such tensor')}" for name in differing])
        remedy = f"put back the config that these weights were trained with, in {folder / CARD}"
        raise InputError(folder / WEIGHTS, named(sizes), f"{fitting} by its config", remedy)
    model.load_state_dict(weights)
