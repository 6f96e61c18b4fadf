"""WaveGlow (Prenger, Valle & Catanzaro 2018, arXiv:1811.00002): a normalizing flow between waveforms and noise.

    waveform ─► groups of samples ─► [ mix channels ─► scale and shift half of them by a network ] × flows ─► z

Training computes z from the waveform and maximises its likelihood under N(0, σ²); synthesis draws z and inverts the
flows. The mel conditions the networks. With `conditioning: upsampled` the model is NVIDIA's, and dtc.compat reads and
writes NVIDIA's checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dtc import whole_batch
from dtc.audio import MelStatistics, istft, require_mel, stft, stft_magnitude
from dtc.audio_config import AudioConfig
from dtc.batch import Batch, Losses, with_total
from dtc.caching import CachingModule
from dtc.vocoder.base import Vocoder
from dtc.vocoder.configs import WaveGlowConfig
from dtc.vocoder.flows import Flow
from dtc.vocoder.onnx_graph import OnnxGraph, example_mel
from dtc.vocoder.training_segments import draw_segments
from dtc.vocoder.wavenet import Condition, Conditioning, Values

FRAMES_UPSAMPLED = 4  # kernel of the upsampling, in hops: frames that a sample depends on
FRAMES_INTERPOLATED = 3  # kernel over frames, if the mel is interpolated
SYNTHESIS_SEED = 0
BIAS_FRAMES = 88  # length of the mel from which the denoiser estimates the bias, as in NVIDIA's code

OfFlows = Float[Tensor, " flows"]


class WaveGlow(CachingModule, Vocoder):
    """WaveGlow. With `conditioning: upsampled` it uses the log-mel as it is; with `interpolated`, it normalises it.

    The constructor raises InputError unless hop_length is a multiple of group_size.
    """

    config: WaveGlowConfig
    mel_layers = ("upsample.*", "flows.*.conditioning.*")

    def __init__(self, config: WaveGlowConfig, audio: AudioConfig, statistics: MelStatistics) -> None:
        super().__init__(config, audio, statistics)
        config.check(audio)
        mels, hop = audio.n_mel_channels, audio.hop_length
        if config.conditioning == "upsampled":
            self.upsample = nn.ConvTranspose1d(mels, mels, FRAMES_UPSAMPLED * hop, stride=hop)
            conditioning = Conditioning(mels * config.group_size, kernel_size=1, positions_per_frame=1)
        else:
            self.normalise = Normaliser(statistics)
            conditioning = Conditioning(mels, FRAMES_INTERPOLATED, positions_per_frame=hop // config.group_size)
        self.flows = nn.ModuleList(Flow(size, conditioning, config.wavenet) for size in config.channels)

    def forward(self, mel: Float[Tensor, "batch mels frames"]) -> Float[Tensor, "batch samples"]:
        """Return waveforms of natural-log mels; samples = frames * hop_length. Raises ValueError as `require_mel`.

        The noise has a fixed seed, so equal mels give equal waveforms.
        """
        wave, strength = self.infer(mel, self.config.infer_sigma, SYNTHESIS_SEED), self.config.denoiser_strength
        return self.denoise(wave, strength) if strength else wave

    @torch.no_grad()
    def infer(self, mel: Float[Tensor, "batch mels frames"], sigma: float, seed: int) -> Float[Tensor, "batch samples"]:
        """Return waveforms from noise of standard deviation `sigma`, drawn from `seed`, the same for every clip.

        Raises ValueError as `require_mel`.
        """
        require_mel(mel, self.audio)
        positions = mel.shape[2] * self.audio.hop_length // self.config.group_size
        z = sigma * torch.randn(self.config.group_size, positions, generator=torch.Generator().manual_seed(seed))
        return self.wave_of(mel, z.to(mel).expand(len(mel), -1, -1))

    def wave_of(self, mel: Float[Tensor, "batch mels frames"], z: Values) -> Float[Tensor, "batch samples"]:
        """Return the waveforms of which `noise_of` is `z`; positions * group_size = frames * hop_length."""
        condition, values = self._condition(mel), z[:, :0]
        for flow, channels in reversed(self._steps()):
            left = z.shape[1] - (channels - values.shape[1])
            values = flow.inverse(torch.cat((z[:, left:], values), dim=1), condition)
            z = z[:, :left]
        wave = values.transpose(1, 2).flatten(1)
        return deemphasised(wave, self.config.pre_emphasis)

    def noise_of(
        self, mel: Float[Tensor, "batch mels frames"], wave: Float[Tensor, "batch samples"]
    ) -> tuple[Values, OfFlows, OfFlows]:
        """Return the noise z of waveforms, and for each flow the summed logarithms of its scales and of |det W|.

        Raises ValueError unless samples = frames * hop_length.
        """
        if wave.shape[1] != mel.shape[2] * (hop := self.audio.hop_length):
            raise ValueError(f"{wave.shape[1]} samples, expected {mel.shape[2]} frames * hop_length {hop}")
        wave = emphasised(wave, self.config.pre_emphasis)  # its determinant is 1
        condition, values = self._condition(mel), _grouped(wave[:, None], self.config.group_size)
        rows = []
        for flow, channels in self._steps():
            early, values = values.tensor_split([values.shape[1] - channels], dim=1)  # early: part of z as they are
            values, log_scale = flow(values, condition)
            rows.append((early, log_scale, values.shape[0] * values.shape[2] * flow.mixing.log_det()))
        done, log_scales, log_dets = zip(*rows, strict=True)
        return torch.cat((*done, values), dim=1), torch.stack(log_scales), torch.stack(log_dets)

    def training_loss(self, batch: Batch, step: int) -> Losses:
        """Return the negative log-likelihood per sample of a random segment of each clip, without its constant.

        It is z² / (2 σ²) - ln s - ln|det W|; `loss` is the sum of these three parts. Source: the paper, section 2.
        """
        segments = draw_segments(batch, self.config, self.audio.hop_length, self.training)
        z, log_s, log_det = self.noise_of(*segments)
        parts = {"z": z.square().sum() / (2.0 * self.config.sigma**2), "log_s": -log_s.sum(), "log_det": -log_det.sum()}
        return with_total({name: whole_batch.portion(part) / whole_batch.elements(z) for name, part in parts.items()})

    @torch.no_grad()
    def denoise(self, wave: Float[Tensor, "batch samples"], strength: float) -> Float[Tensor, "batch samples"]:
        """Return waveforms whose magnitudes are reduced by the model's bias times `strength`; phases are unchanged.

        The bias is the spectrum that the model generates without noise from a mel of zeros.
        Source: the denoiser of NVIDIA/waveglow.
        """
        padded = F.pad(wave, (0, max(0, self.audio.filter_length - wave.shape[1])))  # long enough to be reflected
        spectrum = stft(padded, self.audio)
        magnitude = spectrum.abs()
        less = (magnitude - strength * self.cached(self._bias)).clamp(min=0.0)
        return istft(spectrum * (less / magnitude.clamp(min=1e-16)), self.audio, padded.shape[1])[:, : wave.shape[1]]

    def _bias(self) -> Float[Tensor, "bins 1"]:
        # A mel of zeros is not silence, which is -11.5. But NVIDIA's strengths are tuned for it.
        mel = next(self.parameters()).new_zeros(1, self.audio.n_mel_channels, BIAS_FRAMES)
        return stft_magnitude(self.infer(mel, 0.0, SYNTHESIS_SEED), self.audio)[0, :, :1]

    def _steps(self) -> list[tuple[Flow, int]]:
        return list(zip(cast(Iterable[Flow], self.flows), self.config.channels, strict=True))

    def _condition(self, mel: Float[Tensor, "batch mels frames"]) -> Condition:
        """Return the condition of the networks: the normalised mel, or the upsampled one with groups as channels.

        Upsampling and the flows' conditioning could be composed into matrices over 4 frames, with half as many
        multiplications. At full size on a CPU that would save a tenth of the time, but take 2 GB of memory, which take
        as long to compute as 1.4 s of audio.
        """
        if self.config.conditioning == "interpolated":
            return self.normalise(mel)
        upsampled = self.upsample(mel)[..., : mel.shape[2] * self.audio.hop_length]
        return _grouped(upsampled, self.config.group_size)

    def onnx_graph(self) -> OnnxGraph:
        """Return the network `mel`, `noise` → `wave`, without the denoiser."""
        group, mel = self.config.group_size, example_mel(self.audio)
        noise = torch.zeros(len(mel), group, mel.shape[2] * self.audio.hop_length // group)
        inputs = {"mel": ("batch", mel.shape[1], "frames"), "noise": ("batch", group, "positions")}
        return OnnxGraph(_OnnxWaveGlow(self), inputs, (mel, noise))


class _OnnxWaveGlow(nn.Module):
    def __init__(self, vocoder: WaveGlow) -> None:
        super().__init__()
        self.vocoder = vocoder

    def forward(
        self, mel: Float[Tensor, "batch mels frames"], noise: Float[Tensor, "batch group positions"]
    ) -> Float[Tensor, "batch samples"]:
        """Return waveforms; positions * group = frames * hop_length."""
        return self.vocoder.wave_of(mel, noise)


class Normaliser(nn.Module):
    """Normalises each band of a log-mel to mean 0 and standard deviation 1 over the corpus."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, statistics: MelStatistics) -> None:
        super().__init__()
        self.register_buffer("mean", statistics.mean.clone())
        self.register_buffer("deviation", statistics.deviation.clone())

    def forward(self, mel: Float[Tensor, "batch mels frames"]) -> Float[Tensor, "batch mels frames"]:
        """Return the normalised mel."""
        return (mel - self.mean[:, None]) / self.deviation[:, None]


def _grouped(values: Float[Tensor, "batch channels samples"], size: int) -> Float[Tensor, "batch grouped positions"]:
    """Return samples in groups: sample i of channel c is at position i // size in channel c * size + i % size."""
    return values.unflatten(2, (-1, size)).transpose(2, 3).flatten(1, 2)


def emphasised(wave: Float[Tensor, "batch samples"], share: float) -> Float[Tensor, "batch samples"]:
    """Return x[t] - share * x[t - 1] with 0 <= share < 1."""
    return wave - share * F.pad(wave, (1, 0))[:, :-1] if share else wave


def deemphasised(wave: Float[Tensor, "batch samples"], share: float) -> Float[Tensor, "batch samples"]:
    """Return the inverse of `emphasised`, to 1e-7 of the peak, in float32: the errors of bfloat16 would add up."""
    if not share:
        return wave
    samples = math.ceil(math.log(1e-7 * (1.0 - share)) / math.log(share))  # older samples have no influence
    echo = share ** torch.arange(samples, device=wave.device, dtype=torch.float32).flip(0)
    with torch.autocast(wave.device.type, enabled=False):
        return F.conv1d(F.pad(wave.float()[:, None], (samples - 1, 0)), echo[None, None])[:, 0]
