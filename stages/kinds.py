"""The two kinds of models that are trained, and their folders and files. Importing this module imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from dtc.acoustic import ACOUSTIC_MODELS
from dtc.config import Section
from dtc.registry import Registry, imported
from dtc.vocoder import VOCODERS
from stages import paths

if TYPE_CHECKING:
    from dtc.model_card import ModelKind
    from dtc.training.task import LogExamples

# vocoder.train_on → the folders of shards with the mels to train on.
FOLDERS: Mapping[str, tuple[Path, ...]] = {
    "recorded": (paths.FEATURES,),
    "gta": (paths.GTA,),
    "both": (paths.FEATURES, paths.GTA),
}


@dataclass(frozen=True)
class Kind:
    """A kind of model.

    Args:
        name: name of its section in params.yaml, also inside `training` and `run`.
        parts: the registry of its models.
        model: the folder of the trained model.
        curve: its curve, as CSV.
        metrics: its final figures, as JSON.
    """

    name: ModelKind
    parts: Registry[Any]
    model: Path
    curve: Path
    metrics: Path

    def folders(self, section: Section) -> tuple[Path, ...]:
        """Return the folders of shards to train on: an acoustic model's section has no `train_on`."""
        return FOLDERS[getattr(section, "train_on", "recorded")]

    @property
    def log_examples(self) -> LogExamples:
        """Import the function that logs pictures and sounds, which are no part of what decides the weights."""
        return cast("LogExamples", imported(f"dtc.{self.name}.examples:log_examples"))


KINDS: Mapping[ModelKind, Kind] = {
    "acoustic": Kind("acoustic", ACOUSTIC_MODELS, paths.ACOUSTIC, paths.ACOUSTIC_CURVE, paths.ACOUSTIC_METRICS),
    "vocoder": Kind("vocoder", VOCODERS, paths.VOCODER, paths.VOCODER_CURVE, paths.VOCODER_METRICS),
}
