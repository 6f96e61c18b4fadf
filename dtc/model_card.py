"""The card of a trained model, config.json in its folder: its config and origin. This file imports no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from dtc.audio_config import AudioConfig
from dtc.config import Section, parse_section
from dtc.errors import InputError
from dtc.made_by import MadeBy
from dtc.migrations import migrate_card
from dtc.provenance import fingerprint
from dtc.text.lexicon import LexiconConfig
from dtc.text.mark_pauses import MarkPauses
from dtc.text.symbols import TextConfig

WEIGHTS, CARD = "model.safetensors", "config.json"

# Keys that older cards lack.
LATER_KEYS = ("lexicon", "pauses", "manifest", "kept", "started_from")

ModelKind = Literal["acoustic", "vocoder"]


class ModelCard(Section):
    """The content of config.json: all that is needed to build the model again, and its origin.

    Cards of older formats are migrated when they are read, see `dtc.migrations`.
    """

    format: Literal[6] = 6
    kind: ModelKind
    config: dict[str, Any]  # the params section that built the model
    training: dict[str, Any]  # the params section that trained it
    audio: AudioConfig
    text: TextConfig  # how the text of a clip becomes symbols
    alphabet: tuple[str, ...]  # symbols that the training texts have
    mel_mean: tuple[float, ...]  # of each band's natural log
    mel_deviation: tuple[float, ...]  # standard deviation of each band's natural log
    corpus: str  # MD5 of the archive
    manifest: str = ""  # MD5 of the manifest; "": not known
    features: str  # fingerprint of the shards
    aligned: str = ""  # fingerprint of the shards of predicted mels that a vocoder was trained on
    aligned_by: str = ""  # fingerprint of the acoustic model that predicted them
    lexicon: LexiconConfig | None = None  # None: words are read as letters
    pauses: MarkPauses | None = None  # at the marks inside the training clips; None: not known
    steps: int  # of training
    kept: str = ""  # which of its weights these are, and why; "": not known
    started_from: str = ""  # fingerprint of the model whose weights the training began with
    weights: str = ""  # SHA-256 of model.safetensors, filled in when it is saved
    saved_as: str = ""  # fingerprint of a card that was saved in an older format
    made_by: MadeBy | None = None  # None: an older version of dtc
    seal: str = ""  # of config.json, see `dtc.seal`; filled in when it is saved

    @property
    def fingerprint(self) -> str:
        """Return the identity of the model, weights included. What made it does not count, see `MadeBy`."""
        # What older cards lack does not count where it is empty.
        later = {name for name in LATER_KEYS if not getattr(self, name)}
        counted = self.model_dump(mode="json", exclude=later | {"made_by", "seal"})
        return self.saved_as or fingerprint("model", counted)


def read_card(folder: Path, kind: ModelKind) -> ModelCard:
    """Return the card of a model folder, in the present format. The weights are not read.

    Raises InputError where the folder has no whole model, or one of the other kind.
    """
    for file in (CARD, WEIGHTS):
        if not (folder / file).is_file():
            raise InputError(folder / file, "no such file", f"a trained {kind} model", remedy_for(kind))
    try:
        tree = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(folder / CARD, f"not JSON ({error})", remedy=remedy_for(kind)) from None
    card = parse_section(migrate_card(tree, folder / CARD), ModelCard, str(folder / CARD))
    if card.kind != kind:
        raise InputError(folder / CARD, f"a model of kind {card.kind}", kind, remedy_for(kind))
    return card


def remedy_for(kind: ModelKind) -> str:
    """Return what to do where a model is missing or damaged."""
    return f"run `dtc train {kind}` first"
