"""Sounds and mels of a vocoder in training, for TensorBoard."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from dtc.audio import log_mel
from dtc.batch import Batch
from dtc.report.plots import rgb_array, spectrogram_figure
from dtc.training.logbook import Logbook
from dtc.vocoder.base import Vocoder


@torch.no_grad()
def log_examples(model: nn.Module, batch: Batch, logbook: Logbook, step: int) -> None:
    """Log the recording of a batch's first clip, and the vocoder's copy from its mel, as sounds and as mels.

    The training calls it after each validation: it is the `log_examples` of a `dtc.training.task.Task`.
    """
    audio, length = cast(Vocoder, model).audio, int(batch.wave_lengths[0])
    wave = model(batch.mel[:1, :, : batch.mel_lengths[0]])[0, :length]
    for name, sound in (("recording", batch.wave[0, :length]), ("copy", wave)):
        logbook.audio(step, name, sound.cpu().numpy(), audio.sampling_rate)
        mel = log_mel(sound[None], audio)[0].cpu().numpy()
        picture = spectrogram_figure(mel, audio.sampling_rate, audio.hop_length)
        logbook.image(step, f"mel/{name}", rgb_array(picture))
