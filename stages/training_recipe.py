"""Read all that decides a trained model: its section, its training section and the shards; make model and batches.

The code of this file is part of a run's identity; that of train.py, which runs the training, is not. Reading a recipe
imports no torch, so that `dtc runs` is quick.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from dtc.audio_config import AudioConfig, require_same_audio
from dtc.config import Section
from dtc.errors import InputError
from dtc.model_card import ModelCard, read_card
from dtc.training.config import LoaderConfig, TrainingConfig
from dtc.training.start_config import StartConfig, read_source
from dtc.training.stopping import decides_by_speech
from pipeline.batching import Batching
from pipeline.shards import INDEX, PredictedBy, ShardIndex, read_index
from stages import paths

if TYPE_CHECKING:
    from torch import nn

    from dtc.evaluation import EarConfig
    from dtc.training.start_from import Start
    from dtc.training.task import Batches
    from stages.kinds import Kind  # which names the models of both kinds
    from stages.params import Params


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights of a trained model, but its code.

    Args:
        kind: acoustic model or vocoder.
        config: the section of the model.
        training: the section of its training.
        index: that of the recordings' features.
        aligned: fingerprint of the predicted mels, where a vocoder is trained on them.
        aligned_by: fingerprint of the acoustic model that predicted them.
        ear: the recogniser, where metrics of the model's speech decide something.
        source: the card of the model that the training starts from, where it names one.
    """

    kind: Kind
    config: Section
    training: TrainingConfig
    index: ShardIndex
    aligned: str = ""
    aligned_by: str = ""
    ear: EarConfig | None = None
    source: ModelCard | None = None

    def card(self, start: Start | None = None) -> ModelCard:
        """Return the model's card, as before the first step. It has the statistics that `start` keeps."""
        statistics = start.source if start and start.keeps_statistics else self.index
        return ModelCard(
            kind=self.kind.name,
            config=self.config.model_dump(mode="json"),
            training=self.training.model_dump(mode="json"),
            audio=self.index.audio,
            text=self.index.text,
            lexicon=self.index.lexicon,
            alphabet=self.index.alphabet,
            mel_mean=statistics.mel_mean,
            mel_deviation=statistics.mel_deviation,
            pauses=self.index.pauses,
            corpus=self.index.corpus_md5,
            manifest=self.index.manifest_md5 or "",
            features=self.index.fingerprint,
            aligned=self.aligned,
            aligned_by=self.aligned_by,
            started_from=self.source.fingerprint if self.source else "",
            steps=0,
        )

    def model(self) -> nn.Module:
        """Return the module to train, with random weights drawn from the seed."""
        from dtc.model_folder import statistics_of
        from dtc.seeding import seed_all

        seed_all(self.training.seed, "weights")
        model = self.kind.parts.build(self.config, self.index.audio, statistics_of(self.card()))
        return cast("nn.Module", model.for_training())

    def start(self, model: nn.Module) -> Start | None:
        """Copy weights of the model to start from into the module to train; return what was copied, None for no start.

        Raises InputError as `start_from`.
        """
        from dtc.training.start_from import start_from
        from dtc.training.task import shipped

        if self.training.start_from is None or self.source is None:
            return None
        return start_from(shipped(model), self.training.start_from, self.source, self.index.alphabet)

    def batches(
        self, split: Literal["train", "validation"], how: LoaderConfig, rank: int = 0, world: int = 1
    ) -> Batches:
        """Return the batches of a split: of one folder of shards, or of several in turn.

        The orders of several folders differ: with one order, each clip would be in two batches in succession.

        Args:
            split: which clips.
            how: how they are read.
            rank: the number of the process that reads its own clips of each batch.
            world: the number of processes.
        """
        from pipeline.loader import FirstBatches, InTurn, ShardLoader

        training = self.training
        order = training.dataloader.train_set if split == "train" else training.dataloader.validation_set
        size, seed = (training.batch_size, training.batch_frames), training.seed if split == "train" else None
        loaders = [
            ShardLoader(
                folder,
                split,
                Batching(*size, None if seed is None else seed + place, order.shuffle, order.drop_last, rank, world),
                how.num_workers,
                how.pin_memory,
            )
            for place, folder in enumerate(self.kind.folders(self.config))
        ]
        batches = loaders[0] if len(loaders) == 1 else InTurn(loaders)
        first = training.overfit_batches if split == "train" else None
        return FirstBatches(batches, first) if first else batches

    def settings(self) -> Mapping[str, Any]:
        """Return the sections of the model and of its training as a tree, with the names that params.yaml has."""
        kind = self.kind.name
        return {
            kind: self.config.model_dump(mode="json"),
            "training": {kind: self.training.model_dump(mode="json")},
        }

    def described(self) -> Mapping[str, Any]:
        """Return what decides the weights as a tree, with the names that params.yaml has for it."""
        return {
            **self.settings(),
            "audio": self.index.audio.model_dump(mode="json"),
            "text": self.index.text.model_dump(mode="json"),
            "corpus": {"md5": self.index.corpus_md5},
            "features": self.index.fingerprint,
            "aligned mels": self.aligned,
            "acoustic model of the aligned mels": self.aligned_by,
            "model to start from": self.source.fingerprint if self.source else "",
        }


def read_recipe(kind: Kind, params: Params) -> Recipe:
    """Return the recipe of a kind of model, by params.yaml and the features that are there.

    Raises InputError where there are no features, or they do not match params.yaml.
    """
    index = read_index(paths.FEATURES)
    require_same_audio(index.audio, str(paths.FEATURES), params.audio, "params.yaml", "run `dtc preprocess` again")
    config, training = getattr(params, kind.name), getattr(params.training, kind.name)
    aligned = _read_aligned(index) if paths.GTA in kind.folders(config) else ("", "")
    source = _read_source(kind, config, training.start_from, index.audio)
    if training.start_from and source and set(index.alphabet) <= set(source.alphabet):
        theirs = kind.parts.parse(source.config, training.start_from.folder)
        config = config.started(theirs, training.start_from.takes)
    ear = params.evaluate if decides_by_speech(training, getattr(params.run, kind.name)) else None
    return Recipe(kind, config, training, index, *aligned, ear, source)


def _read_source(kind: Kind, config: Section, start: StartConfig | None, audio: AudioConfig) -> ModelCard | None:
    """Return the card of the model that a training starts from. Raises InputError where it cannot start from it."""
    if start is None:
        return None
    if start.path.resolve() == kind.model.resolve():
        key, remedy = f"training.{kind.name}.start_from.folder", "copy it, and name the copy"
        raise InputError(key, f"{start.folder} is where this training writes its model", "another folder", remedy)
    return read_source(start, kind.name, kind.parts, config, audio)


def _read_aligned(features: ShardIndex) -> tuple[str, str]:
    """Return the fingerprints of the predicted mels, and of models/acoustic, which must have predicted them."""
    if not (paths.GTA / INDEX).is_file():
        raise InputError(paths.GTA, "no predicted mels", "some, as vocoder.train_on requires", "run `dtc align` first")
    index = read_index(paths.GTA)
    acoustic = read_card(paths.ACOUSTIC, "acoustic").fingerprint
    expected = PredictedBy(acoustic=acoustic, features=features.fingerprint)
    if index.predicted != expected:
        by, of = (index.predicted.acoustic, index.predicted.features) if index.predicted else ("none", "none")
        found = f"mels predicted by model {by} of features {of}"
        raise InputError(paths.GTA, found, f"by {acoustic} of {features.fingerprint}", index.remedy)
    return index.fingerprint, acoustic
