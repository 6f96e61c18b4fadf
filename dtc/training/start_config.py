"""The section `start_from` of a training, and what the model that it names must be like. Nothing here imports torch."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

from pydantic import Field

from dtc.audio_config import AudioConfig, require_same_audio
from dtc.config import ModelSection, Section
from dtc.errors import InputError
from dtc.model_card import CARD, ModelCard, ModelKind, read_card
from dtc.registry import Registry


class StartConfig(Section):
    """A trained model whose weights a training starts with."""

    folder: str  # of one model, as models/acoustic, that `dtc train` or `dtc import` has written
    take: tuple[str, ...] = Field(min_length=1)  # globs of the tensors to take; ["*"]: all

    @property
    def path(self) -> Path:
        """Return the model's folder."""
        return Path(self.folder).expanduser()

    def takes(self, part: str) -> bool:
        """Return whether all tensors of a part of the model are taken, by its name, as `encoder`."""
        return any(fnmatchcase(f"{part}.", glob) for glob in self.take)


def read_source(
    start: StartConfig, kind: ModelKind, parts: Registry[Any], config: Section, audio: AudioConfig
) -> ModelCard:
    """Return the card of the model to start from. Its weights are not read.

    Args:
        start: the section that names its folder.
        kind: the kind of the new model.
        parts: the registry of that kind.
        config: the section of the new model.
        audio: the definition of its mels.

    Raises InputError where there is no whole model, where it is of another kind or family, and where its mels have
    another definition.
    """
    section = f"training.{kind}.start_from.folder"
    try:
        card = read_card(start.path, kind)
    except InputError as error:
        remedy = f"name the folder of one model in {section}, as `dtc train {kind}` or `dtc import` writes it"
        raise InputError(error.where, error.found, error.expected, remedy) from None
    theirs = cast(ModelSection, parts.parse(card.config, f"{start.path / CARD}: config"))
    ours = cast(ModelSection, config)
    if theirs.family != ours.family:
        found = f"{start.folder} is a model {theirs.model}, whose weights have another meaning"
        raise InputError(section, found, f"a model of the family {ours.family}, to train {ours.model}")
    remedy = "start from a model of the same mels"
    require_same_audio(card.audio, str(start.path), audio, "params.yaml", remedy)
    return card
