"""A trained model as a folder: model.safetensors, and config.json, which says what it is and what it was made from.

Everything is written to a sibling and moved into place, so half a file is never read as whole.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from dtc.audio import AudioConfig
from dtc.config import Section, parse_section
from dtc.errors import InputError, named
from dtc.files import write_whole
from dtc.migrations import migrate
from dtc.provenance import fingerprint, sha256_of
from dtc.text.symbols import TextConfig

WEIGHTS, CARD = "model.safetensors", "config.json"


class ModelCard(Section):
    """config.json: all that is needed to build the model again, and what it was made from."""

    format: Literal[5] = 5
    kind: Literal["acoustic", "vocoder"]
    config: dict[str, Any]  # the params section that built the model
    training: dict[str, Any]  # the params section that trained it
    audio: AudioConfig
    text: TextConfig  # how its texts were made
    alphabet: tuple[str, ...]  # symbols read in training
    mel_mean: tuple[float, ...]  # of each band's natural log
    mel_deviation: tuple[float, ...]
    corpus: str  # MD5 of the archive
    features: str  # fingerprint of the shards
    aligned: str = ""  # that of the predicted mels, where a vocoder has learnt from them, and
    aligned_by: str = ""  # the fingerprint of the acoustic model that predicted them
    steps: int
    weights: str = ""  # SHA-256 of model.safetensors, filled in when saved
    saved_as: str = ""  # fingerprint of a card that was saved in an older format

    @property
    def fingerprint(self) -> str:
        """Identity of this very model, weights included."""
        return self.saved_as or fingerprint("model", self)

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation of each mel band."""
        return torch.tensor(self.mel_mean), torch.tensor(self.mel_deviation)


def save_model(folder: Path, weights: dict[str, Tensor], card: ModelCard) -> ModelCard:
    """Write `folder` whole: model.safetensors and config.json. Returns the card with the weights' checksum."""
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    tensors = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    write_whole(part / WEIGHTS, save(tensors))  # save_file would let nobody else read it
    card = card.model_copy(update={"weights": sha256_of(part / WEIGHTS)})
    write_whole(part / CARD, json.dumps(card.model_dump(mode="json"), indent=2) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    part.replace(folder)
    return card


def read_model(folder: Path, kind: Literal["acoustic", "vocoder"]) -> tuple[ModelCard, dict[str, Tensor]]:
    """Card and weights of a model folder. Raises InputError where it is missing, changed or of the other kind."""
    remedy = f"run `dtc train {kind}` first"
    for file in (CARD, WEIGHTS):
        if not (folder / file).is_file():
            raise InputError(folder / file, "no such file", f"a trained {kind} model", remedy)
    try:
        tree = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(folder / CARD, f"not JSON ({error})", remedy=remedy) from None
    card = parse_section(migrate(tree) if isinstance(tree, dict) else tree, ModelCard, str(folder / CARD))
    if card.kind != kind:
        raise InputError(folder / CARD, f"a model of kind {card.kind}", kind, remedy)
    if (found := sha256_of(folder / WEIGHTS)) != card.weights:
        raise InputError(folder / WEIGHTS, f"SHA-256 {found}", card.weights, "the file was changed; " + remedy)
    return card, load_file(folder / WEIGHTS)


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], folder: Path) -> None:
    """Give a model the weights of its folder. Raises InputError where its config is not that of the weights."""
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    if differing := [name for name in {**expected, **found} if found.get(name) != expected.get(name)]:
        sizes = [f"{name} {found.get(name, 'missing')}" for name in differing]
        fitting = named([f"{expected.get(name, 'no such tensor')}" for name in differing])
        remedy = f"put back the config that these weights were trained with, in {folder / CARD}"
        raise InputError(folder / WEIGHTS, named(sizes), f"{fitting} by its config", remedy)
    model.load_state_dict(weights)
