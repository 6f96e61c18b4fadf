"""Vocos (Siuzdak 2023, arXiv:2306.00814): ConvNeXt blocks at the rate of frames, and an inverse STFT.

mel → (B, L, H) → magnitudes and phases → waveform. No layer works at the sampling rate, so it is fast on a CPU.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dtc import whole_batch
from dtc.audio import MelStatistics, istft, require_mel
from dtc.audio_config import AudioConfig
from dtc.batch import Batch, Losses
from dtc.convnext import ConvNeXtBlock
from dtc.vocoder.adversarial import Adversarial
from dtc.vocoder.base import Vocoder
from dtc.vocoder.configs import VocosConfig
from dtc.vocoder.loss import spectral_loss
from dtc.vocoder.onnx_graph import InverseStft, OnnxGraph, example_mel
from dtc.vocoder.training_segments import draw_segments

LARGEST_LOG_MAGNITUDE = 4.6  # e^4.6 = 100, as in the paper's code: one large value in early training must not overflow


class Vocos(Vocoder):
    """Vocos, with the STFT sizes of the audio section."""

    config: VocosConfig
    mel_mean: Tensor
    mel_deviation: Tensor
    mel_layers = ("embed.*",)

    def __init__(self, config: VocosConfig, audio: AudioConfig, statistics: MelStatistics) -> None:
        super().__init__(config, audio, statistics)
        self.register_buffer("mel_mean", statistics.mean.clone())
        self.register_buffer("mel_deviation", statistics.deviation.clone())
        self.embed = nn.Conv1d(len(statistics.mean), config.dim, config.kernel_size, padding=config.kernel_size // 2)
        self.norm = nn.LayerNorm(config.dim, eps=1e-6)
        self.blocks = nn.ModuleList(
            ConvNeXtBlock(config.dim, config.intermediate_dim, config.kernel_size, 1.0 / config.num_layers)
            for _ in range(config.num_layers)
        )
        self.final_norm = nn.LayerNorm(config.dim, eps=1e-6)
        self.head = nn.Linear(config.dim, audio.filter_length + 2)
        for layer in self.modules():
            if isinstance(layer, nn.Conv1d | nn.Linear) and layer.bias is not None:
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def forward(self, mel: Float[Tensor, "batch mels frames"]) -> Float[Tensor, "batch samples"]:
        """Return waveforms of natural-log mels; samples = frames * hop_length.

        Frame t is centred on sample t * hop_length.
        Raises ValueError as `require_mel`, but not in training, where the trainer names the clips at fault.
        """
        if not self.training:
            require_mel(mel, self.audio)
        magnitude, phase = self.spectrum(mel)
        spectrum = torch.complex(magnitude * phase.cos(), magnitude * phase.sin())
        return istft(spectrum, self.audio, mel.shape[2] * self.audio.hop_length)

    def spectrum(
        self, mel: Float[Tensor, "batch mels frames"], mask: Bool[Tensor, "batch frames"] | None = None
    ) -> tuple[Float[Tensor, "batch bins frames"], Float[Tensor, "batch bins frames"]]:
        """Return magnitudes and phases of the STFT whose inverse is the waveform.

        Frames where the mask is false are padding, which does not reach the others.
        """
        normalised = (mel - self.mel_mean[:, None]) / self.mel_deviation[:, None]
        hidden = self.embed(normalised if mask is None else normalised * mask[:, None])  # (B, H, T)
        hidden = self.norm(hidden.transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            hidden = block(hidden, mask)
        head = self.head(self.final_norm(hidden.transpose(1, 2))).transpose(1, 2).float()  # (B, 2 * bins, T)
        log_magnitude, phase = head.chunk(2, dim=1)
        return log_magnitude.clamp(max=LARGEST_LOG_MAGNITUDE).exp(), phase

    @property
    def look_ahead_frames(self) -> int:
        """Return the number of following frames that a frame's samples depend on.

        They are those of all convolutions, and half a window of the inverse STFT.
        """
        layers = 1 + self.config.num_layers
        return layers * (self.config.kernel_size // 2) + -(-self.audio.filter_length // (2 * self.audio.hop_length))

    @torch.inference_mode()
    def stream(self, mel_chunks: Iterable[Float[Tensor, "mels _"]]) -> Iterator[Float[Tensor, " _"]]:
        """Yield waveforms while the mel arrives; joined, they equal `forward` of the whole mel up to rounding.

        A frame is converted as soon as `look_ahead_frames` more have arrived, or the mel has ended. Each chunk, of any
        number of frames, is converted together with as many frames around it, so longer chunks take less time in all.
        """
        around, hop = self.look_ahead_frames, self.audio.hop_length
        mel, done_frames = self.mel_mean.new_zeros(len(self.mel_mean), 0), 0  # mel still needed; its frames yielded
        for chunk in chain(mel_chunks, [None]):
            mel = mel if chunk is None else torch.cat([mel, chunk], dim=1)
            ready = mel.shape[1] - (0 if chunk is None else around)
            if ready <= done_frames:
                continue
            yield self(mel[None])[0, done_frames * hop : ready * hop]
            past = max(0, ready - around)
            mel, done_frames = mel[:, past:], ready - past

    def for_training(self) -> nn.Module:
        """Return the vocoder, together with its discriminators if the config has some."""
        return Adversarial(self, self.config.adversarial) if self.config.adversarial else self

    def training_loss(self, batch: Batch, step: int) -> Losses:
        """Return the weighted terms for one random segment of each clip, and their sum as `loss`."""
        return self.loss_of(*self.generate_segments(batch))

    def generate_segments(self, batch: Batch) -> tuple[Float[Tensor, "batch samples"], Float[Tensor, "batch samples"]]:
        """Return a random segment of each clip: the recording, and what the vocoder generates from its mel."""
        mel, wave = draw_segments(batch, self.config, self.audio.hop_length, self.training)
        return wave, self(self._blur(mel))

    def loss_of(self, recorded: Float[Tensor, "batch samples"], generated: Float[Tensor, "batch samples"]) -> Losses:
        """Return the weighted terms of the spectral loss, and their sum as `loss`."""
        return spectral_loss(generated, recorded, self.config.loss, self.audio)

    def _blur(self, mel: Float[Tensor, "batch mels frames"]) -> Float[Tensor, "batch mels frames"]:
        """Return training mels that are blurred like predicted ones, each clip by a random share.

        A vocoder that is trained on sharp mels alone derives phases from edges that predicted mels do not have.
        Validation mels are not changed.
        """
        if not (self.training and self.config.mel_blur):
            return mel
        mean = nn.functional.avg_pool2d(mel[:, None], 3, stride=1, padding=1, count_include_pad=False)[:, 0]
        share = whole_batch.rand((mel.shape[0], 1, 1), mel.device) * self.config.mel_blur
        return torch.lerp(mel, mean, share)

    def onnx_graph(self) -> OnnxGraph:
        """Return the network `mel` → `wave`, with the inverse STFT as convolutions."""
        mel = example_mel(self.audio)
        return OnnxGraph(OnnxVocos(self), {"mel": ("batch", mel.shape[1], "frames")}, (mel,))


class OnnxVocos(nn.Module):
    """Vocos with the inverse STFT as convolutions."""

    def __init__(self, vocoder: Vocos) -> None:
        super().__init__()
        self.vocoder, self.inverse_stft = vocoder, InverseStft(vocoder.audio)

    def forward(
        self, mel: Float[Tensor, "batch mels frames"], mask: Bool[Tensor, "batch frames"] | None = None
    ) -> Float[Tensor, "batch samples"]:
        """Return waveforms; samples = frames * hop_length. Where the mask is false, there is silence."""
        magnitude, phase = self.vocoder.spectrum(mel, mask)
        return self.inverse_stft(magnitude * phase.cos(), magnitude * phase.sin(), mask)
