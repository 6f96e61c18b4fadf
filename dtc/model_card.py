"""A trained model as a folder: model.safetensors, and config.json (the card), which records its config and origin."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeVar

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from dtc.audio import MelStatistics
from dtc.audio_config import AudioConfig
from dtc.config import Section, parse_section
from dtc.errors import InputError, named
from dtc.files import files_of_others, locked, remove_folder, replace_folder, settle_replacement, write_whole
from dtc.migrations import migrate_card, migrate_weights
from dtc.provenance import fingerprint, sha256_of
from dtc.registry import Registry
from dtc.text.symbols import TextConfig

WEIGHTS, CARD = "model.safetensors", "config.json"

ModelKind = Literal["acoustic", "vocoder"]
Model = TypeVar("Model", bound=nn.Module)


class ModelCard(Section):
    """The content of config.json: all that is needed to build the model again, and its origin.

    Cards of older formats are migrated when they are read, see `dtc.migrations`.
    """

    format: Literal[5] = 5
    kind: ModelKind
    config: dict[str, Any]  # the params section that built the model
    training: dict[str, Any]  # the params section that trained it
    audio: AudioConfig
    text: TextConfig  # how the text of a clip becomes symbols
    alphabet: tuple[str, ...]  # symbols that the training texts have
    mel_mean: tuple[float, ...]  # of each band's natural log
    mel_deviation: tuple[float, ...]  # standard deviation of each band's natural log
    corpus: str  # MD5 of the archive
    features: str  # fingerprint of the shards
    aligned: str = ""  # fingerprint of the shards of predicted mels that a vocoder was trained on
    aligned_by: str = ""  # fingerprint of the acoustic model that predicted them
    steps: int  # of training
    weights: str = ""  # SHA-256 of model.safetensors, filled in when it is saved
    saved_as: str = ""  # fingerprint of a card that was saved in an older format

    @property
    def fingerprint(self) -> str:
        """Return the identity of the model, weights included."""
        return self.saved_as or fingerprint("model", self)

    def statistics(self) -> MelStatistics:
        """Return the statistics of the mels that the model was trained on."""
        return MelStatistics(torch.tensor(self.mel_mean), torch.tensor(self.mel_deviation))


def save_model(folder: Path, weights: Mapping[str, Tensor], card: ModelCard) -> ModelCard:
    """Write a model folder, whole or not at all, and return the card with the checksum of the weights.

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
        write_whole(part / CARD, json.dumps(card.model_dump(mode="json"), indent=2) + "\n")
        replace_folder(part, folder)
    return card


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
    if folder.exists() and any(folder.iterdir()) and not _is_card(folder / CARD):
        raise InputError(folder, "is not a model folder of dtc", expected, remedy)


def _is_card(file: Path) -> bool:
    try:
        card = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    return isinstance(card, dict) and card.keys() >= {"format", "kind", "config", "weights"}


def read_model(folder: Path, kind: ModelKind) -> tuple[ModelCard, dict[str, Tensor]]:
    """Return card and weights of a model folder, in the present format.

    Raises InputError where it is missing, was changed since it was saved, or is of the other kind.
    """
    card = _read_card(folder, kind)
    if (found := sha256_of(folder / WEIGHTS)) != card.weights:
        remedy = f"the file was changed; {_remedy(kind)}"
        raise InputError(folder / WEIGHTS, f"SHA-256 {found}", card.weights, remedy)
    return card, migrate_weights(load_file(folder / WEIGHTS))


def _read_card(folder: Path, kind: ModelKind) -> ModelCard:
    for file in (CARD, WEIGHTS):
        if not (folder / file).is_file():
            raise InputError(folder / file, "no such file", f"a trained {kind} model", _remedy(kind))
    try:
        tree = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(folder / CARD, f"not JSON ({error})", remedy=_remedy(kind)) from None
    card = parse_section(migrate_card(tree, folder / CARD), ModelCard, str(folder / CARD))
    if card.kind != kind:
        raise InputError(folder / CARD, f"a model of kind {card.kind}", kind, _remedy(kind))
    return card


def _remedy(kind: ModelKind) -> str:
    return f"run `dtc train {kind}` first"


def load_model(
    folder: Path, kind: ModelKind, registry: Registry[Callable[..., Model]], device: torch.device
) -> tuple[Model, ModelCard]:
    """Return a trained model in evaluation mode, and its card.

    Raises InputError if the folder is missing, was changed, or holds weights that do not fit its config.
    """
    card, weights = read_model(folder, kind)
    config = registry.parse(card.config, f"{folder / CARD}: config")
    model = registry.get(getattr(config, registry.field))(config, card.audio, card.statistics())
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
