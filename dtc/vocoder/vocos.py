"""Vocos (Siuzdak 2023, arXiv:2306.00814): ConvNeXt blocks at frame rate, then an inverse STFT.

No layer works at sample rate, so it is fast on a CPU: mel → (B, L, H) → magnitudes and phases → waveform.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dtc.audio import AudioConfig, istft, require_mel
from dtc.batch import Batch
from dtc.vocoder.adversarial import Adversarial
from dtc.vocoder.base import Vocoder
from dtc.vocoder.configs import VocosConfig
from dtc.vocoder.loss import spectral_loss
from dtc.vocoder.training_segments import draw_segments

LARGEST_LOG_MAGNITUDE = 4.6  # e^4.6 = 100, as in the paper's code: early on, one exp must not overflow the loss


class Vocos(Vocoder):
    """Mel → waveform at frames * hop_length samples."""

    config: VocosConfig
    mel_mean: Tensor
    mel_deviation: Tensor

    def __init__(
        self,
        config: VocosConfig,
        audio: AudioConfig,
        mel_mean: Float[Tensor, " mels"],
        mel_deviation: Float[Tensor, " mels"],
    ) -> None:
        super().__init__()
        self.config, self.audio = config, audio
        self.register_buffer("mel_mean", mel_mean.clone())
        self.register_buffer("mel_deviation", mel_deviation.clone())
        self.embed = nn.Conv1d(len(mel_mean), config.dim, config.kernel_size, padding=config.kernel_size // 2)
        self.norm = nn.LayerNorm(config.dim, eps=1e-6)
        self.blocks = nn.ModuleList(ConvNeXtBlock(config) for _ in range(config.num_layers))
        self.final_norm = nn.LayerNorm(config.dim, eps=1e-6)
        self.head = nn.Linear(config.dim, audio.filter_length + 2)
        for layer in self.modules():
            if isinstance(layer, nn.Conv1d | nn.Linear) and layer.bias is not None:
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def forward(self, mel: Float[Tensor, "batch mels frames"]) -> Float[Tensor, "batch samples"]:
        """Natural-log mel → waveform; samples = frames * hop_length, frame t centred on sample t * hop_length.

        Raises ValueError for what is no mel; a training names its clips instead.
        """
        if not self.training:
            require_mel(mel, self.audio)
        magnitude, phase = self.spectrum(mel)
        spectrum = torch.complex(magnitude * phase.cos(), magnitude * phase.sin())
        return istft(spectrum, self.audio, mel.shape[2] * self.audio.hop_length)

    def spectrum(
        self, mel: Float[Tensor, "batch mels frames"]
    ) -> tuple[Float[Tensor, "batch bins frames"], Float[Tensor, "batch bins frames"]]:
        """Magnitudes and phases of the STFT whose inverse is the waveform."""
        hidden = self.embed((mel - self.mel_mean[:, None]) / self.mel_deviation[:, None])  # (B, H, T)
        hidden = self.norm(hidden.transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            hidden = block(hidden)
        head = self.head(self.final_norm(hidden.transpose(1, 2))).transpose(1, 2).float()  # (B, 2 * bins, T)
        log_magnitude, phase = head.chunk(2, dim=1)
        return log_magnitude.clamp(max=LARGEST_LOG_MAGNITUDE).exp(), phase

    @property
    def look_ahead_frames(self) -> int:
        """How far from a frame the mel still changes its sound: through all convolutions, and half an inverse STFT."""
        layers = 1 + self.config.num_layers
        return layers * (self.config.kernel_size // 2) + -(-self.audio.filter_length // (2 * self.audio.hop_length))

    @torch.inference_mode()
    def stream(self, mel_chunks: Iterable[Float[Tensor, "mels _"]]) -> Iterator[Float[Tensor, " _"]]:
        """Waveforms as the mel arrives, which joined are `forward`'s of the whole, up to rounding.

        A frame is spoken once `look_ahead_frames` more have come, or there are no more. Each chunk is spoken with as
        many frames around it, which are computed again: longer chunks cost less. A chunk may have any number of frames.
        """
        around, hop = self.look_ahead_frames, self.audio.hop_length
        mel, spoken = self.mel_mean.new_zeros(len(self.mel_mean), 0), 0  # what is still needed; frames of it done
        for chunk in chain(mel_chunks, [None]):
            mel = mel if chunk is None else torch.cat([mel, chunk], dim=1)
            done = mel.shape[1] - (0 if chunk is None else around)
            if done <= spoken:
                continue
            yield self(mel[None])[0, spoken * hop : done * hop]
            past = max(0, done - around)
            mel, spoken = mel[:, past:], done - past

    def for_training(self) -> nn.Module:
        """Return the vocoder with its discriminators where the config has some."""
        return Adversarial(self, self.config.adversarial) if self.config.adversarial else self

    def training_loss(self, batch: Batch, step: int) -> dict[str, Float[Tensor, ""]]:
        """Weighted terms for one random segment of each clip, `loss` their sum."""
        return self.loss_of(*self.speak_segments(batch))

    def speak_segments(self, batch: Batch) -> tuple[Float[Tensor, "batch samples"], Float[Tensor, "batch samples"]]:
        """One random segment of each clip, recorded and made."""
        mel, wave = draw_segments(batch, self.config, self.audio.hop_length, self.training)
        return wave, self(self._blur(mel))

    def loss_of(
        self, recorded: Float[Tensor, "batch samples"], made: Float[Tensor, "batch samples"]
    ) -> dict[str, Float[Tensor, ""]]:
        """Weighted terms, `loss` their sum."""
        return spectral_loss(made, recorded, self.config.loss, self.audio)

    def _blur(self, mel: Float[Tensor, "batch mels frames"]) -> Float[Tensor, "batch mels frames"]:
        """A recording's mel made as soft as an acoustic model's are, each clip by a random share.

        Trained on sharp mels alone, the vocoder is at a loss with predicted ones: it guesses phases from edges that are
        not there. Validation is on sharp ones.
        """
        if not (self.training and self.config.mel_blur):
            return mel
        mean = nn.functional.avg_pool2d(mel[:, None], 3, stride=1, padding=1, count_include_pad=False)[:, 0]
        share = torch.rand(mel.shape[0], 1, 1, device=mel.device) * self.config.mel_blur
        return torch.lerp(mel, mean, share)


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution over time, then a two-layer perceptron on each frame; residual with a learned scale."""

    def __init__(self, config: VocosConfig) -> None:
        super().__init__()
        padding = config.kernel_size // 2
        self.depthwise = nn.Conv1d(config.dim, config.dim, config.kernel_size, padding=padding, groups=config.dim)
        self.norm = nn.LayerNorm(config.dim, eps=1e-6)
        self.expand = nn.Linear(config.dim, config.intermediate_dim)
        self.contract = nn.Linear(config.intermediate_dim, config.dim)
        self.scale = nn.Parameter(torch.full((config.dim,), 1.0 / config.num_layers))

    def forward(self, inputs: Float[Tensor, "batch dim frames"]) -> Float[Tensor, "batch dim frames"]:
        """Same shape as the input."""
        hidden = self.norm(self.depthwise(inputs).transpose(1, 2))
        hidden = self.contract(nn.functional.gelu(self.expand(hidden)))
        return inputs + (self.scale * hidden).transpose(1, 2)
