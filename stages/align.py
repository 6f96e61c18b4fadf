"""`dtc align`: predict the mels of the recordings with the trained acoustic model, as shards to train the vocoder on.

The mels are ground-truth aligned (GTA): a model with attention is given the recording's frames and predicts the next
ones, the parallel model is given the recording's durations. So the mel has as many frames as the recording, and the
errors of the model. Training a vocoder on such mels makes it correct these errors. Source: Shen et al. 2018
(arXiv:1712.05884), section 2.3 and table 2.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from rich.console import Console
from torch import Tensor

from dtc.acoustic import ACOUSTIC_MODELS
from dtc.acoustic.base import AcousticModel, load_acoustic
from dtc.audio_config import AudioConfig, require_same_audio
from dtc.batch import collate
from dtc.errors import InputError
from dtc.files import locked, write_whole
from dtc.made_by import MadeBy, computing_environment
from dtc.model_card import ModelCard
from dtc.provenance import fingerprint
from dtc.seeding import seed_all
from dtc.text.lexicon import Lexicon
from pipeline.features import Features
from pipeline.shard_folder import Unfinished, remove_features
from pipeline.shard_reader import FeatureFolder, stored_shards, to_clip
from pipeline.shard_writer import BuiltShard, build_shard
from pipeline.shards import PredictedBy, Shard, ShardIndex, read_index
from stages import paths
from stages.code_identity import chosen_modules, fingerprint_code, modules_of
from stages.progress import computed_clips

if TYPE_CHECKING:
    from dtc.vocoder.configs import TrainOn

CLIPS_PER_BATCH = 16
NONE = "none.txt"


def align(train_on: TrainOn, device: torch.device, console: Console) -> None:
    """Predict the mel of every clip of data/features, unless the vocoder is trained on recordings alone."""
    if train_on == "recorded":
        with locked(paths.GTA):
            remove_features(paths.GTA)
            for path in (paths.GTA / NONE, paths.GTA_AND_RECORDED):  # DVC expects its outputs
                write_whole(path, "vocoder.train_on is recorded: no mels are predicted\n")
        console.print("align: nothing to do, as vocoder.train_on is recorded")
        return
    started = time.monotonic()
    index = read_index(paths.FEATURES)
    model, card = load_acoustic(paths.ACOUSTIC, device)
    require_same_audio(index.audio, str(paths.FEATURES), card.audio, str(paths.ACOUSTIC), "train the model again")
    if card.features != index.fingerprint:
        found = f"a model trained on features {card.features}"
        raise InputError(paths.ACOUSTIC, found, f"{index.fingerprint}, of {paths.FEATURES}", "train it again")
    with locked(paths.GTA):
        aligned = _predict_features(model, card, index, console)
    clips = sum(shard.clips for shard in index.shards)
    console.print(
        f"align: {clips} mels predicted in {time.monotonic() - started:.0f} s, features {aligned.fingerprint}; "
        f"now train the vocoder on them, as vocoder.train_on is {train_on}"
    )


def _predict_features(model: AcousticModel, card: ModelCard, index: ShardIndex, console: Console) -> ShardIndex:
    """Write the folder of features with predicted mels, and return its index."""
    predicted = PredictedBy(acoustic=card.fingerprint, features=index.fingerprint)
    code = fingerprint_code(code_of(model))
    made_from = fingerprint(predicted, code)
    unfinished = Unfinished(paths.GTA, [shard.file for shard in index.shards], made_from)
    _predict_shards(Predictor(model, card), index, unfinished, console)
    made_by = MadeBy(code=code, environment=computing_environment(model.mel_mean.device))
    summed_up = unfinished.summed_up(index.audio.n_mel_channels)
    aligned = index.model_copy(update={"predicted": predicted, "made_by": made_by, **summed_up})
    unfinished.put_in_place(aligned)
    write_whole(paths.GTA_AND_RECORDED, f"{aligned.fingerprint}\n")
    unfinished.discard()
    return aligned


def code_of(model: AcousticModel) -> frozenset[str]:
    """Return the modules that decide the bytes of the shards, those of the model and its parts among them."""
    parts = ACOUSTIC_MODELS.modules(model.config.model) | chosen_modules(model.config)
    return modules_of(["stages.align", *parts])


def _predict_shards(predictor: Predictor, index: ShardIndex, unfinished: Unfinished, console: Console) -> None:
    finished = unfinished.finished()
    if finished:
        console.print(f"align: {len(finished)} of {len(index.shards)} shards are finished already")
    left = [shard for shard in index.shards if shard.file not in finished]
    clips = sum(shard.clips for shard in left)
    with unfinished.with_counted_interrupts("align"), computed_clips("align", clips, console) as advance:
        features = FeatureFolder(paths.FEATURES, index)
        for shard, recorded in stored_shards(features, {shard.file for shard in left}):
            unfinished.store(predict_shard(predictor, shard, recorded, index.audio))
            advance(shard.clips)


@dataclass(frozen=True)
class Predictor:
    """A trained acoustic model and its card."""

    model: AcousticModel
    card: ModelCard

    @torch.inference_mode()
    def predict(self, clips: Sequence[Features]) -> list[Tensor]:
        """Return the predicted natural-log mels (mels, frames), as long as the recordings'."""
        lexicon = Lexicon(self.card.lexicon)
        batch = collate([to_clip(features, features.id, lexicon) for features in clips]).to(self.model.mel_mean.device)
        mel = self.model.predict_recorded(batch, self.card.steps)
        return [row[:, :frames].cpu().contiguous() for row, frames in zip(mel, batch.mel_lengths.tolist(), strict=True)]


def predict_shard(predictor: Predictor, shard: Shard, clips: Sequence[Features], audio: AudioConfig) -> BuiltShard:
    """Build a shard of the same clips and waveforms, with predicted mels. It depends on model and clips alone."""
    mels: dict[str, Tensor] = {}
    by_length = sorted(clips, key=lambda clip: (clip.mel.shape[1], clip.id))
    for first in range(0, len(clips), CLIPS_PER_BATCH):
        batch = by_length[first : first + CLIPS_PER_BATCH]
        seed_all("align", shard.file, first)  # the pre-net's dropout is active here too
        mels |= zip([clip.id for clip in batch], predictor.predict(batch), strict=True)
    predicted = [replace(clip, mel=mels[clip.id].numpy()) for clip in clips]
    return build_shard(shard.file, shard.split, predicted, audio)
