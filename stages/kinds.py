"""The two kinds of models that are trained, and their folders and files. Importing this module imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from dtc.acoustic import ACOUSTIC_MODELS
from dtc.config import Section
from dtc.registry import Registry
from dtc.vocoder import VOCODERS
from stages import paths

if TYPE_CHECKING:
    from dtc.model_card import ModelKind
    from dtc.training.task import Look

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
        folders: section → folders of shards to train on.
        model: the folder of the trained model.
        curve: its curve, as CSV.
        look_at: "module:name" of the function that logs pictures and sounds. It is imported by name, because pictures
            are no part of what decides the weights.
    """

    name: ModelKind
    parts: Registry[Any]
    folders: Callable[[Any], tuple[Path, ...]]
    model: Path
    curve: Path
    look_at: str

    @property
    def look(self) -> Look:
        """Import the function that logs pictures and sounds."""
        module, _, name = self.look_at.partition(":")
        return cast("Look", getattr(import_module(module), name))


def _of_features(section: Section) -> tuple[Path, ...]:
    return (paths.FEATURES,)


def _of_train_on(section: Any) -> tuple[Path, ...]:
    return FOLDERS[section.train_on]


KINDS: Mapping[ModelKind, Kind] = {
    "acoustic": Kind(
        "acoustic", ACOUSTIC_MODELS, _of_features, paths.ACOUSTIC, paths.ACOUSTIC_CURVE, "dtc.acoustic.look:log_step"
    ),
    "vocoder": Kind("vocoder", VOCODERS, _of_train_on, paths.VOCODER, paths.VOCODER_CURVE, "dtc.vocoder.look:log_step"),
}
